"""From one socket to the next without a gap: make before break.

Both are acknowledged and speak for the same subject. Every subscription is started on the new socket and goes on being
heard on the old one for a while (`overlap_seconds`); new operations go to the new one at once. If the new socket is
lost meanwhile, nothing has happened; if the old one is, the overlap is over at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.client.clock import Clock, Timer
    from gqlink.client.crossing import Crossing
    from gqlink.client.operations import Carriage, Operations
    from gqlink.client.socket import Socket

__all__ = ("Handover",)


class Handover:
    """One change of sockets.

    Args:
        operations: What runs.
        old: The socket that is heard.
        new: The one that will be.
        overlap_seconds: For how long both carry the subscriptions.
        clock: Tells the time.
        on_over: Told once when the overlap is over, whichever way.
    """

    def __init__(
        self,
        operations: Operations,
        *,
        old: Socket,
        new: Socket,
        overlap_seconds: float,
        clock: Clock,
        on_over: Callable[[], None],
    ) -> None:
        self.old = old
        self.new = new
        self.succeeded: bool | None = None
        self._operations = operations
        self._overlap_seconds = overlap_seconds
        self._clock = clock
        self._on_over = on_over
        self._crossings: list[Crossing[Carriage]] = []
        self._timer: Timer | None = None

    @property
    def running(self) -> bool:
        """Whether both sockets carry the subscriptions."""
        return self.succeeded is None

    def begin(self) -> None:
        """Start every subscription on the new socket as well; without any, the overlap is over at once."""
        running = [each for each in self._operations.carried_by(self.old) if each.repeats]
        crossings = [self._operations.cross(operation, self.new) for operation in running]
        self._crossings = [crossing for crossing in crossings if crossing is not None]
        if self._crossings and self._overlap_seconds > 0:
            self._timer = self._clock.call_at(self._clock.now() + self._overlap_seconds, self.finish)
        else:
            self.finish()

    def finish(self, *, lost: bool = False) -> None:
        """Hear the new socket from here on; harmless when it is over."""
        if not self.running:
            return
        self._end(succeeded=True)
        for crossing in self._crossings:
            self._operations.arrive(crossing, lost=lost)
        # What the old socket brought last may still be on its way over the new one; then the keys have done their duty.
        self._timer = self._clock.call_at(self._clock.now() + self._overlap_seconds, self._forget)

    def turn_back(self) -> None:
        """Go on with the old socket, as if there had been no other; harmless when it is over."""
        if not self.running:
            return
        self._end(succeeded=False)
        for crossing in self._crossings:
            self._operations.turn_back(crossing)

    def dispose(self) -> None:
        """Let no timer outlive the link."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, *, succeeded: bool) -> None:
        self.dispose()
        self.succeeded = succeeded
        self._on_over()

    def _forget(self) -> None:
        for crossing in self._crossings:
            self._operations.forget(crossing)
