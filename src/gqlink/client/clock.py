"""Time and chance, behind one small door, so that a test can turn the hands and load the dice."""

from __future__ import annotations

import asyncio
import random
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
    """What a link knows of time and chance."""

    def now(self) -> float:
        """Return seconds of a monotonic clock."""

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` when `now` reaches `when`."""

    def chance(self) -> float:
        """Return a random number of at least 0 and less than 1."""


class SystemClock:
    """The running event loop's time, the machine's, and the interpreter's dice."""

    def now(self) -> float:
        """Return the event loop's time, in seconds."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` from the event loop when `now` reaches `when`."""
        return asyncio.get_running_loop().call_at(when, callback)

    def chance(self) -> float:
        """Return a random number of at least 0 and less than 1."""
        return random.random()  # noqa: S311 -- it spreads retries; nothing secret depends on it
