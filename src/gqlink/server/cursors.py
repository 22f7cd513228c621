"""Positions as clients hold them: an opaque text that is good for one topic only, and events that say theirs.

A client may say whatever it likes: what cannot be read, or belongs to another topic, is a position that no topic has,
so the broker recovers nothing, and nobody is told more than that. Guessing positions gains nobody anything: events
from a topic's history are checked like those that happen now.

Source: docs/reference/wire.md, "Resuming".
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gqlink.protocol import EventPosition
from gqlink.pubsub import Position

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from gqlink.protocol import CursorRequest
    from gqlink.pubsub import Stream, Subscription

__all__ = ("CURSOR_CHARACTERS", "NOWHERE", "CursorCodec", "PlacedEvent", "open_stream")

CURSOR_CHARACTERS: Final = 256
"""How long a cursor may be; a longer one is not looked at."""

NOWHERE: Final = Position("", 0)
"""A position that no topic has."""

_DIGEST_BYTES: Final = 6  # enough that one client does not mistake its own topics for each other
_CURSOR: Final = re.compile(r"([\w-]{8})\.([0-9]{1,18})\.(.+)", re.ASCII | re.DOTALL)


class CursorCodec:
    """Writes and reads the cursors of one topic.

    Args:
        topic: Its name.

    Shape:
        8 characters that stand for the topic, the offset in decimals and the epoch, with dots between them
    """

    def __init__(self, topic: str) -> None:
        digest = hashlib.blake2b(topic.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
        self._topic = base64.urlsafe_b64encode(digest.digest()).decode()

    def write(self, position: Position) -> str:
        """Return the cursor of a position."""
        return f"{self._topic}.{position.offset}.{position.epoch}"

    def read(self, cursor: str) -> Position:
        """Return the position of a cursor, or `NOWHERE` if it is none of this topic's."""
        found = _CURSOR.fullmatch(cursor) if len(cursor) <= CURSOR_CHARACTERS else None
        if found is None or found[1] != self._topic:
            return NOWHERE
        return Position(found[3], int(found[2]))


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """What a subscriber gets from its source, and where that stands.

    Args:
        data: What the source yielded; None at the start, which is no event.
        position: None where it is not known, or nobody asked. At the start of a subscription, where that is, and
            whether everything after the cursor comes.
    """

    data: object
    position: EventPosition | None = None

    @property
    def is_start(self) -> bool:
        """Whether it says where the subscription starts, and holds nothing."""
        return self.position is not None and self.position.recovered is not None


async def open_stream(stream: Stream, wanted: CursorRequest | None) -> AsyncIterator[object]:
    """Begin to listen, after the client's cursor if there is one: it counts more than what the stream's maker said.

    Returns:
        What to iterate, and to close before the stream: the stream itself, or, where cursors are wanted, its events
        with their places, after one that is the start.

    Raises:
        ConnectionClosed: The stream or its broker is closed.
    """
    if wanted is None:
        await stream.open()
        return stream
    codec = CursorCodec(stream.topic.name)
    after = None if wanted.after is None else codec.read(wanted.after)
    return _placed_events(await stream.open(after=after), after, codec)


async def _placed_events(
    subscription: Subscription, after: Position | None, codec: CursorCodec
) -> AsyncGenerator[PlacedEvent, None]:
    # Everything after the position where it starts comes. So nothing else needs to be known; not even who opened the
    # stream, which may be its maker, before anybody could say where.
    recovered = subscription.position == after
    yield PlacedEvent(None, EventPosition(codec.write(subscription.position), recovered))
    async for publication in subscription:
        yield PlacedEvent(publication.data, EventPosition(codec.write(publication.position)))
