"""What a server counts of itself: enough to see that somebody does not read, and that nothing grows.

What happens with every message is an addition to a number; everything else is looked up when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Meter", "ServerStatistics")


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """What an application's sockets and operations are doing at one moment, and have done since it was made.

    Args:
        sockets: How many sockets are open, those included that are being closed.
        sockets_opened: How many have been since the start.
        closed: How many conversations ended with each close code, whoever said it; 1006 where nobody did.
        slow_consumers: How many of them we ended because their client did not read fast enough. That is 4490, but so is
            a topic that was reset, which is no fault of the client's.
        operations: How many operations run now, over HTTP and sockets; a mutation does so until it has finished.
        messages_sent: How many WebSocket messages the ASGI server has taken.
        waiting_bytes: What waits now to be sent over sockets, all together, in bytes.
        most_waiting_bytes: The highest that this has ever been.
    """

    sockets: int
    sockets_opened: int
    closed: Mapping[int, int]
    slow_consumers: int
    operations: int
    messages_sent: int
    waiting_bytes: int
    most_waiting_bytes: int


class Meter:
    """The counters of one application; each is written in the event loop, by whoever does what it counts."""

    __slots__ = ("closed", "messages_sent", "most_waiting_bytes", "slow_consumers", "sockets_opened", "waiting_bytes")

    def __init__(self) -> None:
        self.closed: Counter[int] = Counter()
        self.messages_sent = 0
        self.most_waiting_bytes = 0
        self.slow_consumers = 0
        self.sockets_opened = 0
        self.waiting_bytes = 0

    def add_waiting(self, size: int) -> None:
        """Take note that so many more bytes wait; fewer where it is negative."""
        self.waiting_bytes += size
        self.most_waiting_bytes = max(self.most_waiting_bytes, self.waiting_bytes)

    def read(self, *, sockets: int, operations: int) -> ServerStatistics:
        """Say what has been counted, together with what is there now."""
        return ServerStatistics(
            sockets=sockets,
            sockets_opened=self.sockets_opened,
            closed=MappingProxyType(dict(self.closed)),
            slow_consumers=self.slow_consumers,
            operations=operations,
            messages_sent=self.messages_sent,
            waiting_bytes=self.waiting_bytes,
            most_waiting_bytes=self.most_waiting_bytes,
        )
