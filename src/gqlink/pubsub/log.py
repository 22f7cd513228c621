"""What `MemoryBroker` remembers of a topic, and which topics it may forget."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING

from gqlink.pubsub.broker import Position, Publication

if TYPE_CHECKING:
    from gqlink.pubsub.subscription import MemorySubscription

__all__ = ("IdleLogs", "TopicLog")


class TopicLog:
    """One life of one topic: its epoch, its last publications, and who listens.

    Args:
        topic: Its name.
        history: How many publications are kept.
    """

    def __init__(self, topic: str, *, history: int) -> None:
        self.topic = topic
        self.position = Position(secrets.token_urlsafe(9), 0)
        self.subscriptions: dict[MemorySubscription, None] = {}
        self._history: deque[Publication] = deque(maxlen=history)

    def append(self, data: object) -> Publication:
        """Give data the next offset, and keep it in place of the oldest."""
        self.position = Position(self.position.epoch, self.position.offset + 1)
        publication = Publication(self.topic, self.position, data)
        self._history.append(publication)
        return publication

    def reaches_back_to(self, position: Position) -> bool:
        """Whether the position is of this life, and everything after it is still here."""
        oldest = self.position.offset - len(self._history)
        return position.epoch == self.position.epoch and oldest <= position.offset <= self.position.offset

    def since(self, offset: int) -> list[Publication]:
        """List what is kept after an offset, oldest first; the log must reach back to it."""
        missed = self.position.offset - offset
        return list(islice(self._history, len(self._history) - missed, None))


class IdleLogs:
    """The topics that nobody listens to, in the order in which they may be forgotten.

    Args:
        bound: How many there may be, at least 1.
    """

    def __init__(self, *, bound: int) -> None:
        self._bound = bound
        self._unused: OrderedDict[TopicLog, None] = OrderedDict()
        self._used: OrderedDict[TopicLog, None] = OrderedDict()

    def add(self, log: TopicLog) -> TopicLog | None:
        """Count a topic as the last one used.

        Returns:
            The one that is to be forgotten for it, if they are too many: a never used one, or else whichever was used
            longest ago. Never the topic itself: a position that was just given out is good for a moment at least.
        """
        self.discard(log)
        surplus = None
        if len(self._unused) + len(self._used) == self._bound:
            surplus, _ = (self._unused or self._used).popitem(last=False)
        (self._used if log.position.offset else self._unused)[log] = None
        return surplus

    def discard(self, log: TopicLog) -> None:
        """No longer count a topic as idle, if it was."""
        self._unused.pop(log, None)
        self._used.pop(log, None)

    def clear(self) -> None:
        """Forget all of them."""
        self._unused.clear()
        self._used.clear()
