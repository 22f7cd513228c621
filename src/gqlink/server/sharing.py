"""Execute once, for all who would get the same: groups of subscribers whose results do not depend on who they are.

A resolver that returns `topic.stream(share_key=…)` says that everybody who has this key too, and asks the same, gets
the same results. Those are one group: it hears the topic once, and each event is executed and encoded once, with what
the application's `shared_context` makes of the key, in a `contextvars.Context` of the group's own. No identity is
anywhere near it: what would have to be read is not there. Who hears a result, and whether they still may, is looked at
for each of them in the step that hands it out; so those who come, leave, expire, lose a right or are slow are nobody
else's business.

Without a share key, or without a `shared_context`, nothing is ever shared: it is declared, not guessed.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from gqlink.server.broadcast import LaneFollower, broadcast
from gqlink.server.cursors import CursorCodec
from gqlink.server.logbook import log_event
from gqlink.server.tasks import in_a_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from gqlink.pubsub import Broker, Publication, Stream, Topic
    from gqlink.server.operation import Operation
    from gqlink.server.results import SharedResult
    from gqlink.server.statistics import Meter
    from gqlink.server.tasks import TaskSet

__all__ = ("Follower", "Group", "GroupKey", "Sharing", "group_key")

# How many events may be executed before they are handed out: what comes in a burst leaves together, and no burst takes
# longer than a few milliseconds before somebody else has a turn.
_EVENTS_AT_ONCE: Final = 64
# To how many a result is handed out before what they are sent leaves, and somebody else has a turn: what is touched for
# each of them is still in the processor's cache then.
_FOLLOWERS_AT_ONCE: Final = 64


class GroupKey(NamedTuple):
    """What has to be equal for two subscribers to get the same results; with their values' kinds, so 1 is not 1.0.

    Args:
        topic: Where their events come from.
        share_key: As their resolvers said.
        query: The document's text.
        operation_name: Which operation of it, where the request said so.
        variables: In canonical JSON.
        requirements: What the schema's directives demand for it, as a fingerprint.
    """

    topic: str
    share_key: str
    query: str
    operation_name: str | None
    variables: bytes
    requirements: str


class Follower(LaneFollower, Protocol):
    """One subscriber of a group; each call is one step, in which it looks at whether it may still hear anything."""

    def take(self, results: Sequence[SharedResult]) -> None:
        """Take results, oldest first."""

    def finish(self) -> None:
        """Take note that no more will come."""

    def fail(self, error: Exception) -> None:
        """Take note that no more will come, although there may be more."""


def group_key(operation: Operation, stream: Stream) -> GroupKey | None:
    """Return whose results are the same as this subscriber's; None where nobody has said so.

    Nor are they for a stream that was opened already: whoever did that may be somewhere else in it.
    """
    if stream.share_key is None or stream.subscription is not None:
        return None
    request = operation.request
    return GroupKey(
        topic=stream.topic.name,
        share_key=stream.share_key,
        query=request.query,
        operation_name=request.operation_name,
        variables=msgspec.json.encode(request.variables, order="deterministic") if request.variables else b"{}",
        requirements=operation.requirements.fingerprint,
    )


class Sharing:
    """The groups of one application.

    Args:
        tasks: Own what the groups do.
        meter: Counts what is sent.
        is_calm: Says whether no credential can have ended whose end nobody has noticed.
    """

    def __init__(self, tasks: TaskSet, *, meter: Meter, is_calm: Callable[[], bool]) -> None:
        self._tasks = tasks
        self._meter = meter
        self._is_calm = is_calm
        self._groups: dict[tuple[Broker, GroupKey], Group] = {}

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def followers(self) -> int:
        """How many subscribers are in groups."""
        return sum(len(group) for group in self._groups.values())

    def join(
        self,
        key: GroupKey,
        topic: Topic,
        follower: Follower,
        *,
        execute: Callable[[], Callable[[Publication], Awaitable[SharedResult]]],
    ) -> Group:
        """Put a subscriber into its group; from here on it hears everything that the group does.

        Args:
            key: Which.
            topic: Where the group hears.
            follower: Told of results.
            execute: For a new group: makes what executes one event.
        """
        group = self._groups.get((topic.broker, key))
        if group is None:
            group = Group(
                topic,
                execute(),
                forget=lambda: self._groups.pop((topic.broker, key), None),
                meter=self._meter,
                is_calm=self._is_calm,
            )
            self._groups[topic.broker, key] = group
            group.start(self._tasks)
        group.add(follower)
        return group


class Group:
    """Those who get the same, and the one run that they get it from; it ends with the last of them.

    Args:
        topic: Where it hears.
        execute: Executes one event.
        forget: Called when it has ended, or is about to: nobody may join it any more.
        meter: Counts what is sent.
        is_calm: Says whether no credential can have ended whose end nobody has noticed.
    """

    def __init__(
        self,
        topic: Topic,
        execute: Callable[[Publication], Awaitable[SharedResult]],
        *,
        forget: Callable[[], object],
        meter: Meter,
        is_calm: Callable[[], bool],
    ) -> None:
        self.topic = topic
        self._meter = meter
        self._is_calm = is_calm
        self.cursors = CursorCodec(topic.name)
        self._execute = execute
        self._forget = forget
        self._followers: dict[Follower, None] = {}
        self._pending: list[SharedResult] = []
        self._room = asyncio.Event()
        self._room.set()
        self._listening = asyncio.Event()
        self._handing: tuple[list[SharedResult], Iterator[Follower]] | None = None
        self._scheduled = False
        self._ending: deque[Callable[[Follower], None]] = deque()
        self._ended = False
        # One for all that it does: what somebody who publishes or joins has set there is not seen, nor the reverse.
        self._context = contextvars.Context()

    def __len__(self) -> int:
        return len(self._followers)

    def start(self, tasks: TaskSet) -> None:
        """Begin to listen."""
        self._tasks = tasks
        self._task = tasks.spawn(self._run(), name="gqlink shared run", context=self._context)

    def add(self, follower: Follower) -> None:
        """Tell somebody of everything that is handed out from now on."""
        self._followers[follower] = None

    def leave(self, follower: Follower) -> None:
        """Tell somebody of nothing more; harmless to repeat. After the last one it ends."""
        self._followers.pop(follower, None)
        if not self._followers:
            self._forget()
            self._tasks.cancel(self._task)

    async def wait_listening(self) -> bool:
        """Wait until nothing that is published is missed any more; False where that will never be.

        Then its followers are told why, and need not be told otherwise.
        """
        if not self._listening.is_set():
            await in_a_task()
            await self._listening.wait()
        return not self._ended

    async def execute(self, publication: Publication) -> SharedResult:
        """Execute one event for somebody who missed it, as it was executed for the others."""
        running = asyncio.get_running_loop().create_task(self._once(publication), context=self._context.copy())
        try:
            return await running
        finally:
            running.cancel()

    async def _once(self, publication: Publication) -> SharedResult:
        return await self._execute(publication)

    async def _run(self) -> None:
        try:
            await self._listen()
        except Exception as exc:  # noqa: BLE001 -- of whatever broker it is; each of them says it in its way
            self._end(partial(_fail, exc))
        else:
            self._end(_finish)
        finally:
            self._ended = True
            self._forget()
            self._listening.set()

    async def _listen(self) -> None:
        """Execute what is published, and hand it out in the next turn of the loop, with what else has come by then."""
        async with await self.topic.broker.subscribe(self.topic.name) as subscription:
            self._listening.set()
            async for publication in subscription:
                result = await self._execute(publication)
                self._pending.append(result)  # another list than before the wait, maybe
                self._schedule()
                if len(self._pending) >= _EVENTS_AT_ONCE:
                    self._room.clear()
                    await self._room.wait()

    def _end(self, tell: Callable[[Follower], None]) -> None:
        self._ending.append(tell)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        """Hand out what was executed to a part of the followers; the others, and what came since, have their turn."""
        self._scheduled = False
        if self._handing is None:
            if not self._pending:
                self._tell_end()
                return
            self._handing = self._pending, iter(tuple(self._followers))
            self._pending = []
            self._room.set()
        results, followers = self._handing
        some = tuple(islice(followers, _FOLLOWERS_AT_ONCE))
        for follower in self._broadcast(some, results):
            self._hand(follower, results)
        if len(some) < _FOLLOWERS_AT_ONCE:
            self._handing = None
        if self._handing is not None or self._pending or self._ending:
            self._schedule()

    def _broadcast(self, followers: Sequence[Follower], results: list[SharedResult]) -> Sequence[Follower]:
        """Send results to those for whom nothing has to be decided, and return the others."""
        if not self._is_calm():
            return followers
        others = broadcast(followers, [each.tail for each in results])
        sent = (len(followers) - len(others)) * len(results)
        self._meter.events_sent += sent
        self._meter.messages_sent += sent
        return others

    def _hand(self, follower: Follower, results: list[SharedResult]) -> None:
        try:
            follower.take(results)
        except Exception:  # noqa: BLE001 -- a bug of ours; it must not be the others' business
            log_event("failed", "a subscriber of a shared run failed", exc_info=True)
            self.leave(follower)

    def _tell_end(self) -> None:
        while self._ending:
            tell = self._ending.popleft()
            for follower in tuple(self._followers):
                tell(follower)


def _fail(error: Exception, follower: Follower) -> None:
    follower.fail(error)


def _finish(follower: Follower) -> None:
    follower.finish()
