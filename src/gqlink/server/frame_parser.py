"""What a client's bytes say, as the sans-I/O parser of `websockets` reads them.

It also decides what is wrong, and with which close code that is said. What is added here: messages are put together
from their fragments, a text is UTF-8, and a segment is read in small pieces, so that those of a flood that come too
late are not even parsed.

Source: RFC 6455, sections 5 and 8.1.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from websockets.frames import Opcode

from gqlink.protocol import CloseCode
from gqlink.server.frame_bytes import CLOSE, NOT_UTF8, PONG, close_frame, control_frame

if TYPE_CHECKING:
    from websockets.frames import Frame
    from websockets.server import ServerProtocol

__all__ = ("FrameHearer", "FrameParser")

# The smallest masked frame has 6 bytes, so that so many bytes are parsed in a few milliseconds.
_SLICE_BYTES: Final = 4096


class FrameHearer(Protocol):
    """Who is told what a client says, frame by frame."""

    def hear_text(self, text: str) -> None:
        """Take a text message."""

    def hear_binary(self) -> None:
        """Take note of a binary message."""

    def hear_fragment(self) -> None:
        """Take note of a part of a message; its last part is the message."""

    def hear_ping(self, pong: bytes) -> None:
        """Take a ping, and the frame that answers it."""

    def hear_pong(self, payload: bytes) -> None:
        """Take a pong."""

    def hear_close(self, code: int, reason: str, echo: bytes) -> None:
        """Take a close, and the frame that answers it; nothing is heard after it."""

    def hear_nonsense(self, code: int, reason: str, close: bytes) -> None:
        """Take note of what is none of these, and the close that says so; nothing is heard after it."""


class FrameParser:
    """Reads one socket.

    Args:
        connection: A parser whose handshake is over; it may be in the middle of something.
    """

    __slots__ = ("_connection", "_frames", "_is_text", "_message", "_over", "_unread")

    def __init__(self, connection: ServerProtocol) -> None:
        self._connection = connection
        self._frames: deque[Frame] = deque()
        self._is_text = False
        self._message = bytearray()
        self._over = False
        self._unread = b""

    def resume(self, message: bytes, *, is_text: bool) -> None:
        """Take over what has come of a message whose last fragment has not."""
        self._message += message
        self._is_text = is_text

    def feed(self, data: bytes) -> None:
        """Take bytes, cut anywhere."""
        if not self._over:
            self._unread = self._unread + data if self._unread else data

    def read(self, hearer: FrameHearer) -> bool:
        """Say what comes next; False, and nothing, when more bytes are needed for it, or nothing counts any more."""
        while not self._frames:
            if self._over or not (self._unread or self._connection.parser_exc):
                return False
            if self._connection.parser_exc:
                self._fail(hearer)
                return True
            self._parse()
        self._tell(self._frames.popleft(), hearer)
        return True

    def close(self) -> None:
        """Read nothing more, and let go of everything; harmless to repeat."""
        self._over = True
        self._unread = b""
        self._frames.clear()
        self._message.clear()
        # It holds its own frame in a cycle.
        self._connection.parser.close()

    def _parse(self) -> None:
        piece, self._unread = self._unread[:_SLICE_BYTES], self._unread[_SLICE_BYTES:]
        self._connection.receive_data(piece)
        # Until the handshake is over, requests are events too.
        self._frames += self._connection.events_received()  # type: ignore[arg-type]
        self._connection.data_to_send()  # what answers a frame is built where it is heard
        if self._connection.parser_exc:
            self._unread = b""

    def _tell(self, frame: Frame, hearer: FrameHearer) -> None:
        match frame.opcode:
            case Opcode.PING:
                hearer.hear_ping(control_frame(PONG, bytes(frame.data)))
            case Opcode.PONG:
                hearer.hear_pong(bytes(frame.data))
            case Opcode.CLOSE:
                self._end(frame, hearer)
            case _:
                self._collect(frame, hearer)

    def _collect(self, frame: Frame, hearer: FrameHearer) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._message += frame.data
        if not frame.fin:
            hearer.hear_fragment()
            return
        message, self._message = self._message, bytearray()
        if not self._is_text:
            hearer.hear_binary()
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self.close()
            hearer.hear_nonsense(CloseCode.INVALID_DATA, NOT_UTF8, close_frame(CloseCode.INVALID_DATA, NOT_UTF8))
        else:
            hearer.hear_text(text)

    def _end(self, frame: Frame, hearer: FrameHearer) -> None:
        close = self._connection.close_rcvd
        assert close is not None
        self.close()
        hearer.hear_close(close.code, close.reason, control_frame(CLOSE, bytes(frame.data)))

    def _fail(self, hearer: FrameHearer) -> None:
        close = self._connection.close_sent
        assert close is not None
        self.close()
        hearer.hear_nonsense(close.code, close.reason, close_frame(close.code, close.reason))
