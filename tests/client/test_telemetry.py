"""Spans tell what the client did, in the caller's trace, and hold nothing that anybody wrote or presented."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode

from client.chat import subscribed
from client.hands import FakeClock, until
from client.source import Source
from gqlink.client import Client, HttpLink, LinkPhase, WebSocketLink
from gqlink.errors import ConnectionRefused, OperationFailed

pytest_plugins = ("client.exporting",)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from client.peer import Peer

MAIL = "subscription Mail { mail }"
URL = "http://api.invalid:8080/graphql"


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """Return the finished spans of one name, in the order in which they ended."""
    return [span for span in spans.get_finished_spans() if span.name == name]


def known(span: ReadableSpan) -> Mapping[str, object]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


def answering(answer: Mapping[str, object], seen: list[httpx2.Request]) -> HttpLink:
    """Return a link to a server that always says the same."""

    def answers(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=answer)

    return HttpLink(URL, transport=httpx2.MockTransport(answers))


async def test_a_query_over_http_is_a_span_and_passes_its_trace_on(spans: InMemorySpanExporter) -> None:
    """By the conventions for GraphQL; the document, with its literals, and the variables stay out of it."""
    seen = list[httpx2.Request]()
    async with Client(answering({"data": {}}, seen)) as client:
        with trace.get_tracer("app").start_as_current_span("work") as work:
            await client.execute('query Find($name: String) { find(name: $name, pin: "1234") }', {"name": "secret"})
    (span,) = named(spans, "query Find")
    assert span.kind is SpanKind.CLIENT
    assert known(span) == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Find",
        "server.address": "api.invalid",
        "server.port": 8080,
    }
    assert span.parent is not None
    assert span.parent.span_id == work.get_span_context().span_id
    own = span.get_span_context()
    assert own is not None
    assert seen[0].headers["traceparent"].startswith(f"00-{own.trace_id:032x}-{own.span_id:016x}-")
    assert b"traceparent" not in seen[0].content


async def test_a_header_of_the_application_comes_first(spans: InMemorySpanExporter) -> None:
    """Whoever passes a trace on by hand is not overruled."""
    del spans
    seen = list[httpx2.Request]()
    link = answering({"data": {}}, seen)
    link._headers = {"TraceParent": "mine"}
    async with Client(link) as client:
        await client.execute("{ a }")
    assert seen[0].headers["traceparent"] == "mine"


async def test_an_answer_with_errors_is_a_failed_span(spans: InMemorySpanExporter) -> None:
    """By its codes: what an error says is the server's affair, and may repeat anything."""
    errors = [{"message": "no secret for you", "extensions": {"code": "FORBIDDEN"}}, {"message": "nor you"}]
    async with Client(answering({"data": None, "errors": errors}, [])) as client:
        with pytest.raises(OperationFailed):
            await client.execute("mutation { a }")
    (span,) = named(spans, "mutation")
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())
    assert known(span)["gqlink.error_codes"] == ("FORBIDDEN",)
    assert known(span)["error.type"] == "OperationFailed"


async def test_a_cancelled_call_has_not_failed(peer: Peer, spans: InMemorySpanExporter) -> None:
    """Whoever does not want the answer any more gets none."""
    peer.script.hold_operations = True
    async with Client(WebSocketLink(peer.url, auth=Source("alice-1"))) as client:
        asking = asyncio.ensure_future(client.execute("query Slow { a }"))
        await until(lambda: peer.operations)
        asking.cancel()
        await asyncio.wait([asking])
    (span,) = named(spans, "query Slow")
    assert span.status.status_code is StatusCode.UNSET


async def test_a_connection_is_a_trace_of_its_own(peer: Peer, subprotocol: str, spans: InMemorySpanExporter) -> None:
    """From dialling to the ack, whoever it was that needed it first; the next attempt is linked to it."""
    clock = FakeClock()
    link = WebSocketLink(peer.url, auth=Source("alice-1"), clock=clock)
    with trace.get_tracer("app").start_as_current_span("work"):
        async with Client(link) as client, client.subscribe(MAIL, on_gap="ignore"):
            await subscribed(peer)
            peer.script.status = 503
            peer.sockets[-1].drop()
            await until(lambda: link.state.phase is LinkPhase.WAITING)
            clock.advance(60.0)
            await until(lambda: "503" in link.state.reason)
            peer.script.status = None
            clock.advance(60.0)
            await until(lambda: peer.subscribers)
    first, refused, second = named(spans, "connect")
    host, _, port = peer.authority.partition(":")
    assert known(first) == {
        "network.protocol.name": "websocket",
        "server.address": host,
        "server.port": int(port),
        "gqlink.socket": 1,
        "gqlink.subprotocol": subprotocol,
    }
    assert (first.parent, refused.parent, second.parent) == (None, None, None)
    assert (refused.status.status_code, known(refused)["error.type"]) == (StatusCode.ERROR, "ConnectionLost")
    assert [link.context for link in second.links] == [refused.get_span_context()]
    assert first.status.status_code is second.status.status_code is StatusCode.UNSET


async def test_a_refused_connection_tells_its_close_code(peer: Peer, spans: InMemorySpanExporter) -> None:
    """So does the operation that needed it."""
    async with Client(WebSocketLink(peer.url, auth=Source("bad-1"))) as client:
        with pytest.raises(ConnectionRefused):
            await client.execute("query Q { open }")
    for span in (*named(spans, "connect"), *named(spans, "query Q")):
        assert span.status.status_code is StatusCode.ERROR
        assert (known(span)["gqlink.close_code"], known(span)["error.type"]) == (4403, "ConnectionRefused")


async def test_a_connection_that_is_not_wanted_any_more_ends_its_span(peer: Peer, spans: InMemorySpanExporter) -> None:
    """The link is closed while the server does not answer."""
    peer.script.hold_init = True
    link = WebSocketLink(peer.url, auth=Source("alice-1"), lazy=False)
    async with Client(link):
        await until(lambda: peer.inits)
    assert len(named(spans, "connect")) == 1


async def test_a_subscription_is_a_span_for_each_stay_on_a_socket(peer: Peer, spans: InMemorySpanExporter) -> None:
    """The first in the caller's trace, the next linked to it: each with its events, its gaps, and how it ended."""
    clock = FakeClock()
    link = WebSocketLink(peer.url, auth=Source("alice-1"), clock=clock)
    with trace.get_tracer("app").start_as_current_span("work") as work:
        async with Client(link) as client, client.subscribe(MAIL) as events:
            await subscribed(peer)
            for number in range(3):
                peer.publish(number)
            assert [(await anext(events)).data for _ in range(3)] == [0, 1, 2]
            peer.sockets[-1].drop()
            await until(lambda: link.state.phase is LinkPhase.WAITING)
            (first,) = named(spans, "subscription Mail")
            clock.advance(60.0)
            await until(lambda: peer.subscribers)
            peer.publish(3)
            assert (await anext(events)).data == 3
    _, second = named(spans, "subscription Mail")
    assert first.parent is not None
    assert first.parent.span_id == work.get_span_context().span_id
    assert known(first).items() >= {"gqlink.events": 3, "gqlink.close_code": 1006, "gqlink.socket": 1}.items()
    assert [event.name for event in first.events] == ["live"]
    assert (second.parent, [link.context for link in second.links]) == (None, [first.get_span_context()])
    assert known(second).items() >= {"gqlink.events": 1, "graphql.operation.type": "subscription"}.items()
    assert {event.name for event in second.events} == {"gap", "live"}
    assert second.status.status_code is StatusCode.UNSET


async def test_a_subscription_that_the_server_refuses_is_a_failed_span(peer: Peer, spans: InMemorySpanExporter) -> None:
    """With the server's code."""
    async with Client(WebSocketLink(peer.url)) as client:
        with pytest.raises(OperationFailed):
            await anext(aiter(client.subscribe(MAIL)))
    (span,) = named(spans, "subscription Mail")
    assert span.status.status_code is StatusCode.ERROR
    assert known(span)["gqlink.error_codes"] == ("UNAUTHENTICATED",)


async def test_a_subscription_whose_consumer_lags_is_a_failed_span(peer: Peer, spans: InMemorySpanExporter) -> None:
    """It is over, and not because anybody wanted that."""
    async with Client(WebSocketLink(peer.url, auth=Source("alice-1"))) as client, client.subscribe(MAIL, buffer=1):
        await subscribed(peer)
        peer.publish(1)
        peer.publish(2)
        await until(lambda: named(spans, "subscription Mail"))
    (span,) = named(spans, "subscription Mail")
    assert (span.status.status_code, known(span)["error.type"]) == (StatusCode.ERROR, "SubscriberLagging")


async def test_a_token_function_does_not_run_in_the_trace_of_a_caller(peer: Peer, spans: InMemorySpanExporter) -> None:
    """The connection outlives whoever needed it first, and so does what it asks for."""
    del spans
    seen = list[object]()

    def params() -> dict[str, object]:
        seen.append(trace.get_current_span(context.get_current()).get_span_context().is_valid)
        return {"accessToken": "alice-1"}

    with trace.get_tracer("app").start_as_current_span("work"):
        async with Client(WebSocketLink(peer.url, connection_params=params)) as client:
            await client.execute("query { open }")
    assert seen == [False]


_WITHOUT = """
import asyncio, sys
if {how!r} == "not installed":
    sys.modules["opentelemetry"] = None
if {how!r} == "without an SDK":
    import opentelemetry.trace
import httpx2
from gqlink.client import Client, HttpLink, WebSocketLink

async def main():
    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, json={{"data": dict(request.headers)}}))
    async with Client(HttpLink("http://api.invalid/", transport=answer)) as client:
        assert "traceparent" not in await client.execute("{{ a }}")
    async with Client(WebSocketLink("ws://127.0.0.1:1/", reconnect=False)) as client:
        try:
            await client.execute("{{ a }}")
        except Exception as exc:
            assert type(exc).__name__ == "ConnectionLost", repr(exc)

asyncio.run(main())
assert {how!r} == "without an SDK" or not [name for name in sys.modules if name.startswith("opentelemetry.")]
"""


@pytest.mark.parametrize("how", ["not installed", "not used", "without an SDK"])
def test_without_the_package_or_its_use_nothing_happens(how: str) -> None:
    """Nothing is imported where it is not installed or not used; without an SDK nothing fails."""
    subprocess.run([sys.executable, "-c", _WITHOUT.format(how=how)], check=True, timeout=30)
