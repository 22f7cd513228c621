"""The scaling curve: what a delivery costs, and how late it comes, with more and more sockets on one process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from load.figures import Results
from load.measuring import Size, measure
from load.picture import Line, draw_lines
from load.tables import number, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from load.contestants import Contestant

__all__ = ("POINTS", "draw_curve", "measure_curve", "render_curve")

POINTS: Final = (100, 1_000, 5_000, 20_000)
ROUNDS: Final = 3
_DELIVERIES: Final = 60_000
_MOST: Final = 50
_FEWEST: Final = 5
# The same everywhere: how many frames there are to join decides what one costs.
_BURST: Final = 50
_COLUMNS: Final = (
    ("one event at a time, µs", "serial"),
    ("deliveries a second", "serial_per_second"),
    ("p50 ms", "p50"),
    ("p99 ms", "p99"),
    ("in bursts, µs", "burst"),
    ("connect, µs", "connect"),
    ("subscribe, µs", "subscribe"),
    ("KB a socket", "memory"),
    ("MB in all", "process"),
)
Curve = dict[tuple[str, int], Results]


def measure_curve(contestants: Sequence[Contestant], *, most: int, generator: Path, rounds: int = ROUNDS) -> Curve:
    """Measure each of some servers with each number of sockets.

    Args:
        contestants: One or two.
        most: How many sockets the machine allows; the last point is that if it wanted more.
        generator: The compiled program.
        rounds: In each all servers take their turn, and all points.
    """
    curve: Curve = {}
    for number_ in range(1, rounds + 1):
        for clients in sorted({min(point, most) for point in POINTS}):
            print(f"curve, round {number_} of {rounds}: {clients:,} sockets", file=sys.stderr, flush=True)
            for each in contestants:
                answer = measure(each, _size(clients), generator=generator)
                curve.setdefault((each.key, clients), Results()).add(each.key, answer)
    return curve


def _size(clients: int) -> Size:
    return Size(clients, 1, max(_FEWEST, min(_MOST, _DELIVERIES // clients)), _BURST)


def render_curve(curve: Curve, *, names: Mapping[str, str]) -> str:
    """Return the table of it."""
    rows = [
        [names[key], f"{clients:,}", *(_cell(results, figure, key) for _, figure in _COLUMNS)]
        for (key, clients), results in sorted(curve.items(), key=lambda item: (item[0][0] == "floor", item[0][1]))
    ]
    return table(("server", "sockets", *(name for name, _ in _COLUMNS)), rows)


def _cell(results: Results, figure: str, key: str) -> str:
    spread = results.spread(figure, key)
    return "" if spread is None else number(spread.middle)


def draw_curve(curve: Curve, *, names: Mapping[str, str]) -> str:
    """Return the picture of it."""
    panels = [
        ("CPU µs per delivery, one event at a time", _lines(curve, "serial", names)),
        ("CPU µs per delivery, in bursts", _lines(curve, "burst", names)),
        ("milliseconds from publish to receipt, p99 of one event", _lines(curve, "p99", names)),
    ]
    return draw_lines(panels, below="sockets on one process")


def _lines(curve: Curve, figure: str, names: Mapping[str, str]) -> list[Line]:
    lines = []
    # Ours first: it is drawn in our colour.
    for key, name in sorted(names.items(), key=lambda item: item[0] == "floor"):
        points = [
            (float(clients), spread.middle)
            for (each, clients), results in sorted(curve.items())
            if each == key and (spread := results.spread(figure, key)) is not None
        ]
        lines += [Line(name.replace("*", "").replace("`", ""), points)] if points else []
    return lines
