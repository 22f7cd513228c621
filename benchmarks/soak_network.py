"""The network of `soak.py`: a proxy that cuts, stalls and half-opens connections at random, in a process of its own.

Started with a JSON object: {"target": "127.0.0.1:port", "faults": a second, "seconds": float, "seed": int}. It says its
port in one line of JSON, and in another one at the end how many faults of which kind there were.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import uvloop

from gqlink.testing import FaultProxy

if TYPE_CHECKING:
    from gqlink.testing.proxied import ProxiedConnection

# For how long a victim that is not cut suffers, unless somebody gives it up before.
_LEAST_SECONDS, _MOST_SECONDS = 0.5, 10.0
_KINDS = {"cut": 4, "reset": 2, "stall": 4, "server silent": 2, "client silent": 2, "endings swallowed": 2}


def harm(victim: ProxiedConnection, kind: str) -> None:
    """Let one connection suffer."""
    match kind:
        case "cut" | "reset":
            victim.cut(reset=kind == "reset")
        case "stall":
            victim.stall()
        case "server silent":
            victim.half_open(silent="server")
        case "client silent":
            victim.half_open(silent="client")
        case _:
            victim.swallow_endings()


async def trouble(proxy: FaultProxy, *, faults: float, chance: random.Random, counts: Counter[str]) -> None:
    """Harm connections at random, until nobody needs it any more."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(chance.expovariate(faults))
        if not proxy.connections:
            continue
        victim = chance.choice(proxy.connections)
        kind = chance.choices(list(_KINDS), weights=list(_KINDS.values()))[0]
        counts[kind] += 1
        harm(victim, kind)
        if kind not in {"cut", "reset"}:
            loop.call_later(chance.uniform(_LEAST_SECONDS, _MOST_SECONDS), victim.heal)


async def main(options: dict[str, Any]) -> None:
    counts: Counter[str] = Counter()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    async with FaultProxy(options["target"]) as proxy:
        print(json.dumps({"port": int(proxy.authority.rpartition(":")[2])}), flush=True)
        chance = random.Random(options["seed"])
        troubling = asyncio.create_task(trouble(proxy, faults=options["faults"], chance=chance, counts=counts))
        await asyncio.sleep(options["seconds"])
        troubling.cancel()
        proxy.heal()
        print(json.dumps(counts), flush=True)
        async with asyncio.timeout(options["seconds"] + 300):  # it ends by itself, whatever becomes of its parent
            await over.wait()


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
