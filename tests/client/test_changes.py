"""A login, a logout or a switch while connected, as a token source tells of it; and what a source is asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from client.source import Source
from gqlink.client import Client, LinkPhase, WebSocketLink
from gqlink.client.refusals import refusals_of
from gqlink.errors import AuthUnavailable, BadUserInput, ConnectionRefused, OutcomeUnknown, RequestFailed

if TYPE_CHECKING:
    from client.peer import Peer
    from gqlink.client import Attempt

OPEN = "subscription { open }"


async def test_when_a_change_is_followed_the_server_has_seen_the_old_socket_go(peer: Peer) -> None:
    """Login, switch, logout: each time the next socket is acknowledged, and none of the others is left."""
    source = Source(None)
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(OPEN):
        await until(lambda: link.state.phase is LinkPhase.LIVE)
        for number, token in enumerate(("alice-1", "bob-1", None), 1):
            old = peer.sockets[-1]
            await source.become(token)
            assert old.closed == (4499, "Credential changed")
            assert peer.open == {peer.sockets[number]}
            assert link.state.subject == (token.partition("-")[0] if token else None)
    assert peer.tokens == [None, "alice-1", "bob-1", None]


async def test_a_peer_that_does_not_let_go_is_cut(peer: Peer) -> None:
    """It takes the close frame and stays: a second later the line is cut, and the logout is done."""
    peer.script.ignore_close = True
    loop, source = asyncio.get_running_loop(), Source("alice-1")
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
        started = loop.time()
        await source.become(None)
        assert 0.9 < loop.time() - started < 2.0
        assert link.state.subject is None
        assert link.state.socket == 2
        assert len(peer.open) == 1


async def test_a_logout_does_not_wait_for_a_slow_function(peer: Peer) -> None:
    """What the payload will be next takes its time; who it may not be any more is known now."""
    hold = asyncio.Event()
    hold.set()

    async def params(attempt: Attempt) -> dict[str, object]:
        await hold.wait()
        return {"accessToken": attempt.token}

    source = Source("alice-1")
    link = WebSocketLink(peer.url, connection_params=params, auth=source)
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        hold.clear()
        logout = asyncio.ensure_future(source.become(None))
        await until(lambda: not peer.open)
        assert not logout.done()
        hold.set()
        await logout
        await subscribed(peer)
        peer.publish("open to all")
        assert (await anext(events)).data == "open to all"


async def test_a_change_told_without_a_change_keeps_the_socket(peer: Peer) -> None:
    """The source has the token that the socket was acknowledged with."""
    source = Source("alice-1")
    async with Client(WebSocketLink(peer.url, auth=source)) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        await source.tell("changed")
    assert peer.tokens == ["alice-1"]


async def test_a_change_while_dialling_does_not_wait_for_the_handshake() -> None:
    """The attempt is given up, and another one made with the new token."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read(65536)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    reasons: list[str] = []

    def params(attempt: Attempt) -> dict[str, object]:
        reasons.append(attempt.reason)
        return {"accessToken": attempt.token}

    source = Source("alice-1")
    port = server.sockets[0].getsockname()[1]
    link = WebSocketLink(f"ws://127.0.0.1:{port}/", connection_params=params, auth=source)
    async with Client(link) as client:
        event = asyncio.ensure_future(anext(client.subscribe(OPEN)))
        await asked.wait()
        asked.clear()
        source.present = "bob-1"
        following = source.tell("changed")
        await asyncio.wait_for(asked.wait(), 2)
        assert reasons == ["first", "changed"]
        event.cancel()
    await asyncio.wait([following])
    server.close()


async def test_a_change_without_a_connection_waits_for_what_is_closing(peer: Peer) -> None:
    """A lazy link's last subscription has just ended; its socket still says goodbye."""
    peer.script.ignore_close = True
    source = Source("alice-1")
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client:
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
        await until(lambda: link.state.phase is LinkPhase.IDLE)
        await source.become(None)
        assert not peer.open


async def test_a_mutation_on_a_socket_that_drains_does_not_outlive_its_person(peer: Peer) -> None:
    """It waits for its answer on the old socket of a handover; after a logout that is nobody's."""
    peer.script.hold_operations = True
    clock, source = FakeClock(chance=0.0), Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
        mutation = asyncio.ensure_future(client.execute("mutation { a }"))
        await until(lambda: len(peer.operations) == 2)
        await turns()
        clock.advance(585.0)
        await subscribed(peer, 2)
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        assert len(peer.open) == 2
        await source.become(None)
        assert len(peer.open) == 1
        with pytest.raises(OutcomeUnknown):
            await mutation


async def test_a_revoked_session_is_a_typed_error_and_the_next_login_is_enough(peer: Peer) -> None:
    """The link has failed and its operations were told; the next login suffices, and nothing is sent twice."""
    source = Source("alice-1")
    lazy, eager = WebSocketLink(peer.url, auth=source), WebSocketLink(peer.url, auth=source, lazy=False)
    async with Client(lazy) as client, Client(eager):
        async with client.subscribe(SUBSCRIPTION) as events:
            await until(lambda: len(peer.open) == 2 and eager.state.phase is LinkPhase.LIVE)
            await subscribed(peer)
            for socket in peer.sockets:
                socket.close(4403, "Session revoked")
            with pytest.raises(ConnectionRefused, match="Session revoked"):
                await anext(events)
            await until(lambda: lazy.state.phase is eager.state.phase is LinkPhase.FAILED)
        await source.become("alice-2")
        assert eager.state.phase is LinkPhase.LIVE
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
    assert peer.tokens == ["alice-1", "alice-1", "alice-2", "alice-2"]


async def test_a_session_that_was_revoked_while_another_began_unheard_is_not_the_end(peer: Peer) -> None:
    """A login in another process does not tell; who holds a newer token presents it, once."""
    source = Source("alice-1")
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        source.present = "bob-1"
        peer.sockets[0].close(4403, "Session revoked")
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
        assert link.state.subject == "bob"
        peer.sockets[1].close(4403, "Session revoked")
        with pytest.raises(ConnectionRefused, match="Session revoked"):
            await anext(events)
    assert peer.tokens == ["alice-1", "bob-1"]


async def test_a_refusal_of_the_person_before_is_not_the_next_ones(peer: Peer) -> None:
    """The server revokes Alice's session while Bob logs in: he is in, and what runs goes on as his."""
    source = Source("alice-1")
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.sockets[0].close(4403, "Session revoked")
        source.present = "bob-1"
        presented = source.tell("changed")  # before the close is read
        await presented
        assert link.state.subject == "bob"
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert peer.tokens == ["alice-1", "bob-1"]


# --- What a source is asked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["Token expired", "Token invalid"])
async def test_after_a_refusal_the_source_is_asked_for_another_token(peer: Peer, reason: str) -> None:
    """Once, with the one that was refused; buffers stay, the login is the same."""
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish(1)
        peer.sockets[0].close(4403, reason)
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
        peer.publish(2)
        assert [(await anext(events)).data for _ in range(2)] == [1, 2]
    assert source.stale == ["alice-1"]
    assert peer.tokens == ["alice-1", "alice-2"]


@pytest.mark.parametrize("down", [AuthUnavailable("down"), RequestFailed("busy", status=503)])
async def test_a_provider_that_is_down_after_a_refusal_is_asked_again(peer: Peer, down: Exception) -> None:
    """For the same thing: another token than the refused one, which is not presented meanwhile."""
    source = Source("alice-1", down, down, "alice-2")
    clock = FakeClock(chance=0.5)
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        peer.sockets[0].close(4403, "Token expired")
        for attempt in (1, 2):
            await until(lambda: len(source.stale) == attempt)  # noqa: B023 -- awaited within the turn
            await until(lambda: link.state.phase is LinkPhase.WAITING)
            clock.advance(2.0)
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
    assert source.stale == ["alice-1"] * 3
    assert peer.tokens == ["alice-1", "alice-2"]


async def test_a_login_that_is_over_goes_on_as_nobody(peer: Peer) -> None:
    """The source says so: what is open to all runs, anonymous, and Alice's events reach nobody."""
    source = Source("alice-1", None)
    link = WebSocketLink(peer.url, auth=source, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        peer.publish("read")
        peer.publish("for alice")
        assert (await anext(events)).data == "read"
        peer.sockets[0].close(4403, "Token expired")
        await until(lambda: peer.subscribers and peer.subscribers[0].number > 1 and link.state.subject is None)
        peer.publish("for all")
        assert (await anext(events)).data == "for all"
    assert peer.tokens[-1] is None
    assert "alice-1" not in peer.tokens[1:]


async def test_what_http_learnt_of_a_token_the_socket_knows(peer: Peer) -> None:
    """It is not presented; the source is asked for another one first."""
    source = Source("alice-1", "alice-2")
    refusals_of(source).refused("alice-1", RequestFailed("no", status=401))
    async with Client(WebSocketLink(peer.url, auth=source)) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
    assert peer.tokens == ["alice-2"]


async def test_what_http_learnt_is_said_where_there_is_no_other_token(peer: Peer) -> None:
    """As a refusal; nothing is dialled."""
    source = Source("alice-1")
    error = RequestFailed("no", status=401)
    refusals_of(source).refused("alice-1", error)
    async with Client(WebSocketLink(peer.url, auth=source)) as client:
        with pytest.raises(ConnectionRefused, match="no"):
            await anext(client.subscribe(SUBSCRIPTION))
    assert peer.offers == []


async def test_a_token_that_is_known_to_have_ended_is_not_presented(peer: Peer) -> None:
    """The machine has slept, say: the source is asked before dialling."""
    clock, source = FakeClock(), Source("alice-1", "alice-2")
    source.expires_at = clock.now() - 1.0
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
    assert peer.tokens == ["alice-2"]


async def test_a_source_that_waits_for_the_link_is_not_asked_before_it_may_answer(peer: Peer) -> None:
    """A login brings a token that the server refuses: the source is let go, then asked for another one."""
    turn = asyncio.Lock()

    class Busy(Source):
        """Like a source with a lock of its own round everything it does."""

        async def refresh(self, stale: str | None) -> str | None:
            async with turn:
                return await super().refresh(stale)

    source = Busy("alice-1", "bob-2")
    link = WebSocketLink(peer.url, auth=source)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        source.present = "bad-1"
        async with turn, asyncio.timeout(3):
            await source.tell("changed")
        await until(lambda: link.state.subject == "bob")
    assert peer.tokens == ["alice-1", "bad-1", "bob-2"]


async def test_a_source_without_another_token_is_asked_once(peer: Peer) -> None:
    """Asking it again would not help: the refusal is told."""
    source = Source("bad-1")
    async with Client(WebSocketLink(peer.url, auth=source)) as client:
        with pytest.raises(ConnectionRefused, match="Token invalid"):
            await anext(client.subscribe(SUBSCRIPTION))
    assert source.stale == ["bad-1"]
    assert peer.tokens == ["bad-1"]


async def test_an_operation_that_begins_while_the_link_gives_up_is_told_too(peer: Peer) -> None:
    """The link waits for an old socket to go before it tells; nobody who comes meanwhile is forgotten."""
    peer.script.ignore_close = True
    source = Source("alice-1")
    failing = False

    def params(attempt: Attempt) -> dict[str, object]:
        if failing:
            raise KeyError
        return {"accessToken": attempt.token}

    link = WebSocketLink(peer.url, connection_params=params, auth=source)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        failing = True
        change = asyncio.ensure_future(client.credentials_changed())
        await turns(50)
        late = asyncio.ensure_future(client.execute("{ a }"))
        for told in (change, late, asyncio.ensure_future(anext(events))):
            with pytest.raises(BadUserInput, match="KeyError"):
                await told
