"""A change of the credential while something else happens: a loss, a renewal, another change, a slow answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from client.peer import Peer, Script
from client.sessions import URL, SessionServer
from client.source import Source
from gqlink.client import AccessToken, Client, LinkPhase, PasswordLogin, WebSocketLink
from gqlink.client.refusals import refusals_of
from gqlink.errors import AuthUnavailable, ConnectionClosed, ConnectionRefused, OutcomeUnknown, SubjectChanged

if TYPE_CHECKING:
    from gqlink.client import Attempt

OPEN = "subscription { open }"


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
    if renewal == "ping":
        peer.script.renewal, peer.script.outcomes = "ping", [None]
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


# --- While the credential is asked for, and there is no socket -------------------------------------------------------


@pytest.mark.parametrize("stage", ["asking", "dialling"])
async def test_a_socket_that_drains_does_not_outlive_its_person_either(peer: Peer, stage: str) -> None:
    """Its successor was lost, and the next one is not there yet: what Alice asked is not answered after a switch."""
    clock, source, gate = FakeClock(chance=0.0), Source("alice-1", "alice-2"), asyncio.Event()
    gate.set()
    asked = 0

    async def params(attempt: Attempt) -> dict[str, object]:
        nonlocal asked
        asked += 1
        await gate.wait()
        return {"accessToken": attempt.token}

    link = WebSocketLink(peer.url, connection_params=params, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        peer.script.hold_operations = True
        query = asyncio.ensure_future(client.execute("query { mail }"))
        await until(lambda: len(peer.operations) == 2)
        clock.advance(585.0)
        await subscribed(peer, 2)
        await turns()
        clock.advance(1.0)
        await until(lambda: link.state.socket == 2)
        old, new = peer.sockets
        assert old in peer.open
        asked = 0
        if stage == "asking":
            gate.clear()
        else:
            peer.script.hold_init = True
        new.drop()
        await until(lambda: asked if stage == "asking" else len(peer.inits) == 3)
        peer.script.hold_init = False  # that of the third socket; the next one may come at any time
        source.present = "bob-1"
        change = asyncio.ensure_future(client.credentials_changed() if stage == "dialling" else source.tell("changed"))
        await turns()
        peer.script.hold_operations = False
        gate.set()
        await change
        assert old not in peer.open
        assert await query == {"by": "bob", "variables": None}


async def test_a_function_may_log_in(peer: Peer) -> None:
    """It waits for the login, and the login does not wait for what waits for the function."""
    sessions = SessionServer(refreshes=False)
    account = PasswordLogin(URL, transport=sessions.transport)
    reasons: list[str] = []

    async def params(attempt: Attempt) -> dict[str, object]:
        reasons.append(attempt.reason)
        if attempt.token is None or attempt.reason == "expired":
            await account.login("alice", "right")
        return {"accessToken": await account.token()}

    link = WebSocketLink(peer.url, connection_params=params, auth=account, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        assert peer.tokens == ["alice-1"]
        peer.sockets[0].close(4403, "Token expired")
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
    assert reasons == ["first", "changed", "expired", "changed"]
    assert peer.tokens == ["alice-1", "alice-2"]
    await account.aclose()


async def test_a_function_that_always_logs_in_is_asked_twice_and_not_for_ever(peer: Peer) -> None:
    """What it does when asked again is no news. With a socket open it may log in as well: the socket goes."""
    sessions = SessionServer(refreshes=False)
    account = PasswordLogin(URL, transport=sessions.transport)

    async def params() -> dict[str, object]:
        await account.login("alice", "right")
        return {"accessToken": await account.token()}

    async with (
        Client(WebSocketLink(peer.url, connection_params=params, auth=account)) as client,
        client.subscribe(SUBSCRIPTION),
    ):
        await subscribed(peer)
        await client.credentials_changed()
        await subscribed(peer)
        assert peer.open == {peer.sockets[-1]}
    assert peer.tokens == ["alice-2", "alice-4"]
    await account.aclose()


async def test_a_source_that_logs_in_itself_when_a_token_was_refused_is_not_waited_for(peer: Peer) -> None:
    """Its `refresh` is a login, of which it tells while the link waits for the answer."""

    class Relogin(Source):
        """Knows a password."""

        async def refresh(self, stale: str | None) -> str | None:
            if self.present == stale:
                await self.become("alice-2")
            return self.present

    link = WebSocketLink(peer.url, auth=Relogin(), clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        peer.sockets[0].close(4403, "Token expired")
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
    assert peer.tokens == ["alice-1", "alice-2"]


async def test_a_logout_does_not_wait_for_a_refresh(peer: Peer) -> None:
    """The server that refreshes is slow; who logs out then is out, the answer is nobody's, and the link goes on."""
    sessions = SessionServer()
    account = PasswordLogin(URL, transport=sessions.transport)
    await account.login("alice", "right")
    link = WebSocketLink(peer.url, auth=account, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        gate = sessions.hold("/refresh")
        peer.publish("for alice")
        peer.sockets[0].close(4403, "Token expired")
        await until(lambda: "/refresh" in sessions.asked)
        await account.logout()
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
        peer.publish("for all")
        assert (await anext(events)).data == "for all"
        gate.set()
        await until(lambda: sessions.asked[-1] == "/logout")
    assert peer.tokens == ["alice-1", None]
    await account.aclose()


async def test_a_question_that_is_out_of_date_goes_on_and_ends_with_the_link(peer: Peer) -> None:
    """It may be a refresh whose answer the function keeps; it is not cancelled before the link is."""
    started: list[asyncio.Event] = []
    ended: list[int] = []

    async def auth() -> str:
        gate = asyncio.Event()
        number = len(started)
        started.append(gate)
        try:
            await gate.wait()
        finally:
            ended.append(number)
        return f"alice-{number}"

    link = WebSocketLink(peer.url, auth=auth)
    async with Client(link) as client:
        event = asyncio.ensure_future(anext(client.subscribe(SUBSCRIPTION)))
        for number in range(1, 4):
            await until(lambda: len(started) == number)  # noqa: B023 -- awaited within the turn
            change = asyncio.ensure_future(client.credentials_changed())
        await until(lambda: len(started) == 4)
        started[1].set()
        started[3].set()
        await change
        await subscribed(peer)
        assert sorted(ended) == [1, 3]
    assert sorted(ended) == [0, 1, 2, 3]
    assert peer.tokens == ["alice-3"]
    with pytest.raises(ConnectionClosed):
        await event


async def test_a_login_that_is_let_go_has_left_nothing_of_the_person_before(peer: Peer) -> None:
    """Its token is known as refused, so the source is asked for another one, and need not wait for the link."""
    source = Source("alice-1", "bob-2")
    refusals_of(source).refused("bad-1", ConnectionRefused(4403, "Token invalid"))
    async with Client(WebSocketLink(peer.url, auth=source)) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish("read")
        peer.publish("for alice")
        assert (await anext(events)).data == "read"
        source.gate = asyncio.Event()
        await source.become("bad-1")
        event = asyncio.ensure_future(anext(events))
        await turns()
        assert not event.done()
        source.gate.set()
        await subscribed(peer)
        peer.publish("for bob")
        assert (await event).data == "for bob"


# --- While the link gives up -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [True, False])
async def test_a_login_while_the_link_gives_up_is_followed(lazy: bool) -> None:  # noqa: FBT001
    """It waits for an old socket to go; what failed for Alice is not told to Bob."""
    source, failing = Source("alice-1"), False

    def params(attempt: Attempt) -> dict[str, object]:
        if failing:
            raise KeyError
        return {"accessToken": attempt.token}

    async with (
        Peer(Script(ignore_close=True)) as peer,
        Client(link := WebSocketLink(peer.url, connection_params=params, auth=source, lazy=lazy)) as client,
        client.subscribe(SUBSCRIPTION, when_anonymous="hold") as events,
    ):
        await subscribed(peer)
        failing = True
        change = asyncio.ensure_future(client.credentials_changed())
        await turns(50)
        failing = False
        await source.become("bob-1")
        await change
        assert link.state.subject == "bob"
        await until(lambda: peer.sockets[-1].subscriptions)
        peer.sockets[-1].publish("for bob")
        assert (await anext(events)).data == "for bob"
        peer.script.ignore_close = False
    assert peer.tokens == ["alice-1", "bob-1"]


# --- The end ---------------------------------------------------------------------------------------------------------


async def test_a_closed_link_keeps_nobodys_events(peer: Peer) -> None:
    """It hears of no logout any more, so what waited is discarded at once."""
    source = Source("alice-1")
    client = Client(WebSocketLink(peer.url, auth=source))
    async with client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.publish("read")
        peer.publish("for alice")
        assert (await anext(events)).data == "read"
        await client.aclose()
        await source.become(None)
        with pytest.raises(ConnectionClosed):
            await anext(events)


async def test_closing_that_is_cancelled_has_told_everybody() -> None:
    """Whoever waits for an event does not wait for ever, and the socket goes as well."""
    async with Peer(Script(ignore_close=True)) as peer:
        link = WebSocketLink(peer.url, auth=Source("alice-1"))
        client = Client(link)
        event = asyncio.ensure_future(anext(client.subscribe(SUBSCRIPTION)))
        await subscribed(peer)
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(ConnectionClosed):
            await event
        assert link.state.phase is LinkPhase.CLOSED
        await until(lambda: not peer.open)
        with pytest.raises(asyncio.CancelledError):
            await closing
        await client.aclose()


async def test_a_mutation_of_somebody_for_whom_no_socket_spoke_yet_is_not_anothers_either(peer: Peer) -> None:
    """Alice logged in and asked while the server was away, and Bob is logged in when it is back: it has not run."""
    clock, source = FakeClock(chance=1.0), Source("alice-1")
    source.expires_at = clock.now() + 900.0
    peer.script.status = 503
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client:
        hers = asyncio.ensure_future(client.execute("mutation { pay }"))
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        source.present = "bob-1"
        await source.tell("changed")
        peer.script.status = None
        his = asyncio.ensure_future(client.execute("mutation { pay }"))
        clock.advance(60.0)
        assert await his == {"by": "bob", "variables": None}
        with pytest.raises(SubjectChanged):
            await hers


async def test_a_mutation_that_was_not_sent_is_not_done_in_the_name_of_another(peer: Peer) -> None:
    """Alice asked for it while there was no connection, and Bob logged in before there was one: it has not run."""
    clock, source = FakeClock(chance=1.0), Source("alice-1")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="ignore"):
        await subscribed(peer)
        peer.sockets[0].drop()
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        hers = asyncio.ensure_future(client.execute("mutation { pay }"))
        await turns()
        source.present = "bob-1"
        await source.tell("changed")
        his = asyncio.ensure_future(client.execute("mutation { pay }"))
        clock.advance(60.0)
        assert await his == {"by": "bob", "variables": None}
        with pytest.raises(SubjectChanged, match="before the mutation was sent"):
            await hers
    assert [request.query for _, _, request in peer.operations].count("mutation { pay }") == 1
