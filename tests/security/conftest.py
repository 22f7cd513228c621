from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from security.served import Production, production_chat
from server.peer import BOTH
from server.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.protocol import Dialect


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def production(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Production]:
    """One chat for all that only asks."""
    async with production_chat(tmp_path_factory.mktemp("production")) as chat:
        yield chat


@pytest.fixture
async def world() -> World:
    """One test's application."""
    return World()


@pytest.fixture(params=BOTH, ids=lambda dialect: dialect.subprotocol)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Either subprotocol."""
    dialect: Dialect = request.param
    return dialect
