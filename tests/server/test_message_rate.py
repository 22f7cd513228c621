from __future__ import annotations

import pytest

from gqlink.server.message_rate import MessageRate


def test_as_many_may_come_at_once_as_in_a_second() -> None:
    """A client that comes back with all its subscriptions says everything in one breath."""
    rate = MessageRate(5, now=100.0)
    assert [rate.count(100.0) for _ in range(6)] == [1, 2, 3, 4, 5, 6]


def test_what_came_is_forgotten_at_the_rate_that_is_allowed() -> None:
    """Half a second after five there is room for half of them."""
    rate = MessageRate(4, now=0.0)
    for _ in range(4):
        rate.count(0.0)
    assert rate.count(0.5) == 3.0
    assert rate.count(100.0) == 1.0


def test_a_silence_saves_nothing_up() -> None:
    """However long it was, no more than the allowance may come at once."""
    rate = MessageRate(2, now=0.0)
    assert [rate.count(1e9) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("per_second", [1, 7, 200])
def test_a_client_that_keeps_to_the_rate_never_exceeds_it(per_second: int) -> None:
    """However long it goes on, and whatever a float makes of its moments."""
    rate = MessageRate(per_second, now=1e6)
    came = [rate.count(1e6 + number / per_second) for number in range(10 * per_second)]
    assert max(came) < per_second + 0.001 if per_second > 1 else max(came) == 1


def test_twice_the_rate_owes_as_much_again_after_two_seconds() -> None:
    """Half of what comes is forgotten meanwhile, and as many at once were allowed."""
    rate = MessageRate(100, now=0.0)
    came = [rate.count(number / 200) for number in range(500)]
    first = next(number for number, level in enumerate(came) if level > 200)
    assert 395 <= first <= 405
