"""The table of `client_flood.py`: what is compared with what, and where it is written."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from flood_server import event
from page import machine, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

NAMES: Final = {
    "gqlink": "**gqlink**",
    "gql-websockets": "gql, over websockets",
    "gql-aiohttp": "gql, over aiohttp",
    "node": "graphql-ws over ws",
    "websockets": "websockets and msgspec alone",
    "picows": "picows and msgspec alone",
}
COLUMNS: Final = (
    "client",
    "event loop",
    "CPU µs per event",
    "gql at its best, same round",
    "events per second",
    "KB per client",
    "KB per subscription",
)
PYTHON_PACKAGES: Final = ("gqlink", "gql", "websockets", "aiohttp", "picows", "msgspec", "uvloop")
NPM_PACKAGES: Final = ("graphql-ws", "ws")


@dataclass(slots=True)
class Figures:
    """What was measured of one client on one event loop.

    Args:
        cpu_us: CPU time of the client's process per event, of each round, in microseconds.
        events_per_second: Of each round.
        client_bytes: Resident memory that one more idle client takes; None where it was not measured.
        subscription_bytes: The same of one more subscription of the same client.
    """

    cpu_us: list[float]
    events_per_second: list[float]
    client_bytes: float | None = None
    subscription_bytes: float | None = None


def render(figures: Mapping[tuple[str, str], Figures], *, packages: Path, node: Path, sizes: str) -> str:
    """Return the table, with what it was measured with and on."""
    best = gql_at_its_best(figures)
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
    ]
    for (client, loop), each in figures.items():
        ratios = [theirs / own for theirs, own in zip(best, each.cpu_us, strict=True)]
        cells = (
            NAMES[client],
            "Node" if loop == "node" else loop,
            _spread(each.cpu_us, "{:.2f}".format),
            _spread(ratios, "{:.1f}".format, " times"),
            f"{median(each.events_per_second):,.0f}",
            _kilobytes(each.client_bytes),
            _kilobytes(each.subscription_bytes),
        )
        lines.append(f"| {' | '.join(cells)} |")
    with_what = versions(PYTHON_PACKAGES, npm=NPM_PACKAGES, packages=packages, node=node)
    return "\n".join([*lines, "", f"{with_what} {machine()} {sizes}; events of {len(event('1'))} bytes."])


def gql_at_its_best(figures: Mapping[tuple[str, str], Figures]) -> list[float]:
    """Return the CPU time per event of the best row of gql, by round."""
    return _best(figures, "gql-")


def own_share(figures: Mapping[tuple[str, str], Figures]) -> list[float]:
    """Return what gqlink needs of what gql needs, each at its best, by round."""
    pairs = zip(_best(figures, "gqlink"), gql_at_its_best(figures), strict=True)
    return [own / theirs for own, theirs in pairs]


def _best(figures: Mapping[tuple[str, str], Figures], beginning: str) -> list[float]:
    rows = [each.cpu_us for (client, _), each in figures.items() if client.startswith(beginning)]
    return [min(values) for values in zip(*rows, strict=True)]


def _spread(values: Sequence[float], show: Callable[[float], str], unit: str = "") -> str:
    return f"{show(median(values))}{unit} ({show(min(values))} to {show(max(values))})"


def _kilobytes(size: float | None) -> str:
    return "" if size is None else f"{size / 1024:.1f}"
