"""What gqlink may cost at most, as a part of what others cost in the same round (docs/explanation/design.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from load.figures import Results, Spread

__all__ = ("BUDGETS", "STRAWBERRY", "Budget", "ratio_of", "row_of")

STRAWBERRY: Final = ("strawberry", "strawberry-websockets", "strawberry-plain")
UNCACHED: Final = ("strawberry-plain",)


@dataclass(frozen=True, slots=True)
class Budget:
    """One promise.

    Args:
        what: In the reader's words.
        figure: Of `FIGURES`.
        own: Which row of ours.
        theirs: Those beside it, of which the best counts; none where the figure itself is bounded.
        name: What the table calls them.
        most: What ours may be of theirs.
    """

    what: str
    figure: str
    own: str
    theirs: tuple[str, ...]
    name: str
    most: float


BUDGETS: Final = (
    Budget("fan-out, one event at a time", "serial", "shared", ("floor",), "C `send()`", 1.5),
    Budget("fan-out in bursts", "burst", "shared", STRAWBERRY, "Strawberry", 1 / 40),
    Budget("fan-out without a share key", "serial", "alone", STRAWBERRY, "Strawberry", 1 / 2),
    Budget("connect, verify the token, acknowledge", "connect", "shared", STRAWBERRY, "Strawberry", 1 / 2),
    Budget("subscribe, document seen before", "subscribe", "shared", STRAWBERRY, "Strawberry", 1 / 30),
    Budget("subscribe, the same", "subscribe", "shared", UNCACHED, "Strawberry without its caches", 1 / 30),
    Budget("memory per idle subscribed socket, KB", "memory", "shared", (), "", 6.0),
    Budget("query of 50 messages over HTTP", "query", "shared", STRAWBERRY, "Strawberry", 1 / 3),
    Budget("query, the same", "query", "shared", UNCACHED, "Strawberry without its caches", 1 / 3),
)


def row_of(budget: Budget, results: Results) -> str:
    """Return which row of ours stands for a budget: where that is not built, the one that nothing can be missing of."""
    return budget.own if budget.own in results else "alone"


def ratio_of(budget: Budget, results: Results) -> Spread | None:
    """Return what was measured of a budget; None where one side was not."""
    own = row_of(budget, results)
    return results.ratio(budget.figure, own, *budget.theirs) if budget.theirs else results.spread(budget.figure, own)
