"""One direction of a connection through the fault proxy: what was said and has not been passed on yet."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("End", "Ending", "Flow", "Weather")

_HELD_BYTES: Final = 65_536
_TICK_SECONDS: Final = 0.01
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER for no time at all: close sends RST


class Ending(Enum):
    """How a side has ended."""

    FIN = auto()
    """It says no more, and may still listen."""
    RESET = auto()
    """It is gone."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to one direction at the moment.

    Args:
        held: Nothing gets through.
        endings_held: Data gets through, FIN and RST do not.
        delay_seconds: How much later everything comes.
        bytes_per_second: How much gets through at most, or None.
    """

    held: bool = False
    endings_held: bool = False
    delay_seconds: float = 0.0
    bytes_per_second: float | None = None


class End(asyncio.Protocol):
    """One of a connection's two sockets.

    Args:
        changed: Called whenever there may be something to do.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._congested = False
        self._pieces = deque[tuple[float, memoryview]]()
        self._size = 0
        self.ending: Ending | None = None
        self.lost = False

    @property
    def connected(self) -> bool:
        """Whether there is a socket, or was one."""
        return self._transport is not None

    @property
    def writable(self) -> bool:
        """Whether more may be written to it now."""
        return self._transport is not None and not (self.lost or self._congested or self._transport.is_closing())

    @property
    def first(self) -> tuple[float, memoryview] | None:
        """The oldest piece of what it said, with the moment at which that came."""
        return self._pieces[0] if self._pieces else None

    def take(self, size: int) -> memoryview:
        """Remove at most `size` bytes of the oldest piece."""
        said_at, piece = self._pieces.popleft()
        if len(piece) > size:
            self._pieces.appendleft((said_at, piece[size:]))
        self._size -= min(size, len(piece))
        self._read_or_wait()
        return piece[:size]

    def write(self, data: memoryview) -> None:
        """Send it."""
        assert self._transport is not None
        self._transport.write(data)

    def tell(self, ending: Ending) -> None:
        """Pass on how the other side has ended."""
        if self._transport is None or self._transport.is_closing():
            return
        if ending is Ending.FIN:
            with suppress(OSError):  # it may have gone a moment ago
                self._transport.write_eof()
        else:
            self.abort(reset=True)

    def abort(self, *, reset: bool) -> None:
        """Close at once: with RST, or as the machine pleases."""
        if self._transport is None or self._transport.is_closing():
            return
        if reset:
            with suppress(OSError):
                self._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
                )
        self._transport.abort()

    def close(self) -> None:
        """Close when everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its name
        self._changed()

    def data_received(self, data: bytes) -> None:
        """Keep what it says until it may pass."""
        self._pieces.append((self._loop.time(), memoryview(data)))
        self._size += len(data)
        self._read_or_wait()
        self._changed()

    def eof_received(self) -> bool:
        """Take note that it says no more; it may still listen."""
        self.ending = self.ending or Ending.FIN
        self._changed()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it is gone."""
        del exc
        self.ending = self.ending or Ending.RESET
        self.lost = True
        self._changed()

    def pause_writing(self) -> None:
        """It does not read as fast as the other side writes."""
        self._congested = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._congested = False
        self._changed()

    def _read_or_wait(self) -> None:
        """Stop reading where much is held, so that the sender has to wait in the end."""
        if self._transport is None or self._transport.is_closing() or self.ending is not None:
            return
        if self._size >= _HELD_BYTES:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


class Flow:
    """What one end says, on its way to the other.

    Args:
        source: Who speaks.
        sink: Who listens.
    """

    def __init__(self, source: End, sink: End) -> None:
        self._source = source
        self._sink = sink
        self._last_at = 0.0
        self._last_size = 0
        self.told = False

    def carry(self, weather: Weather, *, now: float) -> float | None:
        """Pass on what may pass.

        Args:
            weather: As it is.
            now: The event loop's time, in seconds.

        Returns:
            When to carry again, or None where something has to happen first.
        """
        if weather.held:
            return None
        rate = weather.bytes_per_second
        while (first := self._source.first) is not None and self._sink.writable:
            said_at, piece = first
            free_at = self._last_at + self._last_size / rate if rate else now
            due = max(said_at + weather.delay_seconds, free_at)
            if due > now:
                return due
            data = self._source.take(max(1, int(rate * _TICK_SECONDS)) if rate else len(piece))
            self._last_at, self._last_size = now, len(data)
            self._sink.write(data)
        if self._source.first is None and not weather.endings_held:
            self._tell()
        return None

    def _tell(self) -> None:
        ending = self._source.ending
        if ending is not None and not self.told and self._sink.connected:
            self.told = True
            self._sink.tell(ending)
