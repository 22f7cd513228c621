from __future__ import annotations

import pytest
from load.figures import Results
from load.tables import budgets, multiples, number

_WORKS = {"connect": 100.0, "subscribe": 10.0, "query": 100.0}


def _results(**serial: float) -> Results:
    results = Results()
    for key, cpu_us in serial.items():
        runs = [{"cpu_us": cpu_us}]
        costs = {name: {"cpu_us": value} for name, value in _WORKS.items()}
        results.add(key, {"serial": runs, "burst": runs, "memory": {"socket_bytes": 2048, "bytes": 2**20}, **costs})
    return results


def _line(table: str, beginning: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(f"| {beginning}"))


def test_a_budget_holds_or_it_does_not() -> None:
    """What was promised is said beside what came of it."""
    kept = budgets(_results(shared=9.0, alone=20.0, floor=7.0, strawberry=100.0), client=[0.1])
    missed = budgets(_results(shared=20.0, alone=60.0, floor=7.0, strawberry=100.0), client=[0.2])

    assert _line(kept, "fan-out, one event").endswith("| 1.29 (1.29 to 1.29) | 1.50 | yes |")
    assert _line(missed, "fan-out, one event").endswith("| 2.86 (2.86 to 2.86) | 1.50 | **no** |")
    assert _line(kept, "client").endswith("| yes |")
    assert _line(missed, "client").endswith("| **no** |")
    assert "2.00 (2.00 to 2.00) | 6.00 | yes" in _line(kept, "memory")


def test_a_budget_that_was_not_measured_is_not_kept() -> None:
    """A run of some servers only promises nothing about the others."""
    assert "not measured" in _line(budgets(_results(shared=9.0), client=()), "fan-out, one event")
    assert "not measured" in _line(budgets(_results(shared=9.0), client=()), "client")


def test_others_are_so_many_times_dearer_each_at_its_best() -> None:
    """Two settings of one server are one server; one that was not measured has no number."""
    results = _results(shared=10.0, strawberry=150.0, **{"strawberry-plain": 120.0}, floor=5.0)

    line = _line(multiples(results, "shared"), "one event at a time")

    assert line == "| one event at a time | 12.0 (12.0 to 12.0) |  |  |  | 0.50 (0.50 to 0.50) |"


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.025, "0.025")]
)
def test_a_figure_has_three_digits_at_least(value: float, text: str) -> None:
    """Nobody reads more, and nothing small becomes 0.00."""
    assert number(value) == text
