"""One subscriber of a shared run: where it joins, what it missed before, and what waits while it is slow.

It joins its group first, and keeps what the group hands out. Then it asks the topic where it stands: what it missed
until there, if it came back with a cursor, is executed for it; what comes after is in what it has kept, or will come.
So nothing is missed and nothing comes twice, whatever is published meanwhile, and from then on it costs no task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count, islice
from typing import TYPE_CHECKING, Final, Protocol

from gqlink.errors import SubscriberLagging
from gqlink.protocol import EventPosition
from gqlink.pubsub import MemoryBroker
from gqlink.server.results import start_payload
from gqlink.server.tasks import in_a_task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from gqlink.pubsub import Position, Stream, Topic
    from gqlink.server.broadcast import Lane
    from gqlink.server.cursors import CursorCodec
    from gqlink.server.observing import Observation, OperationWatch
    from gqlink.server.operation import Source
    from gqlink.server.results import SharedResult
    from gqlink.server.running import Running
    from gqlink.server.sharing import Group
    from gqlink.server.statistics import Meter

__all__ = ("Following", "FollowingSocket")

# As many results as a broker keeps for one subscriber that is executed alone; they are the others' too, not copies.
_BACKLOG: Final = 1000
# After so many others have their turn: what waits is there already, and nothing in it needs to wait.
_EVENTS_AT_ONCE: Final = 16


class FollowingSocket(Protocol):
    """What a subscriber says to its socket; each is one step, and harmless when the operation is over."""

    def lane_of(self, running: Running) -> tuple[Lane, bytes] | None:
        """Return where results may be written at once, and how each begins; None where each needs a decision."""

    def hand_on(self, running: Running, results: Sequence[SharedResult], *, cursors: CursorCodec | None) -> int | None:
        """Send results, as far as they may be sent; return how many, or None where they have to wait."""

    def deliver(self, running: Running, payload: bytes, *, about: None) -> None:
        """Send one payload."""

    def spawn(self, coroutine: Coroutine[object, object, None]) -> None:
        """Do something in a task of the socket's own."""

    async def wait_writable(self) -> None:
        """Wait while too much is waiting to be sent."""


class Following:
    """One subscriber of a group; see `Follower`.

    Args:
        running: Its operation.
        socket: Where it is.
        join: Puts it into its group.
        meter: Counts the events that are sent.
        watch: Likewise, those of the operation.
        on_end: Told that the group has ended: with an error, or None.
    """

    __slots__ = (
        "_after",
        "_backlog",
        "_cursors",
        "_group",
        "_meter",
        "_observation",
        "_on_end",
        "_running",
        "_socket",
        "_watch",
        "events",
        "head",
        "lane",
    )

    def __init__(
        self,
        running: Running,
        socket: FollowingSocket,
        *,
        meter: Meter,
        watch: OperationWatch,
        on_end: Callable[[Running, Exception | None], None],
    ) -> None:
        self._running = running
        self._socket = socket
        self._meter = meter
        self._watch = watch
        self._on_end = on_end
        self.lane: Lane | None = None
        self.head = b""
        self.events = 0
        self._group: Group | None = None
        self._cursors: CursorCodec | None = None
        self._observation: Observation | None = None
        # Where it joined: what stands before that is not for it.
        self._after: Position | None = None
        # What waits for its turn; None where nothing has to.
        self._backlog: deque[SharedResult] | None = deque()

    @property
    def goes_on(self) -> bool:
        """Whether it hears the group, without a task."""
        return self._observation is not None

    async def begin(self, source: Source, stream: Stream, join: Callable[[Following], Group]) -> None:
        """Join the group, and get what was missed until then.

        Args:
            source: What was asked for.
            stream: Its events; only where they come from is used.
            join: Puts it into its group.

        Raises:
            SubscriberLagging: The topic was reset meanwhile, or too much waits already.
            ConnectionClosed: The broker is closed.
        """
        group = self._group = join(self)
        if not await group.wait_listening():
            return
        wanted = source.wanted
        if wanted is not None:
            self._cursors = group.cursors
        after = stream.after if wanted is None or wanted.after is None else group.cursors.read(wanted.after)
        joined_at = await _position(stream.topic)
        if after is None:
            self._start(joined_at, recovered=False)
        else:
            joined_at = await self._recover(group, stream, after=after, until=joined_at)
        self._skip(joined_at)
        await self._catch_up()

    def go_on(self, observation: Observation) -> None:
        """Be watched from here on, until it ends."""
        if self._group is not None:
            observation.go_on()
            self._observation = observation

    def leave(self, outcome: str) -> None:
        """Hear nothing more; harmless to repeat.

        Args:
            outcome: How the operation has ended.
        """
        self.lane = None
        group, self._group = self._group, None
        if group is not None:
            group.leave(self)
        self._backlog = None
        self._watch.events += self.events
        self.events = 0
        observation, self._observation = self._observation, None
        if observation is not None:
            observation.end("error" if observation.watch.failed else outcome)

    def take(self, results: Sequence[SharedResult]) -> None:
        """Take results; see `Follower`."""
        if self._after is not None:
            results = self._without_past(results, self._after)
        if self._backlog is not None:
            self._keep(results)
        elif results and not self._send(results):
            self.lane, self._backlog = None, deque(results)
            self._socket.spawn(self._catch_up())
        elif self.lane is None and self._after is None and self._cursors is None:
            self._take_lane()

    def finish(self) -> None:
        """Take note that no more will come."""
        self._on_end(self._running, None)

    def fail(self, error: Exception) -> None:
        """Take note that no more will come, although there may be more."""
        self._on_end(self._running, error)

    def _take_lane(self) -> None:
        """Let results go the shortest way from now on, if there is one; see broadcast.py."""
        found = self._socket.lane_of(self._running) if self._group is not None else None
        if found is not None:
            self.lane, self.head = found

    def _start(self, position: Position, *, recovered: bool) -> None:
        """Say where it is live from, to whom wants to know."""
        if self._cursors is not None:
            place = EventPosition(self._cursors.write(position), recovered)
            self._socket.deliver(self._running, start_payload(place), about=None)

    async def _recover(self, group: Group, stream: Stream, *, after: Position, until: Position) -> Position:
        """Get what was missed after one position, until the other; return where it stands then."""
        await in_a_task()
        async with await stream.topic.broker.subscribe(stream.topic.name, after=after) as missed:
            recovered = missed.position == after
            self._start(missed.position, recovered=recovered)
            if not recovered:
                return missed.position
            if _is_past(until, after):
                numbers = count(1)
                async for publication in missed:
                    if _is_past(publication.position, until):
                        break
                    result = await group.execute(publication)
                    while not self._send([result]):
                        await self._socket.wait_writable()
                    await self._let_others(next(numbers))
                    if publication.position == until or not self._running.live:
                        break
            return until

    async def _let_others(self, number: int) -> None:
        await self._socket.wait_writable()
        if number % _EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)

    def _skip(self, position: Position) -> None:
        """Leave out what stands before a position, of what is kept and of what will come."""
        self._after = position
        if self._backlog is not None:
            self._backlog = deque(each for each in self._backlog if _is_past(each.publication.position, position))

    def _without_past(self, results: Sequence[SharedResult], position: Position) -> Sequence[SharedResult]:
        news = [each for each in results if _is_past(each.publication.position, position)]
        if news:
            self._after = None  # they come in order
        return news

    def _keep(self, results: Sequence[SharedResult]) -> None:
        backlog = self._backlog
        assert backlog is not None
        backlog.extend(results)
        if len(backlog) > _BACKLOG and self._group is not None:
            self.fail(SubscriberLagging(self._group.topic.name, buffered=_BACKLOG))

    async def _catch_up(self) -> None:
        """Send what waits, as fast as it is read; what comes meanwhile waits behind it."""
        while self._backlog:
            some = tuple(islice(self._backlog, _EVENTS_AT_ONCE))
            if not self._send(some):
                await self._socket.wait_writable()
                continue
            if self._backlog is None:
                return  # that was the end of it
            for _ in some:
                self._backlog.popleft()
            await asyncio.sleep(0)
        self._backlog = None

    def _send(self, results: Sequence[SharedResult]) -> bool:
        """Send results, as far as they may be sent; False where they have to wait."""
        sent = self._socket.hand_on(self._running, results, cursors=self._cursors)
        if sent is None:
            return False
        self._meter.events_sent += sent
        self._watch.events += sent
        return True


async def _position(topic: Topic) -> Position:
    if type(topic.broker) is not MemoryBroker:  # which waits for nothing
        await in_a_task()
    return await topic.broker.position(topic.name)


def _is_past(position: Position, mark: Position) -> bool:
    """Say whether a position is behind another one; what is of another epoch is not of the same past."""
    return position.epoch != mark.epoch or position.offset > mark.offset
