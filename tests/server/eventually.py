"""Waiting for what other tasks and the network bring about, without a clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def eventually(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Turn the event loop until a condition holds; fail after a generous time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- the network sets no event
            await asyncio.sleep(0)


async def turns(count: int = 10) -> None:
    """Turn the event loop a few times: enough for whatever is ready to happen."""
    for _ in range(count):
        await asyncio.sleep(0)
