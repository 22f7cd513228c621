"""The door that every engine stands behind: what a broker promises, and what it hands out.

A topic numbers its publications 1, 2, 3, …: the **offset**. The numbers mean something only together with the topic's
**epoch**, a random text: another topic, or the same one after its history was lost, has another. So a subscriber that
was away can name the last position it saw, and either hears everything after it, or is told that it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("Broker", "Position", "Publication", "Subscription")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a topic: just after the publication with this offset.

    Positions are ordered within an epoch; to ask which of two epochs comes first is a `TypeError`.

    Args:
        epoch: The life of the topic in which the offset counts: 1 to 128 characters.
        offset: 1 for the first publication; 0 is before everything.
    """

    epoch: str
    offset: int

    def __lt__(self, other: Position) -> bool:
        return self.offset < other.offset if self.epoch == other.epoch else NotImplemented

    def __le__(self, other: Position) -> bool:
        return self.offset <= other.offset if self.epoch == other.epoch else NotImplemented


@dataclass(frozen=True, slots=True)
class Publication:
    """Something that was said once, to everybody who listens.

    Args:
        topic: Where.
        position: Its place among the topic's publications.
        data: What. In memory everybody gets the same object: nobody may change it.
    """

    topic: str
    position: Position
    data: object


class Subscription(Protocol):
    """Hears one topic, from one position on: an async iterator of publications, for one consumer.

    Every publication after `position` comes exactly once and in order. Iterating ends after `aclose()`, here or of the
    broker (then after what was already buffered). `async with` closes it at the end of the block.

    Raises:
        SubscriberLagging: From iterating, after what was buffered: the subscription is over although more was said, or
            may have been. The consumer was too slow, or the topic was reset; its `reset` says which.
    """

    @property
    def topic(self) -> str:
        """What it listens to."""
        ...

    @property
    def position(self) -> Position:
        """Where it starts."""
        ...

    @property
    def recovered(self) -> bool:
        """Whether a position to resume after was asked for, and everything after it comes."""
        ...

    async def aclose(self) -> None:
        """Stop listening; what was not read is dropped. Safe to repeat."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Publication: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Broker(Protocol):
    """Carries publications from those who speak to those who listen."""

    async def publish(self, topic: str, data: object) -> Position:
        """Say something to everybody who listens now, and to those who resume later.

        Returns:
            Its position. All subscribers get the same publications in the same order.

        Raises:
            ConnectionClosed: The broker is closed; nobody hears it.
        """
        ...

    async def subscribe(self, topic: str, *, after: Position | None = None) -> Subscription:
        """Begin to listen; when this returns, no later publication is missed.

        Args:
            topic: What to listen to; it need not exist.
            after: The last position seen; it may be any, also one that never was. If everything after it is still
                there, it comes first, then what is new, without a gap and without a duplicate. Otherwise `recovered`
                is False and only what is new comes.

        Raises:
            ConnectionClosed: The broker is closed.
        """
        ...

    async def position(self, topic: str) -> Position:
        """Give the topic's present position, the one of its last publication.

        Raises:
            ConnectionClosed: The broker is closed.
        """
        ...

    async def reset(self, topic: str) -> None:
        """Begin a new epoch: nobody can resume over this moment, and everybody who listens learns of it.

        For whoever could not publish what had to be published, and cannot make up for it: a message that was stored,
        but was not heard. When this returns, every subscription that was open ends with `SubscriberLagging`, after
        what it has buffered, and a position given out before recovers nothing. Safe to repeat.

        Raises:
            ConnectionClosed: The broker is closed.
        """
        ...

    async def aclose(self) -> None:
        """End every subscription, after what it has buffered. Safe to repeat."""
        ...
