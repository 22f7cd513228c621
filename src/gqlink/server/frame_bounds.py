"""How many frames one socket may bring, and how many answers to pings may wait for somebody who does not read.

The application hears of messages. What a peer sends beside them, or before the first one is complete, is between it and
the ASGI server: fragments without end, pings and pongs by the million.
"""

from __future__ import annotations

from typing import Final

from gqlink.server.message_rate import MessageRate

__all__ = ("FRAMES_PER_MESSAGE", "FrameBounds")

FRAMES_PER_MESSAGE: Final = 4
"""So many frames a second for each message that is allowed, so that the application's own bound comes first."""

# How often somebody may ask whether we live, who has not read the last answers.
_UNREAD_PINGS: Final = 100


class FrameBounds(MessageRate):
    """Counts the frames of one socket.

    Args:
        messages_per_second: The bound of the application.
        now: The present time, in seconds of a monotonic clock.
    """

    __slots__ = ("_unread_pings",)

    def __init__(self, messages_per_second: int, *, now: float) -> None:
        super().__init__(FRAMES_PER_MESSAGE * messages_per_second, now=now)
        self._unread_pings = 0

    def may_come(self, now: float) -> bool:
        """Count one frame; False for one too many, which should end the connection.

        Args:
            now: The present time, on the same clock.
        """
        return self.count(now) < self._per_second + 1

    def may_answer(self, *, stuck: bool) -> bool:
        """Count one ping; False when too many answers wait, which should end the connection.

        Args:
            stuck: Whether what was sent before is still waiting to be read.
        """
        self._unread_pings = self._unread_pings + 1 if stuck else 0
        return self._unread_pings <= _UNREAD_PINGS
