"""What the client's tests share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.peer import Peer, Script
from gqlink.client import asking
from gqlink.protocol import DIALECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    """Whatever a test does, no task of it outlives it."""
    yield
    await asyncio.sleep(0)
    left = {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


@pytest.fixture(autouse=True)
def _no_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer says in its acks that it is ours, and seldom that a subscription is live: that is waited for in vain."""
    monkeypatch.setattr(asking, "_LIVE_SECONDS", 0.01)


@pytest.fixture(params=DIALECTS)
def subprotocol(request: pytest.FixtureRequest) -> str:
    """Each subprotocol in turn."""
    return str(request.param)


@pytest.fixture
async def peer(subprotocol: str) -> AsyncIterator[Peer]:
    """Run a server that speaks one subprotocol."""
    async with Peer(Script(speaks=(subprotocol,))) as peer:
        yield peer
