"""A TCP relay that can be cut, as a mobile network or a restarted proxy cuts: no close frame, no goodbye."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class CuttingProxy:
    """Listens on a port of its own for the length of an `async with` block, and relays to `port`.

    Args:
        port: Where connections go, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._relays: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.accepted = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._relays)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection; new ones are accepted as before."""
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        self.accepted += 1
        ends = {writer}
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.add(target_writer)
            self._writers |= ends
            await asyncio.gather(_pump(reader, target_writer), _pump(target_reader, writer))
        except ConnectionError:
            writer.transport.abort()
        finally:
            self._writers -= ends
            self._relays.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
