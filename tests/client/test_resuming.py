"""What a subscriber hears across lost connections: everything once and in order, or that something may be missing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping

import pytest

from client.chat import subscribed
from client.hands import FakeClock, turns, until
from client.peer import Peer, Script
from client.source import Source
from gqlink.client import (
    CatchUp,
    Client,
    Event,
    Gap,
    LinkPhase,
    OnGap,
    Subscription,
    SubscriptionPhase,
    WebSocketLink,
)
from gqlink.errors import BadUserInput, ContinuityLost, OutcomeUnknown, SubscriberLagging

SUBSCRIPTION = "subscription { mail }"
RESUMABLE = "subscription ($after: Int) { mail(after: $after) }"


@pytest.fixture
async def cursors(subprotocol: str) -> AsyncIterator[Peer]:
    """Run a server that gives cursors."""
    async with Peer(Script(speaks=(subprotocol,), cursors=True)) as peer:
        yield peer


@pytest.fixture
async def stranger(subprotocol: str) -> AsyncIterator[Peer]:
    """Run a server that adds nothing of ours."""
    async with Peer(Script(speaks=(subprotocol,), additions=False)) as peer:
        yield peer


async def lose(peer: Peer, link: WebSocketLink, clock: FakeClock) -> None:
    """Break the connection, and let the link wait for the next one."""
    for socket in list(peer.open):
        socket.drop()
    await until(lambda: link.state.phase is LinkPhase.WAITING)
    del clock


async def come_back(peer: Peer, clock: FakeClock, *, sockets: int = 2) -> None:
    """Let the time pass until the link has another connection."""
    clock.advance(60.0)
    await until(lambda: len(peer.sockets) >= sockets and peer.sockets[-1].subscriptions)


async def take(events: Subscription, number: int) -> list[object]:
    """Take the data of the next events."""
    return [(await anext(events)).data for _ in range(number)]


async def test_what_was_said_meanwhile_comes_after_the_reconnection(cursors: Peer) -> None:
    """Everything once and in order, with cursors; nothing is reported, for nothing is missing."""
    clock = FakeClock()
    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="raise") as events:
        cursors.publish(1)
        assert await anext(events) == Event(1, extensions={"gqlink": {"cursor": "a1"}}, cursor="a1")
        cursors.publish(2)  # received, and not taken when the line breaks
        await until(lambda: events.state.cursor == "a2")
        await lose(cursors, link, clock)
        assert events.state.phase is SubscriptionPhase.WAITING
        cursors.publish(3)
        await come_back(cursors, clock)
        cursors.publish(4)
        assert await take(events, 3) == [2, 3, 4]
        assert events.state.gaps == link.state.gaps == 0
    assert cursors.operations[-1][2].extensions == {"gqlink": {"after": "a2"}}


async def test_entering_waits_until_the_subscription_is_live(cursors: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done next is heard: the server has said that events come."""
    monkeypatch.setattr("gqlink.client.asking._LIVE_SECONDS", 60.0)
    cursors.script.hold_live = True
    async with Client(WebSocketLink(cursors.url, auth=Source("alice-1"))) as client:
        events = client.subscribe(SUBSCRIPTION)
        assert events.state.phase == "waiting"
        entering = asyncio.ensure_future(events.__aenter__())
        await until(lambda: cursors.operations)
        await turns()
        assert not entering.done()
        assert events.state.phase == "starting"
        _, identifier, request = cursors.operations[0]
        cursors.sockets[0].go_live(identifier, request)
        cursors.sockets[0].flush()
        await entering
        assert events.state.phase == "live"
        await events.aclose()
        assert events.state.phase == "ended"


async def test_a_source_that_says_nothing_is_not_waited_for_long(peer: Peer) -> None:
    """Our server says when it is live for topics only; for what else there is, a second must be enough."""
    link = WebSocketLink(peer.url, auth=Source("alice-1"))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        assert events.state.phase is SubscriptionPhase.LIVE
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).cursor is None


async def test_a_late_word_that_it_is_live_is_no_event(cursors: Peer) -> None:
    """The second is over, and then the server says it after all."""
    cursors.script.hold_live = True
    link = WebSocketLink(cursors.url, auth=Source("alice-1"))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        assert events.state.phase is SubscriptionPhase.LIVE
        _, identifier, request = cursors.operations[0]
        cursors.sockets[0].go_live(identifier, request)
        cursors.publish(1)
        assert await take(events, 1) == [1]


async def test_what_the_server_no_longer_has_is_a_gap(cursors: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """By default a warning says so once, and the states of subscription and link count it."""
    clock = FakeClock()
    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        cursors.publish(1)
        await lose(cursors, link, clock)
        cursors.forget()
        cursors.publish("missed")
        await come_back(cursors, clock)
        cursors.publish(2)
        assert await take(events, 2) == [1, 2]
        assert events.state.gaps == link.state.gaps == 1
    warnings = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    (gap,) = [text for text in warnings if "may have been missed" in text]
    assert gap.endswith("events may have been missed: the server no longer has what came after the last event")


async def test_a_gap_may_be_yielded_where_it_is(cursors: Peer) -> None:
    """After the events before it, and before those after it; it says after which cursor."""
    clock = FakeClock()
    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        cursors.publish(1)
        await until(lambda: events.state.cursor == "a1")
        await lose(cursors, link, clock)
        cursors.forget()
        await come_back(cursors, clock)
        cursors.publish(2)
        assert (await anext(events)).data == 1
        assert (await anext(events)).gap == Gap("the server no longer has what came after the last event", after="a1")
        assert (await anext(events)).data == 2


async def test_a_gap_may_end_the_subscription(cursors: Peer) -> None:
    """Whoever must have everything reads the whole again; the server is told to stop."""
    clock = FakeClock()
    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="raise") as events:
        await lose(cursors, link, clock)
        cursors.forget()
        await come_back(cursors, clock)
        with pytest.raises(ContinuityLost, match="no longer has") as lost:
            await anext(events)
        assert lost.value.temporary
        with pytest.raises(StopAsyncIteration):
            await anext(events)


@pytest.mark.parametrize("waits", [False, True])
async def test_a_gap_may_call_a_function_before_the_next_event(cursors: Peer, *, waits: bool) -> None:
    """Sync or async: it may read history again, and what comes next stands after it."""
    clock, told = FakeClock(), list[object]()

    async def read_again(gap: Gap) -> None:
        await asyncio.sleep(0)
        told.append(gap.after)

    def note(gap: Gap) -> None:
        told.append(gap.after)

    on_gap: OnGap = read_again if waits else note
    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap=on_gap) as events:
        await lose(cursors, link, clock)
        cursors.forget()
        await come_back(cursors, clock)
        cursors.publish(2)
        told.append((await anext(events)).data)
    assert told == ["a0", 2]


async def test_a_consumer_that_is_cancelled_at_a_gap_comes_to_it_again(cursors: Peer) -> None:
    """A gap is reported once it has been dealt with."""
    clock, calls = FakeClock(), list[Gap]()

    async def hang_once(gap: Gap) -> None:
        calls.append(gap)
        if len(calls) == 1:
            await asyncio.Event().wait()

    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap=hang_once) as events:
        await lose(cursors, link, clock)
        cursors.forget()
        await come_back(cursors, clock)
        cursors.publish(2)
        first = asyncio.ensure_future(anext(events))
        await until(lambda: calls)
        first.cancel()
        await asyncio.wait([first])
        assert events.state.gaps == 0
        assert await take(events, 1) == [2]
        assert (len(calls), events.state.gaps) == (2, 1)


async def test_gaps_of_whole_states_may_be_ignored(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """Live queries: the next event says everything."""
    clock = FakeClock()
    link = WebSocketLink(peer.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="ignore") as events:
        await lose(peer, link, clock)
        await come_back(peer, clock)
        peer.publish(1)
        assert await take(events, 1) == [1]
        assert (events.state.gaps, link.state.gaps) == (1, 0)
    assert "missed" not in caplog.text


async def test_a_server_without_cursors_leaves_a_gap_at_each_reconnection(stranger: Peer) -> None:
    """Whether something was said meanwhile nobody knows; nothing of ours is on the wire."""
    clock = FakeClock()
    link = WebSocketLink(stranger.url, connection_params={"accessToken": "alice-1"}, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        await subscribed(stranger)
        for sockets in (2, 3):
            await lose(stranger, link, clock)
            await come_back(stranger, clock, sockets=sockets)
            assert (await anext(events)).gap == Gap(
                "the server does not say what was missed while there was no connection"
            )
    assert {request.extensions is None for _, _, request in stranger.operations} == {True}


async def test_a_cursor_that_the_application_kept(cursors: Peer) -> None:
    """A program that was restarted goes on where it was."""
    for number in (1, 2, 3):
        cursors.publish(number)
    async with Client(WebSocketLink(cursors.url, auth=Source("alice-1"))) as client:
        async with client.subscribe(SUBSCRIPTION, after="a1", on_gap="raise") as events:
            assert await take(events, 2) == [2, 3]
        async with client.subscribe(SUBSCRIPTION, after="long-ago", on_gap="yield") as events:
            assert (await anext(events)).gap is not None


async def test_nothing_was_missed_by_a_subscription_that_was_never_live(cursors: Peer) -> None:
    """The connection was lost before the server had said so: that is where it begins."""
    clock = FakeClock()
    cursors.script.hold_operations = True
    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client:
        cursors.script.hold_init = True
        events = client.subscribe(SUBSCRIPTION, on_gap="raise")
        entering = asyncio.ensure_future(events.__aenter__())
        await until(lambda: cursors.inits)
        cursors.script.hold_init = False
        cursors.sockets[0].drop()
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        clock.advance(60.0)
        await entering
        cursors.publish(1)
        assert await take(events, 1) == [1]
        await events.aclose()


async def test_another_person_begins_anew(cursors: Peer) -> None:
    """No cursor of Alice's is used for Bob, nothing of hers reaches him, and for him nothing is missing."""
    source = Source("alice-1", "bob-1")
    clock = FakeClock(chance=0.0)
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="raise") as events:
        cursors.publish("for alice")
        await until(lambda: events.state.cursor == "a1")
        source.present = "bob-1"
        await source.tell("changed")
        await until(lambda: len(cursors.operations) == 2)
        cursors.publish("for bob")
        assert await take(events, 1) == ["for bob"]
    assert cursors.operations[1][2].extensions == {"gqlink": {"cursor": True}}


async def test_the_same_person_with_another_token_goes_on(cursors: Peer) -> None:
    """What waited was discarded, because nobody could know who comes; the server says that it is she, and gives it."""
    source = Source("alice-1", "alice-2")
    clock = FakeClock(chance=0.0)
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="raise") as events:
        for number in (1, 2, 3):
            cursors.publish(number)
        assert await take(events, 1) == [1]
        await until(lambda: events.state.cursor == "a3")
        source.present = "alice-2"
        await source.tell("changed")
        await until(lambda: len(cursors.operations) == 2)
        cursors.publish(4)
        assert await take(events, 3) == [2, 3, 4]


async def test_two_sockets_bring_no_event_twice_where_there_are_cursors(cursors: Peer) -> None:
    """A handover needs no key: cursors tell the events apart, and what the second socket brings again is dropped."""
    clock, source = FakeClock(), Source("alice-1", "alice-2")
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="raise") as events:
        cursors.publish(1)
        await until(lambda: events.state.cursor == "a1")
        clock.advance(700.0)
        await until(lambda: len(cursors.operations) == 2)
        cursors.publish(2)
        await until(lambda: events.state.cursor == "a2")
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        cursors.publish(3)
        assert await take(events, 3) == [1, 2, 3]
    assert cursors.operations[1][2].extensions == {"gqlink": {"after": "a1"}}


async def test_a_second_socket_may_bring_copies_late(cursors: Peer) -> None:
    """The network is slow, and the overlap long over: what the first socket has brought does not come again."""
    clock, source = FakeClock(), Source("alice-1", "alice-2")
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="raise") as events:
        cursors.publish(1)
        await until(lambda: events.state.cursor == "a1")
        cursors.script.hold_live = True
        clock.advance(700.0)
        await until(lambda: len(cursors.operations) == 2)
        for number in (2, 3):
            cursors.publish(number)
        await until(lambda: events.state.cursor == "a3")
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        clock.advance(1.0)
        _, identifier, request = cursors.operations[1]
        cursors.sockets[1].go_live(identifier, request)
        cursors.sockets[1].flush()
        cursors.publish(4)
        assert await take(events, 4) == [1, 2, 3, 4]
        cursors.publish(5)
        assert await take(events, 1) == [5]


async def test_a_resume_function_makes_variables_from_the_last_event(stranger: Peer) -> None:
    """They go over the subscription's own; the application vouches for it, so there is no gap."""

    def resume(last: Event) -> Mapping[str, object]:
        return {"after": last.data}

    clock = FakeClock()
    link = WebSocketLink(stranger.url, connection_params={"accessToken": "alice-1"}, clock=clock)
    async with Client(link) as client:
        subscription = client.subscribe(RESUMABLE, {"after": 0, "room": "x"}, resume=resume, on_gap="raise")
        async with subscription as events:
            await subscribed(stranger)
            stranger.publish(7)
            assert await take(events, 1) == [7]
            await lose(stranger, link, clock)
            await come_back(stranger, clock)
            stranger.publish(8)
            assert await take(events, 1) == [8]
    assert stranger.operations[1][2].variables == {"after": 7, "room": "x"}


async def test_a_resume_function_that_fails_leaves_a_gap(stranger: Peer) -> None:
    """It is logged, and the subscription goes on with its own variables."""

    def resume(last: Event) -> Mapping[str, object]:
        raise LookupError(last.data)

    clock = FakeClock()
    link = WebSocketLink(stranger.url, connection_params={"accessToken": "alice-1"}, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, resume=resume, on_gap="yield") as events:
        await subscribed(stranger)
        stranger.publish(7)
        assert await take(events, 1) == [7]
        await lose(stranger, link, clock)
        await come_back(stranger, clock)
        assert (await anext(events)).gap is not None


def _mail(numbers: object) -> list[object]:
    assert isinstance(numbers, dict)
    return [{"mail": each} for each in numbers["variables"]["have"]]


def _key(event: Event) -> object:
    assert isinstance(event.data, dict)
    return event.data["mail"]


async def test_a_catch_up_query_brings_what_was_missed(stranger: Peer) -> None:
    """Behind what came before, before what follows; what both bring comes once, and there is no gap."""
    clock = FakeClock()
    link = WebSocketLink(stranger.url, connection_params={"accessToken": "alice-1"}, clock=clock)
    catch_up = CatchUp("query { mail }", _mail, lambda last: {"have": [1, 2, 3, 4], "last": _key(last)})
    async with Client(link) as client:
        subscription = client.subscribe(SUBSCRIPTION, key=_hashable, catch_up=catch_up, on_gap="raise")
        async with subscription as events:
            await subscribed(stranger)
            for number in (1, 2):
                stranger.publish({"mail": number})
            assert await take(events, 2) == [{"mail": 1}, {"mail": 2}]
            await lose(stranger, link, clock)
            await come_back(stranger, clock)
            for number in (4, 5):
                stranger.publish({"mail": number})
            assert await take(events, 3) == [{"mail": 3}, {"mail": 4}, {"mail": 5}]
            assert events.state.gaps == 0
    assert stranger.operations[-1][2].variables == {"have": [1, 2, 3, 4], "last": 2}


def _hashable(event: Event) -> int:
    number = _key(event)
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("have", [[5, 6], None])
async def test_a_catch_up_query_that_does_not_reach_back_leaves_a_gap(stranger: Peer, have: list[int] | None) -> None:
    """What it brings is given, but the last event is not among it; or it fails altogether."""
    clock = FakeClock()
    link = WebSocketLink(stranger.url, connection_params={"accessToken": "alice-1"}, clock=clock)
    catch_up = CatchUp("query { mail }", _mail, {"have": have})
    async with Client(link) as client:
        subscription = client.subscribe(SUBSCRIPTION, key=_hashable, catch_up=catch_up, on_gap="yield")
        async with subscription as events:
            await subscribed(stranger)
            stranger.publish({"mail": 1})
            assert await take(events, 1) == [{"mail": 1}]
            await lose(stranger, link, clock)
            await come_back(stranger, clock)
            assert (await anext(events)).gap is not None
            if have is not None:
                assert await take(events, 2) == [{"mail": 5}, {"mail": 6}]


@pytest.mark.parametrize(
    "options",
    [
        {"on_gap": "shrug"},
        {"overflow": "explode"},
        {"buffer": 0},
        {"catch_up": CatchUp("{ mail }", _mail)},
        {"when_anonymous": "wait"},
    ],
)
async def test_options_that_cannot_be_used_are_refused_at_once(options: dict[str, object]) -> None:
    """Before anything is sent."""
    async with Client("ws://127.0.0.1:9/graphql") as client:
        with pytest.raises(BadUserInput):
            client.subscribe(SUBSCRIPTION, **options)  # type: ignore[arg-type] # that is the point


async def test_a_slow_consumer_may_lose_the_oldest_and_is_told_how_many(peer: Peer) -> None:
    """The place of those that were dropped is a gap, with their number."""
    link = WebSocketLink(peer.url, auth=Source("alice-1"), buffer=3)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, overflow="drop_oldest", on_gap="yield") as events:
        await subscribed(peer)
        for number in range(10):
            peer.publish(number)
        await until(lambda: events.state.dropped == 7)
        first = await anext(events)
        assert first.gap is not None
        assert first.gap.missed == 7
        assert await take(events, 3) == [7, 8, 9]


async def test_a_slow_consumer_may_want_the_latest_only(peer: Peer) -> None:
    """Nothing is reported: that is what was asked for."""
    latest = WebSocketLink(peer.url, auth=Source("alice-1"))
    async with Client(latest) as client, client.subscribe(SUBSCRIPTION, overflow="latest", buffer=1) as events:
        await subscribed(peer)
        for number in range(10):
            peer.publish(number)
        await until(lambda: events.state.dropped == 9)
        assert await take(events, 1) == [9]
        assert events.state.gaps == 0


async def test_a_stalled_consumer_of_many_events_harms_nobody(peer: Peer) -> None:
    """Its buffer stays what it is, and its sibling hears everything at once."""
    async with (
        Client(WebSocketLink(peer.url, auth=Source("alice-1"), buffer=100)) as client,
        client.subscribe(SUBSCRIPTION, overflow="drop_oldest") as stalled,
        client.subscribe(SUBSCRIPTION, buffer=30_000) as sibling,
        client.subscribe(SUBSCRIPTION) as failing,
    ):
        await until(lambda: len(peer.operations) == 3)
        for number in range(20_000):
            peer.publish(number)
        assert await take(sibling, 20_000) == list(range(20_000))
        assert stalled.state.dropped > 19_000
        with pytest.raises(SubscriberLagging):
            await take(failing, 101)


async def test_a_query_that_takes_too_long_is_told_to_stop(peer: Peer) -> None:
    """The caller gets a TimeoutError, and the server the end of the operation."""
    peer.script.hold_operations = True
    link = WebSocketLink(peer.url, auth=Source("alice-1"), idle_seconds=None)
    async with Client(link) as client:
        with pytest.raises(TimeoutError):
            await client.execute("query { mail }", timeout=0.05)
        await until(lambda: peer.operations and peer.sockets[0].completed == [peer.operations[0][1]])


async def test_a_mutation_that_takes_too_long_may_have_run(peer: Peer) -> None:
    """Nobody can know, and the error says what to do."""
    peer.script.hold_operations = True
    async with Client(WebSocketLink(peer.url, auth=Source("alice-1"))) as client:
        with pytest.raises(OutcomeUnknown, match="ask the server whether the change is there") as unknown:
            await client.execute("mutation Send { send }", timeout=0.2)
    assert unknown.value.reason == "no answer within 0.2 seconds"


async def test_a_mutation_that_was_never_sent_has_not_run(peer: Peer) -> None:
    """It waited for a connection that did not come."""
    peer.script.hold_init = True
    async with Client(WebSocketLink(peer.url, auth=Source("alice-1"))) as client:
        with pytest.raises(TimeoutError):
            await client.execute("mutation Send { send }", timeout=0.05)
    assert peer.operations == []
