"""Tasks that have an owner: nothing runs that nobody would end, and no failure goes unseen.

A task costs more than most of what is done in one. `TaskSet.begin` therefore makes none for what does not wait: the
first step is done by whoever begins it. Code that may run in such a step, and is about to await what is not its own,
awaits `in_a_task` before: the other may set a timer, or ask for its task, and goes on in one of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gqlink.server.logbook import log_event

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterable
    from contextvars import Context

__all__ = ("TaskSet", "go_on", "in_a_task", "is_ending", "wait_for_tasks")

T = TypeVar("T")

_first_step: Final = contextvars.ContextVar("gqlink first step", default=False)


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

    def begin(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None] | None:
        """Do the first step now; what is left after it is done in a task that belongs to this set, if anything is.

        Args:
            coroutine: What is done.
            name: For logs.
        """
        context = contextvars.copy_context()
        try:
            waits_for = context.run(_do_first_step, coroutine)
        except StopIteration:
            return None
        except asyncio.CancelledError:
            return None  # nobody can have cancelled it but itself
        except Exception:  # noqa: BLE001 -- as of a task
            log_event("failed", "task %s failed", name, exc_info=True)
            return None
        # Who waits for nothing wants a task, and is resumed by it.
        rest = coroutine if waits_for is None else _resume(coroutine, waits_for)
        return self.spawn(rest, name=name, context=context)

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


@types.coroutine
def in_a_task() -> Generator[None, None, None]:
    """Go on in a task, and in none that is somebody else's: where this is a first step, another turn later.

    A cancellation that comes in between takes effect when there is something to wait for: what was begun may hold
    coroutines of which Python would complain if they never began.
    """
    if not _first_step.get():
        return
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


@types.coroutine
def go_on(work: Coroutine[Any, Any, T], waits_for: object) -> Generator[Any, Any, T]:
    """Await a coroutine that has begun, and waits for something."""
    try:
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as exc:  # noqa: BLE001 -- whatever it is, it is the coroutine's
                waits_for = work.throw(exc)
            else:
                waits_for = work.send(sent)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def _resume(work: Coroutine[Any, Any, T], waits_for: object) -> T:
    return await go_on(work, waits_for)


def _do_first_step(coroutine: Coroutine[Any, Any, None]) -> object:
    before = _first_step.set(True)
    try:
        return coroutine.send(None)
    finally:
        _first_step.reset(before)


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
