"""A bound in time for what seldom waits at all.

A timer costs more than many a query. Here none is set before there is something to wait for, and then for the moment at
which one that was set at the beginning would have gone off; what never waits could not have been interrupted by it
either.
"""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any, TypeVar

from gqlink.server.tasks import go_on, in_a_task

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

__all__ = ("OutOfTime", "within")

T = TypeVar("T")


class OutOfTime(TimeoutError):
    """What had to end within some time did not; any other `TimeoutError` is somebody else's."""


@types.coroutine
def within(work: Coroutine[Any, Any, T], *, until: float) -> Generator[Any, Any, T]:
    """Await a coroutine in the running task, for some time at most.

    Args:
        work: It; nobody has begun to await it.
        until: When it is cancelled, by the clock of the event loop.

    Raises:
        OutOfTime: It was.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    yield from in_a_task()  # a timer belongs to one
    return (yield from _await_until(work, waits_for, until))  # type: ignore[no-any-return]


async def _await_until(work: Coroutine[Any, Any, T], waits_for: object, until: float) -> T:
    deadline = asyncio.timeout_at(until)
    try:
        async with deadline:
            return await go_on(work, waits_for)
    except TimeoutError as exc:
        if deadline.expired():
            raise OutOfTime from exc
        raise
