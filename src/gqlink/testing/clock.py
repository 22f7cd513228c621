"""A clock whose hands a test turns: nothing waits, and what is due happens when the test says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("FakeClock", "FakeTimer")

_TURNS: Final = 20


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
    """Implements the `Clock` of `gqlink.server` and that of `gqlink.client`; one may serve both sides of a test.

    `advance` turns the hands in one step, for code without coroutines; `elapse` lets the event loop act between what
    is due. Neither waits for a network: what crosses a socket is waited for with `eventually`.

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

    def load(self, chance: float) -> None:
        """Let `chance` say something else from now on.

        Args:
            chance: From 0 to below 1; 0 makes every wait that is spread by chance as short as it can be.
        """
        self._chance = chance

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        """Call `callback` from within the `advance` that reaches `when`."""
        timer = FakeTimer(when, callback)
        self._timers.append(timer)
        return timer

    @property
    def timers(self) -> int:
        """How many calls will still come."""
        return len(self._pending())

    @property
    def due(self) -> float | None:
        """In how many seconds the next call comes, at least 0; None where none will."""
        moments = [timer.when for timer in self._pending()]
        return max(0.0, min(moments) - self._now) if moments else None

    async def sleep(self, seconds: float) -> None:
        """Wait until the hands have moved on; what `asyncio.sleep` is to other clocks.

        Args:
            seconds: How far; nobody waits for 0 or less.
        """
        if seconds <= 0:
            return
        moved = asyncio.Event()
        timer = self.call_at(self._now + seconds, moved.set)
        try:
            await moved.wait()
        finally:
            timer.cancel()

    async def elapse(self, seconds: float) -> None:
        """Turn the hands forward, and let the event loop act before, between and after what comes due on the way.

        Args:
            seconds: How far, at least 0.
        """
        until = self._now + seconds
        await _turns()
        while (due := self.due) is not None and self._now + due <= until:
            self.advance(due)
            await _turns()
        self.advance(max(0.0, until - self._now))
        await _turns()

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


async def _turns() -> None:
    """Let what is ready to happen happen."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
