from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from server.peer import BOTH
from server.world import World
from serving import DIRECT, HYPERCORN, PLAIN, by_way_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from gqlink.protocol import Dialect

_ON_TRANSPORTS = frozenset({"test_uvicorn_socket.py"})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """One test's application; afterwards no task of the server may be left."""
    world = World()
    yield world
    world.gate.set()
    await world.broker.aclose()
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("gqlink")]
    assert not left, left
    assert not world.open_generators


@pytest.fixture(params=BOTH, ids=lambda dialect: dialect.subprotocol)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Either subprotocol."""
    dialect: Dialect = request.param
    return dialect


@pytest.fixture(params=[PLAIN, DIRECT], ids=["plain", "direct"], scope="module")
def road(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let every server of a file serve WebSockets through ASGI, and then by the direct path."""
    with by_way_of(request.param):
        yield request.param


@pytest.fixture(params=[PLAIN, DIRECT, HYPERCORN], ids=["plain", "direct", "hypercorn"], scope="module")
def any_road(request: pytest.FixtureRequest) -> Iterator[str]:
    """As `road`, and then with another server."""
    with by_way_of(request.param):
        yield request.param


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Try what stands directly on a transport with both event loops."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    return {**loops, "uvloop": uvloop.new_event_loop} if item.path.name in _ON_TRANSPORTS else loops
