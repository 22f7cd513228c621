"""What a client costs: CPU time per received event in a flood, memory per connection and per subscription.

One server that is faster than all of them (flood_server.py) sends the same events, made beforehand, to one client at a
time; each runs in a process of its own, every round takes all of them in turn, and ratios are taken within a round, so
that a machine that is busy for a while is busy for all. With two cores or more the server has one and the client has
another.

    python benchmarks/client_flood.py            about three minutes
    python benchmarks/client_flood.py --short    less than one
    python benchmarks/client_flood.py --write    and put the table into docs/reference/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flood_table import Figures, render
from page import write

if TYPE_CHECKING:
    from collections.abc import Iterator

BENCHMARKS: Final = Path(__file__).parent
PACKAGES: Final = BENCHMARKS.parent / "tests" / "interop" / "npm" / "modern"
NODE: Final = "node"
RUN_SECONDS: Final = 120.0
CORES: Final = sorted(os.sched_getaffinity(0))
_ON_FIRST_CORE: Final = ("taskset", "--cpu-list", str(CORES[0]))
_ON_LAST_CORE: Final = ("taskset", "--cpu-list", str(CORES[-1]))
BARE: Final = frozenset({"websockets", "picows"})


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Args:
        rounds: How often each client goes through a flood.
        events: In each flood.
        clients: Idle ones, for the memory of one.
        subscriptions: Of one client, for the memory of one.
        contestants: Client and event loop.
    """

    rounds: int
    events: int
    clients: int
    subscriptions: int
    contestants: tuple[tuple[str, str], ...]


PYTHON: Final = ("gqlink", "gql-websockets", "gql-aiohttp")
SHORT: Final = Size(
    3, 30_000, 200, 500, (*((each, "asyncio") for each in PYTHON), ("websockets", "asyncio"), (NODE, NODE))
)
FULL: Final = Size(
    7,
    100_000,
    500,
    1000,
    (
        *((each, loop) for each in PYTHON for loop in ("asyncio", "uvloop")),
        (NODE, NODE),
        ("websockets", "asyncio"),
        ("picows", "asyncio"),
    ),
)


@dataclass(slots=True)
class Bench:
    """Runs the clients, one at a time.

    Args:
        port: The server's.
        node: The program.
    """

    port: str
    node: Path

    def measure(self, what: str, client: str, loop: str, count: int) -> dict[str, float]:
        """Run one measurement.

        Raises:
            SystemExit: The client failed; its output is shown.
        """
        if client == NODE:
            command = [
                *_ON_LAST_CORE,
                str(self.node),
                "--expose-gc",
                "flood_node.mjs",
                str(PACKAGES),
                what,
                self.port,
                str(count),
            ]
        else:
            command = [*_ON_LAST_CORE, sys.executable, "flood_clients.py", what, client, loop, self.port, str(count)]
        done = subprocess.run(
            command,
            cwd=BENCHMARKS,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if done.returncode or not done.stdout:
            sys.exit(f"{client} on {loop} failed at {what}:\n{done.stderr}")
        answer: dict[str, float] = json.loads(done.stdout)
        if answer.get("events", count) != count:
            sys.exit(f"{client} on {loop} got {answer['events']:.0f} of {count} events")
        return answer


def run(bench: Bench, size: Size) -> dict[tuple[str, str], Figures]:
    """Measure everything; say how far it has come."""
    floods = defaultdict[tuple[str, str], list[dict[str, float]]](list)
    for number in range(1, size.rounds + 1):
        print(f"round {number} of {size.rounds}", file=sys.stderr, flush=True)
        for contestant in size.contestants:
            floods[contestant].append(bench.measure("flood", *contestant, size.events))
    figures = {
        contestant: Figures(
            cpu_us=[flood["cpu_seconds"] / size.events * 1e6 for flood in runs],
            events_per_second=[size.events / flood["seconds"] for flood in runs],
        )
        for contestant, runs in floods.items()
    }
    print("memory", file=sys.stderr, flush=True)
    for (client, loop), each in figures.items():
        if loop != "uvloop":
            each.client_bytes = bench.measure("clients", client, loop, size.clients)["bytes"]
            if client not in BARE:
                each.subscription_bytes = bench.measure("subscriptions", client, loop, size.subscriptions)["bytes"]
    return figures


@contextmanager
def serving() -> Iterator[str]:
    """Run the server on the first core; yield its port. It ends with its standard input."""
    with subprocess.Popen(
        [*_ON_FIRST_CORE, sys.executable, "flood_server.py"],
        cwd=BENCHMARKS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()
            server.wait(10)


def find_node(packages: Path = PACKAGES) -> Path:
    """Find Node as the interoperability tests do, and install what is used with it.

    Args:
        packages: The folder with package.json and its lock.
    """
    sys.path.append(str(BENCHMARKS.parent / "tests"))
    from interop.node import find_toolchain, install

    install(packages)
    return find_toolchain().node


def measure(*, short: bool) -> tuple[dict[tuple[str, str], Figures], str]:
    """Measure all clients.

    Returns:
        What was measured, and the table of it.
    """
    size = SHORT if short else FULL
    node = find_node()
    with serving() as port:
        figures = run(Bench(port, node), size)
    table = render(
        figures,
        packages=PACKAGES,
        node=node,
        sizes=f"{size.rounds} rounds of {size.events:,} events; {size.clients} idle clients; "
        f"{size.subscriptions:,} subscriptions of one client",
    )
    return figures, table


def main() -> None:
    """Measure, print the table, and write it where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer rounds, events and clients")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/benchmarks.md")
    options = parser.parse_args()
    _, table = measure(short=options.short)
    print(table)
    if options.write:
        write("client_flood.py", table)


if __name__ == "__main__":
    main()
