"""The WebSocket shell: a synchronous listener between one socket and the protocol machine.

Whoever owns the socket calls `on_text`, `on_binary` and `on_lost`, and provides an outlet that takes frames. The
listener owns the machine, the operations' tasks and one timer; it never waits. The plain ASGI loop (asgi_socket.py) is
one adapter for it, the direct path under uvicorn (direct_socket.py) another.

What must stay true: frames reach the outlet in the machine's order; nothing reaches a resolver before the ack, and
nothing the client after its credential's end; what is sent was allowed in the step that sends it; an operation that
has ended says nothing more; a mutation is never cancelled by its client; nothing that a client sends, and no mistake
of ours, ends a socket without a close. One class keeps all of it, because machine, outlet and operations change in
one step; hence the length.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, Protocol

from gqlink.auth import credentials_from_init
from gqlink.errors import (
    AuthError,
    AuthUnavailable,
    ConnectionClosed,
    LimitExceeded,
    LoginRequired,
    PermissionDenied,
    TokenExpired,
)
from gqlink.protocol import (
    AckAddition,
    CloseCode,
    Closed,
    CompleteReceived,
    InitReceived,
    Kind,
    OperationRejected,
    Phase,
    PingReceived,
    ServerConnection,
    Side,
    SubscribeReceived,
    ack_payload,
    outcome_payload,
)
from gqlink.server.expiry import accept
from gqlink.server.logbook import log_event
from gqlink.server.message_rate import MessageRate
from gqlink.server.renewal import Renewals
from gqlink.server.results import RequestError
from gqlink.server.speaker import Speaker
from gqlink.server.transport import SocketEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.auth import Credentials, Identity
    from gqlink.protocol import Dialect, Event, Frame, RenewalOutcome
    from gqlink.server.admission import Place
    from gqlink.server.broadcast import Lane
    from gqlink.server.clock import Timer
    from gqlink.server.cursors import CursorCodec
    from gqlink.server.expiry import Expiry
    from gqlink.server.host import Host
    from gqlink.server.results import SharedResult
    from gqlink.server.running import Running
    from gqlink.server.transport import SocketStep, Transport

__all__ = ("TURN_COST", "TURN_SECONDS", "Outlet", "SocketListener")

TURN_SECONDS: Final = 0.001
"""How long an adapter may let one client's messages be worked on before the event loop turns."""

TURN_COST: Final = 250
"""What the operations may cost together that they begin; resolving it takes about as long."""

# The limits that show in a close of ours, and nowhere else.
_LIMITS_OF_CODES: Final[Mapping[int, str]] = {
    CloseCode.MESSAGE_TOO_BIG: "message_bytes",
    CloseCode.INITIALISATION_TIMEOUT: "init_seconds",
    CloseCode.POLICY_VIOLATION: "messages_per_second",
}


class Outlet(Protocol):
    """Where a listener's frames go."""

    def write(self, frames: Sequence[Frame]) -> None:
        """Take frames to send, in order, without waiting; a `Close` is the last one."""

    def write_texts(self, texts: Sequence[bytes]) -> None:
        """Take whole text messages to send, in order, without waiting; what `write` does, for those sent most."""

    @property
    def is_writable(self) -> bool:
        """Whether `wait_writable` would return at once."""

    def as_lane(self) -> Lane | None:
        """Return what may be written to at once, see broadcast.py; None where there is no such thing."""

    def drop(self) -> None:
        """Drop the frames that wait for a client that reads slowly; a close, and what was written with it, stays."""

    async def wait_writable(self) -> None:
        """Wait while too much is waiting to be sent; return at once when the socket is gone."""


class SocketListener(Speaker):
    """One client's socket.

    Args:
        host: What the application shares between all transports.
        outlet: Where frames go.
        dialect: The subprotocol agreed on.
        transport: What is known of the handshake.
        handshake: The credentials that the handshake carried.
        place: What it holds; whoever entered it leaves it.
    """

    __slots__ = (
        "_came",
        "_connection",
        "_handshake",
        "_outlet",
        "_place",
        "_rate",
        "_renewals",
        "_timer",
        "pending_cost",
    )

    kind = "websocket"

    def __init__(
        self,
        host: Host,
        outlet: Outlet,
        dialect: Dialect,
        *,
        transport: Transport,
        handshake: Credentials,
        place: Place,
    ) -> None:
        super().__init__(host, transport=transport)
        self._outlet = outlet
        self._handshake = handshake
        self._place = place
        self._renewals: Renewals | None = None
        """Its renewals; there are none until it has sent a ping."""
        now = host.clock.now()
        self._rate = MessageRate(host.limits.messages_per_second, now=now)
        self._came = 0.0
        """How many messages have come lately, the last one included."""
        self.pending_cost = 0
        """What the operations cost that were begun since its adapter has let the event loop turn."""
        self._connection = ServerConnection(dialect, now=now, limits=host.connection_limits)
        self._timer: Timer | None = None
        self._set_timer()
        self._notify("opened")

    @property
    def state(self) -> Literal["unacknowledged", "acknowledged", "closing"]:
        """How far it has come."""
        match self._connection.phase:
            case Phase.ACKNOWLEDGED:
                return "acknowledged"
            case Phase.REFUSED | Phase.CLOSED:
                return "closing"
            case _:
                return "unacknowledged"

    def on_text(self, text: str | bytes) -> None:
        """Take one text message; it counts whatever it turns out to be."""
        now = self._host.clock.now()
        self._came = self._rate.count(now)
        if self.has_expired():
            return
        if self._came > self._host.limits.messages_per_second and self._is_flood():
            self._end_flood()
        else:
            self._handle(self._connection.receive(text, now=now))

    def on_binary(self) -> None:
        """Take note of one binary message."""
        if not self.has_expired():
            self._handle(self._connection.receive_binary(now=self._host.clock.now()))

    def on_lost(self, code: int, reason: str = "") -> None:
        """Take note that the socket is gone; harmless when the conversation is over already."""
        self._handle(self._connection.disconnected(code, reason))

    def close(self, code: int, reason: str) -> None:
        """End the conversation from our side."""
        self._handle(self._connection.close(code, reason))

    def dismiss(self, error: AuthError) -> None:
        """Turn the client away; see `refuse`."""
        self.refuse(error.close_code, error.reason)

    def refuse(self, code: int, reason: str) -> None:
        """Turn the client away; in the legacy dialect `connection_error` comes before the close.

        With 4403 nothing more leaves, not even what waits for a client that reads slowly: it is for somebody whom the
        client no longer is.
        """
        if code == CloseCode.FORBIDDEN:
            self._outlet.drop()
        self._turn_away(code, reason)

    def renew(self, identity: Identity, expiry: Expiry | None) -> None:
        """Speak for a fresh credential's identity from now on; harmless when the socket has ended meanwhile."""
        if self._is_open():
            self._identity = identity
            self._lease.set(expiry)
            self._notify("renewed")
            self.recheck()

    def tell(self, outcome: RenewalOutcome) -> None:
        """Say what came of a renewal; harmless when the socket has ended meanwhile."""
        if self._is_open():
            self._connection.pong(outcome_payload(outcome))
            self._flush()

    @property
    def is_writable(self) -> bool:
        """Whether `wait_writable` would return at once."""
        return self._outlet.is_writable

    def lane_of(self, running: Running) -> tuple[Lane, bytes] | None:
        """Return where results may be written at once, and how each begins; None where each needs a decision."""
        lane = self._outlet.as_lane() if self._host.policy is None else None
        if lane is None or not self._may_speak(running):
            return None
        return lane, self._connection.result_head(running.id)

    def hand_on(self, running: Running, results: Sequence[SharedResult], *, cursors: CursorCodec | None) -> int | None:
        """Send results of a shared run; see `Speaker`.

        Short where there is no policy to ask: it is called for each event and each subscriber.
        """
        if self._host.policy is not None:
            return super().hand_on(running, results, cursors=cursors)
        outlet = self._outlet
        if not outlet.is_writable:
            return None
        # As `_may_speak` says.
        if not running.live or self._connection.phase is not Phase.ACKNOWLEDGED or self._lease.is_over():
            return 0
        head = running.head
        if head is None:
            head = running.head = self._connection.result_head(running.id)
        outlet.write_texts([head + (each.tail if cursors is None else each.placed_tail(cursors)) for each in results])
        return len(results)

    async def wait_writable(self) -> None:
        """Wait while too much is waiting to be sent."""
        await self._outlet.wait_writable()

    def _handle(self, events: list[Event]) -> None:
        try:
            for event in events:
                self._act(event)
        except Exception:  # noqa: BLE001 -- a bug of ours; the client gets a close that says so
            log_event("failed", "%s failed", self._name("listener"), exc_info=True, socket=self._transport.socket)
            for closed in self._connection.close(CloseCode.INTERNAL_ERROR, "Internal error"):
                self._act(closed)
        self._flush()

    def _act(self, event: Event) -> None:
        match event:
            case SubscribeReceived():
                self._start(event)
            case OperationRejected():
                self._count_rejected(event.limit)
            case CompleteReceived():
                self._stop(event.id)
            case InitReceived():
                self._tasks.spawn(self._authenticate(event.payload), name=self._name("authenticate"))
            case Closed():
                self._ended(event)
            case PingReceived() if self._connection.phase is Phase.ACKNOWLEDGED:
                self._renew(event.payload)
            case _:
                pass  # other pings, and pongs, are the machine's own business

    def _renew(self, payload: Mapping[str, object] | None) -> None:
        if self._renewals is None:
            self._renewals = Renewals(self._host, self, tasks=self._tasks, name=self._name("renewal"))
        self._renewals.take(payload)

    def _flush(self) -> None:
        frames = self._connection.outgoing()
        if frames:
            self._outlet.write(frames)

    def _is_flood(self) -> bool:
        """Tell whether it is too late for an error: as many again have come, or no error may be sent yet."""
        often = 2 if self._connection.phase is Phase.ACKNOWLEDGED else 1
        return self._came >= often * self._host.limits.messages_per_second + 1

    def _end_flood(self) -> None:
        self.close(CloseCode.POLICY_VIOLATION, "Too many messages")

    async def _authenticate(self, payload: Mapping[str, object] | None) -> None:
        deadline = self._connection.deadline
        seconds = 0.0 if deadline is None else deadline - self._host.clock.now()
        try:
            credentials = credentials_from_init(payload, handshake=self._handshake)
            self._admit(await self._host.authentication.identify(credentials, seconds=seconds))
        except AuthError as exc:
            self._host.meter.not_authenticated("socket", exc)
            self._log_refusal(exc)
            self.refuse(exc.close_code, exc.reason)
        except AuthUnavailable as exc:
            self._host.meter.not_authenticated("socket", exc)
            self.refuse(exc.close_code, "Try again later")
        except LimitExceeded as exc:
            self._host.meter.refuse(exc.limit)
            self.refuse(CloseCode.TRY_AGAIN_LATER, "Too many sockets")
        except asyncio.CancelledError:
            if deadline is not None and self._host.clock.now() >= deadline:
                # The machine's own timer was there first, and has closed the socket.
                self._host.meter.not_authenticated("socket", TimeoutError())
            raise
        except TimeoutError as exc:
            self._host.meter.not_authenticated("socket", exc)
            self.refuse(CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout")

    def _log_refusal(self, exc: AuthError) -> None:
        text, reason = "socket %s: a credential was refused: %s", exc.reason
        socket, client = self._transport.socket, self._transport.client
        self._host.throttle.log(
            "credential_refused", text, socket, exc, sort=reason, reason=reason, socket=socket, client=client
        )

    def _admit(self, identity: Identity) -> None:
        """Let the client in, in one step with the last look at who it is."""
        expiry = accept(self._host, identity)
        self._place.claim(identity.subject)
        addition = AckAddition(
            subject=identity.subject,
            expires_in=None if expiry is None else expiry.seconds_left(self._host.clock),
            renewal="ping" if (Side.CLIENT, Kind.PING) in self._connection.dialect.types else None,
        )
        try:
            held = self._connection.acknowledge(ack_payload(addition))
        except ConnectionClosed:
            return  # the client left, or its time was up, while we made up our mind
        self._identity = identity
        self._lease.set(expiry)
        self._set_timer()
        self._host.meter.authenticated("socket", identity)
        self._notify("acknowledged")
        self._handle(held)

    def _expire(self) -> None:
        """End it; what waits was sent before the moment, and may leave while the close does."""
        self._turn_away(TokenExpired.close_code, TokenExpired.reason)

    def _turn_away(self, code: int, reason: str) -> None:
        events = self._connection.refuse(code, reason)
        if events:
            self._notify("refused", code=code, reason=reason)
        self._handle(events)

    def _is_open(self) -> bool:
        """Tell whether the client is let in, now: what must not happen after its credential's end asks here."""
        return self._connection.phase is Phase.ACKNOWLEDGED and not self.has_expired()

    def _start(self, event: SubscribeReceived) -> None:
        if not self._is_open():
            return  # several operations may start in one step, and the first of them take their time
        try:
            self._require_patience()
            self._require_room()
            operation = self._host.execution.prepare(event.request)
            self.pending_cost += operation.cost
            self._begin(event.id, operation)
        except (LimitExceeded, LoginRequired, PermissionDenied) as exc:
            self._reject(event.id, [self._host.errors.format(exc)])
        except RequestError as exc:
            self._reject(event.id, exc.errors)

    def _count_rejected(self, limit: str | None) -> None:
        self._host.meter.rejected("websocket")
        if limit is not None:
            self._host.meter.refuse(limit)

    def _reject(self, operation_id: str, errors: Sequence[Mapping[str, object]]) -> None:
        self._host.meter.rejected("websocket")
        if self._is_open():
            self._connection.error(operation_id, errors)

    def _require_patience(self) -> None:
        """Bound how often a client may ask; what it says to what runs already is taken all the same."""
        allowed = self._host.limits.messages_per_second
        if self._came >= allowed + 1:
            raise LimitExceeded("messages_per_second", allowed=allowed, actual=int(self._came))

    def _require_room(self) -> None:
        """Bound what runs for one socket: an operation that its client has ended no longer counts as live."""
        allowed = 2 * self._host.limits.operations_per_socket
        if len(self._working) >= allowed:
            raise LimitExceeded("operations_per_socket", allowed=allowed, actual=len(self._working) + 1)

    def _say_next(self, running: Running, payload: bytes) -> None:
        self._connection.next(running.id, payload)
        self._flush()

    def _say_complete(self, running: Running) -> None:
        self._connection.complete(running.id)
        self._flush()

    def _say_errors(self, running: Running, errors: Sequence[Mapping[str, object]]) -> None:
        self._connection.error(running.id, errors)
        self._flush()

    def _ended(self, event: Closed) -> None:
        """End everything that belongs to this socket; the close frame, if any, is flushed by the caller."""
        self._end_all()
        self._set_timer()
        self._host.meter.closed_with(event.code, event.reason, by=event.by)
        if event.by is Side.SERVER and event.code in _LIMITS_OF_CODES:
            self._host.meter.refuse(_LIMITS_OF_CODES[event.code])
        self._notify("closed", code=event.code, reason=event.reason)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection.deadline is not None:
            self._timer = self._host.deadlines.call_at(self._connection.deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._handle(self._connection.expire(now=self._host.clock.now()))
        if self._connection.phase is not Phase.CLOSED:
            self._set_timer()  # a timer may come a hair too early

    def _notify(self, kind: SocketStep, *, code: int | None = None, reason: str = "") -> None:
        if not self._host.count_step(kind, code=code):
            return  # as of most: whoever serves ten thousand sockets writes down no step of theirs
        self._host.notify(
            SocketEvent(
                socket=self._transport.socket or 0,
                kind=kind,
                identity=self._identity,
                client=self._transport.client,
                subprotocol=self._transport.subprotocol,
                code=code,
                reason=reason,
            )
        )

    def _name(self, what: str) -> str:
        return f"gqlink socket {self._transport.socket} {what}"
