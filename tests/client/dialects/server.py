"""A small scripted server that behaves as a `Dialect` says, on loopback."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from client.dialects.dialect import LEGACY, MODERN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

    from client.dialects.dialect import Closing, Dialect

_WORDS = {MODERN: {}, LEGACY: {"subscribe": "start", "next": "data"}}
_UNSENDABLE = {1005: b"\x88\x00", 1006: b"\x88\x02" + (1006).to_bytes(2)}


class DialectServer:
    """What one server does, an async context manager.

    A token that begins with "bad", or was declared expired, is refused; so is nobody. Operations are told apart by
    what their text holds: "denied" fails, "partial" is an event with errors, "subscription" stays, all else is
    answered with `{"hello": "world"}`.

    Args:
        dialect: What it does.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.refusal = dialect.refusals[0]
        self.open: list[DialectSocket] = []
        self.sockets = 0
        self.refused: list[str | None] = []
        self.admitted: list[str | None] = []
        self.expired: set[str] = set()
        self.requests: list[str] = []
        self.status: int | None = None
        self._server: Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"ws://127.0.0.1:{self._port}/graphql"

    @property
    def subscriptions(self) -> int:
        """How many are live."""
        return sum(len(socket.subscriptions) for socket in self.open)

    async def publish(self, data: object) -> None:
        """Send an event to every subscription."""
        for socket in list(self.open):
            for identifier in list(socket.subscriptions):
                await socket.say("next", identifier, {"data": data})

    async def expire(self) -> None:
        """End every socket as the dialect does when its token has expired; from now on that token is refused."""
        for socket in list(self.open):
            if socket.token is not None:
                self.expired.add(socket.token)
            await socket.end(self.dialect.expiry)

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            0,
            select_subprotocol=self._select,
            process_request=self._answer,
            ping_interval=None,
            close_timeout=1,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _answer(self, connection: ServerConnection, _request: Request) -> Response | None:
        self.sockets += 1
        return None if self.status is None else connection.respond(HTTPStatus(self.status), "")

    def _select(self, _connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        chosen = self.dialect.choose(list(offered))
        return None if chosen is None else Subprotocol(chosen)

    async def _handle(self, connection: ServerConnection) -> None:
        socket = DialectSocket(self, connection)
        self.open.append(socket)
        try:
            await socket.run()
        except ConnectionClosed:
            pass
        finally:
            self.open.remove(socket)


class DialectSocket:
    """One client's connection."""

    def __init__(self, server: DialectServer, connection: ServerConnection) -> None:
        self.server = server
        self.dialect = server.dialect
        self.connection = connection
        self.token: str | None = None
        self.subscriptions: set[str] = set()
        self.words: Mapping[str, str] = _WORDS[str(connection.subprotocol)]

    async def run(self) -> None:
        """Hear the client to the end."""
        for text in self.dialect.greetings.get(str(self.connection.subprotocol), ()):
            await self.connection.send(text)
        spoken = {word: name for name, word in self.words.items()}
        async for frame in self.connection:
            message = json.loads(frame)
            match spoken.get(message["type"], message["type"]):
                case "connection_init":
                    await self._init(message)
                case "subscribe":
                    await self._operate(message["id"], message["payload"]["query"])
                case "complete" | "stop":
                    await self._stop(message["id"])

    async def say(self, name: str, identifier: str | None = None, payload: object = ...) -> None:
        """Send a message, in the words of the subprotocol."""
        message: dict[str, object] = {"type": self.words.get(name, name)}
        if identifier is not None:
            message["id"] = int(identifier) if self.dialect.numeric_ids else identifier
        if payload is not ...:
            message["payload"] = payload
        await self.connection.send(json.dumps(message))

    async def end(self, closing: Closing) -> None:
        """Say what is said before the end, and close."""
        for text in closing.texts:
            await self.connection.send(text)
        if closing.code in _UNSENDABLE:
            # A frame without a code, or with one that no library that keeps to the RFC would write.
            self.connection.transport.write(_UNSENDABLE[closing.code])
            self.connection.transport.close()
        elif closing.code is not None:
            await self.connection.close(closing.code, closing.reason)

    async def _init(self, message: Mapping[str, Any]) -> None:
        server, dialect = self.server, self.dialect
        closing = dialect.rejects.get(str(self.connection.subprotocol))
        if closing is not None:
            await self.end(closing)
            return
        if "payload" in message and message["payload"] is None and dialect.null_closes is not None:
            await self.end(dialect.null_closes)
            return
        self.token = dialect.token(message.get("payload") or {})
        if self.token is None or self.token.startswith("bad") or self.token in server.expired:
            server.refused.append(self.token)
            await self.end(server.refusal)
            return
        server.admitted.append(self.token)
        await self.say("connection_ack", payload=None if dialect.null_payloads else ...)
        for text in dialect.noise:
            await self.connection.send(text)

    async def _operate(self, identifier: str, query: str) -> None:
        self.server.requests.append(query)
        if "denied" in query:
            await self.say("error", identifier if self.dialect.names_errors else None, self.dialect.error)
            if self.dialect.completes_errors:
                await self._complete(identifier)
        elif "subscription" in query:
            self.subscriptions.add(identifier)
            if self.dialect.confirms:
                await self.say("next", identifier, {"data": None, "errors": None})
        else:
            await self.say("next", identifier, {"data": {"hello": "world"}})
            await self._complete(identifier)

    async def _stop(self, identifier: str) -> None:
        self.subscriptions.discard(identifier)
        if self.dialect.answers_stop:
            await self._complete(identifier)

    async def _complete(self, identifier: str) -> None:
        await self.say("complete", identifier, None if self.dialect.null_payloads else ...)
