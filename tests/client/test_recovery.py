"""What follows from each end of a connection: redials, refusals, retries, and what is never done."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from client.peer import Peer, Script
from client.source import Source
from gqlink.client import Attempt, Client, LinkPhase, LinkState, Retry, WebSocketLink
from gqlink.client.ending import Ending
from gqlink.errors import (
    AuthUnavailable,
    BadUserInput,
    ConnectionClosed,
    ConnectionEnded,
    ConnectionLost,
    ConnectionRefused,
    OutcomeUnknown,
    RemoteProtocolError,
)
from gqlink.protocol import LEGACY, TRANSPORT_WS, CloseCode, Verdict
from gqlink.testing import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN = "subscription { open }"
BOTH = f"{TRANSPORT_WS.subprotocol}, {LEGACY.subprotocol}"


class Tokens:
    """A function of the attempt that gives one token after the other, the last one for ever."""

    def __init__(self, *tokens: str | None) -> None:
        self.tokens = list(tokens)
        self.reasons: list[str] = []

    def __call__(self, attempt: Attempt) -> dict[str, object]:
        """Give the next one."""
        self.reasons.append(attempt.reason)
        return {"accessToken": self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]}


async def first_event(link: WebSocketLink, query: str = OPEN) -> object:
    """Wait for the first event of a subscription."""
    async with Client(link) as client, client.subscribe(query) as events:
        return (await anext(events)).data


# --- The other dialect -----------------------------------------------------------------------------------------------


async def test_both_subprotocols_are_offered_the_newer_first(peer: Peer) -> None:
    """A server that speaks only one of them takes that one, without a second connection."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN):
        await subscribed(peer)
    assert peer.offers == [BOTH]


@pytest.mark.parametrize("closing", [(4400, "Invalid message"), (4406, "Subprotocol not acceptable")])
async def test_a_server_that_closes_before_the_ack_is_dialled_once_in_the_other_dialect(
    closing: tuple[int, str],
) -> None:
    """What works is remembered: the next connection offers only that."""
    async with Peer(Script(close_on_init=closing, rejects=(TRANSPORT_WS.subprotocol,))) as peer:
        link = WebSocketLink(peer.url)
        async with Client(link) as client:
            for _ in range(2):
                async with client.subscribe(OPEN):
                    await subscribed(peer)
                    assert link.state.subprotocol == LEGACY.subprotocol
                await until(lambda: not peer.open)
    assert peer.offers == [BOTH, LEGACY.subprotocol, LEGACY.subprotocol]


@pytest.mark.parametrize("answer", ["", "soap"])
async def test_a_handshake_without_a_subprotocol_of_ours_is_tried_once_with_the_other(answer: str) -> None:
    """And then given up, before anything was sent."""
    async with Peer(Script(subprotocol=answer)) as peer:
        with pytest.raises(ConnectionRefused, match="subprotocol"):
            await first_event(WebSocketLink(peer.url))
    assert peer.offers == [BOTH, LEGACY.subprotocol]
    assert peer.inits == []


async def test_without_another_dialect_there_is_no_redial() -> None:
    """One subprotocol was asked for, so one connection is made."""
    async with Peer(Script(close_on_init=(4400, "no"))) as peer:
        with pytest.raises(ConnectionRefused) as refused:
            await first_event(WebSocketLink(peer.url, subprotocols=[LEGACY.subprotocol]))
    assert (refused.value.code, refused.value.reason) == (4400, "no")
    assert peer.offers == [LEGACY.subprotocol]


async def test_a_redial_that_fails_too_is_forgotten() -> None:
    """The next operation offers both again."""
    async with Peer(Script(close_on_init=(4406, ""))) as peer:
        for _ in range(2):
            with pytest.raises(ConnectionRefused):
                await first_event(WebSocketLink(peer.url))
    assert peer.offers == [BOTH, LEGACY.subprotocol] * 2


async def test_a_subprotocol_that_nobody_offered_is_spoken_if_it_is_ours() -> None:
    """Ariadne answers its own whatever was asked for."""
    async with Peer(Script(speaks=(LEGACY.subprotocol,))) as peer:
        link = WebSocketLink(peer.url, subprotocols=[TRANSPORT_WS.subprotocol])
        async with Client(link) as client, client.subscribe(OPEN):
            await subscribed(peer)
            assert link.state.subprotocol == LEGACY.subprotocol


# --- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "reason"), [("bad-1", "refused"), ("expired-1", "expired")])
async def test_a_refused_credential_is_asked_for_again_and_another_one_is_tried(
    peer: Peer, token: str, reason: str
) -> None:
    """At once, and the function learns why."""
    tokens = Tokens(token, "alice-1")
    async with Client(WebSocketLink(peer.url, connection_params=tokens)) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
    assert tokens.reasons == ["first", reason]
    assert peer.tokens == [token, "alice-1"]


async def test_a_refused_credential_is_never_sent_twice(peer: Peer) -> None:
    """Neither in this attempt nor for a later operation; another one is welcome."""
    tokens = Tokens("bad-1")
    link = WebSocketLink(peer.url, connection_params=tokens)
    async with Client(link) as client:
        for _ in range(3):
            with pytest.raises(ConnectionRefused) as refused:
                await anext(client.subscribe(SUBSCRIPTION))
            assert (refused.value.code, refused.value.reason) == (4403, "Token invalid")
        assert peer.tokens == ["bad-1"]
        assert link.state.phase == LinkPhase.FAILED
        tokens.tokens = ["alice-1"]
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)
    assert peer.tokens == ["bad-1", "alice-1"]


async def test_two_refused_credentials_in_a_row_are_enough(peer: Peer) -> None:
    """A function that makes up a new token each time does not keep the server busy."""
    tokens = Tokens("bad-1", "bad-2", "bad-3")
    with pytest.raises(ConnectionRefused):
        await first_event(WebSocketLink(peer.url, connection_params=tokens))
    assert peer.tokens == ["bad-1", "bad-2"]


async def test_a_credential_that_expires_on_a_live_socket_is_replaced(peer: Peer) -> None:
    """The subscription goes on with the fresh token; with the old one it would end."""
    tokens = Tokens("alice-1", "alice-2")
    link = WebSocketLink(peer.url, connection_params=tokens, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.sockets[0].close(4403, "Token expired")
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
        peer.sockets[1].close(4403, "Token expired")
        with pytest.raises(ConnectionRefused, match="Token expired"):
            await anext(events)
    assert tokens.reasons == ["first", "expired", "expired"]
    assert peer.tokens == ["alice-1", "alice-2"]


@pytest.mark.parametrize(
    ("reason", "sockets", "error"),
    [
        ("Token invalid", 1, ConnectionRefused),
        ("Session revoked", 1, ConnectionRefused),
        ("Forbidden", 1, ConnectionRefused),
        ("Subject changed", 2, None),
    ],
)
async def test_each_reason_of_4403_has_its_consequence(
    peer: Peer, reason: str, sockets: int, error: type[ConnectionEnded] | None
) -> None:
    """With a mapping, which has nothing else to say, all end the subscription but a changed subject."""
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
        await subscribed(peer)
        peer.sockets[0].close(4403, reason)
        if error is None:
            await until(lambda: len(peer.sockets) == 2)
            await subscribed(peer)
        else:
            with pytest.raises(error, match=reason):
                await anext(events)
    assert len(peer.sockets) == sockets


@pytest.mark.parametrize("code", [1000, 1008])
async def test_a_close_before_the_ack_is_suspected_to_be_a_refusal(peer: Peer, code: int) -> None:
    """Ariadne refuses with 1000 and no word: no storm, one connection; a suspicion is not held for ever."""
    peer.script = Script(speaks=peer.script.speaks, close_on_init=(code, ""))
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"})
    async with Client(link) as client:
        with pytest.raises(ConnectionRefused) as refused:
            await anext(client.subscribe(SUBSCRIPTION))
        assert refused.value.code == code
        assert len(peer.sockets) == 1
        peer.script = Script(speaks=peer.script.speaks)
        async with client.subscribe(SUBSCRIPTION):
            await subscribed(peer)


async def test_a_connection_error_is_a_refusal_whatever_close_follows(peer: Peer) -> None:
    """subscriptions-transport-ws says it and closes 1011; the text is the reason."""
    peer.script = Script(speaks=peer.script.speaks, error_on_init="Missing auth token!")
    with pytest.raises(ConnectionRefused, match="Missing auth token!"):
        await first_event(WebSocketLink(peer.url, connection_params={"accessToken": None}))
    assert peer.tokens == [None]


async def test_a_connection_error_without_a_close_is_one_too(peer: Peer) -> None:
    """The client does not wait for ever for a server that says no and stays."""
    peer.script = Script(speaks=peer.script.speaks, hold_init=True)
    clock = FakeClock()
    async with Client(WebSocketLink(peer.url, clock=clock)) as client:
        waiting = asyncio.ensure_future(anext(client.subscribe(OPEN)))
        await until(lambda: peer.inits)
        peer.sockets[0].raw({"type": "connection_error", "payload": {"message": "go away"}})
        await until(lambda: clock.due == 1.0)
        clock.advance(1.0)
        with pytest.raises(ConnectionRefused, match="go away"):
            await waiting


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_upgrade_is_a_refused_credential(peer: Peer, status: int) -> None:
    """The headers are part of the credential: another one in them is tried."""
    peer.script = Script(speaks=peer.script.speaks, status=status)
    with pytest.raises(ConnectionRefused, match=f"HTTP status {status}"):
        await first_event(WebSocketLink(peer.url, headers={"authorization": "Bearer bad"}))
    assert len(peer.offers) == 1
    tokens = iter(["Bearer bad", "Bearer worse"])
    with pytest.raises(ConnectionRefused):
        await first_event(WebSocketLink(peer.url, headers=lambda: {"authorization": next(tokens)}))
    assert [headers.get("authorization") for headers in peer.headers[1:]] == ["Bearer bad", "Bearer worse"]


# --- Retries ---------------------------------------------------------------------------------------------------------


async def test_a_refused_connection_is_tried_again_until_the_server_is_there(peer: Peer) -> None:
    """The subscription was there before the server."""
    clock, states = FakeClock(), list[LinkState]()
    async with FaultProxy(peer.authority) as proxy:
        await proxy.refuse()
        link = WebSocketLink(f"ws://{proxy.authority}/", clock=clock, on_state=states.append)
        async with Client(link) as client:
            event = asyncio.ensure_future(anext(client.subscribe(OPEN)))
            for attempt in (1, 2, 3):
                await until(lambda: len(states) == 2 * attempt)  # noqa: B023 -- awaited within the turn
                if attempt == 3:
                    await proxy.accept()
                clock.advance(10)
            await subscribed(peer)
            peer.publish(1)
            assert (await event).data == 1
    assert [state.retry_in for state in states if state.phase is LinkPhase.WAITING] == [2.5, 2.5, 2.5]
    assert "Connect call failed" in states[1].reason


@pytest.mark.parametrize(("code", "window"), [(1001, 5.0), (1012, 5.0), (1013, 5.0), (1011, 1.0), (4500, 1.0)])
async def test_after_a_server_stop_the_way_back_is_spread_over_five_seconds(
    peer: Peer, code: int, window: float
) -> None:
    """Any other passing failure is tried again quickly."""
    clock = FakeClock()
    link = WebSocketLink(peer.url, clock=clock)
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
        peer.sockets[0].close(code, "Service restart") if code == 1012 else peer.sockets[0].close(code)
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        assert link.state.retry_in == window / 2
        assert link.state.code == code
        clock.advance(window)
        await until(lambda: len(peer.sockets) == 2)


async def test_a_server_that_acknowledges_and_closes_is_asked_ever_more_rarely(peer: Peer) -> None:
    """The count starts anew only after a connection that stayed up."""
    peer.script = Script(speaks=peer.script.speaks, close_after_ack=(1000, ""))
    clock, delays = FakeClock(chance=1.0), list[float | None]()

    def watch(state: LinkState) -> None:
        if state.phase is LinkPhase.WAITING:
            delays.append(state.retry_in)

    async with Client(WebSocketLink(peer.url, clock=clock, on_state=watch)) as client:
        event = asyncio.ensure_future(anext(client.subscribe(OPEN)))
        for attempt in range(1, 6):
            await until(lambda: len(delays) == attempt)  # noqa: B023 -- awaited within the turn
            if attempt == 5:
                peer.script = Script(speaks=peer.script.speaks)
            clock.advance(60)
        await subscribed(peer)
        clock.advance(10)
        peer.sockets[-1].close(1011)
        await until(lambda: len(delays) == 6)
    with pytest.raises(ConnectionClosed):
        await event
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 1.0]


async def test_attempts_come_to_an_end_if_they_are_counted(peer: Peer) -> None:
    """Then the operations are told why, and a later one starts anew."""
    peer.script = Script(speaks=peer.script.speaks, status=503)
    link = WebSocketLink(peer.url, retry=Retry(attempts=2), clock=FakeClock(chance=0.0))
    async with Client(link) as client:
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="HTTP status 503"):
                await anext(client.subscribe(OPEN))
    assert len(peer.offers) == 6


async def test_without_reconnect_a_loss_is_told(peer: Peer) -> None:
    """The subscription ends, a query fails, and the next operation may connect again."""
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}, reconnect=False)
    peer.script.hold_operations = True
    async with Client(link) as client:
        async with client.subscribe(OPEN) as events:
            query = asyncio.ensure_future(client.execute("{ a }"))
            await until(lambda: len(peer.operations) == 2)
            peer.sockets[0].drop()
            with pytest.raises(ConnectionLost) as lost:
                await anext(events)
            assert (lost.value.code, lost.value.temporary) == (1006, True)
            with pytest.raises(ConnectionLost):
                await query
        async with client.subscribe(OPEN):
            await subscribed(peer)


async def test_without_reconnect_an_expiry_is_told_too(peer: Peer) -> None:
    """A refusal on a live socket is no loss, and no reason to connect again."""
    tokens = Tokens("alice-1", "alice-2")
    link = WebSocketLink(peer.url, connection_params=tokens, reconnect=False)
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        peer.sockets[0].close(4403, "Token expired")
        with pytest.raises(ConnectionRefused, match="Token expired"):
            await anext(events)


async def test_without_reconnect_a_server_that_is_not_there_is_told() -> None:
    """At once, with what the machine said."""
    async with FaultProxy("127.0.0.1:1") as proxy:
        await proxy.refuse()
        with pytest.raises(ConnectionLost) as lost:
            await first_event(WebSocketLink(f"ws://{proxy.authority}/", reconnect=False))
    assert isinstance(lost.value.__cause__, OSError)
    assert lost.value.code is None


async def test_a_server_that_never_acknowledges_is_left_and_tried_again(peer: Peer) -> None:
    """With 4504, after `ack_seconds`."""
    peer.script = Script(speaks=peer.script.speaks, hold_init=True)
    clock = FakeClock(chance=0.0)
    link = WebSocketLink(peer.url, ack_seconds=3.0, clock=clock)
    async with Client(link) as client:
        event = asyncio.ensure_future(anext(client.subscribe(OPEN)))
        await until(lambda: peer.inits and clock.due == 3.0)
        peer.script = Script(speaks=peer.script.speaks)
        clock.advance(3.0)
        await subscribed(peer)
        peer.publish(1)
        assert (await event).data == 1
    assert peer.sockets[0].closed == (4504, "Connection acknowledgement timeout")


async def test_a_frame_that_nobody_can_read_costs_the_connection_and_no_more(peer: Peer) -> None:
    """What one frame spoiled, the next connection may bring whole; who must not reconnect is told what it was."""
    link = WebSocketLink(peer.url, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        peer.sockets[0].raw("[]")
        await until(lambda: len(peer.sockets) == 2 and peer.sockets[1].subscriptions)
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert peer.sockets[0].closed == (4004, "Invalid message received")
    async with Client(WebSocketLink(peer.url, reconnect=False)) as client, client.subscribe(OPEN) as events:
        await until(lambda: len(peer.sockets) == 3 and peer.sockets[2].subscriptions)
        peer.sockets[2].raw("[]")
        with pytest.raises(RemoteProtocolError) as broken:
            await anext(events)
    assert broken.value.close_code == 4004


# --- The credential cannot be had ------------------------------------------------------------------------------------


async def test_a_provider_that_is_down_is_no_refusal(peer: Peer) -> None:
    """The link waits and asks again."""
    answers: list[Callable[[], dict[str, object]]] = [_down, lambda: {"accessToken": "alice-1"}]

    def params() -> dict[str, object]:
        return answers.pop(0)()

    link = WebSocketLink(peer.url, connection_params=params, clock=FakeClock(chance=0.0))
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
    assert peer.tokens == ["alice-1"]
    with pytest.raises(AuthUnavailable):
        await first_event(WebSocketLink(peer.url, connection_params=_down, reconnect=False))


async def test_a_function_with_a_bug_fails_the_operations(peer: Peer) -> None:
    """At once, with the exception as the cause; nothing was dialled."""

    def broken() -> dict[str, object]:
        raise KeyError

    with pytest.raises(BadUserInput, match="KeyError") as failed:
        await first_event(WebSocketLink(peer.url, connection_params=broken))
    assert isinstance(failed.value.__cause__, KeyError)
    assert peer.offers == []


def _down() -> dict[str, object]:
    raise TimeoutError


# --- What is written again, and what is not --------------------------------------------------------------------------


async def test_a_mutation_that_was_written_is_never_written_again(peer: Peer) -> None:
    """It raises `OutcomeUnknown`, the server has it once, and the subscription beside it goes on."""
    peer.script.hold_operations = True
    async with FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(
            f"ws://{proxy.authority}/", connection_params={"accessToken": "alice-1"}, clock=FakeClock(chance=0.0)
        )
        async with Client(link) as client, client.subscribe(OPEN):
            await subscribed(peer)
            mutation = asyncio.ensure_future(client.execute("mutation Add { a }"))
            await until(lambda: len(peer.operations) == 2)
            proxy.cut()
            with pytest.raises(OutcomeUnknown) as unknown:
                await mutation
            await until(lambda: len(peer.operations) == 3)
            await turns()
    assert (unknown.value.operation_name, unknown.value.code) == ("Add", 1006)
    assert [request.query.split()[0] for _, _, request in peer.operations] == [
        "subscription", "mutation", "subscription"
    ]  # fmt: skip


async def test_a_query_is_written_again(peer: Peer) -> None:
    """It changes nothing, so its caller never learns of the loss."""
    peer.script.hold_operations = True
    link = WebSocketLink(peer.url, connection_params={"accessToken": "alice-1"}, clock=FakeClock(chance=0.0))
    async with Client(link) as client:
        query = asyncio.ensure_future(client.execute("{ a }"))
        await until(lambda: peer.operations)
        peer.script.hold_operations = False
        peer.sockets[0].drop()
        assert await query == {"by": "alice", "variables": None}
    assert len({identifier for _, identifier, _ in peer.operations}) == 2


async def test_a_mutation_that_was_not_written_waits_for_the_connection(peer: Peer) -> None:
    """Nothing has happened yet, so nothing is unknown."""
    clock = FakeClock()
    async with FaultProxy(peer.authority) as proxy:
        await proxy.refuse()
        link = WebSocketLink(f"ws://{proxy.authority}/", connection_params={"accessToken": "alice-1"}, clock=clock)
        async with Client(link) as client:
            mutation = asyncio.ensure_future(client.execute("mutation Add { a }"))
            await until(lambda: link.state.phase is LinkPhase.WAITING)
            await proxy.accept()
            clock.advance(10)
            assert await mutation == {"by": "alice", "variables": None}
    assert len(peer.operations) == 1


async def test_a_failure_of_tls_is_for_good() -> None:
    """A server without TLS behind `wss:` will not have it in a second either."""

    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = WebSocketLink(f"wss://127.0.0.1:{port}/", ssl_context=ssl.create_default_context())
    with pytest.raises(ConnectionRefused) as failed:
        await first_event(link)
    assert isinstance(failed.value.__cause__, ssl.SSLError)
    server.close()


async def test_a_token_that_ended_on_its_way_is_followed_by_the_next(peer: Peer) -> None:
    """On a slow line a token of a few seconds may be over when the server sees it: that says nothing of the login."""
    clock, source = FakeClock(chance=0.0), Source("expired-1", "expired-2", "expired-3", "alice-4")
    source.expires_at = clock.now() + 3.0
    async with Client(WebSocketLink(peer.url, auth=source, clock=clock)) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
    assert peer.tokens == ["expired-1", "expired-2", "expired-3", "alice-4"]


async def test_a_server_that_calls_every_token_expired_is_believed_in_the_end(peer: Peer) -> None:
    """Its clock is wrong, or ours: another token will not help."""
    clock, source = FakeClock(chance=0.0), Source("expired-0", *(f"expired-{number}" for number in range(1, 20)))
    source.expires_at = clock.now() + 3.0
    async with Client(WebSocketLink(peer.url, auth=source, clock=clock)) as client:
        with pytest.raises(ConnectionRefused, match="Token expired"):
            await client.execute("{ mail }")
    assert len(peer.tokens) == 7


def test_sockets_that_follow_one_another_without_a_failure_are_one_stable_connection() -> None:
    """With short tokens none lasts for long; a loss after a while of them is the first, and not the next of many."""
    clock = FakeClock(chance=1.0)
    recovery = WebSocketLink("ws://127.0.0.1:9/", clock=clock)._keeper._recovery
    lost = Ending(Verdict.RETRY, CloseCode.ABNORMAL, acknowledged=True, stayed_seconds=2.0)
    delays = []
    for up_seconds in (20.0, 20.0, 20.0, 20.0, 2.0, 2.0, 2.0, 2.0):
        recovery.acknowledged()
        clock.advance(up_seconds)
        delays.append(recovery.after(lost, credential=None))
    assert delays == [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 8.0, 16.0]
