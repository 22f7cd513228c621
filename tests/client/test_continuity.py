"""What a subscriber hears in the rarer moments: everything once and in order, for one person, or a gap is reported."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from client.chat import subscribed
from client.hands import FakeClock, turns, until
from client.peer import Peer, Script
from client.source import Source
from gqlink.client import CatchUp, Client, Event, Gap, LinkPhase, SubscribeOptions, Subscription, WebSocketLink
from gqlink.client.continuity import Continuity
from gqlink.client.event_queue import EventQueue
from gqlink.errors import ContinuityLost
from gqlink.protocol import EventPosition

SUBSCRIPTION = "subscription { mail }"
# The servers' tokens end after 900 seconds: by then a renewal is due.
RENEWAL_SECONDS = 700.0
OVERLAP_SECONDS = 1.0


@pytest.fixture
async def cursors(subprotocol: str) -> AsyncIterator[Peer]:
    """Run a server that gives cursors."""
    async with Peer(Script(speaks=(subprotocol,), cursors=True)) as peer:
        yield peer


async def lose(peer: Peer, link: WebSocketLink) -> None:
    """Break the connection, and wait until the link knows."""
    for socket in list(peer.open):
        socket.drop()
    await until(lambda: link.state.phase is LinkPhase.WAITING)


async def come_back(peer: Peer, clock: FakeClock, *, asked: int = 2) -> None:
    """Let the time pass until the link has another connection, and the subscription was asked for again."""
    clock.advance(60.0)
    await until(lambda: len(peer.operations) >= asked)


async def renew(peer: Peer, clock: FakeClock, *, asked: int = 2) -> None:
    """Let a renewal come, with a second socket on which the subscription is asked for as well."""
    clock.advance(RENEWAL_SECONDS)
    await until(lambda: len(peer.operations) >= asked)


async def arrive(link: WebSocketLink, clock: FakeClock, *, socket: int = 2) -> None:
    """Let the overlap pass."""
    clock.advance(OVERLAP_SECONDS)
    await until(lambda: link.state.socket == socket)


async def take(events: Subscription, number: int) -> list[object]:
    """Take the data of the next events."""
    async with asyncio.timeout(2.0):
        return [(await anext(events)).data for _ in range(number)]


async def take_all(events: Subscription) -> list[object]:
    """Take the data of all events that come soon; a gap stands for itself."""
    found = list[object]()
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.2):
                event = await anext(events)
            found.append("gap" if event.gap is not None else event.data)
    return found


def _mail(answer: object) -> list[object]:
    assert isinstance(answer, dict)
    return [{"mail": each} for each in answer["variables"]["have"]]


def _number(event: Event) -> int:
    assert isinstance(event.data, dict)
    assert isinstance(event.data["mail"], int)
    return event.data["mail"]


def mails(*numbers: int) -> list[object]:
    """Return the data of events."""
    return [{"mail": number} for number in numbers]


@pytest.mark.parametrize("additions", [True, False])
async def test_a_renewal_by_a_second_socket_is_no_gap_where_nothing_is_said_meanwhile(
    peer: Peer, *, additions: bool
) -> None:
    """A source without cursors: the old socket was heard until the new one was, so nothing can be missing."""
    peer.script.additions = additions
    source, clock = Source("alice-1", "alice-2"), FakeClock()
    source.expires_at = clock.now() + 900.0
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        await subscribed(peer)
        peer.publish(1)
        assert await take(events, 1) == [1]
        await renew(peer, clock)
        await turns()
        await arrive(link, clock)
        peer.publish(2)
        assert await take_all(events) == [2]


async def test_what_was_caught_up_with_is_not_another_persons(subprotocol: str) -> None:
    """After a change of persons was followed, nothing of the person before comes, wherever it waited."""
    async with Peer(Script(speaks=(subprotocol,), additions=False)) as peer:
        source, clock = Source("alice-1"), FakeClock()
        link = WebSocketLink(peer.url, auth=source, clock=clock)
        catch_up = CatchUp("query { mail }", _mail, {"have": [1, 2, 3]})
        async with (
            Client(link) as client,
            client.subscribe(SUBSCRIPTION, key=_number, catch_up=catch_up, on_gap="yield") as events,
        ):
            await subscribed(peer)
            peer.publish({"mail": 1})
            assert await take(events, 1) == mails(1)
            await lose(peer, link)
            await come_back(peer, clock)
            assert await take(events, 1) == mails(2)
            await source.become("bob-1")
            await until(lambda: peer.operations[-1][0] == 3)
            peer.publish({"mail": 7})
            assert {"mail": 3} not in await take_all(events)


async def test_what_another_person_has_had_is_news(subprotocol: str) -> None:
    """The keys of Alice's events say nothing of Bob's, who may have some that are equal."""
    async with Peer(Script(speaks=(subprotocol,))) as peer:
        source, clock = Source("alice-1"), FakeClock()
        link = WebSocketLink(peer.url, auth=source, clock=clock)
        catch_up = CatchUp("query { mail }", _mail, {"have": [1]})
        async with (
            Client(link) as client,
            client.subscribe(SUBSCRIPTION, key=_number, catch_up=catch_up) as events,
        ):
            await subscribed(peer)
            peer.publish({"mail": 1})
            assert await take(events, 1) == mails(1)
            await source.become("bob-1")
            await until(lambda: peer.subscribers and peer.subscribers[-1].subject == "bob")
            for number in (1, 2):
                peer.publish({"mail": number})
            assert await take(events, 2) == mails(1, 2)


async def test_a_gap_outlives_a_new_token_of_the_same_person(cursors: Peer) -> None:
    """What waits is discarded, and asked for again; that something is missing before it must not be forgotten."""
    source, clock = Source("alice-1"), FakeClock()
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        cursors.publish(1)
        assert await take(events, 1) == [1]
        await lose(cursors, link)
        cursors.forget()
        cursors.publish("missed")
        await come_back(cursors, clock)
        await until(lambda: events.state.cursor == "aa1")
        await lose(cursors, link)
        await source.become("alice-2")
        await come_back(cursors, clock, asked=3)
        cursors.publish(2)
        assert await take_all(events) == ["gap", 2]


async def test_a_second_socket_that_cannot_go_on_from_there_leaves_a_gap(cursors: Peer) -> None:
    """The server was replaced: its old process hears nothing more, and the new one says that it does not know."""
    source, clock = Source("alice-1", "alice-2"), FakeClock()
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        cursors.publish(1)
        assert await take(events, 1) == [1]
        cursors.forget()
        cursors.log.append("said to the new process only")
        await renew(cursors, clock)
        await turns()
        await arrive(link, clock)
        cursors.publish(2)
        assert await take_all(events) == ["gap", 2]


async def test_what_is_owed_after_a_loss_is_owed_after_a_renewal(cursors: Peer) -> None:
    """The subscription was asked for again and had not answered when a second socket came; that one says it is lost."""
    source, clock = Source("alice-1", "alice-2"), FakeClock()
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        cursors.publish(1)
        assert await take(events, 1) == [1]
        await lose(cursors, link)
        cursors.forget()
        cursors.publish("missed")
        cursors.script.hold_live = True
        await come_back(cursors, clock)
        cursors.script.hold_live = False
        await until(lambda: link.state.phase is LinkPhase.LIVE)
        await renew(cursors, clock, asked=3)
        await turns()
        await arrive(link, clock, socket=3)
        cursors.publish(2)
        assert await take_all(events) == ["gap", 2]


async def test_a_second_socket_that_is_late_brings_nothing_twice(cursors: Peer) -> None:
    """It is live long after the overlap, and begins where it was asked to: before what the old one has brought."""
    source, clock = Source("alice-1", "alice-2"), FakeClock()
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        cursors.publish(1)
        assert await take(events, 1) == [1]
        cursors.script.hold_live = True
        await renew(cursors, clock)
        cursors.publish(2)
        assert await take(events, 1) == [2]
        await arrive(link, clock)
        clock.advance(OVERLAP_SECONDS)
        _, identifier, request = cursors.operations[-1]
        cursors.sockets[-1].go_live(identifier, request)
        cursors.publish(3)
        assert await take_all(events) == [3]


async def test_a_second_socket_that_is_live_first_keeps_the_order(cursors: Peer) -> None:
    """The first one had not answered yet: what the second one has brought before was said before."""
    cursors.script.hold_live = True
    source, clock = Source("alice-1", "alice-2"), FakeClock()
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="yield") as events:
        await renew(cursors, clock)
        first, second = cursors.operations
        cursors.sockets[1].go_live(*second[1:])
        cursors.publish(1)
        await turns(100)
        if first[1] not in cursors.sockets[0].completed:
            cursors.sockets[0].go_live(*first[1:])
        cursors.publish(2)
        await turns(100)
        await arrive(link, clock)
        cursors.publish(3)
        found = await take_all(events)
        assert found == sorted(found, key=str)
        assert found[-2:] == [2, 3]


async def test_a_cursor_that_the_application_kept_waits_for_the_login(cursors: Peer) -> None:
    """Nothing was heard before it, so there is nothing to forget."""
    for number in (1, 2, 3):
        cursors.publish(number)
    source = Source(None)
    async with (
        Client(WebSocketLink(cursors.url, auth=source)) as client,
        client.subscribe(SUBSCRIPTION, after="a1", when_anonymous="hold", on_gap="yield") as events,
    ):
        await source.become("alice-1")
        await subscribed(cursors)
        assert await take_all(events) == [2, 3]


async def test_a_gap_that_a_query_did_not_close_is_open_after_a_cancellation(subprotocol: str) -> None:
    """A consumer with a timeout comes to it again: what the query brought does not prove that nothing is missing."""
    told, entered = list[Gap](), asyncio.Event()

    async def hang_once(gap: Gap) -> None:
        told.append(gap)
        entered.set()
        if len(told) == 1:
            await asyncio.Event().wait()

    async with Peer(Script(speaks=(subprotocol,), additions=False)) as peer:
        clock = FakeClock()
        link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}, clock=clock)
        catch_up = CatchUp("query { mail }", _mail, {"have": [5, 6]})
        async with (
            Client(link) as client,
            client.subscribe(SUBSCRIPTION, key=_number, catch_up=catch_up, on_gap=hang_once) as events,
        ):
            await subscribed(peer)
            peer.publish({"mail": 1})
            assert await take(events, 1) == mails(1)
            await lose(peer, link)
            await come_back(peer, clock)
            first = asyncio.ensure_future(anext(events))
            await entered.wait()
            first.cancel()
            await asyncio.wait([first])
            assert await take(events, 2) == mails(5, 6)
            peer.publish({"mail": 7})
            assert await take(events, 1) == mails(7)
            assert (len(told), events.state.gaps) == (2, 1)


async def test_what_a_query_brought_comes_before_what_follows_also_behind_a_gap(subprotocol: str) -> None:
    """The gap is logged, and then come the events in their order; nobody waits for the next one to be said."""
    async with Peer(Script(speaks=(subprotocol,), additions=False)) as peer:
        clock = FakeClock()
        link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}, clock=clock)
        catch_up = CatchUp("query { mail }", _mail, {"have": [5, 6]})
        async with (
            Client(link) as client,
            client.subscribe(SUBSCRIPTION, key=_number, catch_up=catch_up) as events,
        ):
            await subscribed(peer)
            peer.publish({"mail": 1})
            assert await take(events, 1) == mails(1)
            await lose(peer, link)
            await come_back(peer, clock)
            await subscribed(peer)
            peer.publish({"mail": 7})
            assert await take(events, 3) == mails(5, 6, 7)


async def test_whoever_wants_the_latest_only_is_told_of_a_gap(cursors: Peer) -> None:
    """What is dropped is what was asked to be dropped; that the server has lost something is not."""
    clock = FakeClock()
    link = WebSocketLink(cursors.url, auth=Source("alice-1"), clock=clock)
    async with (
        Client(link) as client,
        client.subscribe(SUBSCRIPTION, overflow="latest", buffer=1, on_gap="raise") as events,
    ):
        cursors.publish(1)
        assert await take(events, 1) == [1]
        await lose(cursors, link)
        cursors.forget()
        await come_back(cursors, clock)
        cursors.publish(2)
        await until(lambda: events.state.cursor == "aa1")
        with pytest.raises(ContinuityLost):
            await take(events, 1)


async def test_renewals_do_not_storm_a_server_that_takes_no_second_socket(subprotocol: str) -> None:
    """Sockets that fail count the same, whatever they are for."""
    async with Peer(Script(speaks=(subprotocol,), expires_in=120.0)) as peer:
        source, clock = Source("alice-1", "alice-2"), FakeClock()
        link = WebSocketLink(peer.url, auth=source, clock=clock)
        async with Client(link) as client, client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
            peer.script.status = 503
            moments = list[float]()
            for _ in range(1200):
                clock.advance(0.1)
                before = len(peer.offers)
                await turns(60)
                moments += [clock.now()] * (len(peer.offers) - before)
            worst = max((sum(at <= each < at + 60.0 for each in moments) for at in moments), default=0)
            assert worst <= 8


async def test_operations_that_give_up_do_not_storm(peer: Peer) -> None:
    """A caller that tries again and again with a timeout opens no more sockets than one that waits."""
    peer.script.status = 503
    clock = FakeClock()
    async with Client(WebSocketLink(peer.url, auth=Source("alice-1"), clock=clock)) as client:
        for _ in range(20):
            with suppress(TimeoutError):
                await client.execute("query { mail }", timeout=0.05)
            await asyncio.sleep(0.003)  # the link notices that nobody waits any more
    assert len(peer.offers) <= 8


async def test_nothing_comes_after_the_end_of_a_subscription(cursors: Peer) -> None:
    """Also not what a second socket has brought early."""
    source, clock = Source("alice-1", "alice-2"), FakeClock()
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        events = client.subscribe(SUBSCRIPTION)
        async with events:
            await until(lambda: len(cursors.operations) == 2)
            await renew(cursors, clock, asked=4)
            await turns(100)
            cursors.log.append(1)
            cursors.sockets[1].publish(1)  # the old socket is slow
            await turns(100)
        await arrive(link, clock)
        with pytest.raises(StopAsyncIteration):
            await take(events, 1)


async def test_a_subscription_with_a_small_buffer_does_not_lag_because_of_a_handover(cursors: Peer) -> None:
    """What the second socket brings while the first one is silent is no more than its consumer could have taken."""
    source, clock = Source("alice-1", "alice-2"), FakeClock()
    link = WebSocketLink(cursors.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, buffer=3, on_gap="yield") as events:
        await renew(cursors, clock)
        taking = asyncio.ensure_future(take(events, 5))
        for number in range(5):
            cursors.log.append(number)
            cursors.sockets[1].publish(number)
            await turns(100)
        await arrive(link, clock)
        assert await taking == [0, 1, 2, 3, 4]


async def test_no_variables_are_made_from_another_persons_event(subprotocol: str) -> None:
    """Also where the server that Bob meets does not say for whom it takes him."""
    async with Peer(Script(speaks=(subprotocol,))) as peer:
        source = Source("alice-1")
        link = WebSocketLink(peer.url, auth=source)
        async with (
            Client(link) as client,
            client.subscribe(SUBSCRIPTION, resume=lambda last: {"after": last.data}) as events,
        ):
            await subscribed(peer)
            peer.publish("secret")
            assert await take(events, 1) == ["secret"]
            peer.script.additions = False
            await source.become("bob-1")
            await until(lambda: len(peer.operations) == 2)
        assert peer.operations[1][2].variables is None


async def test_a_live_frame_that_comes_late_takes_nothing_back() -> None:
    """It says from where a socket was asked to go on; another one has brought more since, which must not come again."""
    queue = EventQueue("mail", bound=2)
    continuity = Continuity("mail", SubscribeOptions(), queue=queue, clock=FakeClock(), on_gap=lambda: None)
    continuity.cursor = "a3"
    continuity.live(EventPosition("a1", recovered=True))
    assert continuity.cursor == "a3"
    continuity.live(EventPosition("b7", recovered=False))
    assert continuity.cursor == "b7"
