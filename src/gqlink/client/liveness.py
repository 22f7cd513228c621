"""Whether the server behind a socket is still there, where a line that answers says nothing of it.

Theory of operation
-------------------
A dead line is noticed by pings of RFC 6455 (`ping_seconds`): one goes out after so much silence, and as much again
later the line is dead, unless anything at all has come. That is picows' part. But a proxy may answer those itself while
the server behind it has gone; then only messages count, and there are two ways to miss them:

* A server that says `ka` (the legacy subprotocol) promises to go on. Nobody says how often, so it is learned: two
  intervals in a row that are alike are believed, and the longest of such counts. Twice that without any message is
  death. What comes in a burst, as around the ack, is no interval.
* A server that speaks `ping` and `pong` (graphql-transport-ws) is asked after three silent intervals of the line, and
  is dead one interval later, but only if it has ponged before: some never do. One that has never shown that it knows
  the two is not asked, because there are those that close on a message that they do not know.

Every message sets `heard`, which is as cheap as a sign of life can be; when it came is looked at no closer than the
next moment at which it matters.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.client.clock import Clock, Timer

__all__ = ("Interval", "Liveness")

# Servers say `ka` before the ack and right after it; whatever is closer together than this is no rhythm.
_BURST_SECONDS: Final = 1.0
_ALIKE: Final = 2.0
_PATIENCE: Final = 2.0
# Even a rhythm of seconds is allowed a hiccup: a pause of the garbage collector, a Wi-Fi that roams.
_SLACK_SECONDS: Final = 10.0
# In real seconds: what has arrived while this process stood still is read before anything is said to be silent.
_SECOND_LOOK_SECONDS: Final = 0.1
_QUIET_BEFORE_ASKING: Final = 3
_UNANSWERED: Final = 2


class Interval:
    """Learns how often something comes."""

    __slots__ = ("_gap", "_last", "_longest")

    def __init__(self) -> None:
        self._last: float | None = None
        self._gap: float | None = None
        self._longest: float | None = None

    @property
    def patience(self) -> float | None:
        """How long a silence is plainly too long, in seconds; None while the rhythm is not known."""
        return None if self._longest is None else max(_PATIENCE * self._longest, self._longest + _SLACK_SECONDS)

    def beat(self, now: float) -> None:
        """Take note that it came."""
        gap, self._last = None if self._last is None else now - self._last, now
        if gap is None or gap < _BURST_SECONDS:
            return
        before, self._gap = self._gap, gap
        if before is not None and max(before, gap) <= _ALIKE * min(before, gap):
            self._longest = max(self._longest or 0.0, before, gap)


class Liveness:
    """Judges one socket.

    Args:
        clock: Its seconds are those of the learned interval.
        ask: Pings the server, in the subprotocol.
        on_dead: Told why, once.
    """

    __slots__ = (
        "_ask",
        "_clock",
        "_interval",
        "_knows_pings",
        "_on_dead",
        "_over",
        "_ponged",
        "_quiet",
        "_second_look",
        "_timer",
        "_unanswered",
        "heard",
    )

    def __init__(self, clock: Clock, *, ask: Callable[[], None], on_dead: Callable[[str], None]) -> None:
        self.heard = False
        """To be set with every message."""
        self._clock = clock
        self._ask = ask
        self._on_dead = on_dead
        self._interval = Interval()
        self._timer: Timer | None = None
        self._second_look: asyncio.TimerHandle | None = None
        self._knows_pings = False
        self._ponged = False
        self._quiet = 0
        self._unanswered = 0
        self._over = False

    def keep_alive(self) -> None:
        """Take note of a `ka`."""
        self._interval.beat(self._clock.now())
        self._wait()

    def knows_pings(self) -> None:
        """Take note that the server may be asked: it pinged, or it is one of ours."""
        self._knows_pings = True

    def ponged(self) -> None:
        """Take note that the server answers."""
        self._knows_pings = self._ponged = True

    def quiet(self) -> None:
        """Take note that the line has been silent for another interval, which says nothing of the server yet."""
        if self._over:
            return
        if self.heard:
            self.heard, self._quiet, self._unanswered = False, 0, 0
            return
        self._quiet += 1
        if self._unanswered and self._ponged:
            self._die("the server does not answer, though the line does")
        elif self._knows_pings and self._quiet >= _QUIET_BEFORE_ASKING and self._unanswered < _UNANSWERED:
            self._unanswered += 1
            self._ask()

    def end(self) -> None:
        """Judge no more; harmless when it is over."""
        self._over = True
        self._stop_waiting()

    def _wait(self) -> None:
        """Begin to wait anew: there was a sign of life."""
        self.heard = False
        patience = self._interval.patience
        if patience is None or self._over:
            return
        self._stop_waiting()
        self._timer = self._clock.call_at(self._clock.now() + patience, self._look)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._second_look is not None:
            self._second_look.cancel()

    def _look(self) -> None:
        if self.heard:
            self._wait()
        else:
            self._second_look = asyncio.get_running_loop().call_later(_SECOND_LOOK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        if self.heard:
            self._wait()
        else:
            self._die("the server has stopped to say that it is alive")

    def _die(self, why: str) -> None:
        self.end()
        self._on_dead(why)
