"""A credential that is renewed on the live socket, by ping; what runs on it never notices."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from client.peer import Peer, Script
from client.source import Source
from gqlink.client import AccessToken, Attempt, Client, LinkPhase, LinkState, SocketFrame, WebSocketLink
from gqlink.client.refusals import refusals_of
from gqlink.errors import AuthUnavailable, ConnectionRefused
from gqlink.protocol import LEGACY, TRANSPORT_WS, RenewalOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from client.peer import PeerSocket

LIFE = 100.0
DUE = 65.0


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """Run a server that offers renewal by ping."""
    async with Peer(Script(speaks=(TRANSPORT_WS.subprotocol,), expires_in=LIFE, renewal="ping")) as peer:
        yield peer


@pytest.fixture
def clock() -> FakeClock:
    """A clock without spread: what lasts 100 s is renewed after 65."""
    return FakeClock(chance=0.0)


async def live(peer: Peer, link: WebSocketLink) -> PeerSocket:
    """Wait until a subscription runs and the timer of the renewal is set."""
    await subscribed(peer)
    await until(lambda: link.state.phase is LinkPhase.LIVE)
    await turns()
    return peer.sockets[-1]


async def test_a_token_is_renewed_ahead_of_its_end_and_nothing_else_happens(peer: Peer, clock: FakeClock) -> None:
    """One ping with the source's next token; the subscription stays, and the state says for how long."""
    states: list[LinkState] = []
    source = Source("alice-1", "alice-2", "alice-3")
    link = WebSocketLink(peer.url, auth=source, clock=clock, on_state=states.append)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        socket = await live(peer, link)
        peer.script.outcomes = [200.0]
        clock.advance(DUE - 0.1)
        await turns()
        assert socket.renewals == []
        clock.advance(0.1)
        await until(lambda: link.state.renewed == 1)
        assert (link.state.subject, link.state.expires_in, link.state.socket) == ("alice", 200.0, 1)
        await turns()
        clock.advance(130.0)
        await until(lambda: link.state.renewed == 2)
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert socket.renewals == ["alice-2", "alice-3"]
    assert source.stale == ["alice-1", "alice-2"]
    assert peer.tokens == ["alice-1"]
    assert len(peer.operations) == 1
    assert [state.phase.value for state in states] == ["connecting", "live", "live", "live", "closed"]


@pytest.mark.parametrize("name", ["accessToken", "authorization", "Authorization", "authToken"])
@pytest.mark.parametrize("place", ["payload", "headers"])
async def test_a_function_is_evaluated_again_and_its_token_found_where_servers_look(
    peer: Peer, clock: FakeClock, name: str, place: str
) -> None:
    """With the reason "expired"; the scheme is left out, and everything else in the payload is the same."""
    reasons: list[str] = []

    def params(attempt: Attempt) -> dict[str, object]:
        reasons.append(attempt.reason)
        said: dict[str, object] = {name: f"Bearer alice-{len(reasons)}", "locale": "en"}
        return {"headers": said} if place == "headers" else said

    link = WebSocketLink(peer.url, connection_params=params, clock=clock)
    async with Client(link) as client, client.subscribe("subscription { open }"):
        socket = await live(peer, link)
        clock.advance(DUE)
        await until(lambda: link.state.renewed == 1)
    assert socket.renewals == ["alice-2"]
    assert reasons == ["first", "expired"]


async def test_a_function_that_gets_the_sources_token_gets_the_next_one(peer: Peer, clock: FakeClock) -> None:
    """`attempt.token` is the renewed one; wherever it stands, it is found."""
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, connection_params=lambda attempt: {"mine": attempt.token}, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe("subscription { open }"):
        socket = await live(peer, link)
        clock.advance(DUE)
        await until(lambda: link.state.renewed == 1)
    assert socket.renewals == ["alice-2"]


async def test_a_mapping_is_what_it_says_until_the_end(peer: Peer, clock: FakeClock) -> None:
    """It has nothing else to say, so nobody asks it."""
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        assert clock.due is None
        clock.advance(LIFE)
        await turns()
    assert socket.renewals == []


@pytest.mark.parametrize("error", ["Token invalid", "Token expired", "Session revoked"])
async def test_a_refused_token_gets_one_successor_and_is_never_sent_again(
    peer: Peer, clock: FakeClock, error: str
) -> None:
    """Neither on the socket nor by anybody else who uses the source."""
    source = Source("alice-1", "alice-2", "alice-3")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        peer.script.outcomes = [error, LIFE]
        clock.advance(DUE)
        await until(lambda: link.state.renewed == 1)
        assert socket.renewals == ["alice-2", "alice-3"]
        refused = refusals_of(source).find("alice-2")
        assert isinstance(refused, ConnectionRefused)
        assert refused.reason == error
        assert refusals_of(source).find("alice-3") is None


async def test_two_refused_tokens_are_enough_and_the_old_one_lives_on(peer: Peer, clock: FakeClock) -> None:
    """The server keeps the socket to its end; then the link asks again."""
    source = Source("alice-1", "alice-2", "alice-3", "alice-4")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        socket = await live(peer, link)
        peer.script.outcomes = ["Token invalid", "Token invalid"]
        clock.advance(DUE)
        await until(lambda: len(socket.renewals) == 2)
        await turns()
        clock.advance(30.0)
        await turns()
        assert socket.renewals == ["alice-2", "alice-3"]
        peer.publish(1)
        assert (await anext(events)).data == 1
        socket.close(4403, "Token expired")
        await until(lambda: len(peer.subscribers) == 1 and len(peer.sockets) == 2)
    assert peer.tokens == ["alice-1", "alice-4"]


async def test_a_server_that_asks_for_patience_is_asked_again(peer: Peer, clock: FakeClock) -> None:
    """With the same token, after a pause; that was no refusal."""
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        peer.script.outcomes = ["Try again later", "whatever this may be", LIFE]
        clock.advance(DUE)
        for pings in (1, 2, 3):
            await until(lambda: len(socket.renewals) == pings)  # noqa: B023 -- awaited within the turn
            await turns()
            clock.advance(0.5)
        await until(lambda: link.state.renewed == 1)
    assert socket.renewals == ["alice-2"] * 3
    assert source.stale == ["alice-1"]
    assert refusals_of(source).find("alice-2") is None


async def test_without_an_answer_in_time_it_is_asked_again_and_a_late_answer_is_nobodys(
    peer: Peer, clock: FakeClock
) -> None:
    """The answer to the first ping comes after the second one: it says nothing about that."""
    link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        peer.script.outcomes = [None, None]
        clock.advance(DUE)
        await until(lambda: len(socket.renewals) == 1)
        await turns()
        clock.advance(10.0)
        await turns()
        clock.advance(0.3)
        await until(lambda: len(socket.renewals) == 2)
        socket.outcome(RenewalOutcome(1, error="Session revoked"))
        socket.outcome(RenewalOutcome(77, expires_in=1.0))
        socket.connection.pong({"gqlink": "nonsense"})
        socket.flush()
        await turns(50)
        assert link.state.renewed == 0
        socket.outcome(RenewalOutcome(_last_seq(peer), expires_in=LIFE))
        await until(lambda: link.state.renewed == 1)
        assert len(socket.renewals) == 2


async def test_a_provider_that_is_down_is_asked_again_while_the_old_token_lives(peer: Peer, clock: FakeClock) -> None:
    """Nothing is sent meanwhile, and nobody notices."""
    source = Source("alice-1", AuthUnavailable("down"), AuthUnavailable("down"), "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        socket = await live(peer, link)
        clock.advance(DUE)
        for asked in (1, 2, 3):
            await until(lambda: len(source.stale) == asked)  # noqa: B023 -- awaited within the turn
            await turns()
            clock.advance(0.5)
        await until(lambda: link.state.renewed == 1)
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert socket.renewals == ["alice-2"]


async def test_a_source_without_another_token_is_asked_until_the_end(peer: Peer, clock: FakeClock) -> None:
    """A function that keeps its token until shortly before the end is the usual case; it is in time."""
    asked: list[str] = []

    def auth() -> str:
        asked.append("asked")
        return "alice-1" if clock.now() < 1095.0 else "alice-2"

    link = WebSocketLink(peer.url, auth=auth, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        for _ in range(200):
            clock.advance(0.5)
            await turns(5)
            if link.state.renewed:
                break
        assert link.state.renewed == 1
    assert socket.renewals == ["alice-2"]
    assert len(asked) < 30


async def test_a_failing_function_does_no_harm_while_the_token_lives(peer: Peer, clock: FakeClock) -> None:
    """Its bug is told when the connection needs it; until then the socket is what it was."""
    healthy = True

    def params() -> dict[str, object]:
        if not healthy:
            raise KeyError
        return {"accessToken": "alice-1"}

    link = WebSocketLink(peer.url, connection_params=params, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await live(peer, link)
        healthy = False
        clock.advance(DUE)
        await turns()
        peer.publish(1)
        assert (await anext(events)).data == 1


async def test_a_renewal_under_way_is_forgotten_with_its_socket(peer: Peer, clock: FakeClock) -> None:
    """The next connection presents what holds then, and the old answer means nothing."""
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        peer.script.outcomes = [None]
        clock.advance(DUE)
        await until(lambda: socket.renewals)
        socket.drop()
        await until(lambda: len(peer.sockets) == 2)
        await live(peer, link)
        assert (link.state.socket, link.state.renewed) == (2, 0)
        clock.advance(20.0)
        await turns()
        assert peer.sockets[1].renewals == []
    assert peer.tokens == ["alice-1", "alice-2"]


async def test_the_credential_of_a_renewed_socket_is_the_new_one(peer: Peer, clock: FakeClock) -> None:
    """What the server refuses later is the token that was renewed to; the same one announced again changes nothing."""
    source = Source("alice-1", "alice-2", "alice-3")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        clock.advance(DUE)
        await until(lambda: link.state.renewed == 1)
        await client.credentials_changed()
        await source.tell("changed")
        assert len(peer.open) == 1
        socket.close(4403, "Token expired")
        await until(lambda: len(peer.sockets) == 2)
        await live(peer, link)
        assert refusals_of(source).find("alice-2") is not None
        assert refusals_of(source).find("alice-1") is None
    assert peer.tokens == ["alice-1", "alice-3"]


async def test_a_source_that_has_renewed_by_itself_is_followed_on_the_socket(peer: Peer, clock: FakeClock) -> None:
    """HTTP was told of an expired token, say; what waits for the consumer stays."""
    source = Source("alice-1")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        socket = await live(peer, link)
        peer.publish(1)
        source.present = "alice-2"
        await source.tell("renewed")
        await until(lambda: link.state.renewed == 1)
        await source.tell("renewed")
        await turns(50)
        assert socket.renewals == ["alice-2"]
        assert (await anext(events)).data == 1
    assert source.stale == []
    assert len(peer.sockets) == 1


async def test_a_renewal_while_the_connection_is_being_made_is_made_up_for(peer: Peer, clock: FakeClock) -> None:
    """The token that was presented is no longer the source's when the ack comes."""
    peer.script.hold_init = True
    source = Source("alice-1")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client:
        event = asyncio.ensure_future(anext(client.subscribe(SUBSCRIPTION)))
        await until(lambda: peer.inits)
        source.present = "alice-2"
        await source.tell("renewed")
        peer.sockets[0].admit()
        await until(lambda: link.state.renewed == 1)
        peer.publish(1)
        assert (await event).data == 1
    assert peer.sockets[0].renewals == ["alice-2"]


@pytest.mark.parametrize("stage", ["asking", "ping"])
async def test_a_logout_during_a_renewal_ends_it(peer: Peer, clock: FakeClock, stage: str) -> None:
    """The socket goes, and the token that was on its way is never presented for anybody."""
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe("subscription { open }"):
        socket = await live(peer, link)
        source.gate = asyncio.Event()
        if stage == "ping":
            source.gate.set()
            peer.script.outcomes = [None]
        clock.advance(DUE)
        await until(lambda: socket.renewals if stage == "ping" else source.stale)
        await source.become(None)
        assert socket.closed == (4499, "Credential changed")
        assert socket not in peer.open
        source.coming.clear()
        source.gate.set()
        await turns(50)
        assert peer.tokens == ["alice-1", None]
        assert socket.renewals == (["alice-2"] if stage == "ping" else [])


async def test_an_anonymous_socket_whose_function_now_has_a_token_waits_to_be_told(
    peer: Peer, clock: FakeClock
) -> None:
    """And one whose function has none any more is not logged out by a renewal: `credentials_changed()` does that."""
    token: list[str | None] = ["alice-1"]
    link = WebSocketLink(peer.url, auth=lambda: token[0], clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        token[0] = None
        clock.advance(DUE)
        await turns(50)
        assert socket.renewals == []
        assert len(peer.sockets) == 1
        await client.credentials_changed()
    assert peer.tokens == ["alice-1", None]


async def test_nobody_is_shown_the_token_of_a_renewal(peer: Peer, clock: FakeClock) -> None:
    """Neither in the ping nor where the server repeats it in a reason."""
    frames: list[SocketFrame] = []
    states: list[LinkState] = []
    source = Source("alice-1", "alice-secret-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock, on_frame=frames.append, on_state=states.append)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        clock.advance(DUE)
        await until(lambda: link.state.renewed == 1)
        socket.close(1011, "what is alice-secret-2?")
        await until(lambda: any(state.phase is LinkPhase.WAITING for state in states))
    assert "what is <redacted, 14 characters>?" in [state.reason for state in states]
    assert "ping" in [frame.type for frame in frames]
    assert "alice-secret-2" not in str(frames) + str(states)


async def test_the_seconds_that_a_function_tells_are_used_where_the_server_tells_none(
    peer: Peer, clock: FakeClock
) -> None:
    """`AccessToken(value, expires_in=…)`: counted from when it was given."""
    tokens = iter(["alice-1", "alice-2"])
    peer.script.expires_in, peer.script.outcomes = None, [50.0]
    link = WebSocketLink(peer.url, auth=lambda: AccessToken(next(tokens), 50.0), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        assert link.state.expires_in == 50.0
        clock.advance(32.5)
        await until(lambda: link.state.renewed == 1)
    assert socket.renewals == ["alice-2"]


def _last_seq(peer: Peer) -> int:
    return max(int(text.rpartition('"seq":')[2].partition(",")[0].rstrip("}")) for text in peer.texts if "seq" in text)


async def test_a_ping_is_not_sent_where_the_subprotocol_has_none(clock: FakeClock) -> None:
    """Whatever the ack offers: a second socket takes over."""
    async with Peer(Script(speaks=(LEGACY.subprotocol,), expires_in=LIFE, renewal="ping")) as peer:
        link = WebSocketLink(peer.url, auth=Source("alice-1", "alice-2"), clock=clock)
        async with Client(link) as client, client.subscribe(SUBSCRIPTION):
            await live(peer, link)
            clock.advance(DUE)
            await subscribed(peer, 2)


async def test_what_differs_in_more_than_the_token_takes_a_second_socket(peer: Peer, clock: FakeClock) -> None:
    """A ping renews a token; the server would never hear of the rest."""
    counts = iter(range(10))
    source = Source("alice-1", "alice-2")
    link = WebSocketLink(
        peer.url,
        connection_params=lambda attempt: {"accessToken": attempt.token, "count": next(counts)},
        auth=source,
        clock=clock,
    )
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        clock.advance(DUE)
        await subscribed(peer, 2)
        assert socket.renewals == []
    assert peer.inits == [{"accessToken": "alice-1", "count": 0}, {"accessToken": "alice-2", "count": 1}]


async def test_a_server_that_calls_every_token_ended_is_asked_once_a_second(peer: Peer, clock: FakeClock) -> None:
    """Its clock may be ahead; neither it nor whoever gives tokens is asked in a storm."""
    peer.script.expires_in = 0.0
    source = Source("alice-1", *(f"alice-{n}" for n in range(2, 20)))
    link = WebSocketLink(peer.url, auth=source, clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        socket = await live(peer, link)
        for renewed in range(1, 5):
            await until(lambda: link.state.renewed == renewed)  # noqa: B023 -- it is called here and now
            clock.advance(0.9)
            await turns(50)
            assert len(socket.renewals) == len(source.stale) == renewed
            clock.advance(0.1)


async def test_a_token_that_the_server_repeats_is_not_logged(
    peer: Peer, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the one that it does not take nor the one before."""
    peer.script.outcomes = ["cannot take alice-second-secret after alice-first-secret"]
    link = WebSocketLink(peer.url, auth=Source("alice-first-secret", "alice-second-secret"), clock=clock)
    caplog.set_level("DEBUG")
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await live(peer, link)
        clock.advance(DUE)
        await until(lambda: "did not renew" in caplog.text)
    assert "cannot take" in caplog.text
    assert "secret" not in caplog.text


async def test_what_is_concealed_does_not_grow_with_the_renewals(peer: Peer, clock: FakeClock) -> None:
    """What was presented first and the last eight tokens are; a server that repeats an older one is late."""
    shown: list[SocketFrame] = []
    tokens = [f"alice-secret{n:02}" for n in range(12)]
    link = WebSocketLink(peer.url, auth=Source(*tokens), clock=clock, on_frame=shown.append)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        socket = await live(peer, link)
        for renewed in range(1, 12):
            clock.advance(DUE)
            await until(lambda: link.state.renewed == renewed)  # noqa: B023 -- it is called here and now
            await turns()
        socket.publish(tokens)
        await anext(events)
        socket.close(4400, " ".join(tokens[3:]))
        await until(lambda: shown[-1].type == "close")
    event = next(frame for frame in shown if frame.type == "next")
    for text in (str(event.payload), str(shown[-1].payload)):
        assert "alice-secret03" in text
        assert not any(token in text for token in [tokens[0], *tokens[4:]])
