"""The topic on which the nodes of one deployment tell each other what each of them must do at once.

Whoever is let in is let in by a node that hears the others: `ready` comes only after the node listens, and has loaded
what was ordered before. Listening begins first, so that nothing falls between the two.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Final

from gqlink.errors import AuthUnavailable, ConnectionClosed
from gqlink.server.logbook import Throttle, log_event
from gqlink.server.tasks import TaskSet, is_ending, wait_for_tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gqlink.pubsub import Broker
    from gqlink.server.clock import Clock

__all__ = ("CONTROL_TOPIC", "Control", "kind_of")

CONTROL_TOPIC: Final = "gqlink:control"

LOAD_SECONDS: Final = 60.0
"""How long a store may take to say what it holds, also one that says it in many pages."""

CLOSE_SECONDS: Final = 5.0
"""How long a broker may take to end a subscription."""

_STEADY_SECONDS: Final = 30.0
"""Who has listened for so long has not failed repeatedly; also the longest pause between two attempts."""


class Attempt:
    """One attempt to listen and to load; `ready` waits for its outcome.

    Attributes:
        over: Set when it has succeeded or failed.
        wanted: Set when somebody waits, so that it begins now rather than after a pause.
        failure: Why it failed, for the log; None when it succeeded.
    """

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.wanted = asyncio.Event()
        self.failure: str | None = None


class Control:
    """One node's ear and mouth.

    It listens from the first use until `aclose`, in one task. A subscription that lags or fails is made again and
    everything loaded again, at once at first, then after 1, 2, 4, … 30 seconds, or as soon as somebody asks.

    Args:
        broker: What the orders travel through.
        clock: The time.
        obey: Called with what each publication says, its own node's included; what it raises is logged.
        load: Brings what was ordered before; called whenever listening has begun.
    """

    def __init__(
        self, broker: Broker, *, clock: Clock, obey: Callable[[object], None], load: Callable[[], Awaitable[None]]
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._obey = obey
        self._load = load
        self._throttle = Throttle(clock)
        self._tasks = TaskSet()
        self._task: asyncio.Task[None] | None = None
        self._attempt = Attempt()
        self._ready = False
        self._closed = False

    def start(self) -> None:
        """Begin to listen, unless it has begun or is closed; needs a running event loop."""
        if self._closed or (self._task is not None and not self._task.done()):
            return
        self._attempt = Attempt()
        # It outlives whoever happens to be first: neither their trace nor their operation is what it works for.
        self._task = self._tasks.spawn(self._run(), name="gqlink control", context=Context())

    @property
    def is_ready(self) -> bool:
        """Whether the node listens and has loaded, now."""
        return self._ready

    async def ready(self) -> None:
        """Wait until the node listens and has loaded; costs nothing when it has.

        Raises:
            AuthUnavailable: It cannot, for now; the next call tries again.
        """
        if self._ready:
            return
        self.start()
        attempt = self._attempt
        if self._closed:
            raise AuthUnavailable("the application is closed")
        attempt.wanted.set()
        await attempt.over.wait()
        if attempt.failure is not None:
            raise AuthUnavailable(attempt.failure)

    async def say(self, order: Mapping[str, object]) -> None:
        """Tell all nodes.

        Args:
            order: Plain JSON.
        """
        await self._broker.publish(CONTROL_TOPIC, order)

    async def aclose(self) -> None:
        """Stop listening, for good; harmless to repeat."""
        self._closed = True
        self._tasks.cancel_all()
        if not await wait_for_tasks(self._tasks.tasks, seconds=CLOSE_SECONDS):
            log_event("not_stopped", "listening to other nodes did not end in time and is abandoned")

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                began = self._clock.now()
                failure = await self._listen()
                if failure is None:
                    self._failed("the broker is closed")
                    return
                failures = 1 if self._clock.now() - began >= _STEADY_SECONDS else failures + 1
                self._failed(failure)
                await self._pause(failures)
        finally:
            self._failed("listening has ended")

    async def _listen(self) -> str | None:
        """Listen until it fails, and say why, in words for the log; None when the broker is closed, which is final."""
        try:
            async with await self._broker.subscribe(CONTROL_TOPIC) as orders, asyncio.TaskGroup() as group:
                group.create_task(self._prepare(), name="gqlink control loading")
                async for publication in orders:
                    self._take(publication.data)
        except ConnectionClosed:
            text = "the broker is closed: orders of other nodes are not heard, and nobody new is let in"
            log_event("broker_closed", text)
            return None
        except (Exception, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and is_ending():
                raise
            kind = kind_of(exc)
            text = "orders of other nodes are not heard, and nobody new is let in until they are: %s"
            log_event("nodes_unheard", text, kind)
            log_event("nodes_unheard", "why they are not heard", level=logging.DEBUG, exc_info=exc)
            return f"revocations are not known ({kind})"
        return "the subscription to other nodes' orders has ended"

    async def _prepare(self) -> None:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await self._load()
        except asyncio.CancelledError:
            if is_ending():
                raise
            # A task group takes a cancelled task for one that has ended well.
            raise AuthUnavailable("loading was cancelled from within") from None
        self._ready = True
        self._attempt.over.set()

    def _take(self, order: object) -> None:
        try:
            self._obey(order)
        except Exception:  # noqa: BLE001 -- one order that fails must not deafen the node
            self._throttle.log("order_failed", "an order of another node failed", exc_info=True)

    def _failed(self, failure: str) -> None:
        self._ready = False
        attempt, self._attempt = self._attempt, Attempt()
        attempt.failure = failure
        attempt.over.set()

    async def _pause(self, failures: int) -> None:
        if failures == 1:
            return
        seconds = min(2.0 ** (failures - 2), _STEADY_SECONDS)
        timer = self._clock.call_at(self._clock.now() + seconds, self._attempt.wanted.set)
        try:
            await self._attempt.wanted.wait()
        finally:
            timer.cancel()


def kind_of(exc: BaseException) -> str:
    """Name the failure without its words, which are the broker's or the store's and may hold a secret.

    They are in the log for those who ask for it, at DEBUG.
    """
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return type(exc).__name__
