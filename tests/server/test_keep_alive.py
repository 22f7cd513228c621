from __future__ import annotations

import asyncio
from contextvars import ContextVar

from gqlink.server import SystemClock
from gqlink.server.frame_bytes import PING
from gqlink.server.keep_alive import KeepAlive
from gqlink.testing import FakeClock

somebody: ContextVar[str] = ContextVar("somebody", default="nobody")


class Pinged:
    """A socket that keeps what it is told."""

    def __init__(self) -> None:
        self.awaited: bytes | None = None
        self.is_gone = False
        self.is_deaf = False
        self.pings: list[bytes] = []
        self.given_up = 0

    def ping(self, frame: bytes) -> None:
        """Keep a ping."""
        assert frame[0] == 0x80 | PING
        assert self.awaited == frame[2:]
        self.pings.append(frame)

    def give_up(self) -> None:
        """Take note."""
        self.given_up += 1
        self.is_gone = True


def alive(clock: FakeClock, *, interval: float = 20.0, timeout: float | None = 20.0) -> KeepAlive:
    """Begin."""
    return KeepAlive(clock, interval=interval, timeout=timeout)


def test_a_socket_that_answers_is_pinged_again_and_again() -> None:
    """Each time after the interval, with another payload."""
    clock = FakeClock()
    keep_alive = alive(clock)
    socket = Pinged()
    keep_alive.add(socket)
    for count in (1, 2, 3):
        clock.advance(19.9)
        assert len(socket.pings) == count - 1
        clock.advance(0.1)
        assert len(socket.pings) == count
        keep_alive.answered(socket)
    assert len(set(socket.pings)) == 3
    assert socket.given_up == 0


def test_a_socket_that_does_not_answer_is_given_up_once() -> None:
    """When the timeout is over, and no sooner."""
    clock = FakeClock()
    socket = Pinged()
    alive(clock).add(socket)
    clock.advance(20)
    clock.advance(19.9)
    assert socket.given_up == 0
    clock.advance(0.1)
    assert socket.given_up == 1
    clock.advance(100)
    assert (socket.given_up, len(socket.pings)) == (1, 1)


def test_a_timeout_that_is_longer_than_the_interval_puts_no_ping_off() -> None:
    """Who answers is pinged after the interval, and an old timeout means nothing."""
    clock = FakeClock()
    keep_alive = alive(clock, interval=5, timeout=60)
    socket = Pinged()
    keep_alive.add(socket)
    for count in range(1, 30):
        clock.advance(5)
        assert len(socket.pings) == count
        keep_alive.answered(socket)
    clock.advance(5)
    clock.advance(59)
    assert socket.given_up == 0
    clock.advance(1)
    assert socket.given_up == 1


def test_without_a_timeout_nobody_is_given_up() -> None:
    """The pings go on, answered or not, so that those between us keep the connection."""
    clock = FakeClock()
    keep_alive = alive(clock, timeout=None)
    socket = Pinged()
    keep_alive.add(socket)
    for count in range(1, 10):
        clock.advance(20)
        assert len(socket.pings) == count
        if count % 2:
            keep_alive.answered(socket)
    assert socket.given_up == 0


def test_the_silence_of_a_socket_that_is_not_read_says_nothing() -> None:
    """Its answer may be there: it gets another ping later."""
    clock = FakeClock()
    socket = Pinged()
    alive(clock).add(socket)
    clock.advance(20)
    socket.is_deaf = True
    clock.advance(20)
    assert socket.given_up == 0
    socket.is_deaf = False
    clock.advance(20)
    assert len(socket.pings) == 2
    clock.advance(20)
    assert socket.given_up == 1


def test_one_timer_serves_all_and_none_is_left_when_they_have_gone() -> None:
    """However many sockets there are."""
    clock = FakeClock()
    keep_alive = alive(clock)
    sockets = [Pinged() for _ in range(100)]
    for socket in sockets:
        keep_alive.add(socket)
        clock.advance(0.01)
    assert clock.timers == 1
    for _ in range(100):
        clock.advance(0.3)
    assert all(len(socket.pings) == 1 for socket in sockets)
    for socket in sockets:
        socket.is_gone = True
    for _ in range(100):
        clock.advance(0.3)
    assert clock.timers == 0
    assert not any(socket.given_up for socket in sockets)
    late = Pinged()
    keep_alive.add(late)
    clock.advance(20)
    assert len(late.pings) == 1


def test_sockets_that_are_due_together_share_a_ping() -> None:
    """The frame is built once."""
    clock = FakeClock()
    keep_alive = alive(clock)
    one, other = Pinged(), Pinged()
    keep_alive.add(one)
    keep_alive.add(other)
    clock.advance(20)
    assert one.pings[0] is other.pings[0]


async def test_nobody_is_ended_in_the_context_of_another() -> None:
    """The timer is nobody's, whoever came first."""
    seen: list[str] = []

    class Looking(Pinged):
        def ping(self, frame: bytes) -> None:
            super().ping(frame)
            seen.append(somebody.get())
            ended.set()

    ended = asyncio.Event()
    somebody.set("alice")
    KeepAlive(SystemClock(), interval=0.01, timeout=None).add(Looking())
    async with asyncio.timeout(10):
        await ended.wait()
    assert seen == ["nobody"]
