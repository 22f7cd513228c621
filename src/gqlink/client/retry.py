"""How long to wait before connecting again, and for how often."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from gqlink.errors import BadUserInput
from gqlink.protocol import CloseCode

__all__ = ("Backoff", "Retry")

# A server that stops takes all its clients with it: they must not come back at once, nor together. One that was killed
# does not say so: its sockets break, and then nobody answers.
_SERVER_STOPS = {
    CloseCode.GOING_AWAY,
    CloseCode.SERVICE_RESTART,
    CloseCode.TRY_AGAIN_LATER,
    CloseCode.ABNORMAL,
    None,
}
# In any period so long, no more connections may fail than the policy allows.
_PERIOD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Full jitter over a growing window: each wait is a random part of it, so that clients spread out.

    Args:
        first_seconds: The window of the first wait.
        server_stop_seconds: The smallest window after a server said that it stops or is full (1001, 1012, 1013), a
            connection broke (1006), or there was none: each time it may be that all its clients come back.
        factor: How much each further window is wider than the one before.
        cap_seconds: No window is wider.
        stable_seconds: A connection that stayed up so long starts the count anew.
        per_minute: How many connections that did not stay up so long there may be in any 60 seconds, whatever the
            jitter says: no server is stormed by one that accepts and closes.
        attempts: How many times in a row to try again before giving up; None for ever.
    """

    first_seconds: float = 1.0
    server_stop_seconds: float = 5.0
    factor: float = 2.0
    cap_seconds: float = 60.0
    stable_seconds: float = 10.0
    per_minute: int = 8
    attempts: int | None = None

    def __post_init__(self) -> None:
        if self.per_minute < 1:
            raise BadUserInput("per_minute must be 1 or more")

    def window(self, failures: int, *, code: int | None = None) -> float:
        """Return the window to wait in, in seconds.

        Args:
            failures: How many connections in a row have failed, at least 1.
            code: The close code of the last one; None where it had none.
        """
        floor = self.server_stop_seconds if code in _SERVER_STOPS else 0.0
        # The exponent is bounded: a client that waits for a month must not overflow a float.
        return max(floor, min(self.cap_seconds, self.first_seconds * self.factor ** min(failures - 1, 64)))


class Backoff:
    """Counts the failures in a row, and those of the last minute.

    Args:
        retry: The policy.
    """

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failed_at: deque[float] = deque(maxlen=retry.per_minute)
        self.failures = 0

    @property
    def exhausted(self) -> bool:
        """Whether the policy allows no further attempt."""
        return self._retry.attempts is not None and self.failures > self._retry.attempts

    @property
    def is_first(self) -> bool:
        """Whether this is the first failure in a row, and there were not too many in the last minute."""
        return self.failures <= 1 and len(self._failed_at) < self._retry.per_minute

    def failed(self, *, stayed_seconds: float, now: float) -> None:
        """Count one more failure, or the first one after a connection that stayed up.

        Args:
            stayed_seconds: How long the connection had been acknowledged.
            now: The present time, in seconds of a monotonic clock.
        """
        if stayed_seconds >= self._retry.stable_seconds:
            self.failures = 1
            return
        self.failures += 1
        self._failed_at.append(now)

    def delay(self, *, chance: float, now: float, code: int | None = None, retry_after: float | None = None) -> float:
        """Return how long to wait now, in seconds.

        Args:
            chance: A random number from 0 to 1.
            now: The present time, in seconds of a monotonic clock.
            code: The close code of the last connection; None where it had none.
            retry_after: For how many seconds the server asks its clients to stay away; they do not come together then.
        """
        wanted = chance * self._retry.window(self.failures, code=code) + (retry_after or 0.0)
        if len(self._failed_at) < self._retry.per_minute:
            return wanted
        return max(wanted, self._failed_at[0] + _PERIOD_SECONDS - now)

    def spare_failed(self, *, now: float, retry_after: float | None = None) -> float:
        """Count a second connection that failed, for which nobody waits: half of those of a minute may be such.

        Args:
            now: The present time, in seconds of a monotonic clock.
            retry_after: For how many seconds the server asks its clients to stay away.

        Returns:
            When there may be another one.
        """
        self._failed_at.append(now)
        half = max(1, self._retry.per_minute // 2)
        earliest = now + (retry_after or 0.0)
        if len(self._failed_at) < half:
            return earliest
        return max(earliest, self._failed_at[-half] + _PERIOD_SECONDS)

    def reset(self) -> None:
        """Forget the failures in a row; those of the last minute stay what they are."""
        self.failures = 0
