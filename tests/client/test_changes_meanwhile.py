"""A change of the credential while something else happens: a loss, a renewal, another change, a slow answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from gqlink.client import AccessToken, Client, WebSocketLink
from gqlink.errors import AuthUnavailable, OutcomeUnknown

if TYPE_CHECKING:
    from client.peer import Peer


class Slow:
    """A token function that answers when it may."""

    def __init__(self, token: str | None = "alice-1") -> None:
        self.token = token
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def __call__(self) -> AccessToken | None:
        """Say what holds once the gate is open."""
        self.asked += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return None if self.token is None else AccessToken(self.token, expires_in=900.0)


@pytest.mark.parametrize("end", [None, (4403, "Token expired"), (1012, "Service restart")])
@pytest.mark.parametrize("failure", [None, AuthUnavailable("down")])
async def test_a_socket_that_ends_while_a_change_is_asked_for_leaves_nothing_behind(
    peer: Peer, end: tuple[int, str] | None, failure: Exception | None
) -> None:
    """The subscription goes on over the next one, and the mutation has an unknown outcome."""
    peer.script.hold_operations = True
    clock, auth = FakeClock(chance=0.0), Slow()
    async with (
        Client(WebSocketLink(peer.url, auth=auth, clock=clock)) as client,
        client.subscribe(SUBSCRIPTION) as events,
    ):
        await subscribed(peer)
        mutation = asyncio.ensure_future(client.execute("mutation { a }"))
        await until(lambda: len(peer.operations) == 2)
        auth.gate.clear()
        change = asyncio.ensure_future(client.credentials_changed())
        await until(lambda: auth.asked == 2)
        auth.token, auth.failure = "alice-2", failure
        if end is None:
            peer.sockets[0].drop()
        else:
            peer.sockets[0].close(*end)
        await until(lambda: not peer.open)
        await turns(50)
        auth.gate.set()
        await change
        auth.failure = None
        clock.advance(30.0)
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
        with pytest.raises(OutcomeUnknown):
            await mutation
    assert peer.tokens == ["alice-1", "alice-2"]


@pytest.mark.parametrize("renewal", ["ping", "dial", "overlap"])
async def test_a_renewal_that_already_holds_the_next_token_does_not_follow_a_change(peer: Peer, renewal: str) -> None:
    """Only the socket itself counts: until the server has said so, a renewal has renewed nothing."""
    peer.script.renewal, peer.script.outcomes = ("ping", [None]) if renewal == "ping" else (None, [])
    peer.script.additions = renewal != "overlap"
    clock, auth = FakeClock(chance=0.0), Slow()
    async with (
        Client(WebSocketLink(peer.url, auth=auth, clock=clock)) as client,
        client.subscribe(SUBSCRIPTION) as events,
    ):
        await subscribed(peer)
        await turns()
        renewing = auth.gate = asyncio.Event()
        clock.advance(585.0)
        await until(lambda: auth.asked == 2)
        auth.gate, auth.token = asyncio.Event(), "bob-1"
        change = asyncio.ensure_future(client.credentials_changed())
        await until(lambda: auth.asked == 3)
        peer.script.hold_init = renewal == "dial"
        old = peer.sockets[0]
        renewing.set()
        by_ping = renewal == "ping" and old.connection.dialect.subprotocol == "graphql-transport-ws"
        await until(lambda: old.renewals if by_ping else len(peer.inits) == 2)
        if renewal == "overlap":
            await subscribed(peer, 2)
        peer.script.hold_init = False
        auth.gate.set()
        await change
        assert old not in peer.open
        assert peer.open == {peer.sockets[-1]}
        await subscribed(peer)
        old.publish("for alice")
        peer.publish("for bob")
        assert (await anext(events)).data == "for bob"
    assert peer.tokens[-1] == "bob-1"


@pytest.mark.parametrize("lost", [False, True])
async def test_what_waited_before_a_renewal_unsaid_is_discarded_at_the_change(peer: Peer, lost: bool) -> None:  # noqa: FBT001
    """No server says for whom a socket speaks, and the function gave Bob's token before anybody said so."""
    peer.script.additions = False
    clock, auth = FakeClock(chance=0.0), Slow()
    async with (
        Client(WebSocketLink(peer.url, auth=auth, clock=clock)) as client,
        client.subscribe(SUBSCRIPTION) as events,
    ):
        await subscribed(peer)
        await turns()
        peer.publish("read")
        peer.publish("for alice")
        assert (await anext(events)).data == "read"
        auth.token = "bob-1"
        clock.advance(585.0)
        await subscribed(peer, 2)
        await turns()
        clock.advance(1.0)
        await subscribed(peer)
        if lost:
            auth.gate.clear()
            peer.sockets[1].drop()
            await until(lambda: not peer.open)
            await turns(50)
            clock.advance(2.0)
            await until(lambda: auth.asked == 3)
        change = asyncio.ensure_future(client.credentials_changed())
        await turns()
        auth.gate.set()
        await change
        await subscribed(peer)
        peer.publish("for bob")
        assert (await anext(events)).data == "for bob"


async def test_a_renewal_of_the_same_subject_keeps_what_waited_at_a_change(peer: Peer) -> None:
    """The server says that both sockets speak for Alice."""
    clock, auth = FakeClock(chance=0.0), Slow()
    async with (
        Client(WebSocketLink(peer.url, auth=auth, clock=clock)) as client,
        client.subscribe(SUBSCRIPTION) as events,
    ):
        await subscribed(peer)
        await turns()
        peer.publish("read")
        peer.publish("kept")
        assert (await anext(events)).data == "read"
        auth.token = "alice-2"
        clock.advance(585.0)
        await subscribed(peer, 2)
        await turns()
        clock.advance(1.0)
        await subscribed(peer)
        await client.credentials_changed()
        assert (await anext(events)).data == "kept"
    assert peer.tokens == ["alice-1", "alice-2"]
