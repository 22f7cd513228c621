"""What waits for a subscriber, within a bound: results, and the places where some may be missing."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import reduce
from typing import TYPE_CHECKING

from gqlink.client.gaps import Gap
from gqlink.errors import SubscriberLagging

if TYPE_CHECKING:
    from gqlink.client.gaps import Overflow
    from gqlink.errors import GqlinkError
    from gqlink.protocol import ExecutionResult

__all__ = ("EventQueue",)

_TOO_SLOW = "the consumer was slower than the events, and its buffer dropped the oldest"


class EventQueue:
    """A bounded queue between a socket, which never waits, and a consumer, which may.

    Args:
        name: What the consumer subscribed to, for the error.
        bound: How many results may wait, at least 1.
        overflow: What happens to one more: "fail" ends the queue, "drop_oldest" drops the oldest and leaves a gap in
            its place, "latest" drops all that wait.

    Attributes:
        waiting: What waits, oldest first. Whoever hands on very many results may add to it, below `bound`, and then
            `wake` a consumer that is `asleep`: that is what `put` does.
        bound: As above.
        asleep: Whether a consumer may wait.
        dropped: How many results were dropped.
        discards: How often what waited was forgotten.
    """

    __slots__ = (
        "_begun",
        "_changed",
        "_error",
        "_name",
        "_over",
        "_overflow",
        "asleep",
        "bound",
        "discards",
        "dropped",
        "waiting",
    )

    def __init__(self, name: str, *, bound: int, overflow: Overflow = "fail") -> None:
        self.waiting: deque[ExecutionResult | Gap] = deque()
        self.dropped = 0
        self.discards = 0
        self._name = name
        self.bound = bound
        self._overflow = overflow
        self._over = False
        self._error: GqlinkError | None = None
        self._changed = asyncio.Event()
        self.asleep = False
        self._begun = asyncio.Event()

    def put(self, result: ExecutionResult) -> bool:
        """Take one more result; False where too many wait already, and so it is over, after those."""
        if len(self.waiting) >= self.bound and not self._make_room():
            return False
        self.waiting.append(result)
        if self.asleep:
            self.wake()
        return True

    def mark(self, gap: Gap) -> None:
        """Let the consumer come upon a gap here; two without an event between them are one."""
        if self.waiting and isinstance(self.waiting[-1], Gap):
            self.waiting[-1] = _joined(self.waiting[-1], gap)
        else:
            self.waiting.append(gap)
        self.wake()

    def put_back(self, gap: Gap) -> None:
        """Let the consumer come upon a gap again, with which it was not finished."""
        self.waiting.appendleft(gap)
        self.wake()

    def finish(self, error: GqlinkError | None = None) -> None:
        """End it after what waits, with an error or without; the first ending counts."""
        if not self._over:
            self._over, self._error = True, error
            self.wake()
            self._begun.set()

    def begin(self) -> None:
        """Take note that the subscription is live, or that nobody knows when it will be."""
        self._begun.set()

    async def wait_begun(self) -> None:
        """Wait until the subscription is live, or never will be."""
        await self._begun.wait()

    def discard(self) -> tuple[int, Gap | None]:
        """Forget what waits; return how many results that were, and the gaps among them, as one."""
        gaps = [each for each in self.waiting if isinstance(each, Gap)]
        count = len(self.waiting) - len(gaps)
        self.waiting.clear()
        self.discards += 1
        return count, reduce(_joined, gaps) if gaps else None

    async def get(self) -> ExecutionResult | Gap:
        """Wait for the next result, or the next gap.

        Raises:
            StopAsyncIteration: It is over.
            GqlinkError: It ended with this; said once.
        """
        while not self.waiting:
            if self._over:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._changed.clear()
            self.asleep = True
            await self._changed.wait()
        # Taken only now, after the last wait: a consumer that is cancelled loses nothing.
        return self.waiting.popleft()

    def wake(self) -> None:
        """Let a consumer that waits look again."""
        self.asleep = False
        self._changed.set()

    def _make_room(self) -> bool:
        """Drop what the policy allows; a gap that waits for the consumer needs no room of its own."""
        if self._overflow == "fail":
            results = sum(not isinstance(each, Gap) for each in self.waiting)
            if results < self.bound:
                return True
            self.finish(SubscriberLagging(self._name, buffered=results))
            return False
        if self._overflow == "latest":
            gaps = [each for each in self.waiting if isinstance(each, Gap)]
            self.dropped += len(self.waiting) - len(gaps)
            self.waiting.clear()
            self.waiting.extend([reduce(_joined, gaps)] if gaps else [])
            return True
        self._drop_oldest()
        return True

    def _drop_oldest(self) -> None:
        """Drop the oldest result; the gap in its place grows with each, and takes in those that it comes to touch."""
        gap = None
        while self.waiting:
            first = self.waiting.popleft()
            dropped = not isinstance(first, Gap)
            gap = _joined(gap, Gap(_TOO_SLOW, missed=1) if not isinstance(first, Gap) else first)
            if dropped:
                self.dropped += 1
                break
        while self.waiting and isinstance(self.waiting[0], Gap):
            gap = _joined(gap, self.waiting.popleft())
        if gap is not None:
            self.waiting.appendleft(gap)


def _joined(one: Gap | None, other: ExecutionResult | Gap) -> Gap:
    """Return the gap that two gaps without an event between them are."""
    assert isinstance(other, Gap)
    if one is None:
        return other
    missed = None if one.missed is None or other.missed is None else one.missed + other.missed
    reason = one.reason if other.reason in one.reason else f"{one.reason}; {other.reason}"
    return Gap(reason, one.after, missed)
