"""Waiting for what other tasks and the network bring about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("eventually",)

_LOOK_SECONDS = 0.001


async def eventually(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Give the event loop turns until a condition holds, however long that takes on a busy machine.

    Args:
        condition: Asked again and again; it holds when its answer is true.
        seconds: After which the test has failed; real ones, so they are generous.

    Raises:
        TimeoutError: It did not come about.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- any condition of any object: there is no event to wait for
            await asyncio.sleep(_LOOK_SECONDS)
