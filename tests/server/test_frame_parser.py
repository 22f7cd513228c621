from __future__ import annotations

from typing import Any

import pytest
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gqlink.server.frame_bytes import close_frame
from gqlink.server.frame_parser import FrameParser
from server.hearing import Ear
from server.raw import CLOSE, PING, PONG, TEXT, frame

BINARY, CONTINUATION = 2, 0


def parser(*, max_size: int = 1000) -> FrameParser:
    """Begin after a handshake."""
    return FrameParser(ServerProtocol(state=State.OPEN, max_size=max_size))


def heard(data: bytes, *, size: int | None = None, max_size: int = 1000) -> list[tuple[Any, ...]]:
    """Return what is heard of some bytes, that come in segments of a size."""
    reader, ear = parser(max_size=max_size), Ear()
    for start in range(0, len(data), size or max(len(data), 1)):
        reader.feed(data[start : start + (size or len(data))])
        while reader.read(ear):
            pass
    return ear.heard


def closing(code: int, reason: str = "") -> bytes:
    """Write a client's close."""
    return frame(CLOSE, Close(code, reason).serialize())


@pytest.mark.parametrize("size", [None, 1, 3])
def test_messages_are_heard_in_order_however_they_are_cut(size: int | None) -> None:
    """Texts, parts of them, pings between the parts, pongs, and the close."""
    data = (
        frame(TEXT, "é".encode())
        + frame(TEXT, b"one ", final=False)
        + frame(PING, b"?")
        + frame(CONTINUATION, b"two ", final=False)
        + frame(CONTINUATION, b"three")
        + frame(BINARY, b"\x00")
        + frame(PONG, b"!")
        + closing(1000, "bye")
        + frame(TEXT, b"too late")
    )
    assert heard(data, size=size) == [
        ("text", "é"),
        ("fragment",),
        ("ping", b"\x8a\x01?"),
        ("fragment",),
        ("text", "one two three"),
        ("binary",),
        ("pong", b"!"),
        ("close", 1000, "bye", b"\x88\x05\x03\xe8bye"),
    ]


def test_a_character_may_be_cut_in_two() -> None:
    """Only the whole message has to be UTF-8."""
    data = frame(TEXT, b"\xc3", final=False) + frame(CONTINUATION, b"\xa9")
    assert heard(data) == [("fragment",), ("text", "é")]


def test_a_close_without_a_code_is_answered_without_one() -> None:
    """1005 stands for it, and is never sent."""
    assert heard(frame(CLOSE, b"")) == [("close", 1005, "", b"\x88\x00")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3", final=False) + frame(CONTINUATION, b"x"), 1007),
        (b"\x83\x80", 1002),  # an opcode that nobody has defined
        (b"\xc1\x80\x00\x00\x00\x00", 1002),  # a reserved bit
        (b"\x81\x00", 1002),  # not masked
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"x", final=False) + frame(TEXT, b"x"), 1002),
        (frame(PING, b"x", final=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),  # 1005
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(TEXT, b"x" * 1001), 1009),
        (frame(TEXT, b"x" * 600, final=False) + frame(CONTINUATION, b"x" * 600), 1009),
        (b"\x81\xff" + (2**63 - 1).to_bytes(8, "big"), 1009),
    ],
)
@pytest.mark.parametrize("size", [None, 1])
def test_nonsense_is_heard_as_such_with_the_code_that_says_why(data: bytes, code: int, size: int | None) -> None:
    """What came before it in the same segment is heard, and nothing after it."""
    *before, last = heard(frame(TEXT, b"hello") + data + frame(TEXT, b"late"), size=size)
    assert before[0] == ("text", "hello")
    kind, said, reason, close = last
    assert (kind, said) == ("nonsense", code)
    assert close == close_frame(code, reason)
    assert ("text", "late") not in before


def test_a_segment_is_parsed_in_pieces() -> None:
    """So that one who hears enough can stop before the rest has cost anything."""
    reader, ear = parser(), Ear()
    reader.feed(frame(PING, b"") * 20_000)
    assert reader.read(ear)
    assert len(reader._frames) < 700
    reader.close()
    assert not reader.read(ear)
    reader.feed(frame(PING, b""))
    assert not reader.read(ear)
    assert len(ear.heard) == 1


def test_a_parser_is_taken_over_in_the_middle_of_a_message() -> None:
    """What came before is part of it."""
    connection = ServerProtocol(state=State.OPEN, max_size=1000)
    connection.receive_data(frame(TEXT, b"one ", final=False) + frame(CONTINUATION, b"two")[:4])
    assert [type(event) for event in connection.events_received()] == [Frame]
    reader, ear = FrameParser(connection), Ear()
    reader.resume(b"one ", is_text=True)
    reader.feed(frame(CONTINUATION, b"two")[4:])
    assert reader.read(ear)
    assert ear.heard == [("text", "one two")]


def test_a_masked_payload_is_unmasked() -> None:
    """As every browser sends it."""
    assert heard(Frame(Opcode.TEXT, b"hello").serialize(mask=True)) == [("text", "hello")]
