"""The ways to a GraphQL server: HTTP, an event stream, and a WebSocket in either subprotocol, asked alike.

A road takes whatever would be the JSON of a request, right or wrong, and says what came back, in full.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import httpx2
import websockets
from websockets.asyncio.client import connect

from gqlink.protocol import Dialect, Kind, Side

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        results: The execution results and the errors, as one list of GraphQL responses; a batch may bring several.
        text: Every byte of it, for whoever looks for what must not be there.
        status: Of HTTP; None over a socket.
        closed: Code and reason with which a socket was closed; None over HTTP, or when it stayed.
    """

    results: tuple[Mapping[str, Any], ...] = ()
    text: str = ""
    status: int | None = None
    closed: tuple[int, str] | None = None

    @property
    def data(self) -> Mapping[str, Any]:
        """The data of the first result; empty where there is none."""
        found = self.results[0].get("data") if self.results else None
        return found if isinstance(found, dict) else {}

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The errors of all results."""
        return [error for result in self.results for error in result.get("errors") or ()]

    @property
    def messages(self) -> list[str]:
        """What the errors say."""
        return [str(error.get("message")) for error in self.errors]

    @property
    def refusal(self) -> Mapping[str, Any]:
        """The extensions of the one error that there is."""
        [error] = self.errors
        extensions: Mapping[str, Any] = error.get("extensions", {})
        return extensions


class Road(Protocol):
    """One way to a server; as somebody, or as nobody."""

    @property
    def authority(self) -> str:
        """Where the server is, such as "127.0.0.1:40123"."""

    async def ask(self, payload: object, *, origin: str | None = None) -> Answer:
        """Send what would be a GraphQL request, and wait for all that comes of it.

        Args:
            payload: Any JSON.
            origin: Of the page that asks; None for what is no browser.
        """


@dataclass(frozen=True)
class HttpRoad:
    """A POST for each question; `accept` makes an event stream of the answer."""

    authority: str
    token: str | None = None
    accept: str | None = None
    path: str = "/graphql"

    async def ask(self, payload: object, *, origin: str | None = None) -> Answer:
        """See `Road`."""
        return await self.send("POST", json=payload, origin=origin)

    async def send(self, method: str, *, path: str | None = None, origin: str | None = None, **options: Any) -> Answer:
        """Send any request; `options` are httpx2's."""
        headers = dict(options.pop("headers", {}))
        for name, value in (
            ("origin", origin),
            ("authorization", f"Bearer {self.token}" if self.token else None),
            ("accept", self.accept),
        ):
            if value is not None:
                headers.setdefault(name, value)
        url = f"http://{self.authority}{path or self.path}"
        async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            response = await client.request(method, url, headers=headers, **options)
        return Answer(_results(response), response.text, status=response.status_code)


def _results(response: httpx2.Response) -> tuple[Mapping[str, Any], ...]:
    """Read JSON, one response or several; or the events of a stream."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        lines = (line.partition(":") for line in response.text.splitlines())
        texts = [value.strip() for name, _, value in lines if name == "data"]
    else:
        texts = [response.text]
    found: list[object] = []
    for text in texts:
        try:
            read = json.loads(text)
        except ValueError:
            continue
        found += read if isinstance(read, list) else [read]
    return tuple(item for item in found if isinstance(item, dict))


@dataclass(frozen=True)
class SocketRoad:
    """A socket for each question."""

    authority: str
    dialect: Dialect
    token: str | None = None
    path: str = "/graphql"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def ask(self, payload: object, *, origin: str | None = None) -> Answer:
        """See `Road`; a handshake that is refused has a status."""
        url = f"ws://{self.authority}{self.path}"
        try:
            async with connect(
                url,
                subprotocols=[websockets.Subprotocol(self.dialect.subprotocol)],
                origin=None if origin is None else websockets.Origin(origin),
                additional_headers=dict(self.headers),
                proxy=None,
                ping_interval=None,
                close_timeout=2,
            ) as socket:
                return await self._converse(socket, payload)
        except websockets.InvalidStatus as exc:
            return Answer(text=bytes(exc.response.body or b"").decode(), status=exc.response.status_code)

    async def _converse(self, socket: websockets.ClientConnection, payload: object) -> Answer:
        seen: list[str] = []
        results: list[Mapping[str, Any]] = []
        try:
            async with asyncio.timeout(PATIENCE):
                init = {"type": self._word(Kind.CONNECTION_INIT), "payload": {"accessToken": self.token}}
                await socket.send(json.dumps(init))
                seen.append(str(await socket.recv()))
                await socket.send(json.dumps({"type": self._word(Kind.SUBSCRIBE), "id": "1", "payload": payload}))
                while self._take(str(await socket.recv()), seen, results):
                    pass
        except websockets.ConnectionClosed as exc:
            closed = (1006, "") if exc.rcvd is None else (exc.rcvd.code, exc.rcvd.reason)
            return Answer(tuple(results), "\n".join([*seen, closed[1]]), closed=closed)
        return Answer(tuple(results), "\n".join(seen))

    def _take(self, text: str, seen: list[str], results: list[Mapping[str, Any]]) -> bool:
        """Take one message; tell whether more will come."""
        seen.append(text)
        message = json.loads(text)
        kind = {word: kind for (side, kind), word in self.dialect.types.items() if side is Side.SERVER}[message["type"]]
        payload = message.get("payload")
        if kind is Kind.NEXT:
            results.extend(payload if isinstance(payload, list) else [payload])
        elif kind is Kind.ERROR:
            # A list; the legacy subprotocol says one error, or an object that has some.
            errors = payload if isinstance(payload, list) else payload.get("errors", [payload])
            results.append({"errors": errors})
        return kind not in {Kind.COMPLETE, Kind.ERROR}

    def _word(self, kind: Kind) -> str:
        return self.dialect.types[Side.CLIENT, kind]
