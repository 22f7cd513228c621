"""The stories of the tutorial, S1 to S9, from the client's side, in both subprotocols."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import MUTATION, QUERY, SUBSCRIPTION, Chat, subscribed
from client.hands import FakeClock, turns, until
from gqlink.client import Client, WebSocketLink
from gqlink.errors import ConnectionRefused, OperationFailed
from gqlink.testing import FaultProxy

if TYPE_CHECKING:
    from client.peer import Peer


class Session:
    """Who is logged in, as a function sees it that is called at every connection."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.calls = 0

    def params(self) -> dict[str, object]:
        """Return what `connection_params` returns."""
        self.calls += 1
        return {"accessToken": self.token}


async def test_s1_a_plain_object_that_is_null_lets_a_stranger_in_and_nothing_through(peer: Peer) -> None:
    """The socket is acknowledged as anonymous; reading, writing and subscribing are all refused."""
    chat = Chat(peer)
    client, _ = chat.client({"accessToken": None}, lambda: None)
    async with client:
        with pytest.raises(OperationFailed) as refused:
            await anext(client.subscribe(SUBSCRIPTION))
        assert refused.value.codes == ("UNAUTHENTICATED",)
        for query, variables in ((QUERY, None), (MUTATION, {"text": "psst"})):
            with pytest.raises(OperationFailed, match="logged in"):
                await client.execute(query, variables)
    assert peer.inits == [{"accessToken": None}]
    assert chat.messages == []


async def test_s2_a_plain_object_says_null_after_login_too(peer: Peer) -> None:
    """A mapping is what it says, the same at each connection, whoever has logged in meanwhile."""
    session = Session()
    client, _ = Chat(peer).client({"accessToken": session.token}, lambda: session.token)
    async with client:
        for token in (None, "alice-1"):
            session.token = token
            with pytest.raises(OperationFailed):
                await anext(client.subscribe(SUBSCRIPTION))
            await until(lambda: not peer.open)
    assert peer.tokens == [None, None]


async def test_s3_a_function_carries_the_token_from_the_first_connection_after_login(peer: Peer) -> None:
    """The client was made before the login; the subscription works, and what is added over HTTP arrives once."""
    session, chat = Session(), Chat(peer)
    client, _ = chat.client(session.params, lambda: session.token)
    async with client:
        with pytest.raises(OperationFailed):
            await anext(client.subscribe(SUBSCRIPTION))
        await until(lambda: not peer.open)
        session.token = "alice-1"
        async with client.subscribe(SUBSCRIPTION) as events:
            await subscribed(peer)
            await client.execute(MUTATION, {"text": "hello"})
            await client.execute(MUTATION, {"text": "again"})
            received = [(await anext(events)).data, (await anext(events)).data]
    assert received == [{"messageAdded": {"text": "hello"}}, {"messageAdded": {"text": "again"}}]
    assert peer.tokens == [None, "alice-1"]


async def test_s4_a_lazy_link_has_a_socket_only_while_a_subscription_runs(peer: Peer) -> None:
    """None before the first subscription, one for two of them, none after the last; then a new one."""
    client, _ = Chat(peer).client({"accessToken": "alice-1"}, lambda: "alice-1")
    async with client:
        await client.execute(QUERY)
        await turns()
        assert peer.sockets == []
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
            async with client.subscribe(SUBSCRIPTION):
                await until(lambda: len(peer.subscribers[0].subscriptions) == 2)
            await until(lambda: len(peer.subscribers[0].subscriptions) == 1)
            assert len(peer.open) == 1
        await until(lambda: not peer.open)
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
    assert [socket.closed and socket.closed[0] for socket in peer.sockets] == [1000, 1000]


async def test_s5_a_cut_connection_is_made_again_and_the_function_is_called_again(peer: Peer) -> None:
    """The subscription goes on over the new socket, under a fresh id."""
    session, clock = Session("alice-1"), FakeClock(chance=0.0)
    async with FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(f"ws://{proxy.authority}/graphql", connection_params=session.params, clock=clock)
        async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
            await subscribed(peer)
            peer.publish(1)
            assert (await anext(events)).data == 1
            assert session.calls == 1
            proxy.cut()
            await until(lambda: len(peer.sockets) == 2)
            await subscribed(peer)
            peer.publish(2)
            assert (await anext(events)).data == 2
            assert session.calls == 2
    ids = [identifier for _, identifier, _ in peer.operations]
    assert len(set(ids)) == 2


async def test_s6_after_logging_in_as_another_the_next_connection_acts_as_the_other(peer: Peer) -> None:
    """Log out, log in as Bob: the next socket is his."""
    session, chat = Session("alice-1"), Chat(peer)
    client, _ = chat.client(session.params, lambda: session.token)
    async with client:
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
        await until(lambda: not peer.open)
        session.token = "bob-1"
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
            assert peer.subscribers[0].subject == "bob"


@pytest.mark.parametrize(
    ("token", "reason"),
    [("bad-1", "Token invalid"), ("expired-1", "Token expired"), ("revoked-1", "Session revoked")],
)
async def test_s7_a_bad_token_is_refused_with_its_reason_and_nothing_runs(peer: Peer, token: str, reason: str) -> None:
    """The error carries code and reason; the token was presented once, no operation was written."""
    client, _ = Chat(peer).client(lambda: {"accessToken": token}, lambda: token)
    async with client:
        with pytest.raises(ConnectionRefused) as refused:
            await anext(client.subscribe(SUBSCRIPTION))
        assert (refused.value.code, refused.value.reason) == (4403, reason)
    assert peer.tokens == [token]
    assert peer.operations == []


async def test_s8_two_users_see_each_others_messages_once_and_in_order(peer: Peer) -> None:
    """Everything that either adds reaches both, in one order."""
    chat = Chat(peer)
    alice, _ = chat.client({"accessToken": "alice-1"}, lambda: "alice-1")
    bob, _ = chat.client({"accessToken": "bob-1"}, lambda: "bob-1")
    async with alice, bob, alice.subscribe(SUBSCRIPTION) as hers, bob.subscribe(SUBSCRIPTION) as his:
        await subscribed(peer, 2)
        for number in range(10):
            await (alice, bob)[number % 2].execute(MUTATION, {"text": str(number)})
        seen = [[(await anext(events)).data for _ in range(10)] for events in (hers, his)]
    expected = [{"messageAdded": {"text": str(number)}} for number in range(10)]
    assert seen == [expected, expected]


async def test_s9_an_idle_anonymous_socket_follows_a_login_that_a_function_makes_known(peer: Peer) -> None:
    """Nobody cuts the anonymous socket: `credentials_changed()` brings a new one, acknowledged when it returns."""
    session = Session()
    link = WebSocketLink(peer.url, connection_params=session.params, lazy=False)
    async with Client(link) as client:
        await until(lambda: link.state.phase == "live")
        session.token = "alice-1"
        await client.credentials_changed()
        assert link.state.subject == "alice"
        async with client.subscribe(SUBSCRIPTION) as events:
            await subscribed(peer)
            peer.publish(1)
            assert (await anext(events)).data == 1
    assert peer.tokens == [None, "alice-1"]
    assert peer.sockets[0].closed == (4499, "Credential changed")


async def test_s9_a_running_subscription_follows_too(peer: Peer) -> None:
    """Alice's subscription goes on as Bob's, and nothing that waited for Alice reaches it."""
    session = Session("alice-1")
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish("for alice")
        peer.publish("also for alice")
        assert (await anext(events)).data == "for alice"
        session.token = "bob-1"
        await client.credentials_changed()
        await until(lambda: peer.subscribers and peer.subscribers[0].subject == "bob")
        peer.publish("for bob")
        assert (await asyncio.wait_for(anext(events), 2)).data == "for bob"
