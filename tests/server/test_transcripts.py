"""Every transcript that a live server can play, against the application over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
import websockets

from gqlink.protocol import Close, ConnectionLimits, Text
from gqlink.server import GraphQLApp, Limits
from gqlink.testing import FakeClock, load_pages, play_socket
from gqlink.testing.stage import authenticate, standard_schema
from server.eventually import turns
from server.peer import peer
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from gqlink.auth import Credentials, Identity
    from gqlink.protocol import Dialect, Frame
    from gqlink.testing import Dialogue

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("any_road")]

DIALOGUES: Final = [
    dialogue for page in load_pages() for dialogue in page.dialogues if "machine-only" not in dialogue.tags
]
LIVE: Final = [dialogue for dialogue in DIALOGUES if dialogue.suits_live_server]
# The bounds and the clock of a server of ours can be set as the dialogue wants; how deep a message may be nested
# cannot.
OURS: Final = [
    dialogue
    for dialogue in DIALOGUES
    if dialogue.suits_server
    and not dialogue.suits_live_server
    and dialogue.limits.nesting == ConnectionLimits().nesting
]


class LiveSocket:
    """What `play_socket` needs of a WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send_text(self, text: str) -> None:
        """Send a text frame; after a close there is nowhere to send it to."""
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.socket.send(text)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        await self.socket.send(data)

    async def receive(self) -> Frame:
        """Wait for the next frame."""
        try:
            return Text(await self.socket.recv(decode=False))
        except websockets.ConnectionClosed as exc:
            return Close(1006) if exc.rcvd is None else Close(exc.rcvd.code, exc.rcvd.reason)

    async def close(self, code: int, reason: str) -> None:
        """Close, or break the connection."""
        if code == 1006:
            self.socket.transport.abort()
        else:
            await self.socket.close(code, reason)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def authority(any_road: str) -> AsyncIterator[str]:
    """One server for the whole file."""
    async with serving(GraphQLApp(standard_schema(), authenticate=authenticate), ws=any_road) as authority:
        yield authority


@pytest.mark.parametrize("dialogue", LIVE, ids=lambda dialogue: dialogue.name)
async def test_the_server_plays_its_part(authority: str, dialogue: Dialogue) -> None:
    """As the page says, with the defaults."""
    await _play(authority, dialogue)


@pytest.mark.parametrize("dialogue", OURS, ids=lambda dialogue: dialogue.name)
async def test_the_server_plays_its_part_with_other_bounds(dialogue: Dialogue) -> None:
    """With the bounds that the page sets, and a clock that moves when it says so."""
    clock = FakeClock()
    hook = _never if dialogue.name.startswith("authentication-too-slow") else partial(authenticate, wall=clock.wall)
    limits = Limits(
        init_seconds=dialogue.limits.init_seconds,
        message_bytes=dialogue.limits.message_bytes,
        operation_id_bytes=dialogue.limits.operation_id_bytes,
        operations_per_socket=dialogue.limits.operations,
    )
    app = GraphQLApp(standard_schema(), authenticate=hook, limits=limits, clock=clock)
    async with serving(app) as authority:
        await _play(authority, dialogue, clock=clock)


async def _play(authority: str, dialogue: Dialogue, *, clock: FakeClock | None = None) -> None:
    async def wait(seconds: float) -> None:
        assert clock is not None
        await turns(100)  # what was said before has arrived by then
        clock.advance(seconds)

    dialect: Dialect = dialogue.dialect
    async with peer(authority, dialect) as client:
        await play_socket(dialogue, LiveSocket(client.socket), wait=wait)


async def _never(_: Credentials) -> Identity:
    await asyncio.Event().wait()
    raise AssertionError


async def test_there_is_something_to_play() -> None:
    """An empty list would pass as well."""
    assert len(LIVE) > 50
    assert OURS
