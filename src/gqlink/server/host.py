"""What all transports of one application share."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from gqlink.protocol import CloseCode, ConnectionLimits
from gqlink.server.admission import Admission
from gqlink.server.deadlines import Deadlines
from gqlink.server.expiry import ExpiryWatch
from gqlink.server.logbook import Throttle, is_logged, log_event
from gqlink.server.sharing import Sharing
from gqlink.server.statistics import known_reason
from gqlink.server.tasks import TaskSet
from gqlink.server.transport import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gqlink.auth import Identity
    from gqlink.server.authentication import Authentication
    from gqlink.server.clock import Clock
    from gqlink.server.execution import Execution
    from gqlink.server.limits import Limits
    from gqlink.server.logbook import LogEvent
    from gqlink.server.masking import ErrorFormatter
    from gqlink.server.origin import Doorkeeper
    from gqlink.server.policy import Policy
    from gqlink.server.revocations import Revocations
    from gqlink.server.speaker import Speaker
    from gqlink.server.statistics import Meter, ServerStatistics
    from gqlink.server.transport import SocketEvent, SocketStep, Transport

__all__ = ("Host",)


class Host:
    """The parts of one `GraphQLApp`, as its transports see them.

    Args:
        execution: Runs operations.
        authentication: Says who somebody is.
        doorkeeper: Says who may ask.
        errors: Says what a client may read of errors.
        limits: The bounds.
        clock: The time.
        build_context: The application's own, or None for `Context`.
        cookie: The name of the cookie that may carry a token; None for no cookie.
        on_socket_event: Called with each `SocketEvent`.
        listeners: The live sockets and event streams; the transports add and remove them.
        revocations: Says whose credential no longer counts.
        policy: The application's own, or None: everything is allowed.
        meter: The counters.
        throttle: Keeps a flood out of the log.
        shared_context: Builds what resolvers of a shared run see from its share key; None: nothing is shared.
        direct: Whether a server may hand its connections over; see uvicorn_socket.py.
        alone: Whether the broker reaches nobody beyond this process.
    """

    def __init__(
        self,
        *,
        execution: Execution,
        authentication: Authentication,
        doorkeeper: Doorkeeper,
        errors: ErrorFormatter,
        limits: Limits,
        clock: Clock,
        build_context: Callable[[Identity, Transport], object] | None,
        cookie: str | None,
        on_socket_event: Callable[[SocketEvent], None] | None,
        listeners: set[Speaker],
        revocations: Revocations,
        policy: Policy | None,
        meter: Meter,
        throttle: Throttle | None = None,
        shared_context: Callable[[str], object] | None = None,
        direct: bool = True,
        alone: bool = False,
    ) -> None:
        self.execution = execution
        self.authentication = authentication
        self.doorkeeper = doorkeeper
        self.errors = errors
        self.limits = limits
        self.connection_limits = ConnectionLimits(
            init_seconds=limits.init_seconds,
            message_bytes=limits.message_bytes,
            operation_id_bytes=limits.operation_id_bytes,
            operations=limits.operations_per_socket,
        )
        """Those that the protocol keeps, on each socket."""
        self.admission = Admission(limits)
        self.clock = clock
        self.cookie = cookie
        self.context: Callable[[Identity, Transport], object] = build_context or Context
        self.mutations = TaskSet()
        self.queries = TaskSet()
        self.shared_runs = TaskSet()
        self.sharing = Sharing(self.shared_runs, meter=meter, is_calm=self.is_calm)
        self.shared_context = shared_context
        self.listeners = listeners
        self.revocations = revocations
        self.policy = policy
        self.deadlines = Deadlines(clock)
        self.expiries = ExpiryWatch(clock)
        self.meter = meter
        self.throttle = throttle or Throttle(clock)
        meter.on_refusal = self._log_refusal
        self.closing = False
        self.direct = direct
        self._alone = alone
        self._on_socket_event = on_socket_event
        self._sockets = itertools.count(1)

    def is_calm(self) -> bool:
        """Say whether no credential can have ended, by either clock, whose end nobody has noticed."""
        latest = max(self.clock.now(), self.clock.wall() - self.expiries.least_ahead)
        return latest < self.deadlines.next_at

    def number_socket(self) -> int:
        """Return the number of one more socket."""
        return next(self._sockets)

    def warn_of_workers(self, count: int) -> None:
        """Say, once, that this is one of several processes, and that they do not hear each other."""
        if self._alone:
            self._alone = False
            text = "%d workers, and a MemoryBroker in each: what one publishes, clients of the others do not hear"
            log_event("workers_apart", text, count, workers=count)

    def statistics(self) -> ServerStatistics:
        """Say what the transports do and have done."""
        sockets = sum(speaker.kind == "websocket" for speaker in self.listeners)
        streams, operations = len(self.listeners) - sockets, self.meter.running.total()
        return self.meter.read(sockets=sockets, streams=streams, operations=operations)

    def count_step(self, kind: SocketStep, *, code: int | None) -> bool:
        """Count a step in the life of a socket; return whether anybody wants to know more of it, see `notify`."""
        if kind == "opened":
            self.meter.sockets_opened += 1
        elif kind == "closed":
            self.meter.closed[code or CloseCode.ABNORMAL] += 1
        return self._on_socket_event is not None or is_logged(_SOCKET_EVENTS[kind])

    def notify(self, event: SocketEvent) -> None:
        """Tell the log and the application; what that does wrong there is its own business, and logged."""
        _log_socket(event)
        if self._on_socket_event is None:
            return
        try:
            self._on_socket_event(event)
        except Exception:  # noqa: BLE001 -- a hook must not harm a socket
            log_event("hook_failed", "on_socket_event failed", exc_info=True, socket=event.socket)

    def _log_refusal(self, limit: str) -> None:
        self.throttle.log("limit", "a limit was exceeded: %s", limit, sort=limit, limit=limit)


_SOCKET_EVENTS: Final[Mapping[str, LogEvent]] = {
    "opened": "socket_opened",
    "acknowledged": "socket_acknowledged",
    "renewed": "socket_renewed",
    "refused": "socket_refused",
    "closed": "socket_closed",
}


def _log_socket(event: SocketEvent) -> None:
    """Write down a step in the life of a socket; what a client gave as its reason is not repeated."""
    log_event(
        _SOCKET_EVENTS[event.kind],
        "socket %d %s",
        event.socket,
        event.kind,
        socket=event.socket,
        client=event.client,
        subprotocol=event.subprotocol,
        subject=event.identity.subject,
        code=event.code,
        reason=None if event.code is None else known_reason(event.code, event.reason) or None,
    )
