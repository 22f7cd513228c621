"""Work that goes on when whoever asked for it has stopped waiting, and that has an owner all the same."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ("Errands",)

_log: Final = logging.getLogger("gqlink.client")

T = TypeVar("T")


class Errands:
    """Owns tasks: each ends by itself, or with `aclose`.

    Args:
        name: Of the tasks, for whoever looks at them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Begin, and wait for nothing."""
        task: asyncio.Task[T] = asyncio.get_running_loop().create_task(work, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def run(self, work: Coroutine[object, object, T]) -> T:
        """Begin and wait; a caller that is cancelled leaves it to its end."""
        return await asyncio.shield(self.start(work))

    async def aclose(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        # Read here, for the case that nobody waits any more.
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("%s: %s", self._name, error)
