"""Waiting for what other tasks and the network bring about, without a clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


async def eventually(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Turn the event loop until a condition holds; fail after a generous time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- the network sets no event
            await asyncio.sleep(0)


async def turns(count: int = 10) -> None:
    """Turn the event loop a few times: enough for whatever is ready to happen."""
    for _ in range(count):
        await asyncio.sleep(0)


def goes_on(wait: Coroutine[object, object, None]) -> bool:
    """Tell whether a wait is over before it has begun."""
    try:
        wait.send(None)
    except StopIteration:
        return True
    wait.close()
    return False
