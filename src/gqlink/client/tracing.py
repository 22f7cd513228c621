"""Spans for OpenTelemetry, where the application uses it.

An application that wants spans sets up an SDK, and so has imported OpenTelemetry. Where it has not, nothing is imported
here either, and each of these functions costs one look into a dictionary.

* A query or a mutation is a span of the caller's trace, from the call to the answer. `HttpLink` passes the trace on in
  headers. A socket has one handshake for all its operations, and their `extensions` belong to the application: over a
  WebSocket nothing is passed on.
* Each attempt to connect is a span of its own, from dialling to the acknowledgement, linked to the attempt before.
  It serves many callers and belongs to the trace of none.
* A subscription may run for a month, and a span is exported only when it ends. So there is one for each stay on a
  socket: the first in the caller's trace, each later one linked to the one before.

Nothing of a document, of variables, of what is presented or of what an error says goes into a span: only the names and
kinds of operations, codes, numbers, and the address of the server.

Source: OpenTelemetry semantic conventions for GraphQL spans, and for recording errors.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gqlink import __version__
from gqlink.errors import ConnectionEnded, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, Tracer

    from gqlink.client.ending import Ending
    from gqlink.client.gaps import Gap
    from gqlink.client.request import Request
    from gqlink.client.socket import Socket
    from gqlink.protocol import ExecutionResult

__all__ = (
    "ConnectionSpans",
    "Stay",
    "SubscriptionSpans",
    "forget_caller",
    "trace_headers",
    "trace_operation",
    "trace_subscription",
)

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
# A code is a word. What is longer, a server has put there that is none.
_CODE_LENGTH: Final = 64


@contextmanager
def trace_operation(request: Request, url: str) -> Iterator[Callable[[ExecutionResult], ExecutionResult]]:
    """Trace a query or a mutation from the call to its answer.

    Args:
        request: What it asks.
        url: Of the server.

    Yields:
        A function that takes note of the answer, and returns it.
    """
    tracer = _tracer()
    if tracer is None:
        yield _unchanged
        return
    with tracer.start_as_current_span(
        _name(request),
        kind=_kind(),
        attributes=_operation(request) | _server(url),
        record_exception=False,  # its text is the server's, and may say anything
        set_status_on_exception=False,
    ) as span:

        def answered(result: ExecutionResult) -> ExecutionResult:
            if result.errors:
                _fail(span, OperationFailed(result.errors))
            return result

        try:
            yield answered
        except BaseException as exc:
            _fail(span, exc)
            raise


def trace_headers() -> dict[str, str]:
    """Return the headers that pass the present trace on: `traceparent`, and what else the application has chosen."""
    headers: dict[str, str] = {}
    if _is_used():  # without an SDK, too: there may be a trace that comes from elsewhere
        from opentelemetry import propagate

        propagate.inject(headers)
    return headers


def forget_caller() -> None:
    """Leave the trace of whoever happened to start the running task, which serves others as well."""
    if _is_used():
        from opentelemetry import context

        context.attach(context.Context())


class ConnectionSpans:
    """The attempts of one link to connect.

    Args:
        url: Where to.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: dict[int, Span] = {}
        self._last: Span | None = None

    def begin(self, number: int) -> None:
        """Trace an attempt from here on.

        Args:
            number: The socket's.
        """
        tracer = _tracer()
        if tracer is None:
            return
        attributes = _server(self._url) | {"network.protocol.name": "websocket", "gqlink.socket": number}
        span = tracer.start_span(
            "connect", context=_no_context(), kind=_kind(), links=_links(self._last), attributes=attributes
        )
        self._open[number] = self._last = span

    def acknowledged(self, socket: Socket) -> None:
        """End an attempt that has succeeded."""
        span = self._open.pop(socket.number, None)
        if span is not None:
            span.set_attribute("gqlink.subprotocol", socket.subprotocol)
            span.end()

    def ended(self, number: int, ending: Ending | None = None) -> None:
        """End an attempt that has not; harmless when it is over.

        Args:
            number: The socket's.
            ending: Why there is no connection; None where nobody wants it any more.
        """
        span = self._open.pop(number, None)
        if span is None:
            return
        if ending is not None and ending.dialect is not None:
            span.set_attribute("gqlink.subprotocol", ending.dialect.subprotocol)
        if ending is not None and ending.verdict is not None:
            _fail(span, ending.error)
        span.end()


def trace_subscription(request: Request) -> SubscriptionSpans | None:
    """Trace a subscription that the caller begins; None where nobody looks."""
    if _tracer() is None:
        return None
    from opentelemetry import context

    return SubscriptionSpans(request, caller=context.get_current())


class SubscriptionSpans:
    """The stays of one subscription on sockets.

    Args:
        request: What it asks.
        caller: The context in which it began.
    """

    def __init__(self, request: Request, *, caller: Context) -> None:
        self._request = request
        self._caller: Context | None = caller
        self._last: Stay | None = None
        self.events = 0
        """How many have come, on all sockets together."""

    def stay(self, socket: Socket) -> Stay | None:
        """Begin a stay: the socket's server is about to be asked."""
        tracer = _tracer()
        if tracer is None:
            return None
        caller, self._caller = self._caller, None
        before = None if self._last is None else self._last.span
        span = tracer.start_span(
            _name(self._request),
            context=_no_context() if caller is None else caller,
            kind=_kind(),
            links=_links(before),
            attributes=_operation(self._request)
            | {"gqlink.socket": socket.number, "gqlink.subprotocol": socket.subprotocol},
        )
        self._last = Stay(self, span)
        return self._last

    def live(self) -> None:
        """Take note that events come; said more than once of a server that says so late."""
        if self._last is not None and not self._last.live:
            self._last.live = True
            self._last.note("live")

    def gap(self, gap: Gap) -> None:
        """Take note that events may be missing."""
        if self._last is not None:
            self._last.note("gap", None if gap.missed is None else {"gqlink.missed": gap.missed})

    def failed(self, error: BaseException) -> None:
        """Take note that it is over, and why."""
        if self._last is not None and self._last.span.is_recording():
            _fail(self._last.span, error)


class Stay:
    """The time of a subscription on one socket.

    Args:
        spans: Those of the subscription.
        span: Begun.
    """

    def __init__(self, spans: SubscriptionSpans, span: Span) -> None:
        self.span = span
        self.live = False
        self._spans = spans
        self._before = spans.events

    def note(self, name: str, attributes: Mapping[str, int] | None = None) -> None:
        """Take note of something that happens meanwhile."""
        if self.span.is_recording():
            self.span.add_event(name, attributes)

    def end(self, code: int | None = None) -> None:
        """End it; harmless when it is over.

        Args:
            code: The close code of the socket, where that is why.
        """
        if not self.span.is_recording():
            return
        if code is not None:
            self.span.set_attribute("gqlink.close_code", code)
        self.span.set_attribute("gqlink.events", self._spans.events - self._before)
        self.span.end()


def _is_used() -> bool:
    """Say whether the application has imported OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


def _tracer() -> Tracer | None:
    """Return ours, where the application has set up an SDK; spans that nobody takes are not begun."""
    return _load() if _is_used() and _has_sdk() else None


def _has_sdk() -> bool:
    from opentelemetry import trace

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


@cache
def _load() -> Tracer:
    from opentelemetry import trace

    return trace.get_tracer("gqlink.client", __version__)


@cache
def _kind() -> SpanKind:
    from opentelemetry.trace import SpanKind

    return SpanKind.CLIENT


def _no_context() -> Context:
    from opentelemetry.context import Context

    return Context()


def _links(span: Span | None) -> list[Link]:
    from opentelemetry.trace import Link

    return [] if span is None else [Link(span.get_span_context())]


def _fail(span: Span, error: BaseException) -> None:
    """Say that it failed, and by which codes; texts may repeat anything."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return  # whoever asked does not want to know any more: that is no failure
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", type(error).__name__)
    codes = [code[:_CODE_LENGTH] for code in error.codes] if isinstance(error, OperationFailed) else []
    if codes:
        span.set_attribute("gqlink.error_codes", codes)
    code = getattr(error, "code", None)
    if isinstance(error, ConnectionEnded) and code is not None:
        span.set_attribute("gqlink.close_code", code)
    span.set_status(Status(StatusCode.ERROR))


def _unchanged(result: ExecutionResult) -> ExecutionResult:
    return result


def _name(request: Request) -> str:
    """Return what the span is called: its kind, and the name that the application has given it in its document."""
    return f"{request.kind} {request.operation_name}" if request.operation_name else str(request.kind)


def _operation(request: Request) -> dict[str, str | int]:
    known: dict[str, str | int] = {"graphql.operation.type": str(request.kind)}
    if request.operation_name is not None:
        known["graphql.operation.name"] = request.operation_name
    return known


def _server(url: str) -> dict[str, str | int]:
    """Return where it is; user, path and query are nobody's business."""
    parts = urlsplit(url)
    return {"server.address": parts.hostname or "", "server.port": parts.port or _PORTS.get(parts.scheme, 0)}
