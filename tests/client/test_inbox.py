"""What comes faster than the loop goes round: nobody waits for it, nobody who is there overflows, nothing is lost."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from client.chat import subscribed
from client.hands import FakeClock, until
from gqlink.client import Client, SocketFrame, WebSocketLink
from gqlink.errors import SubscriberLagging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.peer import Peer

OPEN = "subscription { open }"
MANY = 5000


def burst(peer: Peer, numbers: Sequence[int], *, then: bytes = b"") -> None:
    """Write events to the first operation of the newest socket, all at once."""
    write(peer, [("1", {"data": number}) for number in numbers], then=then)


def write(peer: Peer, results: Sequence[tuple[str, dict[str, object]]], *, then: bytes = b"") -> None:
    """Write results of whatever operations to the newest socket, all at once."""
    transport = peer.sockets[-1].transport
    assert transport is not None
    word = "data" if peer.script.speaks == ("graphql-ws",) else "next"
    texts = [json.dumps({"id": each, "type": word, "payload": payload}).encode() for each, payload in results]
    transport.underlying_transport.write(b"".join(bytes((0x81, len(text))) + text for text in texts) + then)


async def test_a_burst_beyond_the_buffer_reaches_a_consumer_that_is_there(peer: Peer) -> None:
    """A buffer is for those who lag; whoever takes each event as it comes gets them all, in order."""
    async with Client(WebSocketLink(peer.url, buffer=100)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        burst(peer, range(MANY))
        assert [(await anext(events)).data for _ in range(MANY)] == list(range(MANY))


async def test_a_burst_for_several_consumers_reaches_each_in_order(peer: Peer) -> None:
    """Results of several operations come mixed, some with errors or extensions, some of what nobody asked for."""
    link = WebSocketLink(peer.url, buffer=MANY)
    async with Client(link) as client, client.subscribe(OPEN) as one, client.subscribe(OPEN) as other:
        await until(lambda: bool(peer.sockets) and len(peer.sockets[-1].subscriptions) == 2)
        odd: list[dict[str, object]] = [{"errors": [{"message": "no"}]}, {"extensions": {"a": 1}}, {"errors": []}]
        results: list[tuple[str, dict[str, object]]] = [
            (str(1 + number // 3 % 3), {"data": number} | (odd[number % 3] if number % 7 == 0 else {}))
            for number in range(900)
        ]
        write(peer, results)
        for identifier, events in (("1", one), ("2", other)):
            wanted = [payload for each, payload in results if each == identifier]
            found = [await anext(events) for _ in wanted]
            assert [each.data for each in found] == [payload["data"] for payload in wanted]
            assert [each.errors for each in found] == [payload.get("errors") or () for payload in wanted]
            assert [each.extensions for each in found] == [payload.get("extensions") or {} for payload in wanted]


async def test_a_burst_fills_a_buffer_and_no_more(peer: Peer) -> None:
    """Who does not take anything meanwhile has as many events as were bounded, and the error after them."""
    async with Client(WebSocketLink(peer.url, buffer=10)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        burst(peer, range(11))
        await until(lambda: bool(peer.sockets[-1].completed))
        assert [(await anext(events)).data for _ in range(10)] == list(range(10))
        with pytest.raises(SubscriberLagging):
            await anext(events)


async def test_others_have_their_turn_during_a_burst(peer: Peer) -> None:
    """Another task runs many times until all of it is there, whether or not anybody consumes it."""
    seen: list[SocketFrame] = []
    link = WebSocketLink(peer.url, buffer=MANY, on_frame=seen.append)
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
        burst(peer, range(MANY))
        steps = [0]
        while steps[-1] < MANY:
            await asyncio.sleep(0)
            steps.append(sum(frame.type in {"next", "data"} for frame in seen))
        assert max(later - earlier for earlier, later in pairwise(steps)) <= 100


async def test_what_came_before_the_end_is_there_before_the_end(peer: Peer) -> None:
    """A close frame and a lost line come after the events that came before them; then the link dials again."""
    for then in (b"", b"\x88\x02\x03\xf4"):
        clock = FakeClock(chance=0.0)
        async with Client(WebSocketLink(peer.url, clock=clock)) as client, client.subscribe(OPEN) as events:
            await until(lambda: bool(peer.sockets and peer.sockets[-1].subscriptions))
            first = peer.sockets[-1]
            burst(peer, range(500), then=then)
            assert first.transport is not None
            first.transport.disconnect()
            assert [(await anext(events)).data for _ in range(500)] == list(range(500))
            await until(lambda: peer.sockets[-1] is not first)  # noqa: B023 -- awaited within the turn


async def test_a_link_can_be_closed_in_a_burst(peer: Peer) -> None:
    """What waits then reaches nobody, and keeps nobody waiting."""
    link = WebSocketLink(peer.url, buffer=MANY)
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        burst(peer, range(MANY))
        assert (await anext(events)).data == 0
    assert await anext(events, None) is None
    await until(lambda: not peer.open)
