"""How long to wait before connecting again, and for how often."""

from __future__ import annotations

from dataclasses import dataclass

from gqlink.protocol import CloseCode

__all__ = ("Backoff", "Retry")

# A server that says it stops takes all its clients with it: they must not come back at once, nor together.
_SERVER_STOPS = {CloseCode.GOING_AWAY, CloseCode.SERVICE_RESTART, CloseCode.TRY_AGAIN_LATER}


@dataclass(frozen=True, slots=True)
class Retry:
    """Full jitter over a growing window: each wait is a random part of it, so that clients spread out.

    Args:
        first_seconds: The window of the first wait.
        server_stop_seconds: The smallest window after a server said that it stops or is full (1001, 1012, 1013).
        factor: How much each further window is wider than the one before.
        cap_seconds: No window is wider.
        stable_seconds: A connection that stayed up so long starts the count anew.
        attempts: How many times in a row to try again before giving up; None for ever.
    """

    first_seconds: float = 1.0
    server_stop_seconds: float = 5.0
    factor: float = 2.0
    cap_seconds: float = 60.0
    stable_seconds: float = 10.0
    attempts: int | None = None

    def window(self, failures: int, *, code: int | None = None) -> float:
        """Return the window to wait in, in seconds.

        Args:
            failures: How many connections in a row have failed, at least 1.
            code: The close code of the last one.
        """
        floor = self.server_stop_seconds if code in _SERVER_STOPS else 0.0
        # The exponent is bounded: a client that waits for a month must not overflow a float.
        return max(floor, min(self.cap_seconds, self.first_seconds * self.factor ** min(failures - 1, 64)))


class Backoff:
    """Counts the failures in a row.

    Args:
        retry: The policy.
    """

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self.failures = 0

    @property
    def exhausted(self) -> bool:
        """Whether the policy allows no further attempt."""
        return self._retry.attempts is not None and self.failures > self._retry.attempts

    def failed(self, *, stayed_seconds: float) -> None:
        """Count one more failure, or the first one after a connection that stayed up.

        Args:
            stayed_seconds: How long the connection had been acknowledged.
        """
        self.failures = 1 if stayed_seconds >= self._retry.stable_seconds else self.failures + 1

    def delay(self, *, chance: float, code: int | None = None) -> float:
        """Return how long to wait now, in seconds.

        Args:
            chance: A random number from 0 to 1.
            code: The close code of the last connection.
        """
        return chance * self._retry.window(self.failures, code=code)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
