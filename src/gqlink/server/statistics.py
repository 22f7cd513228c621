"""What a server counts of itself: enough to see that somebody does not read, and that nothing grows.

What happens with every message is an addition to a number; everything else is looked up when somebody asks. Whatever a
count is told apart by comes from a set that is written down here or in the protocol: a client that makes up close codes
or reasons adds to "other".
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from gqlink.errors import AuthError, AuthUnavailable
from gqlink.protocol import CLOSINGS, CloseCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gqlink.auth import Identity
    from gqlink.protocol import Side

__all__ = ("BUCKETS", "OTHER", "Durations", "Meter", "Road", "ServerStatistics", "known_reason")

Road: TypeAlias = Literal["http", "socket", "renewal"]

OTHER: Final = "other"

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds of what `Durations` tells apart, in seconds."""

_CLOSE_CODES: Final = frozenset(code.value for code in CloseCode)
_NORMATIVE: Final = frozenset((row.code.value, row.reason) for row in CLOSINGS if row.reason)
_FOREIGN_HOST: Final = 400
_REFUSALS: Final = frozenset({"Session revoked", "Subject changed", "Token expired", "Token invalid"})


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
        messages_sent: How many WebSocket messages, and events and comments of event streams, the ASGI server has taken.
        waiting_bytes: What waits now to be sent over sockets and event streams, all together, in bytes.
        most_waiting_bytes: The highest that this has ever been.
        refusals: How often each limit was exceeded, by its name in `Limits`.
        event_streams: How many event streams are open, those included that are being ended.
    """

    sockets: int
    sockets_opened: int
    closed: Mapping[int, int]
    slow_consumers: int
    operations: int
    messages_sent: int
    waiting_bytes: int
    most_waiting_bytes: int
    refusals: Mapping[str, int] = field(default_factory=dict)
    event_streams: int = 0


class Durations:
    """How long something took, each time."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """How many took at most as long as the bucket of the same number, and longer than the one before."""
        self.seconds = 0.0
        """All of them together."""

    def add(self, seconds: float) -> None:
        """Take note of one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class Meter:
    """The counters of one application; each is written in the event loop, by whoever does what it counts."""

    __slots__ = (
        "authentications",
        "closed",
        "closings",
        "durations",
        "events_sent",
        "foreign",
        "masked_errors",
        "messages_sent",
        "most_waiting_bytes",
        "on_refusal",
        "operations",
        "refusals",
        "running",
        "slow_consumers",
        "sockets_opened",
        "waiting_bytes",
    )

    def __init__(self) -> None:
        self.authentications: Counter[tuple[Road, str]] = Counter()
        """By road and outcome."""
        self.closed: Counter[int] = Counter()
        self.closings: Counter[tuple[str, str, Side]] = Counter()
        """By code, normative reason, and who closed; see `closed_with`."""
        self.durations: dict[tuple[str, str], Durations] = {}
        """Of queries and mutations, by kind and transport."""
        self.events_sent = 0
        self.foreign: Counter[tuple[str, str]] = Counter()
        """Requests and handshakes that were turned away, by transport and the header that was foreign."""
        self.masked_errors = 0
        self.messages_sent = 0
        self.most_waiting_bytes = 0
        self.on_refusal: Callable[[str], None] | None = None
        """Called with the name of each limit that was exceeded."""
        self.operations: Counter[tuple[str, str, str]] = Counter()
        """By kind, transport and outcome."""
        self.refusals: Counter[str] = Counter()
        self.running: Counter[tuple[str, str]] = Counter()
        """Operations that run now, by kind and transport."""
        self.slow_consumers = 0
        self.sockets_opened = 0
        self.waiting_bytes = 0

    def add_waiting(self, size: int) -> None:
        """Take note that so many more bytes wait; fewer where it is negative."""
        self.waiting_bytes += size
        self.most_waiting_bytes = max(self.most_waiting_bytes, self.waiting_bytes)

    def refuse(self, limit: str) -> None:
        """Take note that a limit was exceeded."""
        self.refusals[limit] += 1
        if self.on_refusal is not None:
            self.on_refusal(limit)

    def turned_away(self, transport: str, *, status: int) -> None:
        """Take note that a request or a handshake came from a foreign page, or for a foreign Host (400)."""
        self.foreign[transport, "host" if status == _FOREIGN_HOST else "origin"] += 1

    def mask(self) -> None:
        """Take note that an error was masked."""
        self.masked_errors += 1

    def authenticated(self, road: Road, identity: Identity) -> None:
        """Take note that somebody was let in, as somebody or as nobody."""
        self.authentications[road, "anonymous" if identity.is_anonymous else "accepted"] += 1

    def not_authenticated(self, road: Road, failure: Exception) -> None:
        """Take note that somebody was not.

        Args:
            road: Where the credential came from.
            failure: Why; nothing is counted where that is nothing about authentication.
        """
        match failure:
            case AuthError():
                outcome = failure.reason if failure.reason in _REFUSALS else OTHER
            case AuthUnavailable() if not isinstance(failure.__cause__, TimeoutError):
                outcome = "unavailable"
            case AuthUnavailable() | TimeoutError():
                outcome = "timeout"
            case _:
                return
        self.authentications[road, outcome.lower().replace(" ", "_")] += 1

    def closed_with(self, code: int, reason: str, *, by: Side) -> None:
        """Take note how a conversation ended, and who ended it."""
        known = str(code) if code in _CLOSE_CODES else OTHER
        self.closings[known, known_reason(code, reason), by] += 1

    def rejected(self, transport: str) -> None:
        """Take note that an operation was not let begin: its document, a limit or the policy stood against it."""
        self.operations["unknown", transport, "rejected"] += 1

    def timed(self, kind: str, transport: str, seconds: float) -> None:
        """Take note how long a query or a mutation took."""
        durations = self.durations.get((kind, transport))
        if durations is None:
            durations = self.durations[kind, transport] = Durations()
        durations.add(seconds)

    def read(self, *, sockets: int, streams: int, operations: int) -> ServerStatistics:
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
            refusals=MappingProxyType(dict(self.refusals)),
            event_streams=streams,
        )


def known_reason(code: int, reason: str) -> str:
    """Return a close reason where it is normative, "" where there is none, and else "other".

    Whatever else a reason says may be of the client's making.
    """
    return reason if not reason or (code, reason) in _NORMATIVE else OTHER
