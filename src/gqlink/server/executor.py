"""graphql-core's executor, for subscriptions that go on for a month, and clients that change their mind at once.

graphql-core remembers for each executor which fields a selection comes to, by the identity of a list that it makes
anew for each event, and shares that memory between the executors of all events of a subscription (3.3.2). So it finds
nothing there, and adds to it with each event: about a kilobyte for a field with three fields. Here each event has a
memory of its own, which goes with it.

It starts a task for each of several fields that are resolved asynchronously. Where an operation is cancelled before
such a task has had its first turn, nobody has begun to await the resolver's coroutine, and Python complains of that in
the log, as often as a client likes. Here such a coroutine is closed, on whatever level it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from graphql import Executor

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ("OperationExecutor",)

ContextT = TypeVar("ContextT")

_RESULT = 4  # its place among the arguments of `complete_awaitable_value`


class _Unbegun(Coroutine[Any, Any, Any]):
    """A coroutine that may be thrown away before its first turn.

    Args:
        coroutine: graphql-core's.
        within: Another one that it will await: a resolver's.
    """

    __slots__ = ("_coroutine", "_within")

    def __init__(self, coroutine: Any, within: object = None) -> None:
        self._coroutine: CoroutineType[Any, Any, Any] = coroutine
        self._within = within

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def __del__(self) -> None:
        _close_unbegun(self._coroutine)
        _close_unbegun(self._within)

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._coroutine.send(value)

    def throw(self, *raised: Any) -> Any:
        """Go on with an exception; where that is the first turn it is the last, and the other one has none."""
        if inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CREATED:
            _close_unbegun(self._within)  # not only in `__del__`: in a cycle it is Python that says which goes first
        return self._coroutine.throw(*raised)

    def close(self) -> None:
        """End it."""
        self._coroutine.close()


class OperationExecutor(Executor[ContextT]):
    """Executes one operation, and each of its events if it is a subscription; make it with `build`."""

    def complete_awaitable_value(self, *arguments: Any) -> Any:
        """Complete what a resolver returned and what is still to be awaited; graphql-core's, see the module's text."""
        return _Unbegun(super().complete_awaitable_value(*arguments), arguments[_RESULT])

    def execute_fields(self, *arguments: Any) -> Any:
        """Execute the fields of an object; likewise."""
        completed = Executor.execute_fields(self, *arguments)
        return _Unbegun(completed) if completed.__class__ is CoroutineType else completed

    def complete_list_value(self, *arguments: Any) -> Any:
        """Complete a list; likewise."""
        completed = Executor.complete_list_value(self, *arguments)
        return _Unbegun(completed) if completed.__class__ is CoroutineType else completed

    def build_per_event_executor(self, payload: object) -> Executor[ContextT]:
        """Make the executor of one event, which leaves nothing behind in this one.

        Args:
            payload: The event: the root value of its execution.
        """
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001 -- there is no public way; see the module's text
        return executor


def untie(executor: Executor[object]) -> None:
    """Let an executor go that will resolve no field any more.

    It and what it lends to resolvers hold each other. The collector would find them, after it has gone through every
    socket that there is; and each subscriber of a shared run leaves an executor behind.
    """
    executor.async_helpers = None  # type: ignore[assignment] # nobody asks any more


def _close_unbegun(coroutine: object) -> None:
    if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()
