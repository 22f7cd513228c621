from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gqlink.server.frame_reader import FrameReader
from server.hearing import MOST_BYTES, Ear, ours, theirs
from server.raw import CLOSE, PING, PONG, TEXT, frame
from server.streams import segments, stream

if TYPE_CHECKING:
    from server.streams import Chance


@settings(max_examples=500, deadline=None)
@given(st.randoms(use_true_random=False))
def test_it_hears_what_websockets_hears(chance: Chance) -> None:
    """Any frames, right or wrong, cut anywhere: after each segment the same messages, answers and close codes."""
    cut = segments(chance, stream(chance))
    assert ours(cut) == theirs(cut)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=10))
def test_it_hears_in_any_bytes_what_websockets_hears(cut: list[bytes]) -> None:
    """Frames or not."""
    assert ours(cut) == theirs(cut)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 3))
def test_it_hears_in_almost_whole_texts_what_websockets_hears(rest: bytes, where: int) -> None:
    """The same, close to what it reads itself."""
    good = frame(TEXT, b'{"type":"ping"}')
    data = good + good[:where] + rest + good
    for size in (1, 7, len(data)):
        cut = [data[at : at + size] for at in range(0, len(data), size)]
        assert ours(cut) == theirs(cut)


def test_many_random_streams_are_heard_as_websockets_hears_them() -> None:
    """As tools/fuzz_frames.py does with a million."""
    for seed in range(2_000):
        chance = random.Random(seed)
        cut = segments(chance, stream(chance))
        assert ours(cut) == theirs(cut), seed


def holds(reader: FrameReader) -> tuple[object, object]:
    """Tell what it holds."""
    return reader._parser, reader._unread


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_between_whole_texts_pings_and_pongs_nothing_is_held(size: int) -> None:
    """No parser and no buffer: that is what a socket costs that waits."""
    reader, ear = FrameReader(most_bytes=MOST_BYTES), Ear()
    data = frame(TEXT, b"x" * 200) + frame(PING, b"?") + frame(PONG, b"!") + frame(TEXT, b"")
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
        while reader.read(ear):
            pass
    assert [word[0] for word in ear.heard] == ["text", "ping", "pong", "text"]
    assert holds(reader) == (None, b"")


def test_a_message_in_small_pieces_is_kept_as_one_buffer() -> None:
    """What one byte after another costs does not grow with what came before."""
    reader, ear = FrameReader(most_bytes=100_000), Ear()
    data = frame(TEXT, b"x" * 50_000)
    reader.feed(frame(TEXT, b"first") + data[:10])
    assert reader.read(ear)
    assert not reader.read(ear)
    reader.feed(data[10:11])
    buffer = reader._unread
    for at in range(11, len(data)):
        reader.feed(data[at : at + 1])
        assert not reader.read(ear) or at == len(data) - 1
    assert isinstance(buffer, bytearray)
    assert ear.heard == [("text", "first"), ("text", "x" * 50_000)]
    assert holds(reader) == (None, b"")


def test_a_length_that_is_too_long_is_nonsense_before_the_rest_has_come() -> None:
    """Nobody makes us wait for what we would not take."""
    for head in (b"\x81\xfe\x01\x2d", b"\x81\xff" + (MOST_BYTES + 1).to_bytes(8, "big")):
        [heard] = ours([head])
        assert heard[0][:2] == ("nonsense", 1009)


def test_after_its_end_nothing_is_heard() -> None:
    """Whatever comes, and however it has ended."""
    for last in (frame(CLOSE, b""), b"\x80\x80", frame(TEXT, b"\xff"), b""):
        reader, ear = FrameReader(most_bytes=MOST_BYTES), Ear()
        reader.feed(last)
        reader.read(ear)
        reader.close()
        reader.close()
        count = len(ear.heard)
        reader.feed(frame(TEXT, b"late"))
        assert not reader.read(ear)
        assert len(ear.heard) == count
