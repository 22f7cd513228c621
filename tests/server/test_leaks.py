"""Clients that come, subscribe and break off, a thousand times."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from server.eventually import eventually
from server.peer import BOTH
from server.raw import let_in, starting
from server.world import World
from serving import serving

if TYPE_CHECKING:
    from gqlink.protocol import Dialect

pytestmark = pytest.mark.usefixtures("road")

CYCLES: Final = 1_000
AT_A_TIME: Final = 20
SUBSCRIPTIONS: Final = (
    "subscription { forever }",
    "subscription { messages }",
    "subscription { flood(bytes: 100) }",
    "{ slow }",
)


@pytest.mark.timeout(60)
async def test_a_thousand_clients_that_break_off_leave_nothing_behind() -> None:
    """No task, no generator, no broker subscription, no file descriptor, no listener; both dialects share the count."""
    world = World()
    app = world.app()
    async with serving(app) as authority:
        before = _held()
        places = asyncio.Semaphore(AT_A_TIME)

        async def cycle(number: int) -> None:
            async with places:
                await _break_off(authority, BOTH[number % 2], SUBSCRIPTIONS[number // 2 % len(SUBSCRIPTIONS)])

        async with asyncio.TaskGroup() as group:
            for number in range(CYCLES):
                group.create_task(cycle(number))

        await eventually(lambda: not app._host.listeners and _held() == before)
        assert world.open_generators == 0
        assert world.broker.statistics().subscriptions == 0
        assert not app._host.queries
        assert world.happened.count("slow begins") == world.happened.count("slow cancelled")
        assert world.happened.count("closed") > CYCLES // 8
    assert world.resolved >= CYCLES


async def _break_off(authority: str, dialect: Dialect, query: str) -> None:
    """Connect, be let in, subscribe, and reset the connection."""
    async with let_in(authority, dialect) as raw:
        raw.send(starting(dialect, query), starting(dialect, "{ hello }", id="2"))
        while (await raw.message())["id"] != "2":
            pass  # once this is answered, the first operation has begun
        raw.reset()


def _held() -> tuple[int, int]:
    """Count tasks and file descriptors."""
    return len(asyncio.all_tasks()), sum(1 for _ in Path("/dev/fd").iterdir())
