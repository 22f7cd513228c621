"""How long to wait, and for how often."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from gqlink.client import Retry
from gqlink.client.retry import Backoff
from gqlink.errors import BadUserInput


def test_windows_grow_to_the_cap() -> None:
    """1, 2, 4, … seconds, never more than the cap, also after a month."""
    retry = Retry(first_seconds=1.0, factor=2.0, cap_seconds=10.0)
    windows = [retry.window(failures, code=1011) for failures in (1, 2, 3, 4, 5, 100_000)]
    assert windows == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize("code", [1001, 1006, 1012, 1013, None])
def test_where_a_server_may_have_stopped_the_window_is_wide_from_the_first(code: int | None) -> None:
    """All its clients were sent away at once, or lost it: they come back over at least five seconds."""
    assert Retry().window(1, code=code) == 5.0
    assert Retry().window(5, code=code) == 16.0


def test_the_delay_is_a_random_part_of_the_window() -> None:
    """Full jitter: from nothing to all of it."""
    backoff = Backoff(Retry(first_seconds=4.0))
    backoff.failed(stayed_seconds=0.0, now=0.0)
    assert [backoff.delay(chance=chance, now=0.0, code=1011) for chance in (0.0, 0.5, 1.0)] == [0.0, 2.0, 4.0]


def test_a_server_that_asks_for_patience_gets_it() -> None:
    """What `Retry-After` says goes before the random part: those who were sent away do not come together then."""
    backoff = Backoff(Retry())
    backoff.failed(stayed_seconds=0.0, now=0.0)
    assert backoff.delay(chance=0.5, now=0.0, retry_after=30.0) == 32.5


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_a_server_that_accepts_and_closes_sees_no_more_than_eight_sockets_a_minute(chance: float) -> None:
    """Whatever the jitter says, and in every minute of an hour."""
    backoff, now, dialled = Backoff(Retry()), 0.0, list[float]()
    while now < 3600:
        dialled.append(now)
        now += 0.01  # acknowledged, and closed
        backoff.failed(stayed_seconds=0.01, now=now)
        now += backoff.delay(chance=chance, now=now, code=1011)
    assert max(sum(at <= other < at + 60 for other in dialled) for at in dialled) <= 8


def test_the_failures_of_the_last_minute_outlive_a_new_beginning() -> None:
    """Whoever gives up and is asked anew storms no server either."""
    backoff = Backoff(Retry(per_minute=2))
    for now in (0.0, 1.0):
        backoff.failed(stayed_seconds=0.0, now=now)
    backoff.reset()
    assert not backoff.is_first
    backoff.failed(stayed_seconds=0.0, now=2.0)
    assert backoff.delay(chance=0.0, now=2.0) == 59.0


def test_a_minute_without_a_single_attempt_is_no_policy() -> None:
    """At least one."""
    with pytest.raises(BadUserInput):
        Retry(per_minute=0)


@pytest.mark.parametrize("code", [1006, 1012, None])
def test_many_clients_do_not_come_back_together(code: int | None) -> None:
    """Of 500 that lost their server, no tenth of a second sees more than a twentieth."""
    chance, slots = random.Random(7), Counter[int]()
    for _ in range(500):
        backoff = Backoff(Retry())
        backoff.failed(stayed_seconds=60.0, now=0.0)
        slots[int(backoff.delay(chance=chance.random(), now=0.0, code=code) * 10)] += 1
    assert max(slots.values()) <= 25


def test_only_a_connection_that_stayed_up_starts_the_count_anew() -> None:
    """A server that acknowledges and closes at once is asked ever more rarely."""
    backoff = Backoff(Retry(stable_seconds=10.0))
    for _ in range(3):
        backoff.failed(stayed_seconds=9.9, now=0.0)
    assert backoff.failures == 3
    backoff.failed(stayed_seconds=10.0, now=0.0)
    assert backoff.failures == 1


def test_attempts_are_those_after_the_first_failure() -> None:
    """With two attempts the third failure in a row is the last; None tries for ever."""
    backoff = Backoff(Retry(attempts=2))
    seen = []
    for _ in range(3):
        backoff.failed(stayed_seconds=0.0, now=0.0)
        seen.append(backoff.exhausted)
    assert seen == [False, False, True]
    backoff.reset()
    assert not backoff.exhausted
    forever = Backoff(Retry())
    forever.failed(stayed_seconds=0.0, now=0.0)
    assert not forever.exhausted
