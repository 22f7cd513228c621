"""Reads subscriptions without a clock: what is ready, and nothing that is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.pubsub import Publication

_TURNS = 5


async def started(reading: asyncio.Task[object]) -> bool:
    """Give a task some turns of the loop, and say whether it is done."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    return reading.done()


async def ready(source: AsyncIterator[object]) -> list[object]:
    """Read whatever is there already, then stop waiting, without having lost anything."""
    found: list[object] = []
    while True:
        reading: asyncio.Task[object] = asyncio.ensure_future(anext(source))
        if not await started(reading):
            reading.cancel()
            await asyncio.wait([reading])
            return found
        try:
            found.append(reading.result())
        except StopAsyncIteration:
            return found


async def heard(subscription: AsyncIterator[Publication]) -> list[object]:
    """Read the data of whatever is there already."""
    return [getattr(each, "data", each) for each in await ready(subscription)]
