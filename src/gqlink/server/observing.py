"""What is taken note of while one operation is executed: for the counters, for the log, and for a trace.

The operation is found by a context variable, so that an error is told of with the operation in which it happened,
wherever it is formatted. It ends once, with one outcome:

* "ok": what it was asked for, without errors;
* "error": its answer, or an event of its, has errors, or it ended with some;
* "cancelled": the client, its credential's end or the server's ended it first;
* "rejected": it was never executed, because its document, a limit or the policy did not let it.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Self

from starlette.requests import ClientDisconnect

from gqlink.server.tracing import end_span, start_span, within_span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.trace import Span

    from gqlink.auth import Identity
    from gqlink.server.host import Host
    from gqlink.server.operation import Operation
    from gqlink.server.transport import Transport

__all__ = ("Observation", "OperationWatch", "present_operation", "unobserved")

_present: ContextVar[OperationWatch | None] = ContextVar("gqlink_server_operation", default=None)

_NAME_LENGTH: Final = 64
_CODES: Final = 8


class OperationWatch:
    """One operation, from when it begins to its end.

    Args:
        operation: What is asked for.
        transport: How it came.
        label: How that is called in counts.
        identity: Who asked.
    """

    __slots__ = ("codes", "events", "failed", "kind", "label", "name", "span", "subject", "transport")

    def __init__(self, operation: Operation, *, transport: Transport, label: str, identity: Identity) -> None:
        self.kind: str = operation.node.operation.value
        name = operation.node.name
        self.name = None if name is None else name.value[:_NAME_LENGTH]
        self.transport = transport
        self.label = label
        self.subject = identity.subject
        self.failed = False
        self.codes: tuple[str, ...] = ()
        """The codes of its errors, the first few, in their order."""
        self.events = 0
        self.span: Span | None = start_span(self)

    def fail(self, code: object) -> None:
        """Take note that an error of this code is told to the client."""
        self.failed = True
        if isinstance(code, str) and len(self.codes) < _CODES and code[:_NAME_LENGTH] not in self.codes:
            self.codes += (code[:_NAME_LENGTH],)

    def fields(self) -> dict[str, object]:
        """Return what a record of the log says of it, where it is known."""
        said: dict[str, object | None] = {
            "operation": self.name,
            "kind": self.kind,
            "subject": self.subject,
            "socket": self.transport.socket,
            "client": self.transport.client,
        }
        return {name: value for name, value in said.items() if value is not None}


def present_operation() -> OperationWatch | None:
    """Return the operation that is being executed here; None where there is none."""
    return _present.get()


@contextmanager
def unobserved() -> Iterator[None]:
    """Let what happens in this block be nothing of the present operation's: it only gave the order."""
    before = _present.set(None)
    try:
        yield
    finally:
        _present.reset(before)


class Observation:
    """The watch that is kept on an operation while a block runs; in the end it is counted, and its span ended.

    Args:
        host: Whose meter and clock these are.
        operation: What is asked for.
        transport: How it came.
        label: How that is called in counts: "http", "websocket" or "event_stream".
        identity: Who asked.
    """

    __slots__ = ("_before", "_began_at", "_goes_on", "_host", "_within", "watch")

    def __init__(
        self, host: Host, operation: Operation, *, transport: Transport, label: str, identity: Identity
    ) -> None:
        self.watch = OperationWatch(operation, transport=transport, label=label, identity=identity)
        self._host = host
        self._began_at = host.clock.now()
        self._before: Token[OperationWatch | None] | None = None
        self._within: AbstractContextManager[object] | None = None
        self._goes_on = False

    def go_on(self) -> None:
        """Let it go on when the block ends without an exception: then somebody else says when it has ended."""
        self._goes_on = True

    def end(self, outcome: str) -> None:
        """Take note that it has ended; once."""
        watch, meter = self.watch, self._host.meter
        meter.running[watch.kind, watch.label] -= 1
        meter.operations[watch.kind, watch.label, outcome] += 1
        if watch.kind != "subscription":
            meter.timed(watch.kind, watch.label, self._host.clock.now() - self._began_at)
        end_span(watch, outcome)

    def __enter__(self) -> Self:
        self._host.meter.running[self.watch.kind, self.watch.label] += 1
        self._before = _present.set(self.watch)
        self._within = within_span(self.watch.span)
        self._within.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._within is not None
        assert self._before is not None
        self._within.__exit__(kind, exc, traceback)
        _present.reset(self._before)
        self._within = self._before = None
        if exc is None:
            if not self._goes_on:
                self.end("error" if self.watch.failed else "ok")
        elif isinstance(exc, asyncio.CancelledError | ClientDisconnect | GeneratorExit):
            self.end("cancelled")
        else:
            self.watch.failed = True
            self.end("error")
