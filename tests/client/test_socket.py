"""What a socket makes of frames that are not one message each, and of lines that die."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from picows import WSMsgType

from client.chat import subscribed
from client.hands import FakeClock, until
from gqlink.client import Client, LinkPhase, SocketFrame, WebSocketLink
from gqlink.errors import ConnectionRefused, RemoteProtocolError
from gqlink.testing import FaultProxy

if TYPE_CHECKING:
    from picows import WSTransport

    from client.peer import Peer, PeerSocket

OPEN = "subscription { open }"


def wire(socket: PeerSocket) -> WSTransport:
    """Return what writes frames as they are."""
    assert socket.transport is not None
    return socket.transport


def event(peer: Peer, data: object) -> bytes:
    """Write an event for the first operation."""
    kind = "data" if peer.script.speaks == ("graphql-ws",) else "next"
    return json.dumps({"id": "1", "type": kind, "payload": {"data": data}}).encode()


async def test_a_message_in_several_frames_is_put_together(peer: Peer) -> None:
    """With a ping between its parts, as RFC 6455 allows."""
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        text, transport = event(peer, "whole"), wire(peer.sockets[0])
        transport.send(WSMsgType.TEXT, text[:10], fin=False)
        transport.send(WSMsgType.CONTINUATION, text[10:20], fin=False)
        transport.send_ping(b"between")
        transport.send(WSMsgType.CONTINUATION, text[20:], fin=True)
        peer.publish("next")
        assert [(await anext(events)).data for _ in range(2)] == ["whole", "next"]


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_message_that_is_too_big_ends_the_connection_for_good(peer: Peer, pieces: int) -> None:
    """With 1009, whether it comes in one frame or in many; asking again would bring it again."""
    async with Client(WebSocketLink(peer.url, message_bytes=1000)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        transport = wire(peer.sockets[0])
        part = b" " * (1500 // pieces)
        transport.send(WSMsgType.TEXT, part, fin=pieces == 1)
        for piece in range(1, pieces):
            transport.send(WSMsgType.CONTINUATION, part, fin=piece == pieces - 1)
        with pytest.raises(ConnectionRefused) as refused:
            await anext(events)
        assert refused.value.code == 1009
    assert len(peer.sockets) == 1


async def test_a_binary_frame_breaks_the_protocol(peer: Peer) -> None:
    """Neither subprotocol has them; it is shown as what it is."""
    frames: list[SocketFrame] = []
    link = WebSocketLink(peer.url, reconnect=False, on_frame=frames.append)
    async with Client(link) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        wire(peer.sockets[0]).send(WSMsgType.BINARY, b"\x00\x01")
        with pytest.raises(RemoteProtocolError):
            await anext(events)
    assert "binary" in [frame.type for frame in frames]


async def test_a_close_frame_without_a_code_is_1005_and_answered_with_1000(peer: Peer) -> None:
    """1005 is never on the wire; the connection is tried again."""
    clock = FakeClock(chance=0.0)
    link = WebSocketLink(peer.url, clock=clock)
    states: list[int | None] = []
    link = WebSocketLink(peer.url, clock=clock, on_state=lambda state: states.append(state.code))
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
        wire(peer.sockets[0]).underlying_transport.write(b"\x88\x00")
        await until(lambda: len(peer.sockets) == 2)
        await subscribed(peer)
    assert 1005 in states
    assert peer.sockets[0].closed == (1000, "")


async def test_a_line_that_is_dead_is_noticed_without_any_call(peer: Peer) -> None:
    """A proxy that holds everything back: twice the interval later the link connects again."""
    async with FaultProxy(peer.authority) as proxy:
        link = WebSocketLink(f"ws://{proxy.authority}/", ping_seconds=0.05, clock=FakeClock(chance=0.0))
        async with Client(link) as client, client.subscribe(OPEN) as events:
            await subscribed(peer)
            proxy.delay_seconds = 60.0
            await until(lambda: link.state.phase is not LinkPhase.LIVE)
            assert link.state.code in {1006, None}
            proxy.delay_seconds = 0.0
            await until(lambda: len(peer.sockets) >= 2 and peer.sockets[-1].subscriptions)
            peer.sockets[-1].publish(1)
            assert (await anext(events)).data == 1


async def test_a_line_that_is_alive_stays(peer: Peer) -> None:
    """The server answers the pings, and nobody else sees them."""
    async with Client(WebSocketLink(peer.url, ping_seconds=0.01)) as client, client.subscribe(OPEN) as events:
        await subscribed(peer)
        await until(lambda: peer.sockets[0].pings >= 3)
        peer.publish(1)
        assert (await anext(events)).data == 1
    assert len(peer.sockets) == 1
