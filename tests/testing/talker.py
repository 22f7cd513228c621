"""A client of the `websockets` library that says what a test wants: any other's implementation on the other side."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gqlink.protocol import Close, Frame, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection
    from websockets.typing import Subprotocol

MODERN = "graphql-transport-ws"


class Talker:
    """Implements `gqlink.testing.Socket`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, message: object) -> None:
        """Say JSON."""
        await self.socket.send(json.dumps(message))

    async def hear(self) -> object:
        """Wait for JSON, or the close."""
        frame = await self.receive()
        return json.loads(frame.data) if isinstance(frame, Text) else frame

    async def send_text(self, text: str) -> None:
        """Send one text frame."""
        await self.socket.send(text)

    async def send_bytes(self, data: bytes) -> None:
        """Send one binary frame."""
        await self.socket.send(data)

    async def receive(self) -> Frame:
        """Wait for the next frame."""
        try:
            async with asyncio.timeout(10):
                data = await self.socket.recv()
        except ConnectionClosed as closed:
            return Close(closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else Close(1006, "")
        return Text(data if isinstance(data, bytes) else data.encode())

    async def close(self, code: int, reason: str) -> None:
        """Close, or break off."""
        if code == 1006:
            self.socket.transport.abort()
            await self.socket.wait_closed()
        else:
            await self.socket.close(code, reason)


@asynccontextmanager
async def talking(url: str, subprotocol: str = MODERN) -> AsyncIterator[Talker]:
    """Connect."""
    async with connect(url, subprotocols=[cast("Subprotocol", subprotocol)], close_timeout=1) as socket:
        yield Talker(socket)
