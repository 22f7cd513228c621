"""What a subscriber holds: the events that come, the gaps between them, and the way out."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from gqlink.client.catching_up import CatchingUp
from gqlink.client.continuity import SubscriptionPhase, SubscriptionState
from gqlink.client.event import Event, read_event
from gqlink.errors import ContinuityLost, GqlinkError
from gqlink.protocol import ExecutionResult

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable

    from gqlink.client.gaps import CatchUp, Gap, SubscribeOptions
    from gqlink.client.operations import Operation

__all__ = ("SocketSubscription",)


class SocketSubscription:
    """A subscription over a WebSocket link; it starts when it is entered or first asked for an event.

    Entering waits until the subscription is live, or it is clear that it never will be: what the caller does next, such
    as a mutation over HTTP, comes after it. A server that does not say when it is live is believed as soon as it has
    been asked; one that might is waited for during a second. Why it never will be is what iterating raises.

    Args:
        start: Puts the operation to work.
        stop: Ends it, also on the server.
        options: What the subscriber wants beside events.
        run: Runs the query of `catch_up` on the same link, and returns its data.
    """

    __slots__ = (
        "__weakref__",
        "_catching_up",
        "_filled",
        "_heeded",
        "_loop",
        "_on_gap",
        "_operation",
        "_over",
        "_start",
        "_stop",
        "_waiting",
    )

    def __init__(
        self,
        *,
        start: Callable[[], Operation],
        stop: Callable[[Operation], None],
        options: SubscribeOptions,
        run: Callable[[CatchUp, Event], Awaitable[object]],
    ) -> None:
        self._start = start
        self._stop = stop
        self._on_gap = options.on_gap
        self._catching_up = CatchingUp.of(options, run=run)
        self._operation: Operation | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False
        self._filled: Gap | None = None
        self._heeded = (0, 0)
        # What waits for the consumer, once it may be handed on as it is.
        self._waiting: deque[ExecutionResult | Gap] | None = None

    @property
    def state(self) -> SubscriptionState:
        """What the subscription is doing now, and what it has missed."""
        if self._operation is None or self._operation.continuity is None:
            return SubscriptionState(SubscriptionPhase.ENDED if self._over else SubscriptionPhase.WAITING, 0.0)
        return self._operation.continuity.state

    async def aclose(self) -> None:
        """End the subscription; what waits is forgotten. Harmless when it is over."""
        self._over = True
        if self._operation is not None:
            self._operation.queue.finish()
            self._operation.queue.discard()
            self._stop(self._operation)

    async def __aenter__(self) -> Self:
        if not self._over:
            try:
                await self._begin().queue.wait_begun()
            except BaseException:
                await self.aclose()
                raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        waiting = self._waiting
        if waiting:
            # As nearly always, and short: events come by the hundred thousand. `_read` would do no more.
            first = waiting.popleft()
            if type(first) is ExecutionResult:
                if first.extensions is None:
                    return Event(first.data, first.errors or ())
                return self._take(self._begin(), first)
            waiting.appendleft(first)
        operation = self._begin()
        found = self._next_caught(operation)
        while found is None:
            try:
                # Most of the time something waits: to take it costs less than to wait for nothing.
                waiting = operation.queue.waiting
                item = waiting.popleft() if waiting else await operation.queue.get()
            except (StopAsyncIteration, GqlinkError):
                self._over = True
                raise
            if isinstance(item, ExecutionResult):
                found = self._read(operation, item)
            else:
                found = await self._meet(operation, item)
        return found

    def _next_caught(self, operation: Operation) -> Event | None:
        """Return the next event that a query brought, if one is left, and no gap stands before it."""
        if self._catching_up is None:
            return None
        self._heed(operation)
        waiting = operation.queue.waiting
        return None if waiting and waiting[0] is self._filled else self._catching_up.next()

    def _heed(self, operation: Operation) -> bool:
        """Forget what was caught up with when what waits was forgotten; whether that is so."""
        assert operation.continuity is not None
        assert self._catching_up is not None
        before, self._heeded = self._heeded, (operation.queue.discards, operation.continuity.lives)
        if before != self._heeded:
            self._catching_up.discard(everything=before[1] != self._heeded[1])
        return before != self._heeded

    def _read(self, operation: Operation, result: ExecutionResult) -> Event | None:
        """Return a result as an event; None where it has been caught up with."""
        event = self._take(operation, result)
        if self._catching_up is not None:
            self._heed(operation)
            if not self._catching_up.is_news(event):
                return None
        return event

    def _take(self, operation: Operation, result: ExecutionResult) -> Event:
        """Return a result as an event, and take note of how far the consumer has come."""
        event = read_event(result)
        if event.cursor is not None and operation.continuity is not None:
            operation.continuity.taken = event.cursor
        return event

    async def _meet(self, operation: Operation, gap: Gap) -> Event | None:
        """Do what is to be done about a gap; whoever is cancelled meanwhile comes to it again."""
        try:
            if self._catching_up is not None and gap is not self._filled:
                self._heed(operation)
                rest = await self._catching_up.fill(gap)
                if self._heed(operation):
                    return None  # it was for somebody else, or will be asked for again
                if rest is None:
                    return self._catching_up.next()
                gap = self._filled = rest
            if callable(self._on_gap):
                answer = self._on_gap(gap)
                if inspect.isawaitable(answer):
                    await answer
        except asyncio.CancelledError:
            operation.queue.put_back(gap)
            raise
        if operation.continuity is not None:
            operation.continuity.report(gap)
        if self._on_gap == "raise":
            await self.aclose()
            raise ContinuityLost(gap.reason, after=gap.after, missed=gap.missed)
        if self._on_gap == "yield":
            return Event(None, gap=gap)
        return None if self._catching_up is None else self._catching_up.next()

    def _begin(self) -> Operation:
        if self._operation is None:
            if self._over:
                raise StopAsyncIteration
            self._loop = asyncio.get_running_loop()
            self._operation = self._start()
            if self._catching_up is None:
                self._waiting = self._operation.queue.waiting
        return self._operation

    def __del__(self) -> None:
        # `async for event in client.subscribe(...)` with a `break` leaves nobody who could call `aclose`.
        if not self._over and self._operation is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and the socket with it
                self._loop.call_soon_threadsafe(self._stop, self._operation)
