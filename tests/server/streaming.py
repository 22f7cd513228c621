"""One request for events, in process: its client reads, stalls or leaves as a test says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from server.eventually import eventually, turns

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import ASGIApp

EVENTS = "text/event-stream"
COMPLETE = ("complete", None)


class Listening:
    """A request, and what has come of it; use it with `async with`, which leaves in the end.

    Args:
        app: Who is asked.
        query: The document.
        token: Whose.
        method: "GET" writes the request into the query string.
        accept: The `Accept` header.
        headers: Further ones.
        client: The peer's address.
        payload: Further members of the request.
    """

    def __init__(
        self,
        app: ASGIApp,
        query: str,
        *,
        token: str | None = None,
        method: str = "POST",
        accept: str = EVENTS,
        headers: dict[str, str] | None = None,
        client: tuple[str, int] = ("127.0.0.1", 50312),
        **payload: Any,
    ) -> None:
        self.app = app
        self.messages: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        """Cleared, the client takes nothing more."""
        self.reads.set()
        self.is_stuck = False
        self._left = asyncio.Event()
        request = {"query": query, **payload}
        body = json.dumps(request).encode() if method == "POST" else b""
        self._requests = [{"type": "http.request", "body": body, "more_body": False}]
        written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in request.items()}
        fields = {
            "host": "127.0.0.1",
            "accept": accept,
            **({"content-type": "application/json"} if method == "POST" else {}),
            **({"authorization": f"Bearer {token}"} if token else {}),
            **(headers or {}),
        }
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": "/graphql",
            "query_string": urlencode(written).encode() if method == "GET" else b"",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": client,
            "server": ("127.0.0.1", 80),
        }

    async def __aenter__(self) -> Self:
        self.task: asyncio.Task[None] = asyncio.create_task(self._serve())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()
        self.reads.set()
        async with asyncio.timeout(10):
            await self.task

    def leave(self) -> None:
        """Break off."""
        self._left.set()

    async def begun(self) -> Self:
        """Wait for the head of the answer, and for what follows at once."""
        await eventually(lambda: bool(self.messages))
        await turns()
        return self

    async def heard(self, count: int) -> list[tuple[str, Any]]:
        """Wait for so many events, and return them."""
        await eventually(lambda: len(self.events) >= count or self.task.done())
        await turns()
        assert len(self.events) == count, self.events
        return self.events

    async def ended(self) -> list[tuple[str, Any]]:
        """Wait for the end of the answer, and return all events."""
        await eventually(lambda: self.has_ended or self.task.done())
        return self.events

    @property
    def head(self) -> dict[str, Any]:
        """The message that begins the answer."""
        return self.messages[0]

    @property
    def status(self) -> int:
        """That of the answer."""
        status: int = self.head["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        """Those of the answer."""
        return {name.decode(): value.decode() for name, value in self.head["headers"]}

    @property
    def body(self) -> bytes:
        """What has come of the body."""
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def json(self) -> Any:
        """The body of an answer that is no stream."""
        return json.loads(self.body)

    @property
    def has_ended(self) -> bool:
        """Whether the body is complete; nothing may follow."""
        ends = [number for number, message in enumerate(self.messages) if message.get("more_body") is False]
        assert ends in ([], [len(self.messages) - 1])
        return bool(ends)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events, each with its data; comments are none. Whatever is no whole event at the end is left out."""
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:
            fields = dict(line.split(":", 1) for line in block.split("\n"))
            if "event" in fields:
                text = fields["data"].removeprefix(" ")
                found.append((fields["event"].strip(), json.loads(text) if text else None))
        return found

    @property
    def comments(self) -> int:
        """How many comments have come."""
        return self.body.decode().split("\n\n").count(":")

    async def _serve(self) -> None:
        await self.app(self._scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if self._requests:
            return self._requests.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if not self.reads.is_set() and not self._left.is_set():
            self.is_stuck = True
            await self.reads.wait()
            self.is_stuck = False
        if not self._left.is_set():
            self.messages.append(message)


def told(code: str, message: str) -> tuple[str, Any]:
    """Return the event that tells why a stream has ended."""
    return ("next", {"errors": [{"message": message, "extensions": {"code": code}}]})


EXPIRED = told("TOKEN_EXPIRED", "Token expired")
REVOKED = told("UNAUTHENTICATED", "Session revoked")
