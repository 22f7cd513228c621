"""One socket, as long as somebody needs it, with the credential that holds now."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from client.peer import Peer, Script
from gqlink.client import Client, LinkPhase, LinkState, Retry, WebSocketLink
from gqlink.errors import (
    AuthUnavailable,
    BadUserInput,
    ConnectionClosed,
    ConnectionRefused,
    LocalProtocolError,
    OutcomeUnknown,
)

if TYPE_CHECKING:
    from gqlink.client import Attempt

OPEN = "subscription { open }"


class Session:
    """Who is logged in, and how often and why it was asked."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.reasons: list[str] = []
        self.hold: asyncio.Event | None = None

    async def params(self, attempt: Attempt) -> dict[str, object]:
        """Return what `connection_params` returns, when it may."""
        self.reasons.append(attempt.reason)
        if self.hold is not None:
            await self.hold.wait()
        return {"accessToken": self.token}


# --- The socket's life -----------------------------------------------------------------------------------------------


async def test_operations_that_start_together_share_one_socket(peer: Peer) -> None:
    """A hundred subscriptions and queries, one connection, ids that never repeat."""
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"})
    async with Client(link) as client:
        waiting = [asyncio.ensure_future(anext(client.subscribe(OPEN))) for _ in range(50)]
        answers = await asyncio.gather(*(client.execute("{ a }", {"n": n}) for n in range(50)))
        assert answers == [{"by": "alice", "variables": {"n": n}} for n in range(50)]
        await until(lambda: len(peer.subscribers[0].subscriptions) == 50)
        peer.publish(1)
        assert {event.data for event in await asyncio.gather(*waiting)} == {1}
    assert len(peer.sockets) == 1
    assert len({identifier for _, identifier, _ in peer.operations}) == 100


async def test_an_idle_socket_stays_for_a_while_if_it_may(peer: Peer) -> None:
    """The time counts from the end of the last operation; a new one stops it."""
    clock = FakeClock()
    async with Client(WebSocketLink(peer.url, idle_seconds=30.0, clock=clock)) as client:
        for _ in range(2):
            async with client.subscribe(OPEN):
                await subscribed(peer)
                clock.advance(100)
            await until(lambda: clock.due == 30.0)
            clock.advance(29)
            await turns()
        assert len(peer.open) == 1
        clock.advance(1)
        await until(lambda: not peer.open)
    assert [socket.closed and socket.closed[0] for socket in peer.sockets] == [1000]


async def test_a_socket_may_stay_for_ever(peer: Peer) -> None:
    """`idle_seconds=None`: until the client is closed."""
    clock = FakeClock()
    async with Client(WebSocketLink(peer.url, idle_seconds=None, clock=clock)) as client:
        async with client.subscribe(OPEN):
            await subscribed(peer)
        await until(lambda: not peer.subscribers)
        assert clock.due is None
        assert len(peer.open) == 1
    await until(lambda: not peer.open)


async def test_a_link_that_is_not_lazy_connects_by_itself_and_stays(peer: Peer) -> None:
    """From entering the client to leaving it, through a loss, without any operation."""
    link = WebSocketLink(peer.url, lazy=False, clock=FakeClock(chance=0.0))
    assert link.state == LinkState(LinkPhase.IDLE, 0.0)
    async with Client(link):
        await until(lambda: link.state.phase is LinkPhase.LIVE)
        peer.sockets[0].drop()
        await until(lambda: len(peer.sockets) == 2)
        await until(lambda: link.state.phase is LinkPhase.LIVE)
    assert link.state.phase is LinkPhase.CLOSED
    await until(lambda: not peer.open)


async def test_a_lazy_link_is_not_connected_by_entering_it(peer: Peer) -> None:
    """Nor is it after its operations have gone away while it waited to connect again."""
    peer.script = Script(speaks=peer.script.speaks, status=503)
    link = WebSocketLink(peer.url, clock=FakeClock())
    async with link:
        await turns()
        assert peer.offers == []
        entering = asyncio.ensure_future(Client(link).subscribe(OPEN).__aenter__())
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        entering.cancel()
        await until(lambda: link.state.phase is LinkPhase.IDLE)
    assert len(peer.offers) == 1


async def test_the_state_tells_the_story(peer: Peer) -> None:
    """Connecting, live, waiting, and so on; a hook that raises does no harm."""
    states: list[LinkState] = []

    def watch(state: LinkState) -> None:
        states.append(state)
        raise KeyError

    clock = FakeClock()
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}, clock=clock, on_state=watch)
    async with Client(link) as client, client.subscribe(OPEN, on_gap="ignore"):
        await subscribed(peer)
        peer.sockets[0].close(1012, "Service restart")
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        clock.advance(5)
        await until(lambda: len(peer.sockets) == 2 and link.state.phase is LinkPhase.LIVE)
    assert [state.phase.value for state in states] == ["connecting", "live", "waiting", "connecting", "live", "closed"]
    assert (states[1].subject, states[1].expires_in, states[1].socket) == ("alice", 900.0, 1)
    assert (states[2].code, states[2].reason, states[2].retry_in) == (1012, "Service restart", 2.5)


# --- The credential changes ------------------------------------------------------------------------------------------


async def test_a_slow_token_is_waited_for_before_dialling(peer: Peer) -> None:
    """The server's time for `connection_init` does not run meanwhile."""
    session = Session("alice-1")
    session.hold = asyncio.Event()
    async with Client(WebSocketLink(peer.url, connection_params=session.params)) as client:
        event = asyncio.ensure_future(anext(client.subscribe(OPEN)))
        await turns(100)
        assert peer.offers == []
        session.hold.set()
        await subscribed(peer)
        peer.publish(1)
        assert (await event).data == 1
    assert session.reasons == ["first"]


async def test_a_credential_that_is_the_same_keeps_the_socket(peer: Peer) -> None:
    """The function is asked, the subscription never notices."""
    session = Session("alice-1")
    async with (
        Client(WebSocketLink(peer.url, connection_params=session.params)) as client,
        client.subscribe(SUBSCRIPTION) as events,
    ):
        await subscribed(peer)
        peer.publish(1)
        await client.credentials_changed()
        assert (await anext(events)).data == 1
    assert session.reasons == ["first", "changed"]
    assert len(peer.sockets) == 1


async def test_without_a_socket_a_change_is_done_at_once(peer: Peer) -> None:
    """Nothing is asked and nothing dialled; the next connection asks anyway."""
    session = Session("alice-1")
    async with Client(WebSocketLink(peer.url, connection_params=session.params)) as client:
        await client.credentials_changed()
        assert session.reasons == []
    await client.credentials_changed()
    assert peer.offers == []


async def test_changes_that_come_together_cost_one_connection(peer: Peer) -> None:
    """Each caller returns when the last state of affairs is acknowledged."""
    session = Session("alice-1")
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        session.hold = asyncio.Event()
        changes = []
        for token in ("bob-1", "carol-1", "dave-1"):
            session.token = token
            changes.append(asyncio.ensure_future(client.credentials_changed()))
            await turns()
        session.hold.set()
        await asyncio.gather(*changes)
        assert link.state.subject == "dave"
    assert peer.tokens == ["alice-1", "dave-1"]


async def test_a_change_while_the_connection_is_being_made_is_not_missed(peer: Peer) -> None:
    """The operation starts with the new credential only, even if the old one is acknowledged in between."""
    peer.script.hold_init = True
    session = Session("alice-1")
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client:
        event = asyncio.ensure_future(anext(client.subscribe(SUBSCRIPTION)))
        await until(lambda: peer.inits)
        session.token = "bob-1"
        change = asyncio.ensure_future(client.credentials_changed())
        await until(lambda: len(peer.inits) == 2)
        peer.sockets[1].admit()
        await change
        assert link.state.subject == "bob"
        await subscribed(peer)
        peer.publish(1)
        assert (await event).data == 1
    assert [number for number, _, _ in peer.operations] == [2]


async def test_a_change_while_the_credential_is_asked_for_asks_again(peer: Peer) -> None:
    """The answer that was on its way is stale: it is never presented."""
    session = Session("alice-1")
    session.hold = asyncio.Event()
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client:
        event = asyncio.ensure_future(anext(client.subscribe(SUBSCRIPTION)))
        await until(lambda: session.reasons)
        change = asyncio.ensure_future(client.credentials_changed())
        await turns()
        session.token = "bob-1"
        session.hold.set()
        await change
        await subscribed(peer)
        peer.publish(1)
        assert (await event).data == 1
    assert session.reasons == ["first", "changed"]
    assert peer.tokens == ["bob-1"]


async def test_nothing_that_waited_reaches_a_consumer_after_a_change_of_subject(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when the old socket is slow to go, and when events are still on the way; the log counts them."""
    session = Session("alice-1")
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        old = peer.sockets[0]
        for number in range(7):
            old.publish(f"old {number}")
        assert (await anext(events)).data == "old 0"
        session.token = "bob-1"
        with caplog.at_level(logging.WARNING, "gqlink.client"):
            await client.credentials_changed()
        await until(lambda: peer.sockets[1].subscriptions)
        peer.sockets[1].publish("new")
        assert (await anext(events)).data == "new"
    assert "6 events that nobody had taken were discarded" in caplog.text


async def test_a_new_token_of_the_same_subject_loses_nothing_that_waited(peer: Peer) -> None:
    """The ack says that Alice is still Alice; without the addition nobody knows, and it is discarded."""
    for additions, expected in ((True, "kept"), (False, "new")):
        peer.script.additions = additions
        session = Session("alice-1")
        link = WebSocketLink(peer.url, connection_params=session.params)
        async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
            await subscribed(peer)
            peer.publish("read")
            peer.publish("kept")
            assert (await anext(events)).data == "read"
            session.token = "alice-2"
            await client.credentials_changed()
            await until(lambda: peer.sockets[-1].subscriptions)
            peer.publish("new")
            assert (await anext(events)).data == expected


async def test_what_a_finished_subscription_left_is_discarded_too(peer: Peer) -> None:
    """Its buffer outlives it, and belongs to whoever it was for."""
    session = Session("alice-1")
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish(1)
        peer.publish(2)
        peer.sockets[0].finish()
        assert (await anext(events)).data == 1
        await until(lambda: not peer.open)
        session.token = None
        await client.credentials_changed()
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_a_new_credential_that_is_refused_is_raised(peer: Peer) -> None:
    """To whoever announced the change, and to the operations; nothing old reaches anybody."""
    session = Session("alice-1")
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish("old")
        peer.publish("older")
        assert (await anext(events)).data == "old"
        session.token = "bad-1"
        with pytest.raises(ConnectionRefused, match="Token invalid"):
            await client.credentials_changed()
        with pytest.raises(ConnectionRefused, match="Token invalid"):
            await anext(events)
    assert session.reasons == ["first", "changed", "refused"]
    assert peer.tokens == ["alice-1", "bad-1"]


async def test_a_link_that_stays_connected_comes_back_with_another_credential(peer: Peer) -> None:
    """It was refused and gave up; a login makes it live without any operation."""
    session = Session("bad-1")
    link = WebSocketLink(peer.url, connection_params=session.params, lazy=False)
    async with Client(link) as client:
        await until(lambda: link.state.phase is LinkPhase.FAILED)
        session.token = "alice-1"
        await client.credentials_changed()
        assert link.state.subject == "alice"


async def test_a_change_while_the_server_is_away_does_not_wait_for_it(peer: Peer) -> None:
    """There is no socket, so nothing speaks for the old subject; what waited is discarded."""
    session = Session("alice-1")
    clock = FakeClock()
    link = WebSocketLink(peer.url, connection_params=session.params, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish("read")
        peer.publish("old")
        assert (await anext(events)).data == "read"
        peer.sockets[0].close(1012, "Service restart")
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        session.token = "bob-1"
        await client.credentials_changed()
        clock.advance(5)
        await until(lambda: peer.sockets[-1].subject == "bob" and peer.sockets[-1].subscriptions)
        peer.publish("new")
        assert (await anext(events)).data == "new"


async def test_a_change_that_ends_in_a_lost_connection_returns(peer: Peer) -> None:
    """The old socket is gone, the new one could not be made yet: the wait is over, the retry goes on."""
    session = Session("alice-1")
    clock = FakeClock()
    link = WebSocketLink(peer.url, connection_params=session.params, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish("read")
        peer.publish("old")
        assert (await anext(events)).data == "read"
        peer.script.status = 503
        session.token = "bob-1"
        await client.credentials_changed()
        assert link.state.phase is LinkPhase.WAITING
        assert peer.sockets[0].closed == (4499, "Credential changed") or not peer.subscribers
        peer.script.status = None
        clock.advance(5)
        await until(lambda: peer.subscribers)
        peer.publish("new")
        assert (await anext(events)).data == "new"


async def test_a_provider_that_is_down_at_a_change_leaves_no_old_socket(peer: Peer) -> None:
    """Who it should be is unknown: nobody is better than the one before."""
    answers: list[object] = ["alice-1", TimeoutError(), "bob-1"]

    def params() -> dict[str, object]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"accessToken": answer}

    link = WebSocketLink(peer.url, connection_params=params, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        await client.credentials_changed()
        await until(lambda: link.state.subject == "bob")
    once = WebSocketLink(peer.url, connection_params=params, reconnect=False)
    answers[:] = ["alice-1", TimeoutError()]
    async with Client(once) as client, client.subscribe(SUBSCRIPTION):
        await until(lambda: once.state.subject == "alice")
        with pytest.raises(AuthUnavailable):
            await client.credentials_changed()


async def test_a_function_that_is_cancelled_is_asked_again(peer: Peer) -> None:
    """What it waited for has ended, and not the link: that is like a provider that is down."""
    answers: list[str | None] = [None, "alice-1"]

    async def params() -> dict[str, object]:
        answer = answers.pop(0)
        if answer is None:
            raise asyncio.CancelledError
        return {"accessToken": answer}

    link = WebSocketLink(peer.url, connection_params=params, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
    assert peer.tokens == ["alice-1"]


async def test_a_mutation_under_way_at_a_change_has_an_unknown_outcome(peer: Peer) -> None:
    """It was asked for by somebody else than the new socket speaks for; a query is asked again."""
    peer.script.hold_operations = True
    session = Session("alice-1")
    async with Client(WebSocketLink(peer.url, connection_params=session.params)) as client:
        mutation = asyncio.ensure_future(client.execute("mutation Add { a }"))
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: len(peer.operations) == 2)
        peer.script.hold_operations = False
        session.token = "bob-1"
        await client.credentials_changed()
        with pytest.raises(OutcomeUnknown) as unknown:
            await mutation
        assert unknown.value.code == 4499
        assert await query == {"by": "bob", "variables": None}


async def test_a_change_may_be_awaited_by_somebody_who_gives_up(peer: Peer) -> None:
    """The link goes on by itself."""
    session = Session("alice-1")
    link = WebSocketLink(peer.url, connection_params=session.params)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        peer.script.hold_init = True
        session.token = "bob-1"
        change = asyncio.ensure_future(client.credentials_changed())
        await until(lambda: len(peer.inits) == 2)
        change.cancel()
        peer.sockets[1].admit()
        await subscribed(peer)
        assert link.state.subject == "bob"
        assert change.cancelled()


# --- The end ---------------------------------------------------------------------------------------------------------


async def test_closing_ends_everything(peer: Peer) -> None:
    """Subscriptions and queries raise `ConnectionClosed`, a mutation `OutcomeUnknown`; then nothing starts."""
    peer.script.hold_operations = True
    client = Client(WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}))
    event = asyncio.ensure_future(anext(client.subscribe(OPEN)))
    query = asyncio.ensure_future(client.execute("{ a }"))
    mutation = asyncio.ensure_future(client.execute("mutation { a }"))
    await until(lambda: len(peer.operations) == 3)
    await client.aclose()
    for ended, error in ((event, ConnectionClosed), (query, ConnectionClosed), (mutation, OutcomeUnknown)):
        with pytest.raises(error):
            await ended
    await until(lambda: not peer.open)
    with pytest.raises(ConnectionClosed):
        await client.execute("{ a }")
    with pytest.raises(ConnectionClosed):
        await anext(client.subscribe(OPEN))
    await client.aclose()


async def test_closing_does_not_wait_for_a_server_that_does_not_answer() -> None:
    """A peer that takes the close frame and stays is cut after a second."""
    loop = asyncio.get_running_loop()
    async with Peer(Script(ignore_close=True)) as peer:
        async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN):
            await subscribed(peer)
            started = loop.time()
        assert 0.9 < loop.time() - started < 2.0
        await until(lambda: not peer.open)


@pytest.mark.parametrize("stage", ["credential", "handshake", "ack", "pause"])
async def test_closing_at_any_stage_leaves_nothing(peer: Peer, stage: str) -> None:
    """While the credential is asked for, while dialling, before the ack, while waiting to try again."""
    session = Session("alice-1")
    if stage == "credential":
        session.hold = asyncio.Event()
    peer.script = Script(speaks=peer.script.speaks, hold_init=stage == "ack", status=503 if stage == "pause" else None)
    link = WebSocketLink(peer.url, connection_params=session.params, retry=Retry(first_seconds=60.0))
    client = Client(link)
    waiting = asyncio.ensure_future(anext(client.subscribe(OPEN)))
    reached = {
        "credential": lambda: session.reasons,
        "handshake": lambda: session.reasons,
        "ack": lambda: peer.inits,
        "pause": lambda: link.state.phase is LinkPhase.WAITING,
    }
    await until(reached[stage])
    await client.aclose()
    with pytest.raises(ConnectionClosed):
        await waiting
    await until(lambda: not peer.open)


async def test_many_clients_that_come_and_go_leave_nothing(peer: Peer) -> None:
    """Connect, subscribe, be cancelled at some point: no task, no socket."""
    for number in range(60):
        client = Client(WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}))
        waiting = asyncio.ensure_future(anext(client.subscribe(OPEN)))
        await turns(number)
        waiting.cancel()
        await client.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await until(lambda: not peer.open)


async def test_a_bug_is_told_and_not_waited_for(peer: Peer) -> None:
    """Whatever fails inside the link, no consumer waits for ever."""

    class BrokenDice(FakeClock):
        def chance(self) -> float:
            raise ZeroDivisionError

    peer.script.status = 503
    async with Client(WebSocketLink(peer.url, clock=BrokenDice())) as client:
        with pytest.raises(LocalProtocolError, match="ZeroDivisionError"):
            await anext(client.subscribe(OPEN))


async def test_variables_that_json_cannot_express_fail_one_operation(peer: Peer) -> None:
    """The others on the socket never notice."""
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"})
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        with pytest.raises(BadUserInput, match="variables"):
            await client.execute("query A($a: Int) { a }", {"a": object()})
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert len(peer.sockets) == 1
