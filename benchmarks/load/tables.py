"""The tables of the server benchmark, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from load.budgets import BUDGETS, STRAWBERRY, ratio_of, row_of
from load.figures import Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from load.contestants import Contestant
    from load.figures import Results

COLUMNS: Final = (
    ("one event at a time, µs", "serial"),
    ("p50 ms", "p50"),
    ("p99 ms", "p99"),
    ("in bursts, µs", "burst"),
    ("connect, µs", "connect"),
    ("subscribe, µs", "subscribe"),
    ("KB a socket", "memory"),
    ("query, µs", "query"),
)
COMPARED: Final = (
    ("one event at a time", "serial"),
    ("in bursts", "burst"),
    ("connect", "connect"),
    ("subscribe", "subscribe"),
    ("memory of a socket", "memory"),
    ("query", "query"),
)
OTHERS: Final = {
    "Strawberry": STRAWBERRY,
    "Ariadne": ("ariadne", "ariadne-websockets"),
    "graphql-ws (Node)": ("graphql-ws",),
    "Apollo Server (Node)": ("apollo",),
    "C `send()`": ("floor",),
}
_WITH_ENDS: Final = frozenset({"serial", "burst"})
_FEW: Final = 10.0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- ", "|---").replace("--- |", "---|") for line in lines)


def costs(contestants: Sequence[Contestant], results: Results) -> str:
    """Return what every server costs."""
    head = ("server", *(name for name, _ in COLUMNS))
    return table(head, [_costs_of(each, results) for each in contestants if each.key in results or each.missing])


def _costs_of(contestant: Contestant, results: Results) -> list[str]:
    if contestant.missing:
        return [contestant.name, f"not built: {', '.join(contestant.missing)}", *[""] * (len(COLUMNS) - 1)]
    cells = [(results.spread(figure, contestant.key), figure in _WITH_ENDS) for _, figure in COLUMNS]
    return [contestant.name, *(_cell(spread, ends=ends) for spread, ends in cells)]


def _cell(spread: Spread | None, *, ends: bool) -> str:
    if spread is None:
        return ""
    middle = number(spread.middle)
    return f"{middle} ({number(spread.least)} to {number(spread.most)})" if ends else middle


def budgets(results: Results, *, client: Sequence[float]) -> str:
    """Return what was promised, and what came of it.

    Args:
        results: The servers'.
        client: What the client needs of what gql needs at its best, by round; empty where it was not measured.
    """
    head = ("what", "row of ours", "compared with", "ours, of theirs", "at most", "holds")
    rows = [
        [each.what, row_of(each, results), each.name, *_verdict(ratio_of(each, results), each.most)] for each in BUDGETS
    ]
    gql = Spread(client) if client else None
    rows.append(["client, per event received in a flood", "client", "gql at its best", *_verdict(gql, 1 / 6)])
    return table(head, rows)


def multiples(results: Results, own: str) -> str:
    """Return how many times what a row of ours needs others need, each at its best, within the same round."""
    rows = [[name, *(_multiple(results, figure, own, keys) for keys in OTHERS.values())] for name, figure in COMPARED]
    return table((f"times `{own}`", *OTHERS), rows)


def _multiple(results: Results, figure: str, own: str, theirs: Sequence[str]) -> str:
    pairs = zip(results.values(figure, own), results.values(figure, *theirs), strict=False)
    ratios = [other / one for one, other in pairs if one]
    return _cell(Spread(ratios), ends=True) if ratios else ""


def _verdict(ratio: Spread | None, most: float) -> tuple[str, str, str]:
    if ratio is None:
        return "not measured", number(most), ""
    found = f"{number(ratio.middle)} ({number(ratio.least)} to {number(ratio.most)})"
    return found, number(most), "yes" if ratio.middle <= most else "**no**"


def number(value: float) -> str:
    """Write a figure with three digits, or all those before the point."""
    if value >= _FEW**2:
        return f"{value:,.0f}"
    if value >= _FEW:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 / _FEW else f"{value:.3f}"
