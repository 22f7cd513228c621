"""The log tells what happens by stable names, warns once in an outage, and the states form a line for a person."""

from __future__ import annotations

import json
import logging

import pytest

from client.chat import subscribed
from client.hands import FakeClock, until
from client.peer import Peer, Script
from client.source import Source
from gqlink.client import Client, LinkPhase, LinkState, SubscriptionPhase, SubscriptionState, WebSocketLink
from gqlink.client.telemetry import EVENT_LEVELS, log_event
from gqlink.errors import ConnectionRefused, SubscriberLagging

SUBSCRIPTION = "subscription Mail { mail }"


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the names of what was logged, in order."""
    return [record.gqlink_event for record in caplog.records if hasattr(record, "gqlink_event")]


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    """Return the records of one event."""
    return [record for record in caplog.records if getattr(record, "gqlink_event", None) == event]


async def waits(caplog: pytest.LogCaptureFixture, times: int) -> None:
    """Let the link wait for its next attempt for the so-many-th time."""
    await until(lambda: len(told(caplog, "waiting")) == times)


async def test_an_outage_gives_this_sequence_of_states(
    peer: Peer, subprotocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost, refused once by a server that starts, back, a gap, closed: each step is a state, a line and a record."""
    caplog.set_level(logging.DEBUG, "gqlink.client")
    clock, states = FakeClock(), list[LinkState]()
    peer.script.additions = False
    link = WebSocketLink(peer.url, auth=Source("alice-1"), clock=clock, on_state=states.append)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        clock.advance(12.0)
        assert link.state.describe(clock.now()) == "live for 12 s"
        peer.script.status = 503
        peer.sockets[-1].drop()
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        assert link.state.describe(clock.now() + 1.0) == "reconnecting in 2 s: 1006"
        clock.advance(2.5)
        await until(lambda: link.state.phase is LinkPhase.WAITING and link.state.code is None)
        assert link.state.describe(clock.now()) == "reconnecting in 2 s: HTTP status 503"
        peer.script.status = None
        clock.advance(60.0)
        await until(lambda: link.state.gaps)
        assert link.state.describe(clock.now() + 1.0) == "live for 1 s, 1 gap"

    assert [str(state) for state in states] == [
        "connecting",
        "live",
        "reconnecting in 2 s: 1006",
        "connecting",
        "reconnecting in 2 s: HTTP status 503",
        "connecting",
        "connecting, 1 gap",
        "live, 1 gap",
        "closed, 1 gap",
    ]
    assert events(caplog) == [
        "connecting", "live", "lost", "waiting", "connecting", "waiting", "connecting", "gap", "live", "closed",
    ]  # fmt: skip
    assert vars(told(caplog, "live")[0]).items() >= {"socket": 1, "subprotocol": subprotocol}.items()
    assert vars(told(caplog, "lost")[0]).items() >= {"socket": 1, "code": 1006}.items()
    assert vars(told(caplog, "waiting")[1]).items() >= {"retry_in": 2.5, "reason": "HTTP status 503"}.items()
    assert vars(told(caplog, "gap")[0])["operation"] == "Mail"


async def test_a_link_that_tries_for_hours_warns_once(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """The first loss is worth a warning; each attempt after it is a record, but none to look at."""
    caplog.set_level(logging.INFO, "gqlink.client")
    clock, tried = FakeClock(), 0
    link = WebSocketLink(peer.url, auth=Source("alice-1"), clock=clock)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION, on_gap="ignore"):
        await subscribed(peer)
        for _ in range(2):
            peer.script.status = 503
            peer.subscribers[-1].drop()
            for further in range(9, 0, -1):
                tried += 1
                await waits(caplog, tried)
                peer.script.status = 503 if further > 1 else None
                clock.advance(120.0)
            await until(lambda: peer.subscribers)
            clock.advance(3600.0)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [getattr(record, "gqlink_event", "") for record in warnings] == ["lost", "lost"]


async def test_a_server_that_was_never_there_is_worth_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """There was no connection that could be lost."""
    caplog.set_level(logging.INFO, "gqlink.client")
    clock = FakeClock()
    async with Peer(Script(status=503)) as peer:
        link = WebSocketLink(peer.url, clock=clock, lazy=False)
        async with Client(link):
            for attempt in range(1, 4):
                await waits(caplog, attempt)
                clock.advance(120.0)
    assert [record.levelno for record in told(caplog, "waiting")][:3] == [logging.WARNING, logging.INFO, logging.INFO]


async def test_a_refusal_is_told_with_its_code(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """An expired token is ordinary; giving up is worth a warning, once for all who try again in vain."""
    caplog.set_level(logging.INFO, "gqlink.client")
    link = WebSocketLink(peer.url, auth=Source("expired-1"))
    async with Client(link) as client:
        for _ in range(2):
            with pytest.raises(ConnectionRefused):
                await client.execute("query { open }")
    (refused,) = told(caplog, "refused")
    assert vars(refused).items() >= {"code": 4403, "reason": "Token expired", "levelno": logging.INFO}.items()
    assert [record.levelno for record in told(caplog, "failed")] == [logging.WARNING, logging.INFO]
    assert link.state.reason == "Token expired" or link.state.phase is LinkPhase.CLOSED


async def test_renewals_and_handovers_are_told_apart(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """On the same socket or by another one; in neither does the time start anew for which the link is live."""
    caplog.set_level(logging.DEBUG, "gqlink.client")
    by_ping = "transport" in peer.script.speaks[0]
    peer.script.renewal = "ping" if by_ping else None
    clock, source = FakeClock(), Source("alice-1", "alice-2")
    link = WebSocketLink(peer.url, auth=source, clock=clock, overlap_seconds=0.0)
    async with Client(link) as client, client.subscribe(SUBSCRIPTION):
        await subscribed(peer)
        live_since = link.state.live_since
        clock.advance(700.0)
        await until(lambda: link.state.renewed)
        assert link.state.live_since == live_since == 1000.0
        assert link.state.describe(clock.now()) == "live for 700 s as alice"
    assert events(caplog)[:3] == ["connecting", "live", "renewed" if by_ping else "handover"]


async def test_a_slow_consumer_is_told_of(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """By the name of its operation."""
    async with (
        Client(WebSocketLink(peer.url, auth=Source("alice-1"))) as client,
        client.subscribe(SUBSCRIPTION, buffer=1) as mail,
    ):
        await subscribed(peer)
        peer.publish(1)
        peer.publish(2)
        await until(lambda: mail.state.phase is SubscriptionPhase.ENDED)
        await anext(mail)
        with pytest.raises(SubscriberLagging):
            await anext(mail)
    (lagging,) = told(caplog, "lagging")
    assert vars(lagging)["operation"] == "Mail"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (LinkState(LinkPhase.IDLE, 0.0), "idle"),
        (LinkState(LinkPhase.CONNECTING, 9.5), "connecting"),
        (LinkState(LinkPhase.CONNECTING, 4.0), "connecting for 6 s"),
        (LinkState(LinkPhase.LIVE, 8.0, subject="alice", live_since=3.0), "live for 7 s as alice"),
        (LinkState(LinkPhase.LIVE, 8.0, live_since=10.0, gaps=2), "live for 0 s, 2 gaps"),
        (
            LinkState(LinkPhase.WAITING, 8.0, retry_in=5.0, code=1012, reason="Service restart"),
            "reconnecting in 3 s: 1012 Service restart",
        ),
        (LinkState(LinkPhase.WAITING, 0.0, retry_in=5.0), "reconnecting in 0 s"),
        (LinkState(LinkPhase.FAILED, 0.0, code=4403, reason="Token invalid"), "failed: 4403 Token invalid"),
        (LinkState(LinkPhase.CLOSED, 0.0), "closed"),
    ],
)
def test_a_state_is_a_status_line(state: LinkState, line: str) -> None:
    """What it does, for how long or when, as whom or why, and whether something may be missing."""
    assert state.describe(10.0) == line


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (SubscriptionState(SubscriptionPhase.WAITING, 9.0), "waiting for 1 s"),
        (SubscriptionState(SubscriptionPhase.LIVE, 3.0, gaps=1, dropped=12), "live for 7 s, 1 gap, 12 dropped"),
        (SubscriptionState(SubscriptionPhase.ENDED, 3.0, gaps=2), "ended, 2 gaps"),
    ],
)
def test_a_subscription_is_one_too(state: SubscriptionState, line: str) -> None:
    """It has gaps of its own, and events that its consumer was too slow for."""
    assert state.describe(10.0) == line


def test_an_event_has_a_level_of_its_own_and_only_known_fields(caplog: pytest.LogCaptureFixture) -> None:
    """None of the standard's own names is used, and what is not known is not said."""
    caplog.set_level(logging.DEBUG, "gqlink.client")
    for event in EVENT_LEVELS:
        log_event(event, "%s", event, socket=1, code=None)
    assert [record.levelno for record in caplog.records] == list(EVENT_LEVELS.values())
    assert {record.funcName for record in caplog.records} == {
        "test_an_event_has_a_level_of_its_own_and_only_known_fields"
    }
    assert not hasattr(caplog.records[0], "code")
    assert json.dumps(vars(caplog.records[0])["socket"]) == "1"
