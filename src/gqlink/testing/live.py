"""Playing transcripts against any server behind a socket, in process or far away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from gqlink.protocol import Close, Side
from gqlink.testing.matching import read_json, require_match
from gqlink.testing.transcripts import CloseLine, FrameLine, WaitLine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqlink.protocol import Frame
    from gqlink.testing.transcripts import Dialogue

__all__ = ("Socket", "play_socket")

_BINARY: Final = b"\x00\x01"


class Socket(Protocol):
    """A connected WebSocket, as a client holds it; `play_socket` needs no more of it."""

    async def send_text(self, text: str) -> None:
        """Send one text frame."""

    async def send_bytes(self, data: bytes) -> None:
        """Send one binary frame."""

    async def receive(self) -> Frame:
        """Wait for the next frame: a `Text`, or the `Close` that ends everything (1006 where none came)."""

    async def close(self, code: int, reason: str) -> None:
        """Close from the client's side."""


async def play_socket(
    dialogue: Dialogue, socket: Socket, *, wait: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Play a dialogue against a server behind a socket; it must serve the standard schema and tokens.

    A live server may say more than the transcript: further members of an object, and `ka`, are let pass.

    Args:
        dialogue: One that `suits_live_server`, unless `wait` moves the server's clock.
        socket: Just connected, with the dialogue's subprotocol.
        wait: What lets seconds pass.
    """
    for line in dialogue.lines:
        match line:
            case WaitLine():
                await wait(line.seconds)
            case CloseLine() if line.speaker is Side.CLIENT:
                await socket.close(line.code, line.reason)
            case FrameLine() if line.speaker is Side.CLIENT:
                await (socket.send_bytes(_BINARY) if line.text is None else socket.send_text(line.text))
            case FrameLine() | CloseLine():
                require_match(dialogue, line, await _next_frame(socket, line), exactly=False)


async def _next_frame(socket: Socket, line: FrameLine | CloseLine) -> Frame:
    """Return the next frame that is not a keep-alive between the lines."""
    keep_alive = {"type": "ka"}
    while True:
        frame = await socket.receive()
        expected = isinstance(line, FrameLine) and line.value == keep_alive
        if expected or isinstance(frame, Close) or read_json(frame.data) != keep_alive:
            return frame
