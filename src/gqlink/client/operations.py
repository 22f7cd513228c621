"""What is running: every operation that was asked for and has not ended, whichever socket carries it."""

from __future__ import annotations

import copy
import logging
from itertools import count
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from gqlink.client.request import OperationKind
from gqlink.client.subscription import EventQueue
from gqlink.errors import OperationFailed, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.client.request import Request
    from gqlink.errors import GqlinkError
    from gqlink.protocol import ExecutionResult

__all__ = ("Operation", "Operations", "same_error")

_log: Final = logging.getLogger("gqlink.client")


class Operation:
    """One operation, from the call to its end.

    Args:
        request: What it asks.
        bound: How many results may wait for the consumer.
    """

    __slots__ = ("answered", "id", "queue", "request", "written")

    def __init__(self, request: Request, *, bound: int) -> None:
        self.request = request
        self.queue = EventQueue(request.operation_name or "an anonymous subscription", bound=bound)
        self.id: str | None = None
        self.written = False
        self.answered = False

    @property
    def once(self) -> bool:
        """Whether it must never be written a second time."""
        return self.request.kind is OperationKind.MUTATION

    @property
    def repeats(self) -> bool:
        """Whether one result is not the end."""
        return self.request.kind is OperationKind.SUBSCRIPTION


class Operations:
    """The running operations, in the order in which they were asked for.

    Args:
        buffer: How many results may wait for each consumer.
    """

    def __init__(self, *, buffer: int) -> None:
        self._buffer = buffer
        self._running: dict[Operation, None] = {}
        self._by_id: dict[str, Operation] = {}
        # Buffers outlive their operations: what waits in them is still somebody's.
        self._queues: WeakSet[EventQueue] = WeakSet()
        self._ids = count(1)

    def __len__(self) -> int:
        return len(self._running)

    def add(self, request: Request) -> Operation:
        """Take note of a new operation."""
        operation = Operation(request, bound=self._buffer)
        self._running[operation] = None
        self._queues.add(operation.queue)
        return operation

    def remove(self, operation: Operation) -> None:
        """Forget one; harmless when it is over."""
        self._running.pop(operation, None)
        if operation.id is not None:
            self._by_id.pop(operation.id, None)

    def waiting(self) -> list[Operation]:
        """Return those that no socket carries, oldest first."""
        return [operation for operation in self._running if operation.id is None]

    def carry(self, operation: Operation) -> str:
        """Give one the id under which a socket will carry it; no id is ever used twice."""
        operation.id = str(next(self._ids))
        operation.written = True
        operation.queue.begin()
        self._by_id[operation.id] = operation
        return operation.id

    def result(self, identifier: str, result: ExecutionResult) -> bool:
        """Hand a result on; False when its consumer lags and the operation is over."""
        operation = self._by_id.get(identifier)
        if operation is None:
            return True
        operation.answered = True
        if operation.queue.put(result):
            return True
        self.remove(operation)
        return False

    def completed(self, identifier: str) -> None:
        """The server ended one."""
        self.finish(self._by_id.get(identifier))

    def failed(self, identifier: str | None, errors: Sequence[Mapping[str, object]]) -> None:
        """The server failed one; where it does not say which, only a single one can be meant."""
        if identifier is None and len(self._by_id) == 1:
            identifier = next(iter(self._by_id))
        operation = self._by_id.get(identifier or "")
        if operation is None:
            _log.warning("the server reported an error that belongs to no operation")
        self.finish(operation, OperationFailed(errors))

    def connection_ended(self, *, code: int | None, reason: str) -> None:
        """No socket carries anything any more: end what cannot go on, keep what will be written again."""
        for operation in list(self._running):
            if operation.answered and not operation.repeats:
                self.finish(operation)
            elif operation.written and operation.once:
                self.finish(operation, OutcomeUnknown(operation.request.operation_name, code=code, reason=reason))
            operation.id = None
        self._by_id.clear()

    def fail(self, error: GqlinkError) -> None:
        """End them all."""
        for operation in list(self._running):
            self.finish(operation, same_error(error))

    def discard_buffers(self) -> int:
        """Forget every result that no consumer has taken yet; return how many."""
        return sum(queue.discard() for queue in self._queues)

    def finish(self, operation: Operation | None, error: GqlinkError | None = None) -> None:
        """End one, after what waits for its consumer."""
        if operation is not None:
            self.remove(operation)
            operation.queue.finish(error)


def same_error(error: GqlinkError) -> GqlinkError:
    """Return an equal error: one that is raised in several tasks would collect all their tracebacks."""
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin
