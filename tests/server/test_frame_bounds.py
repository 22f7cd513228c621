from __future__ import annotations

from gqlink.server.frame_bounds import FRAMES_PER_MESSAGE, FrameBounds


def test_four_frames_may_come_for_each_message_that_is_allowed() -> None:
    """Then it is enough, until time has passed."""
    bounds = FrameBounds(10, now=0.0)
    assert all(bounds.may_come(0.0) for _ in range(FRAMES_PER_MESSAGE * 10))
    assert not bounds.may_come(0.0)
    assert bounds.may_come(1.0)


def test_a_client_within_the_rate_may_go_on_for_ever() -> None:
    """Nothing adds up."""
    bounds = FrameBounds(10, now=0.0)
    assert all(bounds.may_come(number / 40) for number in range(10_000))


def test_a_hundred_answers_to_pings_may_wait_to_be_read() -> None:
    """As soon as something is read, another hundred."""
    bounds = FrameBounds(10, now=0.0)
    assert all(bounds.may_answer(stuck=True) for _ in range(100))
    assert not bounds.may_answer(stuck=True)
    assert bounds.may_answer(stuck=False)
    assert bounds.may_answer(stuck=True)
