"""How fast one socket's messages come: a token bucket that is one number and one moment.

Source: ITU-T I.371, annex A, "generic cell rate algorithm".
"""

from __future__ import annotations

__all__ = ("MessageRate",)


class MessageRate:
    """Counts the messages of one socket, and forgets them at the rate that is allowed.

    Args:
        per_second: How many may come in a second; as many may come at once.
        now: The present time, in seconds of a monotonic clock.
    """

    __slots__ = ("_at", "_came", "_per_second")

    def __init__(self, per_second: int, *, now: float) -> None:
        self._per_second = per_second
        self._came = 0.0
        self._at = now

    def count(self, now: float) -> float:
        """Count one message.

        Args:
            now: The present time, on the same clock.

        Returns:
            How many have come and are not forgotten, this one included: up to `per_second` all is well, and beyond
            twice that the socket owes as much again.
        """
        left = self._came - (now - self._at) * self._per_second
        self._at = now
        self._came = left + 1.0 if left > 0.0 else 1.0
        return self._came
