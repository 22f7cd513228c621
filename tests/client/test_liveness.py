"""Whether the server is still there, in every phase of a connection, and who is never called dead by mistake."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from client.chat import subscribed
from client.hands import FakeClock, turns, until
from client.peer import Peer, Script
from client.source import Source
from gqlink.client import Client, LinkPhase, LinkState, SocketFrame, WebSocketLink
from gqlink.client.liveness import Interval, Liveness
from gqlink.errors import ConnectionLost
from gqlink.testing import FaultProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OPEN = "subscription { open }"
LEGACY, MODERN = "graphql-ws", "graphql-transport-ws"
PING_SECONDS = 0.15


class BareServer:
    """A server that says only what a test has it say, on a line that answers pings of RFC 6455, or does not."""

    def __init__(self, *, line_answers: bool = True, pongs: int = 0, pings_first: bool = False) -> None:
        self.line_answers = line_answers
        self.pongs = pongs
        self.pings_first = pings_first
        self.sockets: list[BareSocket] = []
        self.asked = 0
        self.line_pings = 0
        self.url = ""

    @asynccontextmanager
    async def run(self) -> AsyncIterator[BareServer]:
        """Listen, and cut what is left at the end."""
        server = await ws_create_server(self._accept, "127.0.0.1", 0, enable_auto_pong=False)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.close()
            for socket in self.sockets:
                assert socket.transport is not None
                socket.transport.disconnect(graceful=False)
            await until(lambda: all(socket.gone for socket in self.sockets))

    def _accept(self, _request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        self.sockets.append(BareSocket(self))
        headers = {"Sec-WebSocket-Protocol": MODERN}
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), self.sockets[-1])


class BareSocket(WSListener):
    """One connection of it."""

    def __init__(self, server: BareServer) -> None:
        self.server = server
        self.transport: WSTransport | None = None
        self.operation: str | None = None
        self.gone = False

    def say(self, message: object) -> None:
        """Send any message."""
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, json.dumps(message).encode())

    def publish(self, data: object) -> None:
        """Send an event."""
        self.say({"id": self.operation, "type": "next", "payload": {"data": data}})

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Take it."""
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Take note that it has gone."""
        del transport
        self.gone = True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer what is to be answered."""
        if frame.msg_type == WSMsgType.PING:
            self.server.line_pings += 1
            if self.server.line_answers:
                transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self._message(json.loads(frame.get_payload_as_bytes()))

    def _message(self, message: dict[str, object]) -> None:
        match message["type"]:
            case "connection_init":
                self.say({"type": "connection_ack"})
                if self.server.pings_first:
                    self.say({"type": "ping"})
            case "subscribe":
                self.operation = str(message["id"])
            case "ping":
                self.server.asked += 1
                if self.server.asked <= self.server.pongs:
                    self.say({"type": "pong"})


@pytest.mark.parametrize(
    ("moments", "patience"),
    [
        ([], None),
        ([0.0], None),
        ([0.0, 25.0], None),
        ([0.0, 25.0, 50.0], 50.0),
        ([0.0, 0.01, 25.0, 50.0], 50.0),
        ([0.0, 0.01, 0.02], None),
        ([0.0, 5.0, 65.0], None),
        ([0.0, 5.0, 65.0, 125.0], 120.0),
        ([0.0, 4.0, 8.0], 14.0),
        ([0.0, 20.0, 50.0], 60.0),
        ([0.0, 20.0, 40.0, 70.0, 90.0], 60.0),
    ],
)
def test_an_interval_is_learned_from_two_that_are_alike(moments: list[float], patience: float | None) -> None:
    """The longest of those counts, a burst is none, and a short one is given ten seconds more."""
    interval = Interval()
    for moment in moments:
        interval.beat(moment)
    assert interval.patience == patience


async def test_what_is_over_is_judged_no_more() -> None:
    """Neither by what was learned, nor by what comes late."""
    said: list[str] = []
    clock = FakeClock()
    liveness = Liveness(clock, ask=lambda: said.append("asked"), on_dead=said.append)
    liveness.knows_pings()
    for _ in range(3):
        liveness.keep_alive()
        clock.advance(10.0)
    assert clock.due == 10.0
    liveness.end()
    assert clock.due is None
    liveness.keep_alive()
    for _ in range(8):
        liveness.quiet()
    assert (said, clock.due) == ([], None)


async def test_a_handshake_that_a_black_hole_swallows_is_given_up(peer: Peer) -> None:
    """Within `connect_seconds`: TCP was accepted, and nothing follows."""
    async with FaultProxy(peer.authority) as proxy:
        proxy.black_hole()
        link = WebSocketLink(f"ws://{proxy.authority}/", reconnect=False, connect_seconds=0.05)
        async with Client(link) as client:
            with pytest.raises(ConnectionLost) as lost:
                await anext(client.subscribe(OPEN))
        assert isinstance(lost.value.__cause__, TimeoutError)


async def test_an_ack_that_a_black_hole_swallows_is_given_up(peer: Peer) -> None:
    """At `ack_seconds` after the handshake, not before, however eagerly the line answers."""
    clock = FakeClock()
    peer.script.hold_init = True
    async with FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(f"ws://{proxy.authority}/", reconnect=False, ack_seconds=7.0, clock=clock)
        async with Client(link) as client:
            waiting = asyncio.ensure_future(anext(client.subscribe(OPEN)))
            await until(lambda: peer.inits)
            proxy.black_hole()
            clock.advance(6.9)
            await turns()
            assert not waiting.done()
            clock.advance(0.2)
            with pytest.raises(ConnectionLost) as lost:
                await waiting
        assert lost.value.code == 4504


async def test_an_idle_link_that_loses_its_server_comes_back_without_a_call(peer: Peer) -> None:
    """An eager link has nothing to run, and nobody asks it for anything."""
    clock = FakeClock(chance=0.0)
    async with FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(f"ws://{proxy.authority}/", lazy=False, ping_seconds=PING_SECONDS, clock=clock)
        async with Client(link):
            await until(lambda: link.state.phase is LinkPhase.LIVE)
            proxy.black_hole()
            await until(lambda: link.state.phase is not LinkPhase.LIVE)
            proxy.heal()
            await until(lambda: link.state.phase is LinkPhase.LIVE)
            assert link.state.socket != 1


async def test_a_black_hole_is_noticed_in_a_flood_of_our_own_writes(peer: Peer) -> None:
    """What waits in our own buffers is no sign of life of anybody; the queries are asked again."""
    clock = FakeClock(chance=0.0)
    filling = "x" * 50_000
    async with FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(
            f"ws://{proxy.authority}/",
            connection_params={"accessToken": "alice-1"},
            ping_seconds=PING_SECONDS,
            clock=clock,
        )
        async with Client(link) as client, client.subscribe(OPEN):
            await subscribed(peer)
            proxy.black_hole()
            waiting = [
                asyncio.ensure_future(client.execute("query($x: String) { q }", {"x": filling})) for _ in range(100)
            ]
            await until(lambda: link.state.phase is not LinkPhase.LIVE)
            proxy.heal()
            await asyncio.gather(*waiting)


async def test_a_socket_that_drains_into_a_black_hole_is_noticed() -> None:
    """After a handover the old socket owes an answer; when it is dead, the new one is asked for it."""
    clock = FakeClock()
    source = Source("alice-1", "alice-2")
    source.expires_at = clock.now() + 900.0
    async with Peer(Script(additions=False, hold_operations=True)) as peer, FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(
            f"ws://{proxy.authority}/", auth=source, ping_seconds=PING_SECONDS, overlap_seconds=0.0, clock=clock
        )
        async with Client(link) as client, client.subscribe(OPEN):
            await subscribed(peer)
            asking = asyncio.ensure_future(client.execute("query { q }"))
            await until(lambda: len(peer.operations) == 2)
            clock.advance(700.0)
            await until(lambda: link.state.renewed == 1 and len(peer.subscribers) == 1)
            proxy.connections[0].stall()
            peer.script.hold_operations = False
            assert await asking == {"by": "alice", "variables": None}
        assert [number for number, _, request in peer.operations if request.query == "query { q }"] == [1, 2]


async def test_any_frame_is_a_sign_of_life() -> None:
    """Of a server that answers no ping of RFC 6455, too; when it says nothing either, it is dead."""
    async with BareServer(line_answers=False).run() as server:
        link = WebSocketLink(server.url, ping_seconds=PING_SECONDS, clock=FakeClock(chance=0.0))
        async with Client(link) as client, client.subscribe(OPEN) as events:
            await until(lambda: server.sockets and server.sockets[0].operation)
            for number in range(5):
                await until(lambda: server.line_pings > number)  # noqa: B023 -- called in this turn only
                server.sockets[0].publish(number)
                assert (await anext(events)).data == number
            assert len(server.sockets) == 1
            await until(lambda: len(server.sockets) == 2)


class KeepingAlive:
    """A legacy server that says `ka` every 20 seconds of the test's clock, three times, and a link to it."""

    def __init__(self, peer: Peer, *, ping_seconds: float | None = None) -> None:
        self.peer = peer
        self.clock = FakeClock(chance=0.0)
        self.said = 0
        self.states: list[LinkState] = []
        self.link = WebSocketLink(
            peer.url,
            clock=self.clock,
            ping_seconds=ping_seconds,
            on_frame=self._count,
            on_state=self.states.append,
        )

    def _count(self, frame: SocketFrame) -> None:
        self.said += frame.type == "ka"

    async def learn(self) -> None:
        """Let the link learn the interval: 40 seconds after the last one are too much."""
        await subscribed(self.peer)
        for number in range(3):
            if number:
                self.clock.advance(20.0)
            self.peer.sockets[0].raw({"type": "ka"})
            await until(lambda: self.said > number)  # noqa: B023 -- called in this turn only
        assert self.clock.due == 40.0


@pytest.mark.parametrize("subprotocol", [LEGACY], indirect=True)
async def test_a_server_that_stops_to_say_ka_is_dead(peer: Peer) -> None:
    """After twice the interval that was learned from it; a proxy that answers for it makes no difference."""
    server = KeepingAlive(peer, ping_seconds=PING_SECONDS)
    async with Client(server.link) as client, client.subscribe(OPEN) as events:
        await server.learn()
        server.clock.advance(39.9)
        pings = peer.sockets[0].pings
        await until(lambda: peer.sockets[0].pings > pings)
        assert server.link.state.phase is LinkPhase.LIVE
        server.clock.advance(0.2)
        await until(lambda: server.link.state.phase is not LinkPhase.LIVE)
        server.clock.advance(60.0)
        await until(lambda: len(peer.subscribers) == 1 and peer.subscribers[0] is not peer.sockets[0])
        peer.publish("again")
        assert (await anext(events)).data == "again"
    assert [state.reason for state in server.states if state.code == 1006] == [
        "the server has stopped to say that it is alive"
    ]


@pytest.mark.parametrize("subprotocol", [LEGACY], indirect=True)
async def test_a_server_that_sends_data_instead_of_ka_is_alive(peer: Peer) -> None:
    """Whatever it promised: silence is what counts."""
    server = KeepingAlive(peer)
    async with Client(server.link) as client, client.subscribe(OPEN) as events:
        await server.learn()
        for number in range(5):
            peer.publish(number)
            assert (await anext(events)).data == number
            server.clock.advance(40.0)
            assert server.clock.due == 40.0
        server.clock.advance(40.0)
        await until(lambda: server.link.state.phase is not LinkPhase.LIVE)


@pytest.mark.parametrize("subprotocol", [LEGACY], indirect=True)
async def test_what_waits_in_the_kernel_is_read_before_the_verdict(peer: Peer) -> None:
    """A process that stood still finds its deadline past and the answer unread."""
    server = KeepingAlive(peer)
    async with Client(server.link) as client, client.subscribe(OPEN) as events:
        await server.learn()
        peer.publish("late")
        server.clock.advance(500.0)
        assert server.clock.due is None
        assert (await anext(events)).data == "late"
        await until(lambda: server.clock.due == 40.0)
        assert server.link.state.phase is LinkPhase.LIVE


async def test_a_server_that_has_ponged_and_does_not_any_more_is_dead() -> None:
    """Though the line still answers: whatever answers there is not the server."""
    async with BareServer(pongs=1, pings_first=True).run() as server:
        link = WebSocketLink(server.url, ping_seconds=PING_SECONDS, clock=FakeClock(chance=0.0))
        async with Client(link) as client, client.subscribe(OPEN):
            await until(lambda: len(server.sockets) == 2)
        assert server.asked >= 2


@pytest.mark.parametrize(("pings_first", "asked"), [(True, 2), (False, 0)])
async def test_a_server_that_has_never_ponged_is_not_dead(pings_first: bool, asked: int) -> None:  # noqa: FBT001 -- a case
    """It is asked twice; one that has never shown that it knows pings is not asked at all."""
    async with BareServer(pings_first=pings_first).run() as server:
        link = WebSocketLink(server.url, ping_seconds=PING_SECONDS)
        async with Client(link) as client, client.subscribe(OPEN) as events:
            await until(lambda: server.line_pings >= 8)
            assert (server.asked, len(server.sockets)) == (asked, 1)
            server.sockets[0].publish("still here")
            assert (await anext(events)).data == "still here"


async def test_pings_of_a_peer_that_does_not_read_are_not_answered_for_ever(peer: Peer) -> None:
    """What it is owed stays within a bound; one that reads gets its pongs."""
    async with FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(f"ws://{proxy.authority}/")
        async with Client(link) as client, client.subscribe(OPEN) as events:
            await subscribed(peer)
            transport = peer.sockets[0].transport
            assert transport is not None
            proxy.half_open(silent="client")
            for _ in range(200):
                for _ in range(1000):
                    transport.send_ping(b"x" * 120)
                await turns(5)
            peer.publish("after the pings")
            assert (await anext(events)).data == "after the pings"
            (socket,) = link._keeper._sockets
            assert socket._transport is not None
            assert socket._transport.underlying_transport.get_write_buffer_size() < 200_000
            proxy.cut()
