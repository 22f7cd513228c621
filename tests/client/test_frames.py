"""Frames as a person may see them."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING

import pytest

from client.chat import subscribed
from client.hands import FakeClock, until
from gqlink.client import Client, SocketFrame, WebSocketLink
from gqlink.client.frames import FrameWatcher
from gqlink.errors import ConnectionRefused

if TYPE_CHECKING:
    from client.peer import Peer
    from gqlink.client import Attempt

OPEN = "subscription { open }"
MARK = "c2VjcmV0LXNpZ25hdHVyZQ"


def jwt(subject: str) -> str:
    """Make something that looks like a token and would be a secret."""
    parts = [{"alg": "HS256"}, {"sub": subject, "exp": 1_790_000_900}]
    return ".".join(
        [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts] + [MARK]
    )


async def test_every_frame_is_shown_in_order_with_its_direction(peer: Peer) -> None:
    """From the handshake to the close, numbered by socket, under the dialect's own types."""
    frames: list[SocketFrame] = []
    link = WebSocketLink(
        peer.url, connection_params={"accessToken": "alice-1"}, on_frame=frames.append, clock=FakeClock()
    )
    async with Client(link) as client:
        async with client.subscribe(OPEN) as events:
            await subscribed(peer)
            peer.publish(1)
            await anext(events)
        await until(lambda: frames[-1].direction == "received" and frames[-1].type == "close")
    legacy = peer.script.speaks == ("graphql-ws",)
    seen = [(frame.direction, frame.type, frame.id) for frame in frames]
    expected = [
        ("received", "open", None),
        ("sent", "connection_init", None),
        ("received", "connection_ack", None),
        ("sent", "start" if legacy else "subscribe", "1"),
        ("received", "data" if legacy else "next", "1"),
        ("sent", "stop" if legacy else "complete", "1"),
    ]
    assert seen[:6] == expected
    assert ("sent", "close", None) in seen
    assert {frame.socket for frame in frames} == {1}
    assert (frames[0].at, frames[0].time) == (1000.0, 1_790_001_000.0)
    assert frames[0].payload == {"subprotocol": peer.script.speaks[0]}
    assert frames[3].payload == {"query": OPEN, "extensions": {"gqlink": {"cursor": True}}}
    assert frames[4].payload == {"data": 1}
    assert frames[-1].payload in ({"code": 1000, "reason": ""}, {"code": 1000, "reason": "Normal"})


@pytest.mark.parametrize("token", [jwt("alice"), f"alice-{MARK}"])
async def test_no_token_is_ever_shown_or_logged(peer: Peer, token: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in frames, nor in any log at any level, nor in an error; wherever the server repeats it."""
    frames: list[SocketFrame] = []
    peer.script.close_on_init = (4403, f"Token invalid: {token}"[:120])

    def params(attempt: Attempt) -> dict[str, object]:
        return {"headers": {"odd-name": attempt.token, "authorization": f"Bearer {attempt.token}"}}

    link = WebSocketLink(
        peer.url,
        auth=lambda: token,
        connection_params=params,
        headers={"authorization": f"Bearer {token}"},
        on_frame=frames.append,
    )
    with caplog.at_level(1):
        async with Client(link) as client:
            with pytest.raises(ConnectionRefused) as refused:
                await anext(client.subscribe(OPEN))
    assert MARK not in repr(refused.value)
    assert MARK in str(peer.inits)
    assert MARK in str(peer.headers)
    assert len(frames) >= 3
    assert MARK not in repr(frames)
    ours = [record for record in caplog.records if not record.name.startswith("picows.server")]
    assert ours
    assert not [record for record in ours if MARK in record.getMessage()]


async def test_a_hook_that_raises_does_no_harm(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the subscription goes on."""

    def broken(_: SocketFrame) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "gqlink.client"):
        async with Client(WebSocketLink(peer.url, on_frame=broken)) as client, client.subscribe(OPEN) as events:
            await subscribed(peer)
            peer.publish(1)
            assert (await anext(events)).data == 1
    assert "on_frame raised" in caplog.text


async def test_a_loss_is_shown_as_1006(peer: Peer) -> None:
    """There was no close frame, and one wants to see that."""
    frames: list[SocketFrame] = []
    link = WebSocketLink(peer.url, on_frame=frames.append, clock=FakeClock())
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
        peer.sockets[0].drop()
        await until(lambda: frames[-1].type == "close")
    assert frames[-1].payload == {"code": 1006, "reason": ""} or frames[-1].type == "close"
    assert ("received", {"code": 1006, "reason": ""}) in [(frame.direction, frame.payload) for frame in frames]


async def test_a_token_is_described(peer: Peer) -> None:
    """Whose it is and when it ends: once, not a description of the description."""
    frames: list[SocketFrame] = []
    link = WebSocketLink(peer.url, auth=lambda: jwt("alice"), on_frame=frames.append)
    async with Client(link) as client, client.subscribe(OPEN):
        await subscribed(peer)
    assert frames[1].payload == {"accessToken": "<token of alice, exp 1790000900>"}


def test_what_is_no_message_is_shown_as_text() -> None:
    """Something that no subprotocol knows is shown all the same, without secrets."""
    frames: list[SocketFrame] = []
    watcher = FrameWatcher(frames.append, socket=7, clock=FakeClock(), secrets=frozenset({"s3cret-s3cret"}))
    watcher.text("received", b'[1, "s3cret-s3cret", {"a": ["s3cret-s3cret"]}]')
    watcher.text("received", b"not JSON but s3cret-s3cret")
    watcher.text("received", b'{"type": "next", "id": 5}')
    watcher.binary(12)
    assert [frame.type for frame in frames] == ["text", "text", "next", "binary"]
    assert [frame.id for frame in frames] == [None, None, "5", None]
    assert frames[3].payload == "12 bytes"
    assert "s3cret" not in repr(frames)
