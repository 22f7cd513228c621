"""What is heard on a WebSocket, by our reader and by `websockets` itself, so that the two can be compared.

Nothing of ours is in the second one but the rule that a text is UTF-8, which `websockets` leaves to whoever uses it
(RFC 6455, section 8.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gqlink.server.frame_bytes import NOT_UTF8, close_frame
from gqlink.server.frame_reader import FrameReader

if TYPE_CHECKING:
    from collections.abc import Iterable

Heard: TypeAlias = list[tuple[Any, ...]]

MOST_BYTES = 300


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: Heard = []

    def hear_text(self, text: str) -> None:
        """Keep a text."""
        self.heard.append(("text", text))

    def hear_binary(self) -> None:
        """Keep that there was a binary message."""
        self.heard.append(("binary",))

    def hear_fragment(self) -> None:
        """Keep that there was a part of one."""
        self.heard.append(("fragment",))

    def hear_ping(self, pong: bytes) -> None:
        """Keep an answer."""
        self.heard.append(("ping", pong))

    def hear_pong(self, payload: bytes) -> None:
        """Keep a pong."""
        self.heard.append(("pong", payload))

    def hear_close(self, code: int, reason: str, echo: bytes) -> None:
        """Keep a close."""
        self.heard.append(("close", code, reason, echo))

    def hear_nonsense(self, code: int, reason: str, close: bytes) -> None:
        """Keep what was wrong."""
        self.heard.append(("nonsense", code, reason, close))


def ours(segments: Iterable[bytes]) -> list[Heard]:
    """Return what our reader hears of each segment."""
    reader = FrameReader(most_bytes=MOST_BYTES)
    found: list[Heard] = []
    for segment in segments:
        ear = Ear()
        reader.feed(segment)
        while reader.read(ear):
            pass
        found.append(ear.heard)
    reader.close()
    return found


def theirs(segments: Iterable[bytes]) -> list[Heard]:
    """Return what `websockets` hears of each segment."""
    oracle = _Oracle()
    return [oracle.hear(segment) for segment in segments]


class _Oracle:
    """A server's half of `websockets`, after its handshake."""

    def __init__(self) -> None:
        self.protocol = ServerProtocol(state=State.OPEN, max_size=MOST_BYTES)
        self.kind = Opcode.TEXT
        self.message = b""
        self.over = False

    def hear(self, segment: bytes) -> Heard:
        """Return what one segment says."""
        self.protocol.receive_data(segment)
        heard: Heard = []
        sent = [data for data in self.protocol.data_to_send() if data]
        for frame in self.protocol.events_received():
            assert isinstance(frame, Frame)
            if not self.over:
                heard += self._take(frame, sent)
        if self.protocol.parser_exc is not None and not self.over:
            self.over = True
            close = self.protocol.close_sent
            assert close is not None
            heard.append(("nonsense", close.code, close.reason, sent[-1]))
        return heard

    def _take(self, frame: Frame, sent: list[bytes]) -> Heard:
        data = bytes(frame.data)
        match frame.opcode:
            case Opcode.PING:
                return [("ping", sent.pop(0))]
            case Opcode.PONG:
                return [("pong", data)]
            case Opcode.CLOSE:
                self.over = True
                close = self.protocol.close_rcvd
                assert close is not None
                return [("close", close.code, close.reason, sent.pop(0))]
            case Opcode.TEXT | Opcode.BINARY:
                self.kind = frame.opcode
                self.message = data
            case _:
                self.message += data
        return self._end() if frame.fin else [("fragment",)]

    def _end(self) -> Heard:
        if self.kind is Opcode.BINARY:
            return [("binary",)]
        try:
            return [("text", self.message.decode())]
        except UnicodeDecodeError:
            self.over = True
            return [("nonsense", 1007, NOT_UTF8, close_frame(1007, NOT_UTF8))]
