from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

import pytest

from gqlink.chat.doubts import Doubts
from gqlink.errors import ConnectionClosed, StoreUnavailable


class World:
    """A database and a broker that work or do not."""

    def __init__(self, *, retry_seconds: float = 0.0) -> None:
        self.fault: Exception | None = None
        self.broken: Exception | None = None
        self.checks = 0
        self.told: list[str] = []
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.doubts = Doubts(locks=self.locks, check=self.check, reset=self.reset, retry_seconds=retry_seconds)

    async def check(self, room_id: str) -> None:
        """Say that everything is written, or that nobody can tell."""
        assert self.locks[room_id].locked()
        self.checks += 1
        if self.fault is not None:
            raise self.fault

    async def reset(self, room_id: str) -> None:
        """Tell a room's listeners."""
        assert self.locks[room_id].locked()
        if self.broken is not None:
            raise self.broken
        self.told.append(room_id)

    async def raise_doubt(self, room_id: str = "a") -> None:
        """As a section does."""
        async with self.locks[room_id]:
            await self.doubts.raise_doubt(room_id)

    async def settle(self, room_id: str = "a") -> bool:
        """As a section does."""
        async with self.locks[room_id]:
            return await self.doubts.settle(room_id)


async def until(world: World, told: list[str]) -> None:
    """Wait for what a task of its own does."""
    async with asyncio.timeout(5):
        while world.told != told:  # noqa: ASYNC110 -- it sets no event
            await asyncio.sleep(0)


async def test_without_a_doubt_there_is_nothing_to_settle() -> None:
    """And nobody is asked."""
    world = World()
    assert await world.settle()
    assert (world.checks, world.told) == (0, [])
    await world.doubts.aclose()


async def test_a_doubt_is_settled_at_once_where_that_is_possible(caplog: pytest.LogCaptureFixture) -> None:
    """The listeners are told once, and the log says so."""
    world = World()
    await world.raise_doubt()
    assert await world.settle()
    assert world.told == ["a"]
    assert caplog.messages == ["listeners of the room 'a' were told that they may have missed something"]
    await world.doubts.aclose()


@pytest.mark.parametrize("part", ["database", "broker"])
async def test_a_doubt_stays_until_database_and_broker_work(part: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again and again, and the log is not flooded meanwhile."""
    world = World()
    if part == "database":
        world.fault = StoreUnavailable()
    else:
        world.broken = ConnectionError("secret text")
    await world.raise_doubt()
    await world.raise_doubt()
    assert not await world.settle()
    while world.checks < 10:  # noqa: ASYNC110 -- as above
        await asyncio.sleep(0)
    assert world.told == []
    assert caplog.messages == ["listeners of the room 'a' may have missed something, and cannot be told yet"]
    world.fault = world.broken = None
    await until(world, ["a"])
    assert await world.settle()
    assert "secret" not in caplog.text
    await world.doubts.aclose()
    assert world.told == ["a"]


async def test_whoever_comes_first_settles_a_doubt() -> None:
    """A section that wants to go on need not wait for the next attempt, which then finds nothing to do."""
    world = World(retry_seconds=60.0)
    world.fault = StoreUnavailable()
    await world.raise_doubt()
    world.fault = None
    assert await world.settle()
    await world.raise_doubt()
    assert world.told == ["a", "a"]
    await world.doubts.aclose()
    assert world.told == ["a", "a"]


async def test_each_room_has_its_own_doubts() -> None:
    """Who listens elsewhere has missed nothing."""
    world = World(retry_seconds=60.0)
    world.broken = ConnectionClosed(reason="the broker is closed")
    await world.raise_doubt("a")
    world.broken = None
    await world.raise_doubt("b")
    assert world.told == ["b"]
    await world.doubts.aclose()
    assert world.told == ["b", "a"]


async def test_a_doubt_that_outlives_everything_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """The log is all that is left; no task is."""
    world = World(retry_seconds=60.0)
    world.broken = ConnectionClosed(reason="the broker is closed")
    await world.raise_doubt()
    await world.doubts.aclose()
    assert ("gqlink.chat.doubts", logging.ERROR, caplog.messages[-1]) in caplog.record_tuples
    assert caplog.messages[-1] == "listeners of the room 'a' may have missed something, and were not told"
    assert len(asyncio.all_tasks()) == 1
