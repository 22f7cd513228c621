"""A clock whose hands a test turns: nothing waits, and what is due happens when the test says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("FakeClock", "FakeTimer")


@dataclass(slots=True, eq=False)
class FakeTimer:
    """A call that a `FakeClock` will make.

    Args:
        when: When it is due, in seconds of `FakeClock.now`.
        callback: What is called.
    """

    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Let it not come; harmless when it has."""
        self.cancelled = True


class FakeClock:
    """Implements `gqlink.server.Clock`, and `gqlink.client`'s.

    Args:
        now: What the monotonic clock says at first, in seconds.
        wall: What the wall clock says then, in seconds since the Unix epoch.
        chance: What `chance` says, from 0 to below 1.
    """

    def __init__(self, *, now: float = 1000.0, wall: float = 1_700_000_000.0, chance: float = 0.5) -> None:
        self._now = now
        self._wall_offset = wall - now
        self._chance = chance
        self._timers: list[FakeTimer] = []

    def now(self) -> float:
        """Return seconds of a monotonic clock."""
        return self._now

    def wall(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._now + self._wall_offset

    def chance(self) -> float:
        """Return the number given, always the same."""
        return self._chance

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        """Call `callback` from within the `advance` that reaches `when`."""
        timer = FakeTimer(when, callback)
        self._timers.append(timer)
        return timer

    @property
    def timers(self) -> int:
        """How many calls will still come."""
        return len(self._pending())

    def advance(self, seconds: float) -> None:
        """Turn the hands forward: what comes due on the way is called in order, each at its own moment.

        Args:
            seconds: How far, at least 0.
        """
        until = self._now + seconds
        while due := [timer for timer in self._pending() if timer.when <= until]:
            timer = min(due, key=lambda each: each.when)
            self._timers.remove(timer)
            self._now = max(self._now, timer.when)
            timer.callback()
        self._now = until

    def set_wall(self, wall: float) -> None:
        """Let the wall clock jump, as a machine's may; the monotonic clock does not notice.

        Args:
            wall: Seconds since the Unix epoch.
        """
        self._wall_offset = wall - self._now

    def _pending(self) -> list[FakeTimer]:
        self._timers = [timer for timer in self._timers if not timer.cancelled]
        return self._timers
