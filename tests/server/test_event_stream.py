"""Event streams in process, with a clock that the test turns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gqlink.auth import Identity, Revocation
from gqlink.errors import LoginRequired
from gqlink.protocol import Request
from gqlink.server import Limits, PolicyEvent, PolicyOperation
from gqlink.server.asgi_event_stream import EventStreamAnswer
from gqlink.server.event_stream import KEEP_ALIVE_SECONDS
from server.eventually import eventually, turns
from server.nodes import Node, nodes
from server.streaming import COMPLETE, EXPIRED, REVOKED, Listening, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.server import Transport
    from server.world import World

ALICE = "alice/s/t/1699999999/90"


@pytest.fixture
async def node(world: World) -> AsyncIterator[Node]:
    """One application, whose tokens say who, which session, which token, since when and for how many seconds."""
    async with nodes(world, 1) as [node]:
        yield node


async def hears(world: World, listening: Listening, text: str, *, count: int) -> list[tuple[str, Any]]:
    """Publish, and wait until so many events have come."""
    await world.messages.publish(text)
    return await listening.heard(count)


async def silent(world: World, listening: Listening, text: str) -> None:
    """Publish, and see that nothing comes of it."""
    before = listening.messages.copy()
    await world.messages.publish(text)
    await turns(30)
    assert listening.messages == before


def said(text: str) -> tuple[str, Any]:
    """Return the event of one message."""
    return ("next", {"data": {"messages": text}})


async def test_a_subscription_is_answered_event_by_event_and_then_complete(node: Node) -> None:
    """With headers that keep everything between the two ends from keeping it."""
    async with Listening(node.app, "subscription { count(to: 2) }") as listening:
        events = await listening.ended()
        assert events == [("next", {"data": {"count": 1}}), ("next", {"data": {"count": 2}}), COMPLETE]
        assert listening.status == 200
        assert listening.headers == {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-store",
            "x-accel-buffering": "no",
            "x-content-type-options": "nosniff",
        }
        assert listening.body.endswith(b'event: next\ndata: {"data":{"count":2}}\n\nevent: complete\ndata:\n\n')


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_query_is_answered_with_one_event(node: Node, method: str) -> None:
    """So a client may have all its operations go one way."""
    async with Listening(node.app, "{ hello fail }", method=method) as listening:
        first, last = await listening.ended()
        assert (first[1]["data"], last) == ({"hello": "world", "fail": None}, COMPLETE)
        assert first[1]["errors"][0]["message"] == "Internal server error"


async def test_a_mutation_needs_a_post(node: Node, world: World) -> None:
    """By GET it is 405, and is not run; what is refused before the stream begins has a status, and a body in JSON."""
    async with Listening(node.app, 'mutation { add(text: "a") }') as listening:
        assert await listening.ended() == [("next", {"data": {"add": "a"}}), COMPLETE]
    async with Listening(node.app, 'mutation { add(text: "b") }', method="GET") as listening:
        await listening.ended()
        assert (listening.status, listening.headers["allow"]) == (405, "POST")
        assert listening.headers["content-type"] == "application/json; charset=utf-8"
    assert world.happened == ["add a"]


async def test_a_get_subscribes(node: Node) -> None:
    """As the `EventSource` of browsers does, with variables and extensions in the query string."""
    query = "subscription C($to: Int!) { count(to: $to) }"
    async with Listening(node.app, query, method="GET", variables={"to": 1}) as listening:
        assert await listening.ended() == [("next", {"data": {"count": 1}}), COMPLETE]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ hello ", "GRAPHQL_PARSE_FAILED"),
        ("{ unknown }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count(to: 1) messages }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", "BAD_USER_INPUT"),
        ("query A($n: Int!) { hello }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription C($to: Int!) { count(to: $to) }", "BAD_USER_INPUT"),
    ],
)
async def test_what_cannot_be_executed_is_told_in_an_event(node: Node, world: World, query: str, code: str) -> None:
    """With 200: a client that takes nothing but events could not read the reason from anything else."""
    async with Listening(node.app, query) as listening:
        first, last = await listening.ended()
        assert (listening.status, last) == (200, COMPLETE)
        assert (first[0], first[1]["errors"][0]["extensions"]["code"], "data" in first[1]) == ("next", code, False)
    assert (world.resolved, node.app.statistics().event_streams) == (0, 0)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/event-stream", "text/event-stream"),
        ("TEXT/Event-Stream; charset=utf-8", "text/event-stream"),
        ("application/graphql-response+json, application/json, text/event-stream", "text/event-stream"),
        ("*/*, text/event-stream; q=0.1", "text/event-stream"),
        ("*/*", "application/json"),
        ("application/json, text/event-stream; q=0", "application/json"),
    ],
)
async def test_a_subscription_is_answered_with_events_where_these_are_taken_at_all(
    node: Node, accept: str, content_type: str
) -> None:
    """Clients that do not look into the document name them beside what they prefer."""
    async with Listening(node.app, "subscription { count(to: 1) }", accept=accept) as listening:
        await listening.ended()
        assert listening.headers["content-type"].startswith(content_type)
        if content_type == "application/json":
            assert listening.status == 400
            assert "Accept: text/event-stream" in listening.json["errors"][0]["message"]


async def test_a_query_is_answered_with_what_is_preferred(node: Node) -> None:
    """Events where they are named first."""
    for accept, expected in (
        ("application/json, text/event-stream", "application/json"),
        ("text/event-stream, application/json", "text/event-stream"),
        ("application/json; q=0.5, text/event-stream; q=0.9", "text/event-stream"),
    ):
        async with Listening(node.app, "{ hello }", accept=accept) as listening:
            await listening.ended()
            assert listening.headers["content-type"].startswith(expected)


async def test_before_the_stream_a_refusal_has_a_status(world: World) -> None:
    """The door and the credential are looked at as for any request; nothing is executed."""
    app = world.app()
    for options, status in (
        ({"token": "bad"}, 401),
        ({"token": "expired"}, 401),
        ({"token": "unavailable"}, 503),
        ({"headers": {"origin": "http://evil.example"}}, 403),
        ({"headers": {"host": "evil.example"}}, 400),
        ({"headers": {"content-type": "text/plain"}}, 415),
        ({"variables": 5}, 400),
        ({"accept": "text/html"}, 406),
    ):
        async with Listening(app, "subscription { messages }", **options) as listening:
            await listening.ended()
            assert listening.status == status
            assert listening.json["errors"][0]["extensions"]["code"]
    assert world.resolved == 0
    await app.aclose()


async def test_the_first_that_comes_is_a_comment_and_then_one_every_twelve_seconds(node: Node, world: World) -> None:
    """So that proxies and browsers see that the answer has begun, and goes on."""
    async with Listening(node.app, "subscription { messages }") as listening:
        await listening.begun()
        assert listening.body == b":\n\n"
        node.clock.advance(KEEP_ALIVE_SECONDS - 0.1)
        await turns()
        assert listening.comments == 1
        node.clock.advance(0.1)
        await turns()
        assert listening.body == b":\n\n:\n\n"
        await hears(world, listening, "one", count=1)
        node.clock.advance(KEEP_ALIVE_SECONDS)
        await turns()
        assert listening.comments == 3
        listening.leave()
        await listening.task
        assert node.clock.timers == 0


async def test_no_comment_comes_for_who_is_out(node: Node) -> None:
    """It looks at the credential before it says that the answer goes on, and ends it instead."""
    async with Listening(node.app, "subscription { messages }", token=ALICE) as listening:
        await listening.begun()
        node.clock.advance(KEEP_ALIVE_SECONDS - 0.5)
        [stream] = node.app._host.listeners
        node.clock.set_wall(node.clock.wall() + 90)
        assert stream.state == "acknowledged"  # nobody has looked
        node.clock.advance(0.5)
        assert await listening.ended() == [EXPIRED, COMPLETE]
        assert listening.comments == 1


async def test_a_client_that_leaves_ends_its_subscription_at_once(node: Node, world: World) -> None:
    """The generator is closed, whatever it does to clean up, and only then the place is given back."""
    async with Listening(node.app, "subscription { forever }") as listening:
        await listening.heard(1)
        assert (node.app.statistics().event_streams, node.app.statistics().sockets) == (1, 0)
        listening.leave()
        await listening.task
        assert world.happened == ["closed"]
        assert (node.app.statistics().event_streams, node.app._host.admission.sockets) == (0, 0)


async def test_a_client_that_leaves_ends_its_query(node: Node, world: World) -> None:
    """Nobody is left to answer."""
    async with Listening(node.app, "{ slow }") as listening:
        await eventually(lambda: world.happened == ["slow begins"])
        listening.leave()
        await listening.task
    assert world.happened == ["slow begins", "slow cancelled"]


async def test_a_client_that_leaves_does_not_cancel_its_mutation(node: Node, world: World) -> None:
    """Whose place is held until it has finished."""
    async with Listening(node.app, 'mutation { slowAdd(text: "a") }') as listening:
        await eventually(lambda: world.happened == ["slowAdd begins"])
        listening.leave()
        await turns(30)
        assert (listening.task.done(), node.app._host.admission.sockets) == (False, 1)
        world.gate.set()
        await listening.task
    assert world.happened == ["slowAdd begins", "slowAdd ends", "add a"]


async def test_at_the_credentials_end_the_client_is_told_and_the_stream_is_complete(node: Node, world: World) -> None:
    """The last event before the moment is delivered, none at or after it, and nothing is executed any more."""
    async with Listening(node.app, "subscription { messages }", token=ALICE) as listening:
        await listening.begun()
        node.clock.advance(89.9)
        assert await hears(world, listening, "before", count=1) == [said("before")]
        node.clock.advance(0.1)
        assert await listening.ended() == [said("before"), EXPIRED, COMPLETE]
        assert listening.has_ended
        await silent(world, listening, "after")
    assert (world.broker.statistics().subscriptions, node.clock.timers) == (0, 0)


async def test_the_moment_counts_in_the_step_that_sends_not_only_when_a_timer_comes(node: Node, world: World) -> None:
    """A machine that slept, a wall clock that was put forward: the next event is not sent."""
    async with Listening(node.app, "subscription { messages }", token=ALICE) as listening:
        await listening.begun()
        node.clock.set_wall(node.clock.wall() + 90)
        await world.messages.publish("too late")
        assert await listening.ended() == [EXPIRED, COMPLETE]


async def test_a_wall_clock_that_was_put_forward_ends_a_silent_stream_within_a_second(node: Node) -> None:
    """One that was put back prolongs nothing."""
    async with Listening(node.app, "subscription { messages }", token=ALICE) as listening:
        await listening.begun()
        node.clock.set_wall(node.clock.wall() - 1000)
        node.clock.advance(89)
        await turns()
        assert not listening.has_ended
        node.clock.advance(1)
        assert await listening.ended() == [EXPIRED, COMPLETE]
    async with Listening(node.app, "subscription { messages }", token=ALICE) as listening:
        await listening.begun()
        node.clock.set_wall(node.clock.wall() + 100)
        node.clock.advance(1)
        assert await listening.ended() == [EXPIRED, COMPLETE]


async def test_a_query_that_runs_at_the_credentials_end_is_not_answered(node: Node, world: World) -> None:
    """It is cancelled, and the client told why."""
    async with Listening(node.app, "{ slow }", token=ALICE) as listening:
        await eventually(lambda: world.happened == ["slow begins"])
        node.clock.advance(90)
        assert await listening.ended() == [EXPIRED, COMPLETE]
    assert world.happened == ["slow begins", "slow cancelled"]


@pytest.mark.parametrize("end", ["expiry", "revocation", "stop"])
async def test_a_mutation_that_runs_is_answered_whatever_ends_meanwhile(node: Node, world: World, end: str) -> None:
    """As over plain HTTP: to be told of an expiry, or to be cut off, would be to be asked to send it again."""
    async with Listening(node.app, 'mutation { slowAdd(text: "a") }', token=ALICE) as listening:
        await eventually(lambda: world.happened == ["slowAdd begins"])
        stopping = None
        if end == "expiry":
            node.clock.advance(90)
        elif end == "revocation":
            await node.app.revoke(subject="alice")
        else:
            stopping = asyncio.create_task(node.app.aclose())
        await turns(30)
        assert (listening.events, listening.has_ended) == ([], False)
        world.gate.set()
        assert await listening.ended() == [("next", {"data": {"slowAdd": "a"}}), COMPLETE]
        if stopping is not None:
            await stopping
    assert world.happened.count("add a") == 1


@pytest.mark.parametrize(
    ("revoked", "expected"), [(False, "TOKEN_EXPIRED"), (True, "UNAUTHENTICATED")], ids=["expired", "revoked"]
)
async def test_a_mutation_that_has_not_begun_does_not_begin_for_somebody_who_is_out(
    world: World, *, revoked: bool, expected: str
) -> None:
    """While its context is built the credential ends: it is answered, with no data, and may be sent again."""

    async def build(_identity: Identity, _transport: Transport) -> object:
        world.happened.append("building")
        await world.gate.wait()
        return None

    async with (
        nodes(world, 1, context=build) as [node],
        Listening(node.app, 'mutation { add(text: "a") }', token=ALICE) as listening,
    ):
        await eventually(lambda: world.happened == ["building"])
        if revoked:
            await node.app.revoke(session="s")
        else:
            node.clock.advance(90)
        world.gate.set()
        first, last = await listening.ended()
        assert (first[1]["data"], first[1]["errors"][0]["extensions"]["code"]) == (None, expected)
        assert last == COMPLETE
    assert world.happened == ["building"]


@pytest.mark.parametrize("order", [{"subject": "alice"}, {"session": "s"}, {"token_id": "t"}])
async def test_a_revocation_ends_a_stream_in_its_own_step(node: Node, world: World, order: dict[str, str]) -> None:
    """As it closes a socket; the others stay."""
    async with (
        Listening(node.app, "subscription { messages }", token=ALICE) as listening,
        Listening(node.app, "subscription { messages }", token="bob/s2/t2") as other,
    ):
        await listening.begun()
        await other.begun()
        [mine] = [each for each in node.app._host.listeners if each.identity.subject == "alice"]
        revoking = asyncio.ensure_future(node.app.revoke(**order))
        node.app.apply_revocation(Revocation(**order, revoked_at=node.clock.wall()))
        assert mine.state == "closing"
        await world.messages.publish("not for alice")
        assert await listening.ended() == [REVOKED, COMPLETE]
        assert await other.heard(1) == [said("not for alice")]
        await revoking
    assert node.app.statistics().event_streams == 0


async def test_a_revocation_on_another_node_ends_a_stream(world: World) -> None:
    """They hear each other through the broker."""
    async with (
        nodes(world, 2) as [here, there],
        Listening(here.app, "subscription { messages }", token=ALICE) as listening,
    ):
        await listening.begun()
        await there.app.revoke(subject="alice")
        assert await listening.ended() == [REVOKED, COMPLETE]


async def test_who_is_revoked_while_they_are_verified_does_not_get_in(node: Node, world: World) -> None:
    """The deny-list is asked in the step that registers the stream."""
    async with Listening(node.app, "subscription { messages }", token="alice/slow/t/1699999999") as listening:
        await eventually(lambda: world.authenticating == 1)
        await node.app.revoke(session="slow")
        world.gate.set()
        await listening.ended()
        assert listening.status == 401
    assert world.resolved == 0


@pytest.mark.parametrize("query", ["subscription { messages }", "{ hello }", 'mutation { add(text: "a") }'])
async def test_a_policy_that_revokes_who_asks_ends_the_stream_before_anything_runs(world: World, query: str) -> None:
    """The hook is asked between the registration and the first step of the operation."""

    def policy(identity: Identity, _: object) -> bool:
        here.app.apply_revocation(Revocation(session=identity.session, revoked_at=here.clock.wall()))
        return True

    async with nodes(world, 1, policy=policy) as [here], Listening(here.app, query, token=ALICE) as listening:
        first, last = await listening.ended()
        assert (first[1]["errors"][0]["message"], first[1].get("data"), last) == ("Session revoked", None, COMPLETE)
    assert world.resolved == 0


@pytest.mark.parametrize("query", ["subscription { messages }", "{ hello }", 'mutation { add(text: "a") }'])
async def test_an_answer_that_is_begun_late_is_not_begun_for_who_was_revoked_meanwhile(
    node: Node, world: World, query: str
) -> None:
    """Should there ever be a wait between the last look at a credential and the registration."""
    operation = node.app._host.execution.prepare(Request(query))
    answer = EventStreamAnswer(node.app._host, operation, identity=Identity(subject="alice", session="s"), expiry=None)
    await node.app.revoke(session="s")
    async with Listening(answer, "") as listening:
        (_, why), last = await listening.ended()
        assert (why["errors"][0]["message"], last) == ("Session revoked", COMPLETE)
    assert world.resolved == 0


async def test_the_policy_is_asked_about_the_operation(world: World) -> None:
    """What it refuses is told in an event, in the policy's own words where it has some."""

    def policy(identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        assert isinstance(what, PolicyOperation)
        if identity.is_anonymous:
            raise LoginRequired
        return "count" not in what.fields

    async with nodes(world, 1, policy=policy) as [node]:
        async with Listening(node.app, "subscription { count(to: 1) }", token="alice") as listening:
            expected = told("FORBIDDEN", "You are not allowed to do this.")
            assert await listening.ended() == [expected, COMPLETE]
        async with Listening(node.app, "subscription { count(to: 1) }") as listening:
            expected = told("UNAUTHENTICATED", "You must be logged in to do this.")
            assert await listening.ended() == [expected, COMPLETE]
        assert node.app._host.meter.operations["unknown", "event_stream", "rejected"] == 2
    assert world.resolved == 0


async def test_the_policy_is_asked_about_each_event_in_the_step_that_sends_it(world: World) -> None:
    """A refused event ends the stream, and nothing of it is sent."""
    asked: list[object] = []

    def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        if isinstance(what, PolicyEvent):
            asked.append(what.data)
            return what.data != "secret"
        return True

    async with (
        nodes(world, 1, policy=policy) as [node],
        Listening(node.app, "subscription { messages }") as listening,
    ):
        await listening.begun()
        await hears(world, listening, "one", count=1)
        await world.messages.publish("secret")
        events = await listening.ended()
        assert events == [said("one"), told("FORBIDDEN", "You are not allowed to do this."), COMPLETE]
        assert b"secret" not in listening.body
    assert asked == ["one", "one", "secret"]


async def test_a_recheck_ends_what_is_no_longer_allowed(world: World) -> None:
    """Rights that were taken away count at once, on a stream as on a socket."""
    allowed = {"alice", "bob"}

    def policy(identity: Identity, _: object) -> bool:
        return identity.subject in allowed

    async with (
        nodes(world, 1, policy=policy) as [node],
        Listening(node.app, "subscription { messages }", token="alice") as listening,
        Listening(node.app, "subscription { messages }", token="bob") as other,
    ):
        await listening.begun()
        await other.begun()
        allowed.discard("alice")
        await node.app.recheck(subject="alice")
        assert await listening.ended() == [told("FORBIDDEN", "You are not allowed to do this."), COMPLETE]
        await hears(world, other, "one", count=1)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("unreachable", "You are not allowed to listen."),
        ("nothing", "Internal server error"),
        ("failing", "Internal server error"),
        ("gone", "Internal server error"),
    ],
)
async def test_a_subscription_that_fails_ends_with_its_errors(node: Node, field: str, message: str) -> None:
    """Masked as everywhere, in one event without data; then it is complete."""
    async with Listening(node.app, f"subscription {{ {field} }}") as listening:
        *_, failure, last = await listening.ended()
        assert (list(failure[1]), failure[1]["errors"][0]["message"], last) == (["errors"], message, COMPLETE)


@pytest.mark.parametrize("query", ["subscription { messages }", "{ hello }", 'mutation { add(text: "a") }'])
async def test_a_mistake_of_ours_ends_the_stream(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    """The client is told no more than an id, as with the status 500, and need not wait for an end that never comes."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("secret text")

    for name in ("run", "open"):
        monkeypatch.setattr(node.app._host.execution, name, fail)
    async with Listening(node.app, query) as listening:
        (_, why), last = await listening.ended()
        [error] = why["errors"]
        assert (error["message"], last) == ("Internal server error", COMPLETE)
        assert error["extensions"]["id"] in caplog.text
    assert node.app._host.admission.sockets == 0


async def test_an_event_with_errors_is_no_end(node: Node) -> None:
    """The next one may be well."""
    async with Listening(node.app, "subscription { flaky }") as listening:
        events = await listening.ended()
        assert [event[1] and event[1]["data"] for event in events] == [
            {"flaky": 1},
            {"flaky": None},
            {"flaky": 3},
            None,
        ]


async def test_text_with_line_breaks_stays_one_line(node: Node) -> None:
    """JSON writes them with a backslash; a line break of any kind would end the data."""
    text = "a\nb\r\nc\u2028d\u0085"
    async with Listening(node.app, "query($t: String) { echo(text: $t) }", variables={"t": text}) as listening:
        first, _ = await listening.ended()
        assert first == ("next", {"data": {"echo": f"{text} None"}})


async def test_a_stop_cuts_the_stream_without_complete(node: Node, world: World) -> None:
    """So that the client asks again, where a complete one would have ended for good; new ones are 503."""
    async with Listening(node.app, "subscription { messages }") as listening:
        await listening.begun()
        await hears(world, listening, "one", count=1)
        await node.app.aclose()
        assert await listening.ended() == [said("one")]
        assert listening.has_ended
    async with Listening(node.app, "subscription { messages }") as listening:
        await listening.ended()
        assert (listening.status, listening.headers["retry-after"]) == (503, "1")


async def test_a_stop_while_somebody_is_verified_lets_nobody_in(node: Node, world: World) -> None:
    """It came in before, and would have been heard after."""
    async with Listening(node.app, "subscription { messages }", token="alice/slow") as listening:
        await eventually(lambda: world.authenticating == 1)
        await node.app.aclose()
        world.gate.set()
        await listening.ended()
        assert listening.status == 503
    assert world.resolved == 0


async def test_a_server_that_gives_up_an_answer_leaves_nothing_behind(node: Node, world: World) -> None:
    """It cancels the application, as uvicorn does when its patience at a stop is over."""
    async with Listening(node.app, "subscription { forever }") as listening:
        await listening.heard(1)
        listening.task.cancel()
        await asyncio.wait([listening.task])
        assert (world.happened, node.app.statistics().event_streams) == (["closed"], 0)
        assert (node.app._host.admission.sockets, node.clock.timers) == (0, 0)
        listening.task = asyncio.create_task(turns())


async def test_a_source_that_takes_no_notice_is_not_heard_after_the_end(node: Node, world: World) -> None:
    """It goes on when it was cancelled; what it says then is for nobody."""
    async with Listening(node.app, "subscription { stubborn }", token=ALICE) as listening:
        await listening.heard(1)
        node.clock.advance(90)
        assert await listening.ended() == [("next", {"data": {"stubborn": 1}}), EXPIRED, COMPLETE]
    assert world.happened == ["ignored"]


async def test_a_topic_that_is_reset_cuts_the_stream_without_complete(node: Node, world: World) -> None:
    """Whoever listens comes again, and is told that there may be a gap."""
    async with Listening(node.app, "subscription { messages }") as listening:
        await listening.begun()
        await world.messages.reset()
        assert await listening.ended() == []
        assert listening.has_ended
    assert node.app.statistics().slow_consumers == 0


async def test_cursors_work_as_on_a_socket(node: Node, world: World) -> None:
    """The start, a cursor with each event, and everything since when one comes back."""
    query = "subscription { messages }"
    async with Listening(node.app, query, extensions={"gqlink": {"cursor": True}}) as listening:
        [(_, start)] = await listening.heard(1)
        assert (start["data"], start["extensions"]["gqlink"]["recovered"]) == (None, False)
        events = await hears(world, listening, "one", count=2)
        cursor = events[1][1]["extensions"]["gqlink"]["cursor"]
    await world.messages.publish("two")
    async with Listening(node.app, query, extensions={"gqlink": {"after": cursor}}) as listening:
        (_, start), (_, event) = await listening.heard(2)
        assert start["extensions"]["gqlink"] == {"cursor": cursor, "recovered": True}
        assert event["data"] == {"messages": "two"}


@pytest.mark.parametrize(
    ("limits", "limit", "status"),
    [
        (Limits(sockets=2), "sockets", 503),
        (Limits(sockets_per_address=2), "sockets_per_address", 429),
        (Limits(sockets_per_identity=2), "sockets_per_identity", 429),
    ],
)
async def test_streams_take_the_places_of_sockets(world: World, limits: Limits, limit: str, status: int) -> None:
    """One too many is asked to come later, and takes nothing; a place that was left is free."""
    async with nodes(world, 1, limits=limits) as [node]:
        query, token = "subscription { messages }", "alice"
        async with Listening(node.app, query, token=token) as first, Listening(node.app, query, token=token) as second:
            await first.begun()
            await second.begun()
            async with Listening(node.app, query, token=token) as third:
                await third.ended()
                assert (third.status, third.headers["retry-after"]) == (status, "5")
                extensions = {"code": "LIMIT_EXCEEDED", "limit": limit, "allowed": 2, "actual": 3}
                assert third.json["errors"][0]["extensions"] == extensions
            assert (node.app._host.admission.sockets, world.resolved) == (2, 2)
            assert node.app.statistics().refusals == {limit: 1}
        async with Listening(node.app, query, token=token) as again:
            await again.begun()
            assert again.status == 200


async def test_nothing_is_executed_for_a_client_that_does_not_read(world: World) -> None:
    """While an event is stuck the source is not asked for more than a sixteenth of the buffer holds."""
    limits = Limits(send_buffer_bytes=16_000)
    async with (
        nodes(world, 1, limits=limits) as [node],
        Listening(node.app, "subscription { flood(bytes: 400) }") as listening,
    ):
        await listening.begun()
        listening.reads.clear()
        await eventually(lambda: listening.is_stuck)
        await turns(50)
        flooded = world.happened.count("flooded")
        await turns(100)
        assert world.happened.count("flooded") == flooded
        assert node.app.statistics().waiting_bytes < 16_000 / 8
        before = len(listening.events)
        listening.reads.set()
        await eventually(lambda: len(listening.events) > before + 10)


async def test_a_client_that_takes_nothing_is_cut(world: World) -> None:
    """After `stall_seconds` its stream ends, without complete, and with what waited for it."""
    async with (
        nodes(world, 1, limits=Limits(stall_seconds=0.05)) as [node],
        Listening(node.app, "subscription { flood(bytes: 400) }") as listening,
    ):
        await listening.begun()
        listening.reads.clear()
        await eventually(lambda: node.app.statistics().slow_consumers == 1)
        listening.reads.set()
        await listening.ended()
        assert COMPLETE not in listening.events
        await listening.task
        assert (world.open_generators, node.app.statistics().waiting_bytes) == (0, 0)
        assert node.app.statistics().refusals == {"stall_seconds": 1}


async def test_what_waits_for_a_slow_client_is_dropped_at_a_revocation(node: Node, world: World) -> None:
    """Nobody gets an event as somebody they are not any more; only what the server has taken goes on."""
    async with Listening(node.app, "subscription { messages }", token=ALICE) as listening:
        await listening.begun()
        listening.reads.clear()
        for text in ("taken", "waiting", "waiting too"):
            await world.messages.publish(text)
        await eventually(lambda: listening.is_stuck)
        await turns(30)
        await node.app.revoke(subject="alice")
        listening.reads.set()
        assert await listening.ended() == [said("taken"), REVOKED, COMPLETE]


async def test_what_was_said_before_the_credentials_end_may_still_leave(node: Node, world: World) -> None:
    """It was sent before; the end, and the reason for it, follow."""
    async with Listening(node.app, "subscription { messages }", token=ALICE) as listening:
        await listening.begun()
        listening.reads.clear()
        for text in ("taken", "waiting"):
            await world.messages.publish(text)
        await eventually(lambda: listening.is_stuck)
        await turns(30)
        node.clock.advance(90)
        listening.reads.set()
        assert await listening.ended() == [said("taken"), said("waiting"), EXPIRED, COMPLETE]


async def stuck_answer(node: Node, world: World, listening: Listening) -> None:
    """Let a query be answered while its client does not read."""
    await listening.begun()
    await eventually(lambda: world.happened == ["slow begins"])
    listening.reads.clear()
    node.clock.advance(KEEP_ALIVE_SECONDS)
    await eventually(lambda: listening.is_stuck)  # with a comment
    world.gate.set()
    await eventually(lambda: node.app.statistics().operations == 0)


ANSWER = [("next", {"data": {"slow": "at last"}}), COMPLETE]


async def test_an_answer_may_leave_as_slowly_as_its_client_reads(
    node: Node, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment that a conversation has that is broken off is not for one in which all has been said."""
    monkeypatch.setattr("gqlink.server.send_queue._CLOSE_SECONDS", 0.0)
    async with Listening(node.app, "{ slow }") as listening:
        await stuck_answer(node, world, listening)
        await turns(100)
        listening.reads.set()
        assert await listening.ended() == ANSWER


@pytest.mark.parametrize("order", ["expiry", "revocation", "stop"])
async def test_an_answer_that_is_still_leaving_does_not_outlive_the_credential(
    node: Node, world: World, order: str
) -> None:
    """What waits of it is dropped at a revocation, and otherwise has the moment that the end of a socket has."""
    async with Listening(node.app, "{ slow }", token=ALICE) as listening:
        await stuck_answer(node, world, listening)
        if order == "expiry":
            node.clock.advance(90)
        elif order == "revocation":
            await node.app.revoke(subject="alice")
        else:
            await node.app.aclose()
        listening.reads.set()
        events = await listening.ended()
        assert listening.has_ended
        assert events == ([] if order == "revocation" else ANSWER)


async def test_resolvers_see_who_asks_and_what_the_request_said(world: World) -> None:
    """As over plain HTTP, without what is secret; anew for each event."""
    seen: list[tuple[str | None, str, int | None, bool]] = []

    def build(identity: Identity, transport: Transport) -> object:
        seen.append((identity.subject, transport.kind, transport.socket, "authorization" in transport.headers))
        return None

    async with (
        nodes(world, 1, context=build) as [node],
        Listening(node.app, "subscription { count(to: 2) }", token="alice") as listening,
    ):
        await listening.ended()
    assert seen == [("alice", "http", None, False)] * 3


async def test_what_happens_is_counted(node: Node) -> None:
    """Operations with the name of their transport, streams apart from sockets, and no close of a socket."""
    async with Listening(node.app, "subscription { count(to: 2) }") as listening:
        await listening.ended()
    async with Listening(node.app, "subscription { forever }") as listening:
        await listening.heard(1)
        meter = node.app._host.meter
        assert meter.running["subscription", "event_stream"] == 1
    assert meter.operations["subscription", "event_stream", "ok"] == 1
    assert meter.operations["subscription", "event_stream", "cancelled"] == 1
    assert (meter.events_sent, meter.sockets_opened, dict(meter.closed)) == (3, 0, {})
    assert node.events == []
