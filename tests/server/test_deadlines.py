from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from gqlink.server import SystemClock
from gqlink.server.deadlines import Deadlines
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    import pytest

somebody: ContextVar[str] = ContextVar("somebody", default="nobody")


def test_calls_come_in_their_order_with_one_timer() -> None:
    """Whatever the order in which they were asked for, and not before their time."""
    clock = FakeClock(now=0)
    deadlines = Deadlines(clock)
    happened: list[int] = []
    for when in (5, 3, 9, 1, 7):
        deadlines.call_at(when, lambda when=when: happened.append(when))  # type: ignore[misc] # a lambda's default
    assert (len(deadlines), clock.timers) == (5, 1)
    clock.advance(0.9)
    assert happened == []
    clock.advance(2.1)
    assert happened == [1, 3]
    clock.advance(100)
    assert happened == [1, 3, 5, 7, 9]
    assert (len(deadlines), clock.timers) == (0, 0)


def test_what_was_cancelled_does_not_come_and_is_waited_for_no_more() -> None:
    """Harmless when it has come, or was cancelled before."""
    clock = FakeClock(now=0)
    deadlines = Deadlines(clock)
    happened: list[str] = []
    first = deadlines.call_at(1, lambda: happened.append("first"))
    second = deadlines.call_at(2, lambda: happened.append("second"))
    first.cancel()
    first.cancel()
    assert len(deadlines) == 1
    clock.advance(2)
    second.cancel()
    assert happened == ["second"]
    assert (len(deadlines), clock.timers) == (0, 0)
    deadlines.call_at(3, lambda: happened.append("third")).cancel()
    assert clock.timers == 0


def test_what_was_cancelled_does_not_pile_up() -> None:
    """Clients that come and go leave nothing for the length of a token."""
    deadlines = Deadlines(FakeClock(now=0))
    stays = [deadlines.call_at(1000 + number, lambda: None) for number in range(50)]
    for number in range(10_000):
        deadlines.call_at(2000 + number, lambda: None).cancel()
        assert len(deadlines._heap) < 200
    assert len(deadlines) == len(stays)


def test_a_callback_may_set_and_cancel_others() -> None:
    """As a socket does that is looked at too early, or whose end ends another."""
    clock = FakeClock(now=0)
    deadlines = Deadlines(clock)
    happened: list[str] = []

    def again() -> None:
        happened.append("again")
        other.cancel()
        if len(happened) < 3:
            deadlines.call_at(clock.now() + 1, again)

    deadlines.call_at(1, again)
    other = deadlines.call_at(1, lambda: happened.append("other"))
    for _ in range(5):
        clock.advance(1)
    assert happened == ["again"] * 3
    assert (len(deadlines), clock.timers) == (0, 0)


def test_a_callback_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""
    clock = FakeClock(now=0)
    deadlines = Deadlines(clock)
    happened: list[str] = []

    def fail() -> None:
        raise RuntimeError("it broke")

    deadlines.call_at(1, fail)
    deadlines.call_at(1, lambda: happened.append("other"))
    deadlines.call_at(2, lambda: happened.append("later"))
    clock.advance(1)
    clock.advance(1)
    assert happened == ["other", "later"]
    assert "it broke" in caplog.text


async def test_nobody_is_called_in_the_context_of_another() -> None:
    """The timer is nobody's, whoever came first."""
    deadlines = Deadlines(SystemClock())
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    somebody.set("alice")
    deadlines.call_at(0, lambda: found.set_result(somebody.get()))
    async with asyncio.timeout(10):
        assert await found == "nobody"


@given(st.lists(st.tuples(st.sampled_from(["set", "cancel", "advance"]), st.integers(0, 20)), max_size=60))
def test_it_does_what_as_many_timers_would(steps: list[tuple[str, int]]) -> None:
    """The same calls at the same moments."""
    clock, other = FakeClock(now=0), FakeClock(now=0)
    deadlines = Deadlines(clock)
    heard: list[tuple[float, int]] = []
    told: list[tuple[float, int]] = []
    timers = []
    for number, (what, amount) in enumerate(steps):
        match what:
            case "set":
                one = deadlines.call_at(
                    clock.now() + amount,
                    lambda number=number: heard.append((clock.now(), number)),  # type: ignore[misc]
                )
                same = other.call_at(
                    other.now() + amount,
                    lambda number=number: told.append((other.now(), number)),  # type: ignore[misc]
                )
                timers.append((one, same))
            case "cancel" if timers:
                for timer in timers[amount % len(timers)]:
                    timer.cancel()
            case _:
                clock.advance(amount)
                other.advance(amount)
        assert sorted(heard) == sorted(told)
        assert (len(deadlines), clock.timers) == (other.timers, min(other.timers, 1))
