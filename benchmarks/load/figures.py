"""What comes out of the rounds: one value of each figure for each server and round, and ratios within a round.

A machine that is busy for a while is busy for all; so medians are taken of ratios, and no ratio of medians.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ("FIGURES", "Results", "Spread")

Answer = dict[str, Any]


def _of_runs(phase: str, name: str) -> Callable[[Answer], float]:
    return lambda answer: median(run[name] for run in answer[phase])


FIGURES: Final[Mapping[str, Callable[[Answer], float]]] = {
    "serial": _of_runs("serial", "cpu_us"),
    "serial_per_second": _of_runs("serial", "per_second"),
    "p50": _of_runs("serial", "p50_ms"),
    "p99": _of_runs("serial", "p99_ms"),
    "burst": _of_runs("burst", "cpu_us"),
    "burst_per_second": _of_runs("burst", "per_second"),
    "connect": lambda answer: float(answer["connect"]["cpu_us"]),
    "subscribe": lambda answer: float(answer["subscribe"]["cpu_us"]),
    "memory": lambda answer: answer["memory"]["socket_bytes"] / 1024,
    "process": lambda answer: answer["memory"]["bytes"] / 1024**2,
    "query": lambda answer: float(answer["query"]["cpu_us"]),
}
"""CPU times in microseconds, latencies in milliseconds, memory in KB of one socket and MB of the process."""


class Spread:
    """Values of several rounds.

    Args:
        values: One of each round.
    """

    def __init__(self, values: Sequence[float]) -> None:
        self.middle = median(values)
        self.least = min(values)
        self.most = max(values)


class Results:
    """The answers of all servers, by round."""

    def __init__(self) -> None:
        self._answers: defaultdict[str, list[Answer]] = defaultdict(list)

    def add(self, key: str, answer: Answer) -> None:
        """Take the answer of a server's next round."""
        self._answers[key].append(answer)

    def __contains__(self, key: object) -> bool:
        return key in self._answers

    def values(self, figure: str, *keys: str) -> list[float]:
        """Return a figure by round: the least of these servers, where they are one at several settings.

        Returns:
            Nothing when none of them has it.
        """
        read = FIGURES[figure]
        phase = {"memory": "memory", "process": "memory", "p50": "serial", "p99": "serial"}.get(
            figure, figure.removesuffix("_per_second")
        )
        columns = [
            [read(answer) for answer in self._answers[key]]
            for key in keys
            if key in self._answers and phase in self._answers[key][0]
        ]
        return [min(row) for row in zip(*columns, strict=True)]

    def spread(self, figure: str, *keys: str) -> Spread | None:
        """Return the middle and the ends of a figure; None when none of the servers has it."""
        values = self.values(figure, *keys)
        return Spread(values) if values else None

    def ratio(self, figure: str, own: str, *theirs: str) -> Spread | None:
        """Return what a server needs of what others need at their best, within the same round; None as above."""
        pairs = zip(self.values(figure, own), self.values(figure, *theirs), strict=False)
        ratios = [one / other for one, other in pairs if other]
        return Spread(ratios) if ratios else None
