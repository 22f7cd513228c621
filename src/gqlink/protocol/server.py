"""The server's half of a conversation, without a socket and without a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gqlink.errors import LimitExceeded
from gqlink.protocol.closing import CloseCode, fixed_reason
from gqlink.protocol.connection import Connection, require_sendable
from gqlink.protocol.frames import CompleteReceived, InitReceived, OperationRejected, SubscribeReceived
from gqlink.protocol.messages import Fault, encode_errors, encode_message, encode_payload
from gqlink.protocol.tables import Kind, Phase, Side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.protocol.dialects import Dialect
    from gqlink.protocol.frames import Event
    from gqlink.protocol.messages import Envelope

__all__ = ("ConnectionLimits", "ServerConnection")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a client may make the server's half hold.

    Args:
        init_seconds: From the handshake to the ack, authentication included.
        message_bytes: One message, and all operations that the legacy dialect holds before the ack.
        operation_id_bytes: An operation's id.
        operations: Live operations at a time, held ones included.
        nesting: Levels of a message, whatever the interpreter would bear: more than fit fail their operation.
    """

    init_seconds: float = 10.0
    message_bytes: int = 65_536
    operation_id_bytes: int = 128
    operations: int = 100
    nesting: int = 200


class ServerConnection(Connection):
    """One client's conversation, as the server sees it.

    Args:
        dialect: The subprotocol that the handshake agreed on.
        now: The current time, in seconds of any monotonic clock.
        limits: The bounds.
    """

    __slots__ = ("_held", "_limits", "_result_type")

    side: ClassVar[Side] = Side.SERVER
    peer: ClassVar[Side] = Side.CLIENT

    def __init__(self, dialect: Dialect, *, now: float, limits: ConnectionLimits | None = None) -> None:
        self._limits = limits or ConnectionLimits()
        super().__init__(
            dialect,
            deadline=now + self._limits.init_seconds,
            operation_id_bytes=self._limits.operation_id_bytes,
            nesting=self._limits.nesting,
        )
        self._held: dict[str, Envelope] | None = None
        """Operations that wait for the ack, in the legacy dialect, where there are any."""
        self._result_type = dialect.types[Side.SERVER, Kind.NEXT]

    def receive(self, text: bytes | str, *, now: float) -> list[Event]:
        """Take one text frame from the client; one over `message_bytes` closes with 1009.

        Args:
            text: The frame's payload as it came, UTF-8 where it is bytes.
            now: The current time, on the clock of `deadline`.

        Returns:
            What the application must act on, in order; often nothing.
        """
        # A character has at most four bytes, so most text need not be encoded to be measured.
        if len(text) > self._limits.message_bytes or (
            isinstance(text, str)
            and len(text) * 4 > self._limits.message_bytes
            and len(text.encode("utf-8", "surrogatepass")) > self._limits.message_bytes
        ):
            expired = self.expire(now=now)
            return expired or self.close(CloseCode.MESSAGE_TOO_BIG, fixed_reason(CloseCode.MESSAGE_TOO_BIG))
        return super().receive(text, now=now)

    def acknowledge(self, payload: Mapping[str, object] | None = None) -> list[Event]:
        """Let the client in.

        Args:
            payload: What `connection_ack` carries.

        Returns:
            The operations that the legacy dialect held back until now.

        Raises:
            ConnectionClosed: The conversation ended while we made up our mind.
            LocalProtocolError: The client has not asked, or was answered.
        """
        self._say(Kind.CONNECTION_ACK, payload=None if payload is None else encode_payload(payload))
        self._deadline = None
        held, self._held = self._held or {}, None
        return [event for operation_id, envelope in held.items() for event in self._begin(operation_id, envelope)]

    def refuse(self, code: int, reason: str) -> list[Event]:
        """Turn the client away, before the ack or later: in the legacy dialect `connection_error` comes first.

        Args:
            code: The close code.
            reason: The normative reason; also the `connection_error`'s message.

        Raises:
            LocalProtocolError: No close frame may carry this code.
        """
        if (Side.SERVER, Kind.CONNECTION_ERROR) in self.dialect.types and self._phase in _REFUSABLE:
            require_sendable(code)
            self._say(Kind.CONNECTION_ERROR, payload=encode_payload({"message": reason}))
        return self.close(code, reason)

    def next(self, operation_id: str, payload: bytes) -> None:
        """Send one result of a live operation.

        Args:
            operation_id: Its id.
            payload: An execution result as JSON text.

        Raises:
            ConnectionClosed: The conversation is over.
            LocalProtocolError: No such operation is live.
        """
        self._require_live(operation_id, "next")
        self._say(Kind.NEXT, operation_id=operation_id, payload=payload)

    def result_head(self, operation_id: str) -> bytes:
        """Return how each message begins that brings a result of a live operation.

        A short cut for those who send the same result to thousands: the head, the result as JSON text and `}` are the
        message that `next` would put into `outgoing`. They may be sent as long as the operation is live, the connection
        acknowledged, and nothing is left in `outgoing`, which had to be sent before.

        Args:
            operation_id: Its id.

        Returns:
            UTF-8.

        Raises:
            ConnectionClosed: The conversation is over.
            LocalProtocolError: No such operation is live.
        """
        self._require_live(operation_id, "next")
        return encode_message(self._result_type, operation_id=operation_id, payload=b"")[:-1]

    def error(self, operation_id: str, errors: Sequence[Mapping[str, object]]) -> None:
        """End a live operation with errors; no `complete` follows.

        Args:
            operation_id: Its id.
            errors: At least one, each with a `message`.

        Raises:
            ConnectionClosed: The conversation is over.
            LocalProtocolError: No such operation is live.
        """
        self._require_live(operation_id, "error")
        self._say(Kind.ERROR, operation_id=operation_id, payload=encode_errors(self.dialect, errors))
        self._live.discard(operation_id)

    def complete(self, operation_id: str) -> None:
        """End a live operation.

        Raises:
            ConnectionClosed: The conversation is over.
            LocalProtocolError: No such operation is live.
        """
        self._require_live(operation_id, "complete")
        self._say(Kind.COMPLETE, operation_id=operation_id)
        self._live.discard(operation_id)

    def keep_alive(self) -> None:
        """Say `ka`; legacy dialect only, and only for those who repeat it faster than every 30 seconds.

        Raises:
            ConnectionClosed: The conversation is over.
            LocalProtocolError: The dialect has none, or the connection is not acknowledged yet.
        """
        self._require_acknowledged("keep_alive")
        self._say(Kind.KEEP_ALIVE)

    def _act(self, kind: Kind, then: Phase, envelope: Envelope, *, now: float) -> list[Event]:
        del now
        match kind:
            case Kind.CONNECTION_INIT:
                return self._initialise(then, envelope)
            case Kind.SUBSCRIBE:
                return self._subscribe(envelope)
            case Kind.COMPLETE:
                return self._complete_received(envelope)
            case Kind.PING:
                return self._answer_ping(envelope)
            case _:  # the table lets nothing else of a client through
                return self._take_pong(envelope)

    def _initialise(self, then: Phase, envelope: Envelope) -> list[Event]:
        payload = envelope.object_payload()
        if isinstance(payload, Fault):
            return self._reject(payload.detail)
        self._phase = then
        return [InitReceived(payload)]

    def _subscribe(self, envelope: Envelope) -> list[Event]:
        operation_id = envelope.operation_id(max_bytes=self._operation_id_bytes)
        if isinstance(operation_id, Fault):
            return self._reject(operation_id.detail)
        if operation_id in self._live:
            return self.close(CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {operation_id} already exists")
        if self._phase is Phase.INITIALISED:
            return self._hold(operation_id, envelope)
        return self._begin(operation_id, envelope)

    def _hold(self, operation_id: str, envelope: Envelope) -> list[Event]:
        """Keep an operation of the legacy dialect until the ack, within bounds: nothing can be answered before it."""
        held = self._held = self._held or {}
        held[operation_id] = envelope.detached()
        self._live.add(operation_id)
        held_bytes = sum(each.size for each in held.values())
        if held_bytes > self._limits.message_bytes or len(held) > self._limits.operations:
            return self.close(CloseCode.MESSAGE_TOO_BIG, "Too much before the acknowledgement")
        return []

    def _begin(self, operation_id: str, envelope: Envelope) -> list[Event]:
        self._live.add(operation_id)
        if len(self._live) > self._limits.operations:
            return self._refuse_one_more(operation_id)
        request = envelope.request()
        if isinstance(request, Fault):
            self.error(operation_id, [{"message": request.detail, "extensions": {"code": "BAD_USER_INPUT"}}])
            return [OperationRejected(operation_id)]
        return [SubscribeReceived(operation_id, request)]

    def _refuse_one_more(self, operation_id: str) -> list[Event]:
        limit, allowed, actual = "operations_per_socket", self._limits.operations, len(self._live)
        message = str(LimitExceeded(limit, allowed=allowed, actual=actual))
        details = {"code": "LIMIT_EXCEEDED", "limit": limit, "allowed": allowed, "actual": actual}
        self.error(operation_id, [{"message": message, "extensions": details}])
        return [OperationRejected(operation_id, limit)]

    def _complete_received(self, envelope: Envelope) -> list[Event]:
        operation_id = envelope.operation_id(max_bytes=self._operation_id_bytes)
        if isinstance(operation_id, Fault):
            return self._reject(operation_id.detail)
        if operation_id not in self._live:
            return []  # it ended while this was on its way: a normal race
        if self._phase is Phase.INITIALISED and self._held is not None:
            self._live.discard(operation_id)
            del self._held[operation_id]
            return []
        if self.dialect.acknowledges_complete:
            self.complete(operation_id)
        self._live.discard(operation_id)
        return [CompleteReceived(operation_id)]

    def _give_up(self) -> list[Event]:
        code = CloseCode.INITIALISATION_TIMEOUT
        return (
            self.refuse(code, fixed_reason(code))
            if self._phase is Phase.INITIALISED
            else self.close(code, fixed_reason(code))
        )

    def _reject(self, detail: str) -> list[Event]:
        return self.close(CloseCode.BAD_REQUEST, f"Invalid message: {detail}")

    def _end(self) -> None:
        super()._end()
        self._held = None


_REFUSABLE = frozenset({Phase.INITIALISED, Phase.ACKNOWLEDGED})
