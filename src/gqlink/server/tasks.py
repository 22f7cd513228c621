"""Tasks that have an owner: nothing runs that nobody would end, and no failure goes unseen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from gqlink.server.logbook import log_event

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from contextvars import Context

__all__ = ("TaskSet", "is_ending", "wait_for_tasks")

T = TypeVar("T")


class TaskSet:
    """The tasks of one owner, without fate-sharing: one that fails is reported, its siblings live."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        # Every idle socket has one, and an empty set takes three times as much.
        self._tasks: dict[asyncio.Task[Any], bool] = {}
        """Those that have not ended, each with whether it was asked to."""

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def tasks(self) -> frozenset[asyncio.Task[Any]]:
        """Those that have not ended."""
        return frozenset(self._tasks)

    def spawn(
        self, coroutine: Coroutine[Any, Any, T], *, name: str, report: bool = True, context: Context | None = None
    ) -> asyncio.Task[T]:
        """Start a task that belongs to this set.

        Args:
            coroutine: What it does.
            name: For logs.
            report: Log its failure; False where somebody else looks at its outcome.
            context: What its context variables are; None for a copy of the present ones.
        """
        task = asyncio.get_running_loop().create_task(coroutine, name=name, context=context)
        self._tasks[task] = False
        task.add_done_callback(self._report if report else self._forget)
        return task

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Ask one of them to end.

        Only the first time counts: a second cancellation would break into what the task does to clean up, and a
        client that unsubscribes and leaves gives two reasons to end the same task.
        """
        if self._tasks.get(task) is False:
            self._tasks[task] = True
            task.cancel()

    def cancel_all(self) -> None:
        """Ask all of them to end."""
        for task in tuple(self._tasks):
            self.cancel(task)

    def _report(self, task: asyncio.Task[Any]) -> None:
        self._discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log_event("failed", "task %s failed", task.get_name(), exc_info=exc)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is warned of a failure after the client has left

    def _discard(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not self._tasks:
            self._tasks.clear()  # which gives its memory back


async def wait_for_tasks(tasks: Iterable[asyncio.Task[Any]], *, seconds: float | None) -> bool:
    """Wait until tasks have ended, the one that asks left out.

    Args:
        tasks: Those that are awaited; one that starts later is not.
        seconds: How long at most; None for as long as it takes.

    Returns:
        Whether they have.
    """
    own = asyncio.current_task()
    others = [task for task in tasks if task is not own]
    if not others:
        return True
    _, pending = await asyncio.wait(others, timeout=seconds)
    return not pending


def is_ending() -> bool:
    """Tell whether the running task was asked to end.

    If not, a `CancelledError` in it is an accident: it awaited something that somebody else had cancelled.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
