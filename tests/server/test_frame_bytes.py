from __future__ import annotations

import pytest
from websockets.frames import Close, Frame, Opcode

from gqlink.server.frame_bytes import CLOSE, PING, PONG, close_frame, control_frame, text_frame


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_text_is_written_as_websockets_writes_it(length: int) -> None:
    """With its length in 7, 16 or 64 bits, whichever is the shortest that fits (RFC 6455, section 5.2)."""
    payload = b"x" * length
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4403, "Token expired"), (4400, "é" * 61)])
def test_a_close_is_written_as_websockets_writes_it(code: int, reason: str) -> None:
    """The code in two bytes, and the reason in UTF-8."""
    assert close_frame(code, reason) == Frame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=False)


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
@pytest.mark.parametrize("payload", [b"", b"abcd", b"x" * 125])
def test_a_control_frame_is_written_as_websockets_writes_it(opcode: int, payload: bytes) -> None:
    """It is never longer than 125 bytes."""
    assert control_frame(opcode, payload) == Frame(Opcode(opcode), payload).serialize(mask=False)
