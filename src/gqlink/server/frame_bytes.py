"""WebSocket frames as bytes, built once and written as they are.

A server's frames are not masked, and ours are never fragmented or compressed, so a frame is its head and its payload.

Source: RFC 6455, section 5.2.
"""

from __future__ import annotations

from typing import Final

__all__ = (
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "FINAL",
    "LENGTH_IN_16_BITS",
    "LENGTH_IN_64_BITS",
    "NOT_UTF8",
    "PING",
    "PONG",
    "TEXT",
    "close_frame",
    "control_frame",
    "text_frame",
    "text_head",
)

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FINAL: Final = 0x80
"""The bit of a frame that is the last of its message; the other three beside the opcode are reserved."""

LENGTH_IN_16_BITS: Final = 126
LENGTH_IN_64_BITS: Final = 127

NOT_UTF8: Final = "Text that is not UTF-8"
"""The reason of 1007."""

_SHORT_TEXTS: Final = tuple(bytes((FINAL | TEXT, length)) for length in range(LENGTH_IN_16_BITS))
_MIDDLE_TEXT: Final = bytes((FINAL | TEXT, LENGTH_IN_16_BITS))
_LONG_TEXT: Final = bytes((FINAL | TEXT, LENGTH_IN_64_BITS))


def text_frame(payload: bytes) -> bytes:
    """Build the frame of one whole text message.

    Args:
        payload: UTF-8.
    """
    return text_head(len(payload)) + payload


def text_head(length: int) -> bytes:
    """Build what stands before a whole text message of so many bytes."""
    if length < LENGTH_IN_16_BITS:
        return _SHORT_TEXTS[length]
    if length < 1 << 16:
        return _MIDDLE_TEXT + length.to_bytes(2, "big")
    return _LONG_TEXT + length.to_bytes(8, "big")


def close_frame(code: int, reason: str = "") -> bytes:
    """Build the frame that ends a conversation.

    Args:
        code: One that may be sent.
        reason: At most 123 bytes in UTF-8.
    """
    return control_frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


def control_frame(opcode: int, payload: bytes) -> bytes:
    """Build a close, a ping or a pong.

    Args:
        opcode: Which.
        payload: At most 125 bytes.
    """
    return bytes((FINAL | opcode, len(payload))) + payload
