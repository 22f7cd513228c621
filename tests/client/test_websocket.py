"""Operations over a socket: answers, errors, and callers that do not wait for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import subscribed
from client.hands import turns, until
from gqlink.client import Client, WebSocketLink
from gqlink.errors import OperationFailed, RemoteProtocolError

if TYPE_CHECKING:
    from client.peer import Peer

OPEN = "subscription { open }"
ALICE = {"accessToken": "alice-1"}


async def test_a_query_and_a_mutation_have_one_answer(peer: Peer) -> None:
    """Over the socket as over HTTP; the server's `complete` ends them, nothing of ours."""
    link = WebSocketLink(peer.url, connection_params=ALICE, idle_seconds=None)
    async with Client(link) as client:
        assert await client.execute("{ a }") == {"by": "alice", "variables": None}
        assert await client.execute("mutation A { a }", {"n": 1}) == {"by": "alice", "variables": {"n": 1}}
        await turns()
    assert peer.sockets[0].completed == []


async def test_errors_are_raised_with_their_codes_and_the_data(peer: Peer) -> None:
    """Whether the server sent `error`, or a result with errors in it."""
    async with Client(WebSocketLink(peer.url)) as client:
        with pytest.raises(OperationFailed) as refused:
            await client.execute("{ a }")
        assert refused.value.codes == ("UNAUTHENTICATED",)
    peer.script.hold_operations = True
    async with Client(WebSocketLink(peer.url, connection_params=ALICE)) as client:
        query = asyncio.ensure_future(client.execute("{ a b }"))
        await until(lambda: len(peer.operations) == 2)
        _, identifier, _ = peer.operations[-1]
        kind = "data" if peer.script.speaks == ("graphql-ws",) else "next"
        result = {"data": {"a": 1, "b": None}, "errors": [{"message": "no b"}]}
        peer.sockets[-1].raw({"id": identifier, "type": kind, "payload": result})
        with pytest.raises(OperationFailed, match="no b") as partial:
            await query
        assert partial.value.data == {"a": 1, "b": None}


async def test_a_caller_that_gives_up_tells_the_server(peer: Peer) -> None:
    """A timeout or a cancellation ends the operation there too."""
    peer.script.hold_operations = True
    async with Client(WebSocketLink(peer.url, connection_params=ALICE)) as client:
        asking = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: peer.operations)
        asking.cancel()
        await until(lambda: peer.sockets[0].completed == ["1"])


async def test_an_answer_without_a_result_is_the_servers_fault(peer: Peer) -> None:
    """It completed what it never answered."""
    peer.script.hold_operations = True
    async with Client(WebSocketLink(peer.url, connection_params=ALICE)) as client:
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: peer.operations)
        peer.sockets[0].raw({"id": peer.operations[0][1], "type": "complete"})
        with pytest.raises(RemoteProtocolError, match="without a result"):
            await query


async def test_an_answered_query_is_not_asked_again(peer: Peer) -> None:
    """The connection is lost between the result and its `complete`: the caller has what it wanted."""
    peer.script.hold_operations = True
    link = WebSocketLink(peer.url, connection_params=ALICE)
    async with Client(link) as client:
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: peer.operations)
        kind = "data" if peer.script.speaks == ("graphql-ws",) else "next"
        peer.sockets[0].raw({"id": peer.operations[0][1], "type": kind, "payload": {"data": {"a": 1}}})
        assert await query == {"a": 1}
        peer.sockets[0].drop()
        await until(lambda: link.state.phase == "idle")
    assert len(peer.operations) == 1
    assert len(peer.sockets) == 1


async def test_one_operation_that_cannot_be_read_fails_alone(peer: Peer) -> None:
    """Its siblings, and frames of operations that nobody knows, change nothing."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN) as one, client.subscribe(OPEN) as two:
        await until(lambda: peer.sockets and len(peer.sockets[0].subscriptions) == 2)
        socket = peer.sockets[0]
        kind = "data" if peer.script.speaks == ("graphql-ws",) else "next"
        socket.raw({"id": "99", "type": kind, "payload": {"data": 1}})
        socket.raw({"id": "99", "type": "complete"})
        socket.raw({"type": "no such type"})
        socket.raw({"id": "1", "type": kind, "payload": "not a result"})
        with pytest.raises(OperationFailed, match="cannot be read"):
            await anext(one)
        await until(lambda: socket.completed == ["1"])
        peer.publish(5)
        assert (await anext(two)).data == 5


async def test_an_error_without_an_id_fails_the_only_operation(peer: Peer) -> None:
    """Directus says it so; where there are several, none can be meant."""
    async with Client(WebSocketLink(peer.url, idle_seconds=None)) as client:
        async with client.subscribe(OPEN) as one, client.subscribe(OPEN) as two:
            await until(lambda: peer.sockets and len(peer.sockets[0].subscriptions) == 2)
            peer.sockets[0].raw({"type": "error", "payload": {"message": "which?"}})
            peer.publish(1)
            assert [(await anext(events)).data for events in (one, two)] == [1, 1]
        async with client.subscribe(OPEN) as events:
            await until(lambda: len(peer.sockets[0].subscriptions) == 1)
            peer.sockets[0].raw({"type": "error", "payload": {"message": "this one"}})
            with pytest.raises(OperationFailed, match="this one"):
                await anext(events)


async def test_pings_of_the_server_are_answered_with_their_payload(peer: Peer) -> None:
    """In the dialect that has them, at any time; in the other it is an unknown type."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        peer.sockets[0].raw({"type": "ping", "payload": {"n": 1}})
        peer.publish(1)
        assert (await anext(events)).data == 1
        if peer.script.speaks == ("graphql-transport-ws",):
            await until(lambda: any('"pong"' in text and '{"n":1}' in text.replace(" ", "") for text in peer.texts))
