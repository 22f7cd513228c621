from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.pubsub import MemoryBroker, Position
from gqlink.server.cursors import CURSOR_CHARACTERS, NOWHERE, CursorCodec

CODEC = CursorCodec("room:general")
CURSOR = CODEC.write(Position("epoch", 17))


@given(
    topic=st.text(st.characters()),
    epoch=st.text(min_size=1, max_size=128),
    offset=st.integers(0, 10**18 - 1),
)
def test_a_cursor_is_read_as_it_was_written(topic: str, epoch: str, offset: int) -> None:
    """By any process, whatever the topic is called and whatever a broker's epochs look like; and it is short."""
    cursor = CursorCodec(topic).write(Position(epoch, offset))
    assert CursorCodec(topic).read(cursor) == Position(epoch, offset)
    assert len(cursor) <= CURSOR_CHARACTERS


def test_a_cursor_is_good_for_its_topic_only() -> None:
    """Another topic may have the same epoch by a strange broker's doing."""
    assert CursorCodec("room:other").read(CURSOR) == NOWHERE


def test_a_cursor_does_not_tell_the_topic() -> None:
    """A topic's name is the application's own affair."""
    assert "room" not in CURSOR
    assert "general" not in CURSOR


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        CURSOR[:-5],
        CURSOR.replace("17", ""),
        CURSOR.replace("17", "-1"),
        CURSOR.replace("17", "1_7"),
        CURSOR.replace("17", "1.7"),
        CURSOR.replace("17", "\u0661\u0667"),
        CURSOR.replace("17", "9" * 19),
        CURSOR.replace(".", ":"),
        " " + CURSOR,
        CURSOR + "x" * CURSOR_CHARACTERS,
        "x" * 60_000,
        "\ud83d",
        "\0",
    ],
)
def test_what_cannot_be_read_stands_nowhere(cursor: str) -> None:
    """It is no error, and costs no more than a look."""
    position = CODEC.read(cursor)
    assert position == NOWHERE or position.epoch not in {"epoch", ""}


@given(st.text())
def test_no_text_is_an_error(cursor: str) -> None:
    """Whatever comes, a broker is asked for a position."""
    assert isinstance(CODEC.read(cursor), Position)


async def test_nowhere_is_in_no_topic() -> None:
    """To resume there recovers nothing, in a topic that is used and in one that is not."""
    broker = MemoryBroker()
    await broker.publish("used", 1)
    for topic in ("used", "unused"):
        subscription = await broker.subscribe(topic, after=NOWHERE)
        assert not subscription.recovered
        assert subscription.position != NOWHERE
    await broker.aclose()
