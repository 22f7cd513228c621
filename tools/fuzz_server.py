"""Fuzz the running chat with very many WebSocket frames and HTTP requests, and stop at broken promises.

`gqlink serve` runs in a process of its own, on loopback: first with limits that let a flood through, then with those
that it has by default. Beside the fuzzer two clients, one in each subprotocol, keep to the rules and must notice
nothing. What is said comes from tests/security/fuzzing, and so do the promises. Each conversation has its own seed, so
a find can be looked at alone:

    python tools/fuzz_server.py --messages 1000000 --seed 1
    python tools/fuzz_server.py --seed 1 --only raised --first 4711 --conversations 1
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from gqlink.chat.resolvers import chat_schema
from security.fuzzing.fuzzer import Find, Fuzzer, Report
from security.fuzzing.promises import Broken
from security.fuzzing.served import ACCOUNTS, STOPPED, Served, served_chat
from security.fuzzing.target import Target

ROUNDS = {
    "raised": (0.8, ("messages_per_second=1000000", "operations_per_socket=1000")),
    "default": (0.2, ()),
}
"""The share of the messages, and the limits."""
WARM = 0.25
"""After this part of a round the server has everything in its caches that it keeps."""
GROWTH_BYTES = 32 * 2**20
LASTING = 10
"""So many looks in a row: a password that is checked takes 64 MiB for as long as that takes."""
REPORT_SECONDS = 15.0


@dataclass
class Memory:
    """How much the server holds, and how much it may."""

    samples: list[tuple[int, int]] = field(default_factory=list)
    """Messages, and bytes then."""

    def look(self, messages: int, held: int, *, of: int) -> None:
        """Take note of it; raises `Broken` where it has grown since the server was warm, and stays so."""
        self.samples.append((messages, held))
        warm = [held for count, held in self.samples if count >= WARM * of]
        if len(warm) > LASTING and min(warm[-LASTING:]) > min(warm) + GROWTH_BYTES:
            raise Broken("the server's memory is bounded", {"when warm": min(warm), "now": held, "after": messages})


async def fuzz(name: str, arguments: argparse.Namespace) -> Report:
    """Run one round, and print what came of it."""
    share, limits = ROUNDS[name]
    messages = round(arguments.messages * (1.0 if arguments.only else share))
    memory = Memory()
    began = said_at = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with served_chat(Path(folder), limits=limits) as served:
            (user, password), steady = ACCOUNTS
            target = Target(served.authority, name=user, password=password, schema=chat_schema(), seed=arguments.seed)

            async def watch(report: Report) -> None:
                nonlocal said_at
                served.look()
                memory.look(report.messages, served.memory_bytes(), of=messages)
                if time.monotonic() - said_at > REPORT_SECONDS:
                    said_at = time.monotonic()
                    print(f"  {report.messages:>9,} messages, {_mib(served.memory_bytes())}", flush=True)

            fuzzer = Fuzzer(target, seed=f"{arguments.seed} {name}", sockets=arguments.sockets, watch=watch)
            report = await fuzzer.run(
                messages=messages, steady=steady, first=arguments.first, conversations=arguments.conversations
            )
            await look_at_the_end(served, report)
    print_report(name, report, served, memory, seconds=time.monotonic() - began)
    return report


async def look_at_the_end(served: Served, report: Report) -> None:
    """Nothing is left of anybody, and the server stops when it is asked to."""
    try:
        served.look()
        await served.wait_idle()
        if (status := await served.stop()) not in STOPPED:
            raise Broken("the server stops when it is asked to", status)
        if served.complaints:
            raise Broken("nothing goes wrong unforeseen", served.complaints[:40])
    except Broken as exc:
        report.finds.append(Find(None, exc.promise, repr(exc.evidence)[:9000]))


def print_report(name: str, report: Report, served: Served, memory: Memory, *, seconds: float) -> None:
    """Print counts by kind and outcome, and what was found."""
    print(f"{name}: {report.messages:,} messages in {report.conversations:,} conversations, {seconds:.0f} s")
    for (kind, outcome), count in sorted(report.outcomes.items()):
        print(f"  {kind:22} {outcome:18} {count:>9,}")
    print(f"  steady clients heard {report.heard:,} of {report.heard:,} messages of theirs, in order")
    print(f"  held once more, frame by frame, because a reset had overtaken the close: {report.replayed:,}")
    marks = (
        [memory.samples[round(part * (len(memory.samples) - 1))] for part in (0, 0.25, 0.5, 0.75, 1)]
        if memory.samples
        else []
    )
    print("  memory: " + ", ".join(f"{_mib(held)} after {count:,}" for count, held in marks))
    print("  log: " + (", ".join(f"{count:,} {event}" for event, count in sorted(served.log.items())) or "nothing"))
    for find in report.finds:
        print(f"\n  BROKEN: {find.promise}\n    {find.evidence}")
        if find.number is not None:
            print(f"    conversation {find.number}; the last that was said:")
            print("".join(f"      {line}\n" for line in find.said))
    print(flush=True)


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def main() -> int:
    """Read the command line, and return the exit status: 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000, help="WebSocket frames and HTTP requests")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sockets", type=int, default=8, help="conversations at a time")
    parser.add_argument("--only", choices=ROUNDS, help="one of the two rounds")
    parser.add_argument("--first", type=int, default=0, help="the number of the first conversation")
    parser.add_argument("--conversations", type=int, help="how many at most in each round")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server is left behind
    found = 0
    for name in [arguments.only] if arguments.only else ROUNDS:
        found += len(asyncio.run(fuzz(name, arguments)).finds)
    print("nothing was found" if not found else f"{found} finds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
