"""A broker for one process: topics in memory, with bounded history.

Nothing here waits between looking and acting: a publication gets its offset, enters the history and reaches every
subscriber in one step, and so does the step from history to live in `subscribe`. Hence no gap, no duplicate, and the
same order for everybody, whoever else runs. It belongs to one event loop and is not to be called from other threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqlink.errors import ConnectionClosed
from gqlink.pubsub.log import IdleLogs, TopicLog
from gqlink.pubsub.subscription import MemorySubscription

if TYPE_CHECKING:
    from gqlink.pubsub.broker import Position

__all__ = ("MemoryBroker", "Statistics")


@dataclass(frozen=True)
class Statistics:
    """What a broker holds at one moment.

    Args:
        topics: How many it remembers.
        subscriptions: How many are open.
        publications: How many there have been since it was made.
    """

    topics: int
    subscriptions: int
    publications: int


class MemoryBroker:
    """Topics in memory, each with its last publications.

    A topic that somebody listens to is never forgotten. Of the others only a number is kept: first those go in which
    nothing was ever published, then those with a history, each time the one that was unused for longest. (Otherwise
    whoever may name topics could flush the others' history.) A topic that comes back has a new epoch.

    Args:
        history: How many publications each topic keeps for those who resume.
        buffer: How many publications may wait for one subscriber, beside what it resumed with. One more ends it with
            `SubscriberLagging` (policy: fail).
        topics: How many topics are kept while nobody listens to them.

    Raises:
        ValueError: `history` is below 0, or another below 1.
    """

    def __init__(self, *, history: int = 1000, buffer: int = 1000, topics: int = 10_000) -> None:
        if history < 0 or buffer < 1 or topics < 1:
            raise ValueError("history is at least 0, buffer and topics are at least 1")
        self._history = history
        self._buffer = buffer
        self._logs: dict[str, TopicLog] = {}
        self._idle = IdleLogs(bound=topics)
        self._publications = 0
        self._closed = False

    async def publish(self, topic: str, data: object) -> Position:
        """Say something; see `Broker.publish`. It never waits for a slow subscriber."""
        log = self._open_log(topic)
        publication = log.append(data)
        self._publications += 1
        lagging = [each for each in log.subscriptions if not each.deliver(publication)]
        for subscription in lagging:
            del log.subscriptions[subscription]
        self._rest(log)
        return publication.position

    async def subscribe(self, topic: str, *, after: Position | None = None) -> MemorySubscription:
        """Begin to listen; see `Broker.subscribe`."""
        log = self._open_log(topic)
        recovered = after is not None and log.reaches_back_to(after)
        start = after if after is not None and recovered else log.position
        subscription = MemorySubscription(
            topic,
            position=start,
            recovered=recovered,
            backlog=log.since(start.offset),
            buffer=self._buffer,
            leave=lambda each: self._leave(log, each),
        )
        log.subscriptions[subscription] = None
        self._idle.discard(log)
        return subscription

    async def position(self, topic: str) -> Position:
        """Give the topic's present position; see `Broker.position`."""
        log = self._open_log(topic)
        self._rest(log)
        return log.position

    async def reset(self, topic: str) -> None:
        """Begin a new epoch; see `Broker.reset`."""
        log = self._open_log(topic)
        # A topic that is forgotten begins its next life in another epoch, as ever.
        del self._logs[topic]
        self._idle.discard(log)
        for subscription in log.subscriptions:
            subscription.reset()
        log.subscriptions.clear()

    async def aclose(self) -> None:
        """End every subscription and forget every topic; see `Broker.aclose`."""
        self._closed = True
        logs = list(self._logs.values())
        self._logs.clear()
        self._idle.clear()
        for log in logs:
            for subscription in log.subscriptions:
                subscription.finish()
            log.subscriptions.clear()

    def statistics(self) -> Statistics:
        """Count what is held now."""
        subscriptions = sum(len(log.subscriptions) for log in self._logs.values())
        return Statistics(topics=len(self._logs), subscriptions=subscriptions, publications=self._publications)

    def _open_log(self, topic: str) -> TopicLog:
        if self._closed:
            raise ConnectionClosed(reason="the broker is closed")
        if topic not in self._logs:
            self._logs[topic] = TopicLog(topic, history=self._history)
        return self._logs[topic]

    def _leave(self, log: TopicLog, subscription: MemorySubscription) -> None:
        log.subscriptions.pop(subscription, None)
        self._rest(log)

    def _rest(self, log: TopicLog) -> None:
        """Count a topic among the idle ones if nobody listens, and forget another if they are too many."""
        if log.subscriptions or self._logs.get(log.topic) is not log:
            return
        surplus = self._idle.add(log)
        if surplus is not None:
            del self._logs[surplus.topic]
