"""What a subscriber holds: events that wait for it, within a bound, and the way out."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

import msgspec

from gqlink.errors import GqlinkError, SubscriberLagging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gqlink.client.operations import Operation
    from gqlink.protocol import ExecutionResult

__all__ = ("Event", "EventQueue", "SocketSubscription", "read_event")

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class Event(msgspec.Struct, frozen=True):
    """One event of a subscription; with `errors` it is still an event, not the end.

    Args:
        data: What the subscription selected, or None.
        errors: As in a GraphQL response, each with at least a `message`; empty when all went well.
        extensions: The response's own.
        cursor: Where to resume after this event; None where the server gives none.

    Source: GraphQL specification (September 2025), section 7.1.
    """

    data: object
    errors: Sequence[Mapping[str, object]] = ()
    extensions: Mapping[str, object] = _NOTHING
    cursor: str | None = None


def read_event(result: ExecutionResult) -> Event:
    """Return a result as its subscriber sees it."""
    return Event(result.data, result.errors or (), result.extensions or _NOTHING)


class EventQueue:
    """A bounded queue between a socket, which never waits, and a consumer, which may.

    Args:
        name: What the consumer subscribed to, for the error.
        bound: How many results may wait.
    """

    def __init__(self, name: str, *, bound: int) -> None:
        self._name = name
        self._bound = bound
        self._waiting: deque[ExecutionResult] = deque()
        self._over = False
        self._error: GqlinkError | None = None
        self._changed = asyncio.Event()
        self._begun = asyncio.Event()

    def put(self, result: ExecutionResult) -> bool:
        """Take one more result, or refuse it because too many wait already: then it is over, after those."""
        if len(self._waiting) >= self._bound:
            self.finish(SubscriberLagging(self._name, buffered=len(self._waiting)))
            return False
        self._waiting.append(result)
        self._changed.set()
        return True

    def finish(self, error: GqlinkError | None = None) -> None:
        """End it after what waits, with an error or without; the first ending counts."""
        if not self._over:
            self._over, self._error = True, error
            self._changed.set()
            self._begun.set()

    def begin(self) -> None:
        """Take note that the server has been asked, for the first time or again."""
        self._begun.set()

    async def wait_begun(self) -> None:
        """Wait until the server has been asked, or never will be."""
        await self._begun.wait()

    def discard(self) -> int:
        """Forget what waits; return how many results that were."""
        count = len(self._waiting)
        self._waiting.clear()
        return count

    async def get(self) -> ExecutionResult:
        """Wait for the next result.

        Raises:
            StopAsyncIteration: It is over.
            GqlinkError: It ended with this; said once.
        """
        while not self._waiting:
            if self._over:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        # Taken only now, after the last wait: a consumer that is cancelled loses nothing.
        return self._waiting.popleft()


class SocketSubscription:
    """A subscription over a WebSocket link; it starts when it is entered or first asked for an event.

    Entering waits until the operation has been written to a socket, or it is clear that it never will be: what the
    caller does next, such as a mutation over HTTP, comes after it. Why it never will be is what iterating raises.

    Args:
        start: Puts the operation to work.
        stop: Ends it, also on the server.
    """

    def __init__(self, *, start: Callable[[], Operation], stop: Callable[[Operation], None]) -> None:
        self._start = start
        self._stop = stop
        self._operation: Operation | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False

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
        operation = self._begin()
        try:
            result = await operation.queue.get()
        except (StopAsyncIteration, GqlinkError):
            self._over = True
            raise
        return read_event(result)

    def _begin(self) -> Operation:
        if self._operation is None:
            if self._over:
                raise StopAsyncIteration
            self._loop = asyncio.get_running_loop()
            self._operation = self._start()
        return self._operation

    def __del__(self) -> None:
        # `async for event in client.subscribe(...)` with a `break` leaves nobody who could call `aclose`.
        if not self._over and self._operation is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and the socket with it
                self._loop.call_soon_threadsafe(self._stop, self._operation)
