from __future__ import annotations

import asyncio
import time

from gqlink.server import Clock, SystemClock
from gqlink.testing import FakeClock


async def test_the_monotonic_clock_is_the_event_loops() -> None:
    """So that a timer and `now` never disagree."""
    assert abs(SystemClock().now() - asyncio.get_running_loop().time()) < 1


async def test_the_wall_clock_is_the_machines() -> None:
    """Seconds since the Unix epoch."""
    assert abs(SystemClock().wall() - time.time()) < 1


async def test_a_timer_calls_when_its_moment_has_come() -> None:
    """From the event loop, once."""
    called = asyncio.Event()
    clock = SystemClock()
    clock.call_at(clock.now(), called.set)
    assert not called.is_set()
    async with asyncio.timeout(5):
        await called.wait()


async def test_a_cancelled_timer_does_not_call() -> None:
    """Whether it was due or not; and cancelling it again is harmless."""
    called: list[str] = []
    clock = SystemClock()
    timer = clock.call_at(clock.now(), lambda: called.append("cancelled"))
    timer.cancel()
    timer.cancel()
    done = asyncio.Event()
    clock.call_at(clock.now(), done.set)
    await done.wait()
    assert called == []


def test_a_fake_clock_is_a_clock() -> None:
    """Whatever takes the one takes the other."""
    clock: Clock = FakeClock(now=5, wall=100)
    assert (clock.now(), clock.wall()) == (5, 100)


def test_a_fake_clock_moves_only_when_it_is_told() -> None:
    """Both hands move together."""
    clock = FakeClock(now=5, wall=100)
    clock.advance(2.5)
    assert (clock.now(), clock.wall()) == (7.5, 102.5)


def test_a_fake_clock_calls_in_order_each_at_its_moment() -> None:
    """What a call sets for a moment on the way comes on the way too."""
    clock = FakeClock(now=0)
    called: list[tuple[str, float]] = []

    def note(name: str) -> None:
        called.append((name, clock.now()))

    def first() -> None:
        note("first")
        clock.call_at(2, lambda: note("set on the way"))

    clock.call_at(3, lambda: note("last"))
    clock.call_at(1, first)
    clock.call_at(9, lambda: note("too late"))
    clock.call_at(1, lambda: note("cancelled")).cancel()
    clock.advance(5)
    assert called == [("first", 1), ("set on the way", 2), ("last", 3)]
    assert (clock.now(), clock.timers) == (5, 1)


def test_a_fake_clock_calls_what_was_due_before_it_was_asked() -> None:
    """At the next turn of the hands, and time never goes back."""
    clock = FakeClock(now=10)
    moments: list[float] = []
    clock.call_at(1, lambda: moments.append(clock.now()))
    clock.advance(0)
    assert moments == [10]


def test_a_fake_wall_clock_may_jump() -> None:
    """As a machine's may; durations are not measured with it."""
    clock = FakeClock(now=5, wall=100, chance=0.25)
    clock.set_wall(50)
    assert (clock.now(), clock.wall(), clock.chance()) == (5, 50, 0.25)
