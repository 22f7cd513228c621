"""A clock whose hands the test turns, with dice that it loads, and a way to wait for what must come."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeTimer:
    """A call that will come, unless it is cancelled."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Let it not come."""
        self.callback = None


class FakeClock:
    """Stands still until the test says otherwise."""

    def __init__(self, *, chance: float = 0.5) -> None:
        self.time = 1000.0
        self.chances = chance
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._order = count()

    def now(self) -> float:
        """Return the time that the hands show."""
        return self.time

    def wall(self) -> float:
        """Return a date in 2026."""
        return 1_790_000_000.0 + self.time

    def chance(self) -> float:
        """Return what the dice are loaded with."""
        return self.chances

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        """Call `callback` when the hands reach `when`."""
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    @property
    def due(self) -> float | None:
        """In how many seconds the next call is due."""
        moments = [when for when, _, timer in self._timers if timer.callback is not None]
        return min(moments) - self.time if moments else None

    def advance(self, seconds: float) -> None:
        """Turn the hands, and make the calls that become due."""
        self.time += seconds
        while self._timers and self._timers[0][0] <= self.time:
            _, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()


async def until(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Give the event loop turns until a condition holds; fail if it does not come about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- any condition of any object; it lasts as long as it takes
            await asyncio.sleep(0.001)


async def turns(number: int = 20) -> None:
    """Give the event loop some turns, for what must not happen."""
    for _ in range(number):
        await asyncio.sleep(0)
