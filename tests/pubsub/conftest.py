from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from gqlink.pubsub import MemoryBroker

# How long an example takes is the machine's affair; whatever else the session has set stays.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
async def broker() -> AsyncIterator[MemoryBroker]:
    """A broker that keeps ten publications and lets five wait."""
    made = MemoryBroker(history=10, buffer=5)
    yield made
    await made.aclose()
