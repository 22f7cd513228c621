"""The table of `client_flood.py`: what is compared with what, and where it is written."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from flood_server import event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PAGE: Final = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks.md"
BEGIN: Final = "<!-- client_flood.py writes from here -->"
END: Final = "<!-- client_flood.py writes to here -->"
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
    gql = [each for (client, _), each in figures.items() if client.startswith("gql-")]
    rounds = zip(*(each.cpu_us for each in gql), strict=True)
    best = [min(each) for each in rounds]
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
    return "\n".join(
        [*lines, "", f"{_versions(packages, node)} {_machine()} {sizes}; events of {len(event('1'))} bytes."]
    )


def write(table: str) -> None:
    """Put the table into the reference."""
    page = PAGE.read_text()
    place = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    PAGE.write_text(place.sub(lambda _: f"{BEGIN}\n\n{table}\n\n{END}", page))


def _spread(values: Sequence[float], show: Callable[[float], str], unit: str = "") -> str:
    return f"{show(median(values))}{unit} ({show(min(values))} to {show(max(values))})"


def _kilobytes(size: float | None) -> str:
    return "" if size is None else f"{size / 1024:.1f}"


def _versions(packages: Path, node: Path) -> str:
    python = [f"{name} {version(name)}" for name in PYTHON_PACKAGES]
    npm = [
        f"{name} {json.loads((packages / 'node_modules' / name / 'package.json').read_text())['version']}"
        for name in NPM_PACKAGES
    ]
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    return f"Python {platform.python_version()}: {', '.join(python)}. Node {said.lstrip('v')}: {', '.join(npm)}."


def _machine() -> str:
    return f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores."
