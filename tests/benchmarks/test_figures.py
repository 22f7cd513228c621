from __future__ import annotations

import pytest
from load.figures import Results


def _answer(cpu_us: float, *others: float) -> dict[str, object]:
    return {"serial": [{"cpu_us": each} for each in (cpu_us, *others)]}


def _results(**rounds: list[float]) -> Results:
    results = Results()
    for key, values in rounds.items():
        for value in values:
            results.add(key, _answer(value))
    return results


def test_a_figure_is_the_middle_of_the_runs_of_a_round() -> None:
    """One run that was disturbed does not decide."""
    results = Results()
    results.add("ours", _answer(10.0, 11.0, 90.0))

    assert results.values("serial", "ours") == [11.0]


def test_a_ratio_is_taken_within_a_round() -> None:
    """An hour in which everything takes ten times as long leaves the ratio what it is."""
    results = _results(ours=[1.0, 10.0, 1.0], theirs=[2.0, 20.0, 2.0])

    found = results.ratio("serial", "ours", "theirs")

    assert found is not None
    assert (found.middle, found.least, found.most) == (0.5, 0.5, 0.5)


def test_of_several_rows_of_others_the_best_of_each_round_counts() -> None:
    """Whoever has two settings is compared at the better one, whichever that is this time."""
    results = _results(ours=[1.0, 1.0], one=[2.0, 8.0], other=[8.0, 4.0])

    assert results.values("serial", "one", "other") == [2.0, 4.0]
    found = results.ratio("serial", "ours", "one", "other")
    assert found is not None
    assert (found.least, found.most) == (0.25, 0.5)


@pytest.mark.parametrize("figure", ["burst", "query", "memory"])
def test_what_was_not_measured_has_no_figure(figure: str) -> None:
    """A server without HTTP has no cost of a query, and nothing is compared with it."""
    results = _results(ours=[1.0], theirs=[2.0])

    assert results.spread(figure, "ours") is None
    assert results.ratio(figure, "ours", "theirs") is None
    assert results.ratio("serial", "ours", "nobody") is None
