"""Make before break: where there is no renewal by ping, a second socket takes over from the first."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION
from client.hands import FakeClock, turns, until
from client.source import Source
from gqlink.client import Client, Event, LinkPhase, LinkState, WebSocketLink
from gqlink.client.refusals import refusals_of
from gqlink.errors import BadUserInput, ConnectionClosed, OperationFailed, OutcomeUnknown, SubscriberLagging

if TYPE_CHECKING:
    from collections.abc import Hashable

    from client.peer import Peer, PeerSocket
    from gqlink.client import Subscription

LIFE = 900.0
DUE = 585.0


@pytest.fixture
def clock() -> FakeClock:
    """A clock without spread: what lasts 900 s is renewed after 585."""
    return FakeClock(chance=0.0)


def number(event: Event) -> Hashable:
    """The key of these events."""
    return event.data if isinstance(event.data, int) else None


async def live(peer: Peer, link: WebSocketLink, sockets: int = 1) -> PeerSocket:
    """Wait until the last of so many sockets carries a subscription."""
    await until(lambda: len(peer.sockets) == sockets and peer.sockets[-1].subscriptions)
    await until(lambda: link.state.phase is LinkPhase.LIVE)
    await turns()
    return peer.sockets[-1]


async def take(events: Subscription, count: int) -> list[object]:
    """Take so many events."""
    async with asyncio.timeout(5):
        return [(await anext(events)).data for _ in range(count)]


async def renewing(peer: Peer, link: WebSocketLink, clock: FakeClock) -> tuple[PeerSocket, PeerSocket]:
    """Bring a link with a subscription into the overlap; return both sockets."""
    old = await live(peer, link)
    clock.advance(DUE)
    return old, await live(peer, link, 2)


# --- The overlap -----------------------------------------------------------------------------------------------------


async def test_the_second_socket_is_acknowledged_before_the_first_one_is_closed(peer: Peer, clock: FakeClock) -> None:
    """Both carry the subscription for a second; then the first is closed with 1000, and the state tells."""
    states: list[LinkState] = []
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock, on_state=states.append)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        old, new = await renewing(peer, link, clock)
        assert len(peer.subscribers) == 2
        assert link.state.socket == 1
        clock.advance(0.9)
        await turns(50)
        assert len(peer.subscribers) == 2
        clock.advance(0.1)
        await until(lambda: peer.open == {new})
        assert (link.state.socket, link.state.renewed, link.state.subject) == (2, 1, "alice")
        assert link.state.expires_in == LIFE - 1.0  # since the ack, which is an overlap ago
    assert old.closed is not None
    assert old.closed[0] == 1000
    assert peer.tokens == ["alice-1", "alice-2"]
    assert [state.phase.value for state in states] == ["connecting", "live", "live", "closed"]


async def test_it_goes_on_from_socket_to_socket(peer: Peer, clock: FakeClock) -> None:
    """Each has its own moment; what is heard over all of them is every event, once."""
    source = Source("alice-1", *(f"alice-{n}" for n in range(2, 6)))
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        await live(peer, link)
        for sockets in range(2, 6):
            peer.publish(10 * sockets)
            clock.advance(DUE)
            await live(peer, link, sockets)
            peer.publish(10 * sockets + 1)
            await turns()
            clock.advance(1.0)
            await until(lambda: len(peer.open) == 1)
            peer.publish(10 * sockets + 2)
        assert await take(events, 12) == [10 * s + n for s in range(2, 6) for n in range(3)]
        assert link.state.renewed == 4


async def test_with_a_key_nothing_is_lost_doubled_or_reordered(peer: Peer, clock: FakeClock) -> None:
    """Whichever socket is quicker, also when a copy comes after the overlap."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        old = await live(peer, link)
        peer.publish(0)
        old, new = await renewing(peer, link, clock)
        old.publish(1)
        new.publish(1)
        new.publish(2)
        old.publish(2)
        old.publish(3)
        new.publish(4)  # the old one has not come so far
        await turns(50)
        assert await take(events, 4) == [0, 1, 2, 3]
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        old.publish(4)  # nobody hears it any more
        new.publish(3)
        new.publish(5)
        assert await take(events, 2) == [4, 5]
        clock.advance(1.0)
        new.publish(3)  # so much later it is no copy
        assert await take(events, 1) == [3]


@pytest.mark.parametrize("after", [0.0, 0.5, 1.5])
async def test_handovers_may_follow_each_other_at_once(peer: Peer, clock: FakeClock, after: float) -> None:
    """Nothing is doubled or reordered, although the keys of the first were to be forgotten in the second."""
    source = Source("alice-1", "alice-2", "alice-3")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        first, second = await renewing(peer, link, clock)
        first.publish(1)
        await turns(50)
        clock.advance(1.0)
        await until(lambda: peer.open == {second})
        await turns()
        clock.advance(after)
        await source.refresh("alice-2")
        third = await live(peer, link, 3)
        if after < 1.0:
            second.publish(1)  # a copy that comes late
            third.publish(1)
            await turns(50)
        clock.advance(0.6)
        second.publish(2)
        third.publish(2)
        third.publish(3)
        await turns(50)
        clock.advance(0.4)
        await until(lambda: peer.open == {third})
        third.publish(4)
        assert await take(events, 4) == [1, 2, 3, 4]


async def test_a_handover_that_turns_back_leaves_the_one_before_as_it_was(peer: Peer, clock: FakeClock) -> None:
    """What the first socket brought is still no news when the second brings it late."""
    source = Source("alice-1", "alice-2", "alice-3")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        first, second = await renewing(peer, link, clock)
        first.publish(1)
        await turns(50)
        clock.advance(1.0)
        await until(lambda: peer.open == {second})
        await turns()
        await source.refresh("alice-2")
        third = await live(peer, link, 3)
        third.drop()
        await until(lambda: peer.open == {second})
        second.publish(1)
        second.publish(2)
        assert await take(events, 2) == [1, 2]


async def test_without_a_key_nothing_is_lost_and_what_both_brought_comes_twice(peer: Peer, clock: FakeClock) -> None:
    """First everything that the old one brought, then everything that the new one did."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await renewing(peer, link, clock)
        peer.publish(1)
        peer.publish(2)
        assert await take(events, 2) == [1, 2]
        clock.advance(1.0)
        assert await take(events, 2) == [1, 2]


async def test_a_key_that_repeats_drops_as_many_as_were_heard(peer: Peer, clock: FakeClock) -> None:
    """Two equal events on the old socket stand for two on the new one, not for all that follow."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        old, new = await renewing(peer, link, clock)
        for _ in range(2):
            old.publish(7)
        for _ in range(3):
            new.publish(7)
        await turns(50)
        clock.advance(1.0)
        assert await take(events, 3) == [7, 7, 7]
        new.publish(8)
        assert await take(events, 1) == [8]


@pytest.mark.parametrize("broken", ["raises", "unhashable", "None"])
async def test_a_key_that_fails_costs_no_event(
    peer: Peer, clock: FakeClock, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is as if there were none."""

    def key(event: Event) -> Hashable:
        if broken == "raises":
            raise KeyError(event.data)
        return None if broken == "None" else [event.data]  # type: ignore[return-value] # that is the point

    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=key) as events:
        await renewing(peer, link, clock)
        with caplog.at_level(logging.ERROR, "gqlink.client"):
            peer.publish(1)
            assert await take(events, 1) == [1]
            await turns(50)
            clock.advance(1.0)
            assert await take(events, 1) == [1]
    assert ("it may come twice" in caplog.text) == (broken != "None")


async def test_an_overlap_may_be_none_at_all(peer: Peer, clock: FakeClock) -> None:
    """Then the new socket is heard at once."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock, overlap_seconds=0.0)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        _, new = await renewing(peer, link, clock)
        await until(lambda: peer.open == {new})
        peer.publish(1)
        assert await take(events, 1) == [1]
    with pytest.raises(BadUserInput, match="overlap_seconds"):
        WebSocketLink(peer.url, overlap_seconds=-1.0)


async def test_what_waits_is_bounded(peer: Peer, clock: FakeClock) -> None:
    """A new socket that has brought a whole buffer is heard at once; the consumer's own bound holds as ever."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock, buffer=5)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        old, new = await renewing(peer, link, clock)
        for each in range(5):
            new.publish(each)
        assert await take(events, 5) == [0, 1, 2, 3, 4]
        await until(lambda: old.completed)
        for each in range(5, 11):
            new.publish(each)
        await turns(50)
        assert await take(events, 5) == [5, 6, 7, 8, 9]
        with pytest.raises(SubscriberLagging):
            await anext(events)


async def test_what_waits_for_a_full_consumer_ends_it_as_ever(peer: Peer, clock: FakeClock) -> None:
    """`SubscriberLagging`, after what it holds; both sockets are told."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock, buffer=3)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        old, new = await renewing(peer, link, clock)
        peer.publish(1)
        peer.publish(2)
        await turns(50)
        clock.advance(1.0)
        assert await take(events, 3) == [1, 2, 1]
        with pytest.raises(SubscriberLagging):
            await anext(events)
        await until(lambda: old.completed and new.completed)


# --- A socket is lost ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["drop", "close"])
async def test_the_old_socket_may_be_lost_in_the_overlap(peer: Peer, clock: FakeClock, how: str) -> None:
    """The new one is heard at once, from where the old one ended."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        old, new = await renewing(peer, link, clock)
        peer.publish(1)
        await turns(50)
        old.drop() if how == "drop" else old.close(4403, "Token expired")
        new.publish(2)
        assert await take(events, 2) == [1, 2]
        await until(lambda: link.state.socket == 2)
    assert len(peer.sockets) == 2


async def test_the_new_socket_may_be_lost_in_the_overlap(peer: Peer, clock: FakeClock) -> None:
    """Nothing has happened; it is tried again, with the same token."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        old, new = await renewing(peer, link, clock)
        peer.publish(1)
        await turns(50)
        new.drop()
        await until(lambda: peer.open == {old})
        old.publish(2)
        assert await take(events, 2) == [1, 2]
        assert (link.state.socket, link.state.renewed) == (1, 0)
        clock.advance(0.5)
        third = await live(peer, link, 3)
        clock.advance(1.0)
        await until(lambda: peer.open == {third})
        peer.publish(3)
        assert await take(events, 1) == [3]
    assert peer.tokens == ["alice-1", "alice-2", "alice-2"]


async def test_what_began_on_a_new_socket_that_is_lost_goes_on_on_the_old_one(peer: Peer, clock: FakeClock) -> None:
    """A subscription and a query are written again; a mutation has an unknown outcome."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        old, new = await renewing(peer, link, clock)
        peer.script.hold_operations = True
        async with client.subscribe("subscription Second { a }") as second:
            query = asyncio.ensure_future(client.execute("{ a }"))
            mutation = asyncio.ensure_future(client.execute("mutation { a }"))
            await until(lambda: len(peer.operations) == 5)
            assert [socket for socket, _, _ in peer.operations] == [1, 2, 2, 2, 2]
            peer.script.hold_operations = False
            new.drop()
            with pytest.raises(OutcomeUnknown):
                await mutation
            assert await query == {"by": "alice", "variables": None}
            await until(lambda: len(old.subscriptions) == 2)
            old.publish(1)
            assert await take(second, 1) == [1]


@pytest.mark.parametrize("obstacle", ["unavailable", "no ack", "closes", "gone"])
async def test_a_second_socket_that_cannot_be_had_is_not_noticed(peer: Peer, clock: FakeClock, obstacle: str) -> None:
    """The first one stays; it is tried again until it works."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock, ack_seconds=3.0)
    states: list[LinkState] = []
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        old = await live(peer, link)
        states.append(link.state)
        peer.script.status = 503 if obstacle == "unavailable" else None
        peer.script.hold_init = obstacle == "no ack"
        peer.script.close_on_init = (1013, "Try again later") if obstacle == "closes" else None
        clock.advance(DUE)
        if obstacle == "gone":
            await until(lambda: len(peer.sockets) == 2)
            peer.sockets[1].drop()
        for attempt in (2, 3):
            await until(lambda: len(peer.offers) == attempt)  # noqa: B023 -- awaited within the turn
            if obstacle == "no ack":
                await until(lambda: len(peer.inits) == attempt)  # noqa: B023 -- awaited within the turn
                await turns()
                clock.advance(3.0)
            await asyncio.sleep(0.02)
            clock.advance(0.6)
        old.publish(1)
        assert await take(events, 1) == [1]
        assert link.state == states[0] or obstacle == "gone"
        peer.script.status, peer.script.hold_init, peer.script.close_on_init = None, False, None
        await asyncio.sleep(0.02)
        for _ in range(20):
            clock.advance(1.0)
            await turns(20)
        await until(lambda: link.state.renewed == 1)
        peer.publish(2)
        assert await take(events, 1) == [2]


async def test_a_second_socket_that_is_refused_gets_another_token_and_no_third_chance(
    peer: Peer, clock: FakeClock
) -> None:
    """Both are remembered as refused; the old one lives on to its end."""
    source = Source("alice-1", "bad-2", "bad-3", "alice-4")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        old = await live(peer, link)
        clock.advance(DUE)
        await until(lambda: len(peer.inits) == 3)
        await until(lambda: refusals_of(source).find("bad-3") is not None)
        clock.advance(100.0)
        await turns(50)
        assert peer.tokens == ["alice-1", "bad-2", "bad-3"]
        old.publish(1)
        assert await take(events, 1) == [1]
        old.close(4403, "Token expired")
        await until(lambda: peer.subscribers and peer.subscribers[0] is not old)
    assert peer.tokens == ["alice-1", "bad-2", "bad-3", "alice-4"]


# --- What is under way -----------------------------------------------------------------------------------------------


async def test_what_is_under_way_gets_its_answer_where_it_was_asked(peer: Peer, clock: FakeClock) -> None:
    """The old socket stays for it and is closed with the last answer; what is asked later goes to the new one."""
    peer.script.hold_operations = True
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        old = await live(peer, link)
        mutation = asyncio.ensure_future(client.execute("mutation { a }"))
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: len(peer.operations) == 3)
        clock.advance(DUE)
        new = await live(peer, link, 2)
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        await until(lambda: old.completed == ["1"])
        peer.script.hold_operations = False
        assert await client.execute("{ b }") == {"by": "alice", "variables": None}
        clock.advance(100.0)
        await turns(50)
        assert old in peer.open
        for identifier in ("2", "3"):
            old.connection.next(identifier, b'{"data": 1}')
            old.connection.complete(identifier)
            old.flush()
        assert [await mutation, await query] == [1, 1]
        await until(lambda: peer.open == {new})
    assert [socket for socket, _, _ in peer.operations] == [1, 1, 1, 2, 2]


async def test_a_caller_who_goes_lets_the_old_socket_go(peer: Peer, clock: FakeClock) -> None:
    """Nothing is owed to anybody any more."""
    peer.script.hold_operations = True
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await live(peer, link)
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: len(peer.operations) == 2)
        clock.advance(DUE)
        new = await live(peer, link, 2)
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        query.cancel()
        await until(lambda: peer.open == {new})


@pytest.mark.parametrize("known", [True, False])
async def test_an_answer_that_does_not_come_is_waited_for_as_long_as_the_token_lives(
    peer: Peer, clock: FakeClock, *, known: bool
) -> None:
    """Or five seconds, where nobody knows how long that is; then the query is asked again, the mutation is not."""
    peer.script.hold_operations = True
    peer.script.expires_in = LIFE if known else None
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        old = await live(peer, link)
        mutation = asyncio.ensure_future(client.execute("mutation { a }"))
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: len(peer.operations) == 3)
        if known:
            clock.advance(DUE)
        else:
            source.present = "alice-2"
            source.tell("renewed")
        new = await live(peer, link, 2)
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        peer.script.hold_operations = False
        clock.advance(LIFE - DUE - 2.0 if known else 4.9)
        await turns(50)
        assert old in peer.open
        clock.advance(1.1)
        with pytest.raises(OutcomeUnknown):
            await mutation
        assert await query == {"by": "alice", "variables": None}
        await until(lambda: peer.open == {new})


async def test_an_old_socket_that_is_lost_while_it_drains_loses_no_query(peer: Peer, clock: FakeClock) -> None:
    """It is asked again on the new one."""
    peer.script.hold_operations = True
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        old = await live(peer, link)
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: len(peer.operations) == 2)
        clock.advance(DUE)
        await live(peer, link, 2)
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        peer.script.hold_operations = False
        old.drop()
        assert await query == {"by": "alice", "variables": None}


async def test_a_new_socket_that_is_lost_lets_the_old_one_drain(peer: Peer, clock: FakeClock) -> None:
    """The mutation gets its answer over the old one while the link connects anew."""
    peer.script.hold_operations = True
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        old = await live(peer, link)
        mutation = asyncio.ensure_future(client.execute("mutation { a }"))
        await until(lambda: len(peer.operations) == 2)
        clock.advance(DUE)
        new = await live(peer, link, 2)
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        new.drop()
        await live(peer, link, 3)
        old.connection.next("2", b'{"data": 1}')
        old.connection.complete("2")
        old.flush()
        assert await mutation == 1
        await until(lambda: len(peer.open) == 1)


# --- The server ends a subscription on one of the two ----------------------------------------------------------------


async def test_what_the_old_socket_completes_is_complete(peer: Peer, clock: FakeClock) -> None:
    """It is over, after all that the old one brought; the new one is told."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock, idle_seconds=None)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        old, new = await renewing(peer, link, clock)
        peer.publish(1)
        await turns(50)
        old.finish()
        assert [event.data async for event in events] == [1]
        await until(lambda: new.completed)


async def test_what_the_new_socket_completes_is_complete_after_the_overlap(peer: Peer, clock: FakeClock) -> None:
    """The old one still has something to say."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        old, new = await renewing(peer, link, clock)
        new.publish(1)
        new.publish(2)
        new.finish()
        old.publish(1)
        await turns(50)
        clock.advance(1.0)
        assert [event.data async for event in events] == [1, 2]


async def test_what_fails_on_the_old_socket_goes_on_on_the_new_one(peer: Peer, clock: FakeClock) -> None:
    """It speaks with the newer credential, so it is the one to say."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        old, new = await renewing(peer, link, clock)
        peer.publish(1)
        await turns(50)
        old.connection.error(next(iter(old.subscriptions)), [{"message": "no"}])
        old.flush()
        new.publish(2)
        assert await take(events, 2) == [1, 2]
        clock.advance(1.0)
        await until(lambda: peer.open == {new})


async def test_what_fails_on_the_new_socket_fails_after_the_overlap(peer: Peer, clock: FakeClock) -> None:
    """Unless the new socket is lost before: then nothing was said."""
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        old, new = await renewing(peer, link, clock)
        for attempt in (2, 3):
            new.connection.error(next(iter(new.subscriptions)), [{"message": "no"}])
            new.flush()
            await turns(50)
            old.publish(attempt)
            assert await take(events, 1) == [attempt]
            if attempt == 2:
                new.drop()
                await until(lambda: peer.open == {old})
                clock.advance(0.5)
                new = await live(peer, link, 3)
        clock.advance(1.0)
        with pytest.raises(OperationFailed, match="no"):
            await anext(events)


async def test_what_fails_on_both_has_failed(peer: Peer, clock: FakeClock) -> None:
    """At once, in whichever order."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        for socket in reversed(await renewing(peer, link, clock)):
            socket.connection.error(next(iter(socket.subscriptions)), [{"message": f"no {socket.number}"}])
            socket.flush()
            await turns(50)
        with pytest.raises(OperationFailed, match="no 1"):
            await anext(events)


async def test_what_is_left_in_the_overlap_is_left_on_both(peer: Peer, clock: FakeClock) -> None:
    """The consumer goes; both servers' sockets are told, and a lazy link closes both."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client:
        async with client.subscribe(SUBSCRIPTION):
            old, new = await renewing(peer, link, clock)
        await until(lambda: not peer.open)
    assert old.completed == ["1"]
    assert new.completed == ["2"]


# --- Somebody else ---------------------------------------------------------------------------------------------------


async def test_a_logout_in_the_overlap_ends_both_and_nothing_that_waited_is_heard(peer: Peer, clock: FakeClock) -> None:
    """Neither of the two sockets speaks for the next one, and the server has seen both go."""
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe("subscription { open }") as events:
        old, new = await renewing(peer, link, clock)
        peer.publish("for alice")
        await turns(50)
        await source.become("bob-1")
        assert old not in peer.open
        assert new not in peer.open
        assert old.closed == new.closed == (4499, "Credential changed")
        await live(peer, link, 3)
        peer.publish("for bob")
        assert await take(events, 1) == ["for bob"]
        clock.advance(5.0)
        await turns(50)
        assert len(peer.open) == 1


async def test_a_second_socket_of_somebody_else_is_no_renewal_but_a_change(peer: Peer, clock: FakeClock) -> None:
    """The function gives another person's token without a word: buffers are discarded, nothing is mixed."""
    tokens = iter(["alice-1", "bob-1", "bob-1"])
    link = WebSocketLink(peer.url, auth=lambda: next(tokens, "bob-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        old = await live(peer, link)
        old.publish("for alice")
        await turns(50)
        clock.advance(DUE)
        await until(lambda: link.state.subject == "bob")
        await until(lambda: len(peer.subscribers) == 1)
        peer.publish("for bob")
        assert await take(events, 1) == ["for bob"]
    assert old.closed == (4499, "Credential changed")
    assert len(peer.operations) == 2


async def test_a_link_without_operations_changes_over_at_once(peer: Peer, clock: FakeClock) -> None:
    """There is nothing that could be lost."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock, lazy=False)
    async with Client(link):
        await until(lambda: link.state.phase is LinkPhase.LIVE)
        await turns()
        clock.advance(DUE)
        await until(lambda: link.state.socket == 2)
        await until(lambda: len(peer.open) == 1)
        assert link.state.renewed == 1


async def test_closing_in_the_overlap_leaves_nothing(peer: Peer, clock: FakeClock) -> None:
    """Both sockets go, and the subscription is told once."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    client = Client(link)
    events = client.subscribe(SUBSCRIPTION)
    async with events:
        await renewing(peer, link, clock)
        await client.aclose()
        with pytest.raises(ConnectionClosed):
            await anext(events)
    await until(lambda: not peer.open)
    assert clock.due is None


async def test_the_source_knows_the_end_where_the_server_does_not_tell(peer: Peer, clock: FakeClock) -> None:
    """Any server: no word in the ack, and the source's own seconds."""
    peer.script.additions = False
    source = Source("alice-1", "alice-2")
    source.expires_at = clock.now() + LIFE
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, key=number) as events:
        await live(peer, link)
        peer.publish(0)
        source.expires_at += DUE
        clock.advance(DUE)
        new = await live(peer, link, 2)
        source.expires_at += 500.0  # for another user of the source; the token on the socket ends as it was to
        peer.publish(1)
        await turns(50)
        clock.advance(1.0)
        await until(lambda: peer.open == {new})
        assert link.state.expires_in == LIFE - 1.0
        peer.publish(2)
        assert await take(events, 3) == [0, 1, 2]


async def test_a_server_that_calls_every_token_ended_gets_a_socket_a_second(peer: Peer, clock: FakeClock) -> None:
    """The pace is the link's, whichever socket it is on."""
    peer.script.expires_in = 0.0
    source = Source("alice-1", *(f"alice-{n}" for n in range(2, 20)))
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        for sockets in range(2, 6):
            await live(peer, link, sockets)
            await until(lambda: len(peer.open) == 1)
            clock.advance(0.9)
            await turns(50)
            assert len(peer.sockets) == sockets
            clock.advance(0.1)
