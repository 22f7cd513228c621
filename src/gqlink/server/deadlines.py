"""The deadlines of all sockets in one heap, with one timer of the event loop.

A timer of the event loop's own takes half a kilobyte and a system's timer handle; ten thousand sockets have as many
deadlines, and hardly one of them is ever reached.
"""

from __future__ import annotations

import contextvars
import heapq
import math
from typing import TYPE_CHECKING, Final

from gqlink.server.logbook import log_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.server.clock import Clock, Timer

__all__ = ("Deadline", "Deadlines")

# So many may lie about that were cancelled, whatever the others are, before they are swept out.
_FEW: Final = 100
# One for so many of the others may; each socket that is let in leaves one behind.
_SWEPT_SHARE: Final = 4


class Deadline:
    """A call that will come; a `Timer`.

    Args:
        when: When it is due.
        callback: What is called.
        deadlines: Where it waits.
    """

    __slots__ = ("_deadlines", "callback", "when")

    def __init__(self, when: float, callback: Callable[[], None], deadlines: Deadlines) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback
        self._deadlines = deadlines

    def cancel(self) -> None:
        """Let it not come; harmless when it has."""
        if self.callback is not None:
            self.callback = None
            self._deadlines.forget()

    def __lt__(self, other: Deadline) -> bool:
        return self.when < other.when


class Deadlines:
    """Makes the calls of many timers with one.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Deadline] = []
        self._live = 0
        """How many of them are not cancelled."""
        self._timer: Timer | None = None
        self._timer_at = math.inf
        # Nobody's: otherwise all would be called in the context of whoever happened to be first.
        self._context = contextvars.Context()

    def __len__(self) -> int:
        return self._live

    @property
    def next_at(self) -> float:
        """When the next one is due, or earlier, where that one was cancelled; infinity where there is none."""
        return self._heap[0].when if self._heap else math.inf

    def call_at(self, when: float, callback: Callable[[], None]) -> Deadline:
        """Call `callback` when the clock's `now` reaches `when`; what it raises is logged, and harms no other."""
        deadline = Deadline(when, callback, self)
        heapq.heappush(self._heap, deadline)
        self._live += 1
        if when < self._timer_at:
            self._set_timer()
        return deadline

    def forget(self) -> None:
        """Take note that one was cancelled; for `Deadline`."""
        self._live -= 1
        cancelled = len(self._heap) - self._live
        if cancelled > max(self._live // _SWEPT_SHARE, _FEW):
            self._heap = [deadline for deadline in self._heap if deadline.callback is not None]
            heapq.heapify(self._heap)
        if not self._live:
            self._set_timer()

    def _on_timer(self) -> None:
        now = self._clock.now()
        self._timer_at = -math.inf  # it is set below, once
        while self._heap and self._heap[0].when <= now:
            self._call(heapq.heappop(self._heap))
        self._set_timer()

    def _call(self, deadline: Deadline) -> None:
        callback, deadline.callback = deadline.callback, None
        if callback is None:
            return
        self._live -= 1
        try:
            callback()
        except Exception:  # noqa: BLE001 -- others are due, too
            log_event("failed", "a deadline's callback failed", exc_info=True)

    def _set_timer(self) -> None:
        """Wait for the next one; those that were cancelled are waited for no more."""
        while self._heap and self._heap[0].callback is None:
            heapq.heappop(self._heap)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = self._heap[0].when if self._heap else math.inf
        if self._heap:
            self._timer = self._context.run(self._clock.call_at, self._timer_at, self._on_timer)
