"""Spans for OpenTelemetry, where the application uses it.

An application that wants spans sets up an SDK, and so has imported OpenTelemetry. Where it has not, nothing is imported
here either, and an operation costs one look into a dictionary.

Each operation is a span of the kind SERVER, and the present one while its resolvers run: a query or a mutation from
when it begins to its answer, a subscription for its stay on one socket. Over HTTP it continues the trace that the
request's headers carry. A socket has one handshake for all its operations, so there each is a trace of its own, unless
something around this application, such as a middleware, has begun one.

Nothing of a document, of variables, of a credential or of what an error says goes into a span, only the names and kinds
of operations, codes and numbers. Spans are named after the kind alone: the name is the client's choice, and there may
be any number.

Source: OpenTelemetry semantic conventions for GraphQL server spans, and for recording errors.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING

from gqlink import __version__

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from gqlink.server.observing import OperationWatch
    from gqlink.server.transport import Transport

__all__ = ("end_span", "start_span", "within_span")


def start_span(watch: OperationWatch) -> Span | None:
    """Begin the span of an operation; None where nobody looks."""
    if not _is_used():
        return None
    from opentelemetry.trace import SpanKind

    context = _parent(watch.transport)
    return _tracer().start_span(watch.kind, context=context, kind=SpanKind.SERVER, attributes=_attributes(watch))


def within_span(span: Span | None) -> AbstractContextManager[object]:
    """Let what happens in a block be within a span."""
    if span is None:
        return nullcontext()
    from opentelemetry import trace

    # The text of an exception may say anything.
    return trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)


def end_span(watch: OperationWatch, outcome: str) -> None:
    """End the span of an operation.

    Args:
        watch: It.
        outcome: How it ended.
    """
    span = watch.span
    if span is None:
        return
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("gqlink.outcome", outcome)
    if watch.kind == "subscription":
        span.set_attribute("gqlink.events", watch.events)
    if watch.codes:
        span.set_attribute("gqlink.error_codes", list(watch.codes))
    if watch.failed:
        span.set_attribute("error.type", next(iter(watch.codes), "_OTHER"))
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def _is_used() -> bool:
    """Say whether the application has set up an SDK; it cannot without having imported OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules:
        return False
    from opentelemetry import trace

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


@cache
def _tracer() -> Tracer:
    from opentelemetry import trace

    return trace.get_tracer("gqlink.server", __version__)


def _parent(transport: Transport) -> Context | None:
    """Return the context that a span continues; None for the present one, which somebody around us has begun."""
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context

    if trace.get_current_span().get_span_context().is_valid:
        return None
    return Context() if transport.socket is not None else propagate.extract(transport.headers, context=Context())


def _attributes(watch: OperationWatch) -> dict[str, str | int]:
    transport = watch.transport
    known: dict[str, str | int | None] = {
        "graphql.operation.type": watch.kind,
        "graphql.operation.name": watch.name,
        "gqlink.transport": watch.label,
        "gqlink.socket": transport.socket,
        "gqlink.subprotocol": transport.subprotocol,
    }
    return {name: value for name, value in known.items() if value is not None}
