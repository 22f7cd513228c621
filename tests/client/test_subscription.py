"""What a subscriber holds: bounded, in order, and ended on the server when it is let go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import subscribed
from client.hands import turns, until
from gqlink.client import Client, Event, WebSocketLink
from gqlink.client.event_queue import EventQueue
from gqlink.errors import ConnectionLost, OperationFailed, SubscriberLagging
from gqlink.protocol import ExecutionResult

if TYPE_CHECKING:
    from client.peer import Peer

OPEN = "subscription { open }"


async def test_a_consumer_that_lags_is_ended_with_a_typed_error_after_what_it_holds(peer: Peer) -> None:
    """Memory stays bounded, the server is told to stop, and a sibling never notices."""
    link = WebSocketLink(peer.url, buffer=5)
    async with (
        Client(link) as client,
        client.subscribe("subscription Slow { open }") as slow,
        client.subscribe(OPEN) as quick,
    ):
        await until(lambda: peer.sockets and len(peer.sockets[0].subscriptions) == 2)
        for number in range(20):
            peer.publish(number)
            assert (await anext(quick)).data == number
        assert [(await anext(slow)).data for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(SubscriberLagging, match="Slow") as lagging:
            await anext(slow)
        assert lagging.value.buffered == 5
        with pytest.raises(StopAsyncIteration):
            await anext(slow)
        await until(lambda: peer.sockets[0].completed == ["1"])


async def test_an_event_with_errors_is_an_event(peer: Peer) -> None:
    """Errors and extensions come with it, and the subscription goes on."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        identifier = next(iter(peer.sockets[0].subscriptions))
        kind = "data" if peer.script.speaks == ("graphql-ws",) else "next"
        payload = {"data": None, "errors": [{"message": "no"}], "extensions": {"x": 1}}
        peer.sockets[0].raw({"id": identifier, "type": kind, "payload": payload})
        peer.publish(2)
        first, second = await anext(events), await anext(events)
    assert (first.data, first.errors, first.extensions, first.cursor) == (None, [{"message": "no"}], {"x": 1}, None)
    assert second == Event(2)


async def test_leaving_the_block_tells_the_server(peer: Peer) -> None:
    """With `complete` or `stop`, while the events that waited are forgotten."""
    async with Client(WebSocketLink(peer.url, idle_seconds=None)) as client:
        async with client.subscribe(OPEN) as events:
            await subscribed(peer)
        await until(lambda: peer.sockets[0].completed == ["1"])
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        await events.aclose()


async def test_breaking_out_of_a_bare_loop_tells_the_server(peer: Peer) -> None:
    """Nothing refers to the subscription any more, so it ends."""
    async with Client(WebSocketLink(peer.url)) as client:
        publishing = asyncio.ensure_future(subscribed(peer))
        publishing.add_done_callback(lambda _: peer.publish(1))
        async for event in client.subscribe(OPEN):
            assert event.data == 1
            break
        await until(lambda: not peer.open)
        assert peer.sockets[0].completed == ["1"]


async def test_a_consumer_that_is_cancelled_loses_nothing(peer: Peer) -> None:
    """An event that comes while nobody waits is there for the next one who does."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        waiting = asyncio.ensure_future(anext(events))
        await turns()
        waiting.cancel()
        peer.publish(1)
        await turns()
        assert (await anext(events)).data == 1


async def test_a_subscription_that_the_server_ends_is_over(peer: Peer) -> None:
    """After its last event; the server is not told what it has said."""
    async with Client(WebSocketLink(peer.url, idle_seconds=None)) as client:
        subscription = client.subscribe(OPEN)
        async with subscription as events:
            await subscribed(peer)
            peer.publish(1)
            peer.sockets[0].finish()
            assert [event.data async for event in events] == [1]
        await turns()
        assert peer.sockets[0].completed == []
        async with subscription:
            assert [event.data async for event in subscription] == []


async def test_a_refused_subscription_raises_from_the_iterator(peer: Peer) -> None:
    """Entering it does not raise, so that one place handles all endings."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe("subscription { secret }") as events:
        with pytest.raises(OperationFailed) as refused:
            await anext(events)
    assert refused.value.codes == ("UNAUTHENTICATED",)


async def test_entering_waits_until_the_server_was_asked(peer: Peer) -> None:
    """What the caller does next comes after it."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN):
        assert (await asyncio.wait_for(_first_text(peer, 2), 2)).count("open") == 1


async def test_entering_that_is_cancelled_ends_it(peer: Peer) -> None:
    """The operation does not stay behind without an owner."""
    peer.script.hold_init = True
    link = WebSocketLink(peer.url)
    async with Client(link) as client:
        entering = asyncio.ensure_future(client.subscribe(OPEN).__aenter__())
        await until(lambda: peer.inits)
        entering.cancel()
        peer.script.hold_init = False
        peer.sockets[0].admit()
        await until(lambda: not peer.open)
    assert peer.operations == []


def test_the_first_ending_counts() -> None:
    """A loss after the end is no loss."""

    async def play() -> None:
        queue = EventQueue("x", bound=2)
        assert queue.put(ExecutionResult(1))
        queue.finish()
        queue.finish(ConnectionLost(1006))
        assert await queue.get() == ExecutionResult(1)
        with pytest.raises(StopAsyncIteration):
            await queue.get()

    asyncio.run(play())


async def _first_text(peer: Peer, count: int) -> str:
    await until(lambda: len(peer.texts) >= count)
    return peer.texts[count - 1]
