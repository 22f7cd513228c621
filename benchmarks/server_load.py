"""What a server costs: gqlink in three ways and in the real chat, its peers, and the floor that the kernel sets.

One server at a time, pinned to the first core; a generator (load/generator, in C, compiled here) is up to a thousand
clients on the last core, and reads the clock of the server's processes at the edges of each phase. Every round takes
all servers in turn, and ratios are taken within a round, so that a machine that is busy for a while is busy for all.

    python benchmarks/server_load.py             about ten minutes
    python benchmarks/server_load.py --short     less than two
    python benchmarks/server_load.py --curve     up to 20,000 sockets on one process: some ten minutes
    python benchmarks/server_load.py --write     and put tables and pictures into docs/
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from client_flood import find_node
from load.contestants import NPM, contestants
from load.curve import POINTS, draw_curve, measure_curve, render_curve
from load.figures import Results
from load.limits import raised
from load.measuring import Size, allow_sockets, build, measure
from load.picture import draw_bars
from load.tables import budgets, costs, multiples
from page import PICTURES, machine, versions, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from load.contestants import Contestant

PYTHON_PACKAGES: Final = (
    *("gqlink", "graphql-core", "uvicorn", "uvloop", "httptools", "websockets", "msgspec", "PyJWT"),
    *("strawberry-graphql", "ariadne"),
)
NPM_PACKAGES: Final = ("graphql", "graphql-ws", "ws", "jsonwebtoken", "@apollo/server")
CURVE_KEYS: Final = ("shared", "floor")
COMPARED_ROWS: Final = ("shared", "alone")
FAN_OUT: Final = "fan-out.svg"
SCALING: Final = "scaling.svg"


@dataclass(frozen=True, slots=True)
class Course:
    """How much is measured.

    Args:
        rounds: How often each server takes its turn.
        size: What it gets each time.
    """

    rounds: int
    size: Size


SHORT: Final = Course(2, Size(clients=500, runs=1, serial=10, burst=40, query_seconds=0.7))
FULL: Final = Course(3, Size(clients=1000, runs=2, serial=10, burst=50, rate=2.0, seconds=4.0, query_seconds=2.0))


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share.

    Args:
        generator: The compiled program.
        all: Every contestant.
        node: The program.
    """

    generator: Path
    all: Sequence[Contestant]
    node: Path

    def run(self, course: Course, only: Sequence[str] = (), *, short: bool) -> Results:
        """Measure the servers round by round; say how far it has come."""
        results = Results()
        chosen = [each for each in self.all if each.key in only or not (only or each.missing)]
        for number in range(1, course.rounds + 1):
            for each in chosen:
                if each.key in only or not (short and each.full_only):
                    print(f"round {number} of {course.rounds}: {each.name}", file=sys.stderr, flush=True)
                    results.add(each.key, measure(each, course.size, generator=self.generator))
        return results

    def with_what(self, clients: int) -> str:
        """Say what was measured, with which limits, and on what."""
        limits = ", ".join(f"`--limit {name}={value}`" for name, value in raised(clients).items())
        found = versions(PYTHON_PACKAGES, npm=NPM_PACKAGES, packages=NPM, node=self.node)
        return f"gqlink with {limits}. {found} {machine()}"


@contextmanager
def prepared() -> Iterator[Bench]:
    """Compile and install what is needed, into a folder that is gone afterwards."""
    node = find_node(NPM)
    with TemporaryDirectory() as name:
        folder = Path(name)
        generator, floor = build(folder)
        yield Bench(generator, contestants(folder, floor=floor, node=node), node)


def report(bench: Bench, results: Results, course: Course) -> str:
    """Return the table of costs, with the picture above it and what was measured below."""
    size = course.size
    serial, burst = size.runs * size.serial, f"{size.runs} of {size.burst} at once"
    sizes = (
        f"{course.rounds} rounds of {size.clients:,} sockets, in each {serial} publications one at a time and {burst}."
    )
    return "\n\n".join(
        [
            f"![CPU time per delivery](../pictures/{FAN_OUT})",
            costs(bench.all, results),
            "How many times the cost of a row of ours others have, each at its best, within the same round:",
            *(multiples(results, own) for own in COMPARED_ROWS if own in results),
            f"{sizes} {bench.with_what(size.clients)}",
        ]
    )


def draw(bench: Bench, results: Results) -> str:
    """Return the picture of what a delivery costs."""
    return draw_bars(
        results,
        names={each.key: each.name for each in bench.all},
        panels=(("CPU µs per delivery, one event at a time", "serial"), ("CPU µs per delivery, in bursts", "burst")),
    )


def run_curve(bench: Bench, *, keep: bool) -> None:
    """Measure the curve, print it, and write it where that was asked for."""
    most = allow_sockets(max(POINTS))
    chosen = [each for each in bench.all if each.key in CURVE_KEYS and not each.missing]
    curve = measure_curve(chosen, most=most, generator=bench.generator)
    names = {each.key: each.name for each in chosen}
    text = "\n\n".join(
        [
            f"![The scaling curve](../pictures/{SCALING})",
            render_curve(curve, names=names),
            bench.with_what(min(most, max(POINTS))),
        ]
    )
    print(text)
    if keep:
        write("server_load.py --curve", text)
        (PICTURES / SCALING).write_text(draw_curve(curve, names=names))


def run_servers(bench: Bench, *, short: bool, keep: bool, only: Sequence[str] = ()) -> Results:
    """Measure the servers, print the table, and write it where that was asked for."""
    course = SHORT if short else FULL
    allow_sockets(course.size.clients)
    results = bench.run(course, only, short=short)
    text = report(bench, results, course)
    print(text)
    if keep:
        write("server_load.py", text)
        (PICTURES / FAN_OUT).write_text(draw(bench, results))
    return results


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer rounds, sockets and publications")
    parser.add_argument("--write", action="store_true", help="put tables and pictures into docs/")
    parser.add_argument("--curve", action="store_true", help="the scaling curve instead")
    parser.add_argument("--only", action="append", default=[], metavar="KEY", help="only this server; repeatable")
    options = parser.parse_args()
    with prepared() as bench:
        if options.curve:
            run_curve(bench, keep=options.write)
        else:
            results = run_servers(bench, short=options.short, keep=options.write, only=options.only)
            print("\n" + budgets(results, client=()))


if __name__ == "__main__":
    main()
