"""The server's two clocks and its timer, behind one small door, so that a test can turn the hands."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Clock", "SystemClock", "Timer")


class Timer(Protocol):
    """A call that will come."""

    def cancel(self) -> None:
        """Let it not come; harmless when it has."""


class Clock(Protocol):
    """What a shell knows of time."""

    def now(self) -> float:
        """Return seconds of a monotonic clock."""

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` when `now` reaches `when`."""


class SystemClock:
    """The event loop's time, and the machine's.

    It is the loop's clock that `now` reads, and not the loop, whose own copy stands still within a turn on uvloop.
    """

    # Asked for every frame, so without a call around them.
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` from the event loop when `now` reaches `when`."""
        return asyncio.get_running_loop().call_at(when, callback)
