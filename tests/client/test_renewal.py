"""When a credential is renewed: the moments, without a clock."""

from __future__ import annotations

import math

import pytest

from gqlink.client.renewal import RenewalPace, RenewalSchedule


@pytest.mark.parametrize(
    ("life", "chance", "due"),
    [
        (900.0, 0.0, 585.0),
        (900.0, 1.0, 720.0),
        (3.0, 0.0, 1.95),
        (3.0, 1.0, 2.4),
        (1.5, 1.0, 1.0),
        (1.0, 0.5, 0.5),
        (0.4, 0.5, 0.2),
        (0.0, 0.5, 0.0),
        (-5.0, 0.5, 0.0),
        (10 * 365 * 86400.0, 0.0, 0.65 * 10 * 365 * 86400),
    ],
)
def test_the_moment_lies_between_65_and_80_percent_and_half_a_second_before_the_end(
    life: float, chance: float, due: float
) -> None:
    """Of a token of less than a second, half its life is left."""
    schedule = RenewalSchedule(life, now=1000.0, chance=chance)
    assert schedule.due == pytest.approx(1000.0 + due)
    assert schedule.ends_at == 1000.0 + max(life, 0.0)


@pytest.mark.parametrize("life", [None, math.inf, math.nan, 1e300, 1e10])
def test_what_lasts_for_ever_is_not_renewed(life: float | None) -> None:
    """Nor is what lasts longer than anybody waits, or says something that is no time."""
    schedule = RenewalSchedule(life, now=1000.0, chance=0.5)
    assert (schedule.due, schedule.ends_at) == (None, None)
    assert not schedule.is_due(1e12)
    assert schedule.answer_by(now=1000.0) == 1010.0


def test_it_is_due_from_the_moment_on() -> None:
    """And not before."""
    schedule = RenewalSchedule(100.0, now=0.0, chance=0.0)
    assert [schedule.is_due(now) for now in (0.0, 64.9, 65.0, 99.0)] == [False, False, True, True]


@pytest.mark.parametrize(("life", "due"), [(0.0, 1.0), (0.05, 1.0), (1.5, 1.0), (3.0, 2.25), (100.0, 75.0)])
def test_a_second_lies_between_two_renewals(life: float, due: float) -> None:
    """Even where that is too late; the first one waits for nothing, and a second later nothing is left of it."""
    pace = RenewalPace()
    assert RenewalSchedule(0.0, now=1000.0, chance=0.7, earliest=pace.earliest).due == 1000.0
    pace.renewed(now=1000.0)
    schedule = RenewalSchedule(life, now=1000.0, chance=2 / 3, earliest=pace.earliest)
    assert schedule.due == pytest.approx(1000.0 + due)
    assert schedule.ends_at == 1000.0 + life
    assert RenewalSchedule(0.0, now=1002.0, chance=0.5, earliest=pace.earliest).due == 1002.0


def test_an_attempt_that_failed_is_made_again_until_the_end() -> None:
    """Ever more rarely at first, then as often as is needed to be in time, then no more."""
    schedule, now, pauses = RenewalSchedule(100.0, now=0.0, chance=0.0), 65.0, []
    while schedule.due is not None:
        schedule.failed(now=now, chance=1.0)
        if schedule.due is not None:
            pauses.append(round(schedule.due - now, 2))
            now = schedule.due
    assert pauses[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert min(pauses) == 0.1
    assert len(pauses) < 30
    assert now == pytest.approx(100.0, abs=0.1)


def test_where_the_end_is_unknown_it_is_tried_ever_more_rarely() -> None:
    """Up to half a minute."""
    schedule, pauses = RenewalSchedule(None, now=0.0, chance=0.5), []
    for _ in range(100):
        schedule.failed(now=0.0, chance=0.0)
        pauses.append(schedule.due)
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert pauses[-1] == 15.0


def test_giving_up_is_for_good() -> None:
    """The end of the credential is the server's to say."""
    schedule = RenewalSchedule(100.0, now=0.0, chance=0.5)
    schedule.give_up()
    assert not schedule.is_due(1000.0)


@pytest.mark.parametrize(("now", "by"), [(0.0, 10.0), (90.0, 95.0), (99.9, 100.4), (200.0, 200.5)])
def test_an_answer_is_waited_for_so_long_that_another_attempt_has_its_time(now: float, by: float) -> None:
    """Ten seconds, or half of what is left, or half a second."""
    assert RenewalSchedule(100.0, now=0.0, chance=0.5).answer_by(now=now) == pytest.approx(by)
