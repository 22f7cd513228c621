"""What a client's bytes say, at the price of an idle socket: nothing is held between frames.

One whole, unfragmented, masked text frame is read here; that is what a client of ours sends all day. Anything else goes
to the parser of `websockets` (frame_parser.py), which is made when it is needed: for one ping or pong alone, and for
good as soon as there is a fragment, a binary frame, a close or nonsense. So it is also what decides about close codes.

It is compared with `websockets` in tests/server/test_frame_reader.py and by tools/fuzz_frames.py: any bytes, cut
anywhere, say the same.

Source: RFC 6455, sections 5.2 and 5.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from websockets.frames import apply_mask  # type: ignore[attr-defined] # in C where that is installed
from websockets.protocol import State
from websockets.server import ServerProtocol

from gqlink.protocol import CloseCode
from gqlink.server.frame_bytes import (
    FINAL,
    LENGTH_IN_16_BITS,
    LENGTH_IN_64_BITS,
    NOT_UTF8,
    PING,
    PONG,
    TEXT,
    close_frame,
)
from gqlink.server.frame_parser import FrameParser

if TYPE_CHECKING:
    from gqlink.server.frame_parser import FrameHearer

__all__ = ("FrameReader",)

_WHOLE_TEXT: Final = FINAL | TEXT
_WHOLE_PINGS: Final = frozenset({FINAL | PING, FINAL | PONG})
_MASKED: Final = 0x80
_MASK_BYTES: Final = 4


class FrameReader:
    """Reads one socket.

    Args:
        most_bytes: The longest message; a longer one is nonsense (1009) as soon as its length is known.
        parser: One that is in the middle of something, and reads everything from now on.
    """

    __slots__ = ("_at", "_most_bytes", "_parser", "_unread")

    def __init__(self, *, most_bytes: int, parser: FrameParser | None = None) -> None:
        self._most_bytes = most_bytes
        self._parser = parser
        self._unread: bytes | bytearray = b""
        self._at = 0
        """Where in `_unread` the next frame begins."""

    def feed(self, data: bytes) -> None:
        """Take bytes, cut anywhere."""
        if self._parser is not None:
            self._parser.feed(data)
        elif not self._unread:
            self._unread = data
        else:
            # What comes in very small pieces is not copied over and over.
            if not isinstance(self._unread, bytearray):
                self._unread = bytearray(self._unread)
            del self._unread[: self._at]
            self._at = 0
            self._unread += data

    def read(self, hearer: FrameHearer) -> bool:
        """Say what comes next; False, and nothing, when more bytes are needed for it, or nothing counts any more."""
        if self._parser is not None:
            return self._parser.read(hearer)
        unread, at = self._unread, self._at
        if len(unread) - at < 2:  # noqa: PLR2004 -- the opcode, and the length
            return False
        opcode, length = unread[at], unread[at + 1] - _MASKED
        if opcode == _WHOLE_TEXT and length >= 0:
            return self._read_text(length, hearer)
        if opcode in _WHOLE_PINGS and 0 <= length < LENGTH_IN_16_BITS:
            return self._read_ping(length, hearer)
        return self._hand_over(hearer)

    def close(self) -> None:
        """Read nothing more, and let go of everything; harmless to repeat."""
        if self._parser is None:
            self._parser = self._make_parser()
        self._parser.close()
        self._unread, self._at = b"", 0

    def _read_text(self, length: int, hearer: FrameHearer) -> bool:
        unread, mask_at = self._unread, self._at + 2
        if length >= LENGTH_IN_16_BITS:
            length_bytes = 8 if length == LENGTH_IN_64_BITS else 2
            if len(unread) < mask_at + length_bytes:
                return False
            length = int.from_bytes(unread[mask_at : mask_at + length_bytes], "big")
            mask_at += length_bytes
        if length > self._most_bytes:
            return self._hand_over(hearer)
        payload_at = mask_at + _MASK_BYTES
        if len(unread) < payload_at + length:
            return False
        self._advance(payload_at + length)
        payload = apply_mask(unread[payload_at : payload_at + length], unread[mask_at:payload_at])
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self.close()
            hearer.hear_nonsense(CloseCode.INVALID_DATA, NOT_UTF8, close_frame(CloseCode.INVALID_DATA, NOT_UTF8))
        else:
            hearer.hear_text(text)
        return True

    def _read_ping(self, length: int, hearer: FrameHearer) -> bool:
        end = self._at + 2 + _MASK_BYTES + length
        if len(self._unread) < end:
            return False
        parser = self._make_parser()
        parser.feed(bytes(self._unread[self._at : end]))
        self._advance(end)
        parser.read(hearer)
        parser.close()
        return True

    def _advance(self, at: int) -> None:
        if at == len(self._unread):
            self._unread, self._at = b"", 0
        else:
            self._at = at

    def _hand_over(self, hearer: FrameHearer) -> bool:
        """Let the parser read everything from here on."""
        self._parser = self._make_parser()
        self._parser.feed(bytes(self._unread[self._at :]))
        self._unread, self._at = b"", 0
        return self._parser.read(hearer)

    def _make_parser(self) -> FrameParser:
        return FrameParser(ServerProtocol(state=State.OPEN, max_size=self._most_bytes))
