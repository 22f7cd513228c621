"""One subscriber of a `MemoryBroker`: what waits for it, and how it ends."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from gqlink.errors import SubscriberLagging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gqlink.pubsub.broker import Position, Publication

__all__ = ("MemorySubscription",)


class MemorySubscription:
    """A bounded queue between a broker, which never waits, and one consumer, which may.

    Args:
        topic: What it listens to.
        position: Where it starts.
        recovered: Whether that is where it was asked to resume.
        backlog: What was published after `position` and before now. It does not count against the buffer: a consumer
            that comes back late has not been slow yet.
        buffer: How many publications may wait beside the backlog.
        leave: Tells the broker that nothing is to be delivered any more.
    """

    def __init__(
        self,
        topic: str,
        *,
        position: Position,
        recovered: bool,
        backlog: Iterable[Publication],
        buffer: int,
        leave: Callable[[MemorySubscription], None],
    ) -> None:
        self.topic = topic
        self.position = position
        self.recovered = recovered
        self._backlog = deque(backlog)
        self._waiting: deque[Publication] = deque()
        self._buffer = buffer
        self._leave = leave
        self._lagging: SubscriberLagging | None = None
        self._over = False
        self._changed = asyncio.Event()

    def deliver(self, publication: Publication) -> bool:
        """Take one more publication, or refuse it because too many wait already: then it is over, after those."""
        if len(self._waiting) >= self._buffer:
            self._break_off(reset=False)
            return False
        self._waiting.append(publication)
        self._changed.set()
        return True

    def reset(self) -> None:
        """End it after what was delivered, with an error: there may be more that nobody gets."""
        self._break_off(reset=True)

    def finish(self) -> None:
        """End it after what was delivered."""
        self._over = True
        self._changed.set()

    async def aclose(self) -> None:
        """Stop listening; see `Subscription.aclose`."""
        self._backlog.clear()
        self._waiting.clear()
        self._lagging = None
        self.finish()
        self._leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Publication:
        while not (ready := self._backlog or self._waiting):
            if self._over:
                raise self._ending()
            self._changed.clear()
            await self._changed.wait()
        # Taken only now, after the last wait: a consumer that is cancelled loses nothing.
        return ready.popleft()

    def _break_off(self, *, reset: bool) -> None:
        buffered = len(self._backlog) + len(self._waiting)
        self._lagging = SubscriberLagging(self.topic, buffered=buffered, reset=reset)
        self.finish()

    def _ending(self) -> Exception:
        """Say once why it is over; from then on it is simply over."""
        lagging, self._lagging = self._lagging, None
        return lagging or StopAsyncIteration()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()
