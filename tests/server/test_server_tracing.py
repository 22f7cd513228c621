"""Each operation is a span of the server, where the application has set up an SDK; elsewhere nothing is imported."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from gqlink.server import PolicyEvent
from server.eventually import eventually
from server.peer import member
from server.recorder import Scene
from server.streaming import Listening
from serving import serving

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from gqlink.protocol import Dialect
    from server.world import World

pytest_plugins = ("client.exporting",)

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def ours(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    """Return the spans of the server."""
    finished = spans.get_finished_spans()
    return [
        span for span in finished if span.instrumentation_scope and span.instrumentation_scope.name == "gqlink.server"
    ]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return what a span says."""
    return dict(span.attributes or {})


async def test_an_operation_over_http_continues_the_trace_of_its_request(
    world: World, spans: InMemorySpanExporter
) -> None:
    """A SERVER span named after the kind, with the operation's name beside it, and no document or variables."""
    async with serving(world.app()) as authority, httpx2.AsyncClient() as http:
        request = {"query": "query Hello($t: String) { echo(text: $t) }", "variables": {"t": "variable"}}
        await http.post(f"http://{authority}/graphql", json=request, headers={"traceparent": TRACEPARENT})
    [span] = ours(spans)
    assert (span.name, span.kind) == ("query", SpanKind.SERVER)
    assert attributes(span) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Hello",
        "gqlink.transport": "http",
        "gqlink.outcome": "ok",
    }
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.status.status_code is StatusCode.UNSET
    assert "echo" not in span.to_json()
    assert "variable" not in span.to_json()


async def test_an_event_stream_continues_the_trace_of_its_request_for_as_long_as_it_lasts(
    world: World, spans: InMemorySpanExporter
) -> None:
    """One span for all of its events."""
    app = world.app()
    query, headers = "subscription { count(to: 2) }", {"traceparent": TRACEPARENT}
    async with Listening(app, query, headers=headers) as listening:
        await listening.ended()
    [span] = ours(spans)
    assert span.context is not None
    assert (f"{span.context.trace_id:032x}", span.name) == (TRACE, "subscription")
    assert attributes(span) == {
        "graphql.operation.type": "subscription",
        "gqlink.transport": "event_stream",
        "gqlink.outcome": "ok",
        "gqlink.events": 2,
    }
    await app.aclose()


async def test_resolvers_run_within_the_span(world: World, spans: InMemorySpanExporter, dialect: Dialect) -> None:
    """So what they trace themselves belongs to it."""
    seen: list[int] = []

    def context(*_: object) -> object:
        seen.append(trace.get_current_span().get_span_context().span_id)
        return None

    async with serving(world.app(context=context)) as authority:
        async with httpx2.AsyncClient() as http:
            await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})
        async with member(authority, dialect) as client:
            await client.ask("{ hello }")
    assert seen == [span.context.span_id for span in ours(spans) if span.context]


@pytest.mark.usefixtures("road")
async def test_each_operation_of_a_socket_is_a_trace_of_its_own(
    world: World, spans: InMemorySpanExporter, dialect: Dialect
) -> None:
    """The handshake serves all of them, so its headers are of no account."""
    app = world.app()
    headers = {"traceparent": TRACEPARENT}
    async with serving(app) as authority, member(authority, dialect, additional_headers=headers) as client:
        await client.ask("query One { hello }")
        await client.ask('mutation Two { add(text: "x") }')
        await client.ask("subscription Three { count(to: 3) }")
        await client.start("subscription Four { forever }", id="4")
        await client.receive()
        await client.stop("4")
        await eventually(lambda: app.statistics().operations == 0)
    found = ours(spans)
    assert [(span.name, span.parent, span.kind) for span in found] == [
        ("query", None, SpanKind.SERVER),
        ("mutation", None, SpanKind.SERVER),
        ("subscription", None, SpanKind.SERVER),
        ("subscription", None, SpanKind.SERVER),
    ]
    assert len({span.context.trace_id for span in found if span.context}) == 4
    assert attributes(found[2]) == {
        "graphql.operation.type": "subscription",
        "graphql.operation.name": "Three",
        "gqlink.transport": "websocket",
        "gqlink.socket": 1,
        "gqlink.subprotocol": dialect.subprotocol,
        "gqlink.events": 3,
        "gqlink.outcome": "ok",
    }
    assert attributes(found[3]).items() >= {"gqlink.events": 1, "gqlink.outcome": "cancelled"}.items()
    assert found[3].status.status_code is StatusCode.UNSET


async def test_what_fails_has_codes_and_no_texts(world: World, spans: InMemorySpanExporter) -> None:
    """The texts of errors and the traceback are for the log."""
    async with serving(world.app()) as authority, httpx2.AsyncClient() as http:
        for query in ("{ fail denied spoken }", "{ even(value: 3) }", "query($v: Even!) { even(value: $v) }"):
            await http.post(f"http://{authority}/graphql", json={"query": query, "variables": {"v": 3}})
    first, last = ours(spans)
    assert attributes(first)["gqlink.error_codes"] == ("INTERNAL_SERVER_ERROR", "FORBIDDEN", "CAT_ASLEEP")
    assert attributes(last).items() >= {"gqlink.outcome": "error", "error.type": "BAD_USER_INPUT"}.items()
    for span in (first, last):
        assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())
    assert "secret text" not in first.to_json()


async def test_a_subscription_that_is_refused_midway_has_failed(
    world: World, spans: InMemorySpanExporter, dialect: Dialect
) -> None:
    """By the code that its client reads."""
    scene = await Scene(world, dialect, policy=lambda _, what: not isinstance(what, PolicyEvent)).admitted()
    scene.start("subscription { count(to: 3) }")
    await scene.until_said(1)
    await scene.settle()
    [span] = ours(spans)
    assert attributes(span).items() >= {"gqlink.error_codes": ("FORBIDDEN",), "gqlink.events": 0}.items()


async def test_a_span_around_the_application_is_the_parent(world: World, spans: InMemorySpanExporter) -> None:
    """A middleware that has begun a trace knows better than the header."""
    app = world.app()
    tracer = trace.get_tracer("a middleware")

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        with tracer.start_as_current_span("around"):
            await app(scope, receive, send)

    async with serving(traced) as authority, httpx2.AsyncClient() as http:
        await http.post(
            f"http://{authority}/graphql", json={"query": "{ hello }"}, headers={"traceparent": TRACEPARENT}
        )
    [span] = ours(spans)
    [around] = [each for each in spans.get_finished_spans() if each.name == "around"]
    assert span.parent is not None
    assert around.context is not None
    assert span.parent.span_id == around.context.span_id


async def test_a_long_name_is_cut(world: World, spans: InMemorySpanExporter) -> None:
    """It is the client's to choose."""
    async with serving(world.app()) as authority, httpx2.AsyncClient() as http:
        await http.post(f"http://{authority}/graphql", json={"query": f"query {'n' * 500} {{ hello }}"})
    [span] = ours(spans)
    assert attributes(span)["graphql.operation.name"] == "n" * 64


def test_without_an_sdk_nothing_is_imported() -> None:
    """The server runs an operation, and neither OpenTelemetry nor prometheus-client is there."""
    code = """
import asyncio, sys
from graphql import build_schema
from gqlink.server import GraphQLApp
from gqlink.auth import ANONYMOUS
async def authenticate(_): return ANONYMOUS
async def main():
    app = GraphQLApp(build_schema("type Query { hello: String }"), authenticate=authenticate)
    body = b'{"query": "{ hello }"}'
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")]}
    sent = []
    got = iter([{"type": "http.request", "body": body, "more_body": False}])
    async def receive():
        for message in got: return message
        await asyncio.Event().wait()
    async def send(message): sent.append(message)
    await app(scope, receive, send)
    assert sent[1]["body"] == b'{"data":{"hello":null}}', sent
    await app.aclose()
asyncio.run(main())
print([name for name in sys.modules if name.startswith(("opentelemetry", "prometheus_client"))])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "[]", answer.stderr
