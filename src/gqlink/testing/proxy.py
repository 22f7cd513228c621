"""A TCP proxy that fails on request: for what a network does and a server cannot be asked to do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

__all__ = ("FaultProxy",)

_CHUNK_BYTES: Final = 65_536


class FaultProxy:
    """Stands between clients and a server on loopback; an async context manager.

    Args:
        target: The server's address, such as "127.0.0.1:9000".
        delay_seconds: How long every piece of data is held back, in both directions; it may be set at any time.
    """

    def __init__(self, target: str, *, delay_seconds: float = 0.0) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.delay_seconds = delay_seconds
        self.accepted = 0
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def authority(self) -> str:
        """Where clients connect to, such as "127.0.0.1:40123"; it stays the same."""
        return f"127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    def cut(self) -> None:
        """Break all connections, without a word to either side."""
        for writer in self._writers:
            writer.transport.abort()

    async def refuse(self) -> None:
        """Refuse new connections, as a port does on which nobody listens; those that are open stay."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await asyncio.sleep(0)  # the listening socket is closed in the next turn of the loop

    async def accept(self) -> None:
        """Accept new connections, on the same port as before; harmless when it does."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Refuse, cut, and wait until nothing is left."""
        await self.refuse()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Carry data in both directions until one side ends."""
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            self._part(writer)
            return
        self._writers.add(far_writer)
        pumps = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._part(writer)
            self._part(far_writer)
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(data)
                await writer.drain()

    def _part(self, writer: StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()
