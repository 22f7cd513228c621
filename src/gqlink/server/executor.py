"""graphql-core's executor, for subscriptions that go on for a month.

graphql-core remembers for each executor which fields a selection comes to, by the identity of a list that it makes
anew for each event, and shares that memory between the executors of all events of a subscription (3.3.2). So it finds
nothing there, and adds to it with each event: about a kilobyte for a field with three fields. Here each event has a
memory of its own, which goes with it.
"""

from __future__ import annotations

from typing import TypeVar

from graphql import Executor

__all__ = ("OperationExecutor",)

ContextT = TypeVar("ContextT")


class OperationExecutor(Executor[ContextT]):
    """Executes one operation, and each of its events if it is a subscription; make it with `build`."""

    def build_per_event_executor(self, payload: object) -> Executor[ContextT]:
        """Make the executor of one event, which leaves nothing behind in this one.

        Args:
            payload: The event: the root value of its execution.
        """
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001 -- there is no public way; see the module's text
        return executor
