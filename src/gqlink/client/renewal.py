"""When to renew the credential of a live socket: a small machine without a clock and without a socket.

Somewhere between 65 and 80 % of its life, so that clients that logged in together do not come back together, and half
a second before its end at least, which is what matters to a token of a few seconds. But a second after the renewal
before at least, also where that was on another socket: a server that calls every token as good as ended, such as one
whose clock is ahead, is not asked in a storm. An attempt that failed is made
again after a growing pause, which shrinks with what is left: a provider that is back in the last moment is in time.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ("RenewalPace", "RenewalSchedule")

_EARLIEST: Final = 0.65
_SPREAD: Final = 0.15
_MARGIN_SECONDS: Final = 0.5
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_SHORTEST_PAUSE: Final = 0.1
_ANSWER_SECONDS: Final = 10.0
_APART_SECONDS: Final = 1.0
# Nobody waits so long; and a timer for more would be too far away for the event loop.
_FOR_EVER: Final = 10 * 365 * 86400.0


class RenewalPace:
    """When a link has last renewed, on whichever socket: what keeps its renewals apart."""

    def __init__(self) -> None:
        self._renewed_at = -math.inf

    @property
    def earliest(self) -> float:
        """When the next renewal may be due, on the clock of `renewed`."""
        return self._renewed_at + _APART_SECONDS

    def renewed(self, *, now: float) -> None:
        """Take note of a renewal.

        Args:
            now: The current time, in seconds of any monotonic clock.
        """
        self._renewed_at = now


class RenewalSchedule:
    """The moments of one credential on one socket.

    Args:
        remaining: For how many seconds it lasts from now; None, or more than ten years, for ever.
        now: The current time, in seconds of any monotonic clock.
        chance: A random number from 0 to 1, for the spread.
        earliest: When it may be due at the earliest, even if that is too late.
    """

    def __init__(self, remaining: float | None, *, now: float, chance: float, earliest: float = -math.inf) -> None:
        self.ends_at: float | None = None
        self.due: float | None = None
        self._failures = 0
        if remaining is not None and math.isfinite(remaining) and remaining <= _FOR_EVER:
            life = max(remaining, 0.0)
            self.ends_at = now + life
            after = max(life / 2, min(life * (_EARLIEST + _SPREAD * chance), life - _MARGIN_SECONDS))
            self.due = max(now + after, earliest)

    def is_due(self, now: float) -> bool:
        """Say whether the moment has come."""
        return self.due is not None and now >= self.due

    def failed(self, *, now: float, chance: float, earliest: float = -math.inf) -> None:
        """Try again after a pause, as long as the credential lives; where its end is unknown, ever more rarely.

        Args:
            now: The current time.
            chance: A random number from 0 to 1.
            earliest: Not before this moment, even if that is too late.
        """
        left = self._left(now)
        if left <= 0.0:
            self.due = None
            return
        window = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 64))
        self._failures += 1
        pause = max(_SHORTEST_PAUSE, min(window * (0.5 + chance / 2), left / 3))
        self.due = max(now + pause, earliest)

    def give_up(self) -> None:
        """Try no more: the end of the credential is the server's to say."""
        self.due = None

    def answer_by(self, *, now: float) -> float:
        """Return until when to wait for the server's answer: there must be time for another attempt.

        Args:
            now: The current time.
        """
        return now + min(_ANSWER_SECONDS, max(self._left(now) / 2, _MARGIN_SECONDS))

    def _left(self, now: float) -> float:
        return math.inf if self.ends_at is None else self.ends_at - now
