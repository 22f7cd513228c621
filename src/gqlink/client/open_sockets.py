"""Every socket of a link that still has a TCP connection, and how to be rid of them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gqlink.client.socket import Socket

__all__ = ("OpenSockets",)

# A socket cuts itself a second after its close frame; this is for one that has more to write than its peer will read.
_CLOSE_SECONDS: Final = 2.0
_log: Final = logging.getLogger("gqlink.client")


class OpenSockets:
    """The sockets from their handshake to their last byte."""

    def __init__(self) -> None:
        self._sockets: set[Socket] = set()
        self._gone = asyncio.Event()
        self._farewells: list[asyncio.Future[None]] = []

    def __iter__(self) -> Iterator[Socket]:
        return iter(list(self._sockets))

    def add(self, socket: Socket) -> None:
        """Take note of one, unless it has gone already."""
        if not socket.gone:
            self._sockets.add(socket)

    def discard(self, socket: Socket) -> None:
        """Take note that one has gone."""
        self._sockets.discard(socket)
        self._gone.set()
        if not self._sockets:
            for farewell in self._farewells:
                if not farewell.done():
                    farewell.set_result(None)
            self._farewells.clear()

    def close(self, code: int, reason: str = "") -> None:
        """Close them all; harmless for those that are closing."""
        for socket in self:
            socket.close(code, reason)

    def farewell(self) -> asyncio.Future[None]:
        """Return a future that is done when none is left; every one of them is closing."""
        farewell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._sockets:
            self._farewells.append(farewell)
        else:
            farewell.set_result(None)
        return farewell

    async def wait_gone(self) -> None:
        """Wait until the peers have seen the last of them, two seconds at most; every one of them is closing."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._sockets:
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            _log.warning("%d sockets did not close in time and were cut", len(self._sockets))
        finally:
            for socket in self:
                socket.abort()
