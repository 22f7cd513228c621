"""The fake clock, as both sides use it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gqlink.testing import FakeClock

if TYPE_CHECKING:
    import gqlink.client
    import gqlink.server


def test_it_is_a_clock_for_both_sides() -> None:
    """A client and a server may share one."""
    server: gqlink.server.Clock = FakeClock(now=5.0, wall=100.0, chance=0.25)
    client: gqlink.client.Clock = FakeClock(now=5.0, wall=100.0, chance=0.25)
    assert (server.now(), server.wall()) == (client.now(), client.wall()) == (5.0, 100.0)
    assert client.chance() == 0.25


def test_calls_come_in_the_order_in_which_they_are_due() -> None:
    """Each at its own moment; those of one moment in the order in which they were asked for."""
    clock, calls = FakeClock(now=0.0), list[tuple[str, float]]()
    for name, when in (("late", 2.0), ("early", 1.0), ("too late", 9.0), ("late, too", 2.0)):
        clock.call_at(when, lambda name=name: calls.append((name, clock.now())))  # type: ignore[misc] # a default
    clock.advance(3.0)
    assert calls == [("early", 1.0), ("late", 2.0), ("late, too", 2.0)]
    assert (clock.now(), clock.timers, clock.due) == (3.0, 1, 6.0)


def test_a_cancelled_call_does_not_come() -> None:
    """And is not waited for."""
    clock, calls = FakeClock(now=0.0), list[float]()
    timer = clock.call_at(1.0, lambda: calls.append(clock.now()))
    assert clock.due == 1.0
    timer.cancel()
    clock.advance(2.0)
    assert calls == []
    assert clock.timers == 0
    assert clock.due is None


def test_what_was_due_before_is_due_now() -> None:
    """Never in less than no time."""
    clock, calls = FakeClock(now=10.0), list[float]()
    clock.call_at(1.0, lambda: calls.append(clock.now()))
    assert clock.due == 0.0
    clock.advance(0.0)
    assert calls == [10.0]


def test_the_wall_clock_may_jump() -> None:
    """The monotonic clock does not notice, and both go on together."""
    clock = FakeClock(now=1.0, wall=50.0)
    clock.set_wall(10.0)
    clock.advance(2.0)
    assert (clock.now(), clock.wall()) == (3.0, 12.0)


def test_chance_says_what_it_is_loaded_with() -> None:
    """Until it is loaded again."""
    clock = FakeClock(chance=0.5)
    assert clock.chance() == 0.5
    clock.load(0.0)
    assert clock.chance() == 0.0


async def test_sleeping_takes_the_clocks_seconds() -> None:
    """A coroutine that sleeps again and again wakes at each moment while time elapses."""
    clock, woken = FakeClock(now=0.0), list[float]()

    async def tick() -> None:
        while True:
            await clock.sleep(1.0)
            woken.append(clock.now())

    task = asyncio.create_task(tick())
    await clock.elapse(3.5)
    assert (woken, clock.now()) == ([1.0, 2.0, 3.0], 3.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.timers == 0


async def test_nobody_sleeps_for_no_time() -> None:
    """There is no timer for it."""
    clock = FakeClock()
    await clock.sleep(0.0)
    await clock.sleep(-1.0)
    assert clock.timers == 0
