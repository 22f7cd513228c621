"""`when_anonymous="hold"`: a subscription that waits, unwritten, while nobody is logged in."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from client.source import Source
from gqlink.client import Client, HttpLink, LinkPhase, WebSocketLink, is_subscription, split
from gqlink.errors import BadUserInput, ConnectionRefused, OperationFailed

if TYPE_CHECKING:
    from client.peer import Peer

OPEN = "subscription { open }"


async def test_nothing_is_dialled_while_everything_waits_for_a_login(peer: Peer) -> None:
    """Entering returns at once; the login starts it, and returns when the socket is acknowledged."""
    source = Source(None)
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, when_anonymous="hold") as events:
        assert link.state.phase is LinkPhase.IDLE
        assert peer.offers == []
        await source.become("alice-1")
        assert link.state.subject == "alice"
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert peer.tokens == ["alice-1"]


async def test_it_rests_from_a_logout_to_the_next_login(peer: Peer) -> None:
    """Not an error: the iterator waits. What waited for Alice does not reach it as Bob's."""
    source = Source("alice-1")
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, when_anonymous="hold") as events:
        await subscribed(peer)
        peer.publish("read")
        peer.publish("for alice")
        assert (await anext(events)).data == "read"
        await source.become(None)
        assert not peer.open
        assert link.state.phase is LinkPhase.IDLE
        waiting = asyncio.ensure_future(anext(events))
        await turns(50)
        assert not waiting.done()
        await source.become("bob-1")
        await subscribed(peer)
        peer.publish("for bob")
        assert (await waiting).data == "for bob"
    assert peer.tokens == ["alice-1", "bob-1"]


async def test_what_runs_for_everybody_has_a_socket_on_which_it_is_not_written(peer: Peer) -> None:
    """The ack says that the socket speaks for nobody."""
    source = Source(None)
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
        async with client.subscribe(SUBSCRIPTION, when_anonymous="hold"):
            await turns(50)
            assert len(peer.operations) == 1
            await source.become("alice-1")
            await until(lambda: len(peer.subscribers[0].subscriptions) == 2)
            await source.become(None)
            await until(lambda: peer.subscribers and len(peer.subscribers[0].subscriptions) == 1)
    assert [request.query for _, _, request in peer.operations] == [OPEN, OPEN, SUBSCRIPTION, OPEN]


async def test_a_socket_on_which_everything_rests_is_closed(peer: Peer) -> None:
    """What ran for everybody has ended: a lazy link has no use for it."""
    source = Source(None)
    async with (
        Client(WebSocketLink(peer.url, auth=source)) as client,
        client.subscribe(SUBSCRIPTION, when_anonymous="hold"),
    ):
        async with client.subscribe(OPEN):
            await subscribed(peer)
        await until(lambda: not peer.open)
        await turns(50)
        assert len(peer.offers) == 1
        await source.become("alice-1")
        await subscribed(peer)


async def test_on_a_link_that_stays_connected_it_waits_on_the_open_socket(peer: Peer) -> None:
    """Entered while nobody is logged in, it is begun; the login brings it to the next socket."""
    source = Source(None)
    link = WebSocketLink(peer.url, auth=source, lazy=False)
    async with Client(link) as client:
        await until(lambda: link.state.phase is LinkPhase.LIVE)
        async with client.subscribe(SUBSCRIPTION, when_anonymous="hold"):
            assert peer.operations == []
            await source.become("alice-1")
            await subscribed(peer)


async def test_a_bare_function_is_followed_when_it_is_said(peer: Peer) -> None:
    """`credentials_changed()`, with and without a token source."""
    token: list[str | None] = [None]
    links = [
        WebSocketLink(peer.url, auth=lambda: token[0]),
        WebSocketLink(peer.url, connection_params=lambda: {"accessToken": token[0]}),
    ]
    for link in links:
        token[0] = None
        dialled = len(peer.offers)
        async with Client(link) as client, client.subscribe(SUBSCRIPTION, when_anonymous="hold") as events:
            assert len(peer.offers) == dialled
            token[0] = "alice-1"
            await client.credentials_changed()
            await subscribed(peer)
            peer.publish(1)
            assert (await anext(events)).data == 1


async def test_where_nothing_says_who_speaks_the_ack_does(peer: Peer) -> None:
    """No known name in the payload: the server is asked once, and not again before something changes."""
    said: dict[str, object] = {"locale": "en"}
    link = WebSocketLink(peer.url, connection_params=lambda: said)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, when_anonymous="hold"):
        await until(lambda: link.state.phase is LinkPhase.IDLE and not peer.open)
        await turns(50)
        assert len(peer.offers) == 1
        assert peer.operations == []
        said["accessToken"] = "alice-1"
        await client.credentials_changed()
        await subscribed(peer)


async def test_a_server_that_tells_nothing_is_believed_to_speak_for_a_token(peer: Peer) -> None:
    """Without the addition in the ack, the source decides."""
    peer.script.additions = False
    source = Source(None)
    async with (
        Client(WebSocketLink(peer.url, auth=source)) as client,
        client.subscribe(OPEN),
        client.subscribe(SUBSCRIPTION, when_anonymous="hold"),
    ):
        await turns(50)
        assert len(peer.operations) == 1
        await source.become("alice-1")
        await until(lambda: peer.subscribers and len(peer.subscribers[0].subscriptions) == 2)


async def test_it_goes_on_after_a_lost_connection(peer: Peer) -> None:
    """Like any other subscription."""
    link = WebSocketLink(peer.url, auth=Source("alice-1"), clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, when_anonymous="hold"):
        await subscribed(peer)
        peer.sockets[0].drop()
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)


async def test_a_refused_credential_is_an_error_for_it_too(peer: Peer) -> None:
    """Somebody is logged in, and the server does not believe it."""
    async with Client(WebSocketLink(peer.url, auth=Source("bad-1"))) as client:
        with pytest.raises(ConnectionRefused, match="Token invalid"):
            await anext(client.subscribe(SUBSCRIPTION, when_anonymous="hold"))


async def test_it_may_be_left_while_it_waits(peer: Peer) -> None:
    """Then a login starts nothing."""
    source = Source(None)
    async with Client(WebSocketLink(peer.url, auth=source)) as client:
        async with client.subscribe(SUBSCRIPTION, when_anonymous="hold"):
            pass
        await source.become("alice-1")
        await turns(50)
    assert peer.offers == []


async def test_run_asks_the_server_whoever_is_logged_in(peer: Peer) -> None:
    """The default: the server's refusal is the subscription's."""
    async with Client(WebSocketLink(peer.url, auth=Source(None))) as client:
        for subscription in (client.subscribe(SUBSCRIPTION), client.subscribe(SUBSCRIPTION, when_anonymous="run")):
            with pytest.raises(OperationFailed):
                await anext(subscription)


async def test_any_other_word_is_refused() -> None:
    """Before anything is done; and a split hands the word on."""
    client = Client(split(is_subscription, WebSocketLink("ws://a.invalid"), HttpLink("http://a.invalid")))
    with pytest.raises(BadUserInput, match="when_anonymous"):
        client.subscribe(SUBSCRIPTION, when_anonymous="wait")  # type: ignore[arg-type] # that is the point
    await client.aclose()


@pytest.mark.parametrize("idle_seconds", [0.0, 30.0])
async def test_where_only_the_ack_says_that_nobody_speaks_the_server_is_asked_once(
    peer: Peer, idle_seconds: float
) -> None:
    """Also if what is presented differs each time; until a change, or somebody else who needs a connection."""
    clock, numbers, said = FakeClock(chance=0.0), count(), dict[str, object]()
    link = WebSocketLink(
        peer.url, connection_params=lambda: {"requestId": next(numbers), **said}, idle_seconds=idle_seconds, clock=clock
    )
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, when_anonymous="hold") as events:
        for dialled in (1, 2):
            await until(lambda: link.state.phase is LinkPhase.LIVE or not idle_seconds)
            await turns()
            clock.advance(idle_seconds)
            await until(lambda: link.state.phase is LinkPhase.IDLE and not peer.open)
            await turns(100)
            assert len(peer.offers) == dialled
            if dialled == 1:
                assert await client.execute("{ open }") == {"by": None, "variables": None}
        said["accessToken"] = "alice-1"
        await client.credentials_changed()
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert len(peer.offers) == 3
