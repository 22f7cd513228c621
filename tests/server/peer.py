"""A client that says exactly what a test wants, in either subprotocol, over a real socket."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import websockets
from websockets.asyncio.client import connect

from gqlink.protocol import DIALECTS, Dialect, Kind, Side

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from websockets.asyncio.client import ClientConnection
    from websockets.typing import Subprotocol

NEWER, LEGACY = DIALECTS.values()
BOTH: tuple[Dialect, ...] = (NEWER, LEGACY)
PATIENCE = 10.0


class Peer:
    """One connection of a client."""

    def __init__(self, socket: ClientConnection, dialect: Dialect) -> None:
        self.socket = socket
        self.dialect = dialect

    async def send(self, message: object) -> None:
        """Send any JSON."""
        await self.socket.send(json.dumps(message))

    async def say(self, kind: Kind, **members: object) -> None:
        """Send a message by its dialect's name."""
        await self.send({"type": self.word(kind), **members})

    def word(self, kind: Kind, *, side: Side = Side.CLIENT) -> str:
        """Return the dialect's name of a kind."""
        return self.dialect.types[side, kind]

    async def init(self, token: object = None) -> dict[str, Any]:
        """Ask to be let in with a token, and return the answer."""
        await self.say(Kind.CONNECTION_INIT, payload={"accessToken": token})
        return await self.receive()

    async def start(self, query: str, *, id: str = "1", **payload: object) -> None:  # noqa: A002 -- the member's name
        """Start an operation."""
        await self.say(Kind.SUBSCRIBE, id=id, payload={"query": query, **payload})

    async def stop(self, id: str = "1") -> None:  # noqa: A002 -- the member's name
        """End an operation."""
        await self.say(Kind.COMPLETE, id=id)

    async def receive(self) -> dict[str, Any]:
        """Return the next message, with the type that the newer dialect has for its kind."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        kinds = {word: kind for (side, kind), word in self.dialect.types.items() if side is Side.SERVER}
        return {**message, "type": kinds[message["type"]].value}

    async def ask(self, query: str, *, id: str = "1", **payload: object) -> list[dict[str, Any]]:  # noqa: A002
        """Run an operation to its end, and return what came of it."""
        await self.start(query, id=id, **payload)
        messages = [await self.receive()]
        while messages[-1]["type"] not in {"complete", "error"}:
            messages.append(await self.receive())
        return messages

    async def closed(self) -> tuple[int, str]:
        """Return code and reason of the close that must come, whatever comes before it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.socket.recv()
        except websockets.ConnectionClosed as exc:
            return (1006, "") if exc.rcvd is None else (exc.rcvd.code, exc.rcvd.reason)

    async def is_well(self) -> bool:
        """Tell whether the connection still answers."""
        messages = await self.ask("{ hello }", id="still there")
        return messages[0].get("payload") == {"data": {"hello": "world"}}

    def reset(self) -> None:
        """Cut the connection without a word."""
        self.socket.transport.abort()


@asynccontextmanager
async def peer(authority: str, dialect: Dialect, *, path: str = "/graphql", **options: Any) -> AsyncIterator[Peer]:
    """Connect with one subprotocol."""
    offered: Sequence[str] = options.pop("offered", (dialect.subprotocol,))
    subprotocols: Sequence[Subprotocol] = [websockets.Subprotocol(name) for name in offered]
    async with connect(
        f"ws://{authority}{path}", subprotocols=subprotocols, proxy=None, ping_interval=None, close_timeout=2, **options
    ) as socket:
        yield Peer(socket, dialect)


@asynccontextmanager
async def member(authority: str, dialect: Dialect, token: object = None, **options: Any) -> AsyncIterator[Peer]:
    """Connect, and be let in."""
    async with peer(authority, dialect, **options) as connected:
        ack = await connected.init(token)
        assert ack["type"] == "connection_ack", ack
        yield connected


def errors_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the errors of an `error` message: a list, or one object in the legacy dialect."""
    payload = message["payload"]
    if isinstance(payload, list):
        return payload
    errors: list[dict[str, Any]] = payload.get("errors", [payload])
    return errors


def codes_of(message: dict[str, Any]) -> list[str]:
    """Return the codes of an `error` message's errors."""
    return [error["extensions"]["code"] for error in errors_of(message)]
