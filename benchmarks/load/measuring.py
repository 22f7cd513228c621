"""One server at a time, pinned to the first core, loaded by the generator from the last."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final

from load.contestants import LOAD, TEXT, Contestant

if TYPE_CHECKING:
    from collections.abc import Iterator

CORES: Final = sorted(os.sched_getaffinity(0))
ON_FIRST_CORE: Final = ("taskset", "--cpu-list", str(CORES[0]))
ON_LAST_CORE: Final = ("taskset", "--cpu-list", str(CORES[-1]))
PORTS: Final = (20_000, 30_000)
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
RUN_SECONDS: Final = 400.0
# An address has 28,000 ports, and a minute after a close they are not free yet.
SOCKETS_OF_AN_ADDRESS: Final = 10_000
SPARE_DESCRIPTORS: Final = 150
_COMPILE: Final = ("-O2", "-std=gnu11", "-o")


@dataclass(frozen=True, slots=True)
class Size:
    """How much one server is loaded.

    Args:
        clients: How many sockets subscribe.
        runs: How often the serial and the burst phase are run through.
        serial: Publications of a serial one.
        burst: Of a burst.
        rate: Publications a second, for the latency; 0 for none.
        seconds: How long at that rate.
        query_seconds: How long queries are asked over HTTP; 0 for none.
    """

    clients: int
    runs: int
    serial: int
    burst: int
    rate: float = 0.0
    seconds: float = 0.0
    query_seconds: float = 0.0


def build(folder: Path) -> tuple[Path, Path]:
    """Compile the generator and the floor into a folder.

    Raises:
        SystemExit: There is no C compiler, or no `taskset`.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or shutil.which("taskset") is None:
        sys.exit(
            "the server benchmark needs a C compiler and taskset. On Debian: apt-get install gcc libc6-dev util-linux"
        )
    generator, floor = folder / "generator", folder / "floor"
    for program, sources in ((generator, sorted((LOAD / "generator").glob("*.c"))), (floor, [LOAD / "floor.c"])):
        subprocess.run([compiler, *_COMPILE, str(program), *map(str, sources)], check=True)
    return generator, floor


def allow_sockets(wanted: int) -> int:
    """Let this process and those it starts open so many sockets each; return how many the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < wanted + SPARE_DESCRIPTORS:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + SPARE_DESCRIPTORS,) * 2)
        except (ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return most - SPARE_DESCRIPTORS
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return wanted


def measure(contestant: Contestant, size: Size, *, generator: Path) -> dict[str, Any]:
    """Start a server, load it, end it.

    Returns:
        What the generator printed: see generator/phases.h.

    Raises:
        SystemExit: It failed; what it said is shown.
    """
    with serving(contestant, size.clients) as (port, process):
        tokens = generator.parent / "tokens"
        tokens.write_text("\n".join(contestant.tokens(size.clients)) + "\n")
        command = [
            *ON_LAST_CORE,
            str(generator),
            *_options(contestant, size, port=port, process=process, tokens=tokens),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        if done.returncode:
            sys.exit(f"{contestant.name}: {done.stderr}{done.stdout}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@contextmanager
def serving(contestant: Contestant, clients: int) -> Iterator[tuple[int, int]]:
    """Run a server on the first core; yield its port and its process."""
    port = _free_port()
    command = contestant.command(port, clients)
    with (
        TemporaryFile("w+") as said,
        subprocess.Popen(
            [*ON_FIRST_CORE, *command],
            cwd=LOAD.parent,
            env=os.environ | contestant.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        ) as server,
    ):
        try:
            if not _listens(port, server):
                said.seek(0)
                sys.exit(f"{contestant.name} did not start:\n{said.read()}")
            yield port, server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _options(contestant: Contestant, size: Size, *, port: int, process: int, tokens: Path) -> list[str]:
    words = contestant.words
    publication = {"query": words.mutation, "variables": {"text": TEXT}}
    options = {
        "port": port,
        "path": contestant.path,
        "processes": ",".join(map(str, _tree(process))),
        "tokens": tokens,
        "subscribe": json.dumps({"query": words.subscription}),
        "publish": json.dumps(publication),
        "addresses": 1 + size.clients // SOCKETS_OF_AN_ADDRESS,
    }
    if contestant.sockets:
        options |= {"clients": size.clients, "runs": size.runs, "serial": size.serial, "burst": size.burst}
        options |= {"rate": size.rate, "seconds": size.seconds}
    if contestant.queries and size.query_seconds:
        options |= {"query": json.dumps({"query": words.query}), "query-seconds": size.query_seconds}
    return [f"--{name}={value}" for name, value in options.items()]


def _tree(process: int) -> list[int]:
    """Return a process and all that it has started."""
    found = [process]
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            found += _tree(int(child))
    return found


def _free_port() -> int:
    """Find a port below those that connections get: whoever knocks at one of these may be answered by itself."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(*PORTS)))
            return int(probe.getsockname()[1])


def _listens(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait until a server listens; say whether it came to that."""
    until = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
