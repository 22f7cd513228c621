"""A TCP server that sends back what it gets and remembers it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self

from gqlink.testing import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class EchoSide(asyncio.Protocol):
    """One connection, as the server sees it."""

    def __init__(self, server: EchoServer) -> None:
        self.server = server
        self.heard = bytearray()
        self.ended = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.sides.append(self)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.heard += data
        self.transport.write(data)

    def eof_received(self) -> None:
        """Take note that the client has said goodbye; the transport closes."""
        self.ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it is gone."""
        del exc
        self.lost = True


class EchoServer:
    """An async context manager; `target` is where it listens."""

    def __init__(self) -> None:
        self.sides: list[EchoSide] = []
        self.target = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: EchoSide(self), "127.0.0.1", 0)
        self.target = "{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for _ in range(4):  # what was being accepted is a connection by then
            await asyncio.sleep(0)
        for side in self.sides:
            side.transport.abort()
        await eventually(lambda: all(side.lost for side in self.sides))


class Line:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, data: bytes) -> None:
        """Write without waiting."""
        self.writer.write(data)

    async def hear(self, data: bytes) -> None:
        """Wait for exactly this."""
        assert await self.reader.readexactly(len(data)) == data

    async def echo(self, data: bytes) -> None:
        """Say it and hear it: whatever was on its way before has had its time."""
        self.say(data)
        await self.hear(data)

    async def end(self) -> bytes:
        """Wait until the server's side ends; returns what it said before, or b"reset"."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b"reset"

    @property
    def silent(self) -> bool:
        """Whether nothing has come, no ending either."""
        buffered: bytearray = vars(self.reader)["_buffer"]
        return not buffered and not self.reader.at_eof() and self.reader.exception() is None


@asynccontextmanager
async def line(authority: str) -> AsyncIterator[Line]:
    """Open a connection, and close it in the end."""
    host, _, port = authority.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
