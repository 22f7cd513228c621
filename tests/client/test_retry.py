"""How long to wait, and for how often."""

from __future__ import annotations

import pytest

from gqlink.client import Retry
from gqlink.client.retry import Backoff


def test_windows_grow_to_the_cap() -> None:
    """1, 2, 4, … seconds, never more than the cap, also after a month."""
    retry = Retry(first_seconds=1.0, factor=2.0, cap_seconds=10.0)
    assert [retry.window(failures) for failures in (1, 2, 3, 4, 5, 100_000)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize("code", [1001, 1012, 1013])
def test_after_a_server_stop_the_window_is_wide_from_the_first(code: int) -> None:
    """All its clients were sent away at once: they come back over at least five seconds."""
    assert Retry().window(1, code=code) == 5.0
    assert Retry().window(5, code=code) == 16.0


def test_the_delay_is_a_random_part_of_the_window() -> None:
    """Full jitter: from nothing to all of it."""
    backoff = Backoff(Retry(first_seconds=4.0))
    backoff.failed(stayed_seconds=0.0)
    assert [backoff.delay(chance=chance) for chance in (0.0, 0.5, 1.0)] == [0.0, 2.0, 4.0]


def test_only_a_connection_that_stayed_up_starts_the_count_anew() -> None:
    """A server that acknowledges and closes at once is asked ever more rarely."""
    backoff = Backoff(Retry(stable_seconds=10.0))
    for _ in range(3):
        backoff.failed(stayed_seconds=9.9)
    assert backoff.failures == 3
    backoff.failed(stayed_seconds=10.0)
    assert backoff.failures == 1


def test_attempts_are_those_after_the_first_failure() -> None:
    """With two attempts the third failure in a row is the last; None tries for ever."""
    backoff = Backoff(Retry(attempts=2))
    seen = []
    for _ in range(3):
        backoff.failed(stayed_seconds=0.0)
        seen.append(backoff.exhausted)
    assert seen == [False, False, True]
    backoff.reset()
    assert not backoff.exhausted
    forever = Backoff(Retry())
    forever.failed(stayed_seconds=0.0)
    assert not forever.exhausted
