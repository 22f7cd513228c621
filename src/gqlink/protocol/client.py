"""The client's half of a conversation, without a socket and without a clock."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import msgspec

from gqlink.errors import LocalProtocolError
from gqlink.protocol.closing import CloseCode, fixed_reason
from gqlink.protocol.connection import Connection
from gqlink.protocol.frames import (
    AckReceived,
    CompleteReceived,
    ErrorReceived,
    KeepAliveReceived,
    NextReceived,
    RefusalReceived,
    Text,
)
from gqlink.protocol.messages import (
    RESULT_MESSAGES,
    Envelope,
    Fault,
    begins_with_id,
    encode_message,
    encode_payload,
    is_operation_id,
    read_errors,
)
from gqlink.protocol.tables import Kind, Phase, Side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.protocol.dialects import Dialect
    from gqlink.protocol.frames import Event, Request
    from gqlink.protocol.messages import ResultMessage

__all__ = ("ClientConnection",)

Other = TypeVar("Other")

# How long a server may take from `connection_error` to its close frame, which says more than the message does.
_REFUSAL_SECONDS: Final = 1.0
_ANY_ID_BYTES: Final = 1_000_000


class ClientConnection(Connection):
    """One conversation with a server, as the client sees it.

    It is tolerant where servers are known to differ: a frame for an unknown or finished operation and a type that
    nobody knows are ignored; a payload that cannot be read, or a frame that is no JSON but begins with an operation's
    id, fails that operation. An `error` before the ack is a refusal, whatever it is about: nothing else runs yet.

    Args:
        dialect: The subprotocol that the handshake agreed on.
        now: The current time, in seconds of any monotonic clock.
        ack_seconds: How long the server may take from the handshake to the ack.
    """

    side: ClassVar[Side] = Side.CLIENT
    peer: ClassVar[Side] = Side.SERVER

    def __init__(self, dialect: Dialect, *, now: float, ack_seconds: float = 10.0) -> None:
        super().__init__(dialect, deadline=now + ack_seconds, operation_id_bytes=_ANY_ID_BYTES)
        self._frame: bytes | str = b""
        self._failed: set[str] = set()
        self._result_type = dialect.types[Side.SERVER, Kind.NEXT]

    def receive_results(self, frames: Sequence[bytes | Other]) -> list[ResultMessage]:
        """Take text frames as long as they are results of live operations, and nothing else.

        A short cut: of each that it takes, `receive` would have made one `NextReceived` of the same id and result, and
        nothing to send. It saves those most frequent frames a second reading, the table, a list and a call.

        Args:
            frames: Oldest first. Text is its payload as it came, in bytes of UTF-8; whatever is neither bytes nor a
                string is something else, and not taken.

        Returns:
            What was taken, oldest first: one message for each frame, from the first on. About the next frame, `receive`
            is to be asked.
        """
        # An id is live only while the connection is acknowledged, when there is no deadline either.
        live, wire_type, known = self._live, self._result_type, None
        taken: list[ResultMessage] = []
        with suppress(msgspec.DecodeError, UnicodeError, RecursionError, TypeError):
            # What is wrong with the first that cannot be read is for `receive` to say; what is no text is a TypeError.
            taken.extend(map(RESULT_MESSAGES.decode, frames))  # type: ignore[arg-type]
        for place, message in enumerate(taken):
            if message.type != wire_type or (message.id != known and message.id not in live):
                return taken[:place]
            known = message.id
        return taken

    def receive(self, text: bytes | str, *, now: float) -> list[Event]:
        """Take one text frame from the server; see `Connection.receive`."""
        self._frame = text
        try:
            return super().receive(text, now=now)
        finally:
            self._frame = b""

    def initialise(self, payload: Mapping[str, object] | None = None) -> None:
        """Ask to be let in; the payload is left out when None.

        Raises:
            LocalProtocolError: It was said already, or the payload cannot be written as JSON.
            ConnectionClosed: The conversation is over.
        """
        self._say(Kind.CONNECTION_INIT, payload=None if payload is None else encode_payload(payload))

    def subscribe(self, operation_id: str, request: Request) -> None:
        """Start an operation.

        Args:
            operation_id: A string of at least one byte that no live operation has.
            request: The document and what goes with it.

        Raises:
            LocalProtocolError: The connection is not acknowledged, the id is live, empty or no Unicode, or the request
                cannot be written as JSON.
            ConnectionClosed: The conversation is over.
        """
        self._require_acknowledged("subscribe")
        if not is_operation_id(operation_id, max_bytes=self._operation_id_bytes) or operation_id in self._live:
            raise LocalProtocolError("subscribe: the id must be new and not empty")
        self._say(Kind.SUBSCRIBE, operation_id=operation_id, payload=encode_payload(request))
        self._live.add(operation_id)

    def complete(self, operation_id: str) -> None:
        """End a live operation; what the server still sends for it is ignored.

        Raises:
            LocalProtocolError: No such operation is live.
            ConnectionClosed: The conversation is over.
        """
        self._require_live(operation_id, "complete")
        self._say(Kind.COMPLETE, operation_id=operation_id)
        self._live.discard(operation_id)

    def close(self, code: int, reason: str = "") -> list[Event]:
        """End the conversation; in the legacy dialect a normal end is announced by `connection_terminate`.

        Args:
            code: The WebSocket close code.
            reason: Cut to the 123 bytes that fit.

        Raises:
            LocalProtocolError: No close frame may carry this code (RFC 6455, section 7.4).
        """
        terminate = self.dialect.types.get((Side.CLIENT, Kind.CONNECTION_TERMINATE))
        if terminate is not None and code == CloseCode.NORMAL and self._phase in _TERMINABLE:
            self._outgoing.append(Text(encode_message(terminate)))
        return super().close(code, reason)

    def _hear(self, envelope: Envelope, *, now: float) -> list[Event]:
        waiting = self._phase is not Phase.ACKNOWLEDGED
        if waiting and self.dialect.kind(self.peer, envelope.type) is Kind.ERROR:
            return self._refused(Phase.REFUSED, envelope, now=now)
        return super()._hear(envelope, now=now)

    def _act(self, kind: Kind, then: Phase, envelope: Envelope, *, now: float) -> list[Event]:  # noqa: PLR0911 -- one line a kind
        match kind:
            case Kind.NEXT:
                return self._next_received(envelope)
            case Kind.COMPLETE:
                return self._complete_received(envelope)
            case Kind.ERROR:
                return self._error_received(envelope)
            case Kind.CONNECTION_ACK:
                return self._acknowledged(then, envelope)
            case Kind.CONNECTION_ERROR:
                return self._refused(then, envelope, now=now)
            case Kind.PING:
                return self._answer_ping(envelope)
            case Kind.PONG:
                return self._take_pong(envelope)
            case _:  # the table lets nothing else of a server through
                return [KeepAliveReceived()]

    def _next_received(self, envelope: Envelope) -> list[Event]:
        operation_id = self._known(envelope)
        if operation_id is None:
            return []
        result = envelope.result()
        return (
            self._spoiled(operation_id, result.detail)
            if isinstance(result, Fault)
            else [NextReceived(operation_id, result)]
        )

    def _spoiled(self, operation_id: str, detail: str) -> list[Event]:
        """Fail an operation whose event cannot be read."""
        self._failed.add(operation_id)
        self.complete(operation_id)  # the server still believes that we listen
        return [ErrorReceived(operation_id, [{"message": f"The server sent an event that cannot be read: {detail}"}])]

    def _complete_received(self, envelope: Envelope) -> list[Event]:
        operation_id = self._known(envelope)
        if operation_id is None:
            return []
        self._live.discard(operation_id)
        return [CompleteReceived(operation_id)]

    def _error_received(self, envelope: Envelope) -> list[Event]:
        errors = read_errors(envelope.any_payload())
        if envelope.id is None:
            return [ErrorReceived(None, errors)]
        operation_id = self._known(envelope)
        if operation_id is None:
            return []
        self._live.discard(operation_id)
        return [ErrorReceived(operation_id, errors)]

    def _acknowledged(self, then: Phase, envelope: Envelope) -> list[Event]:
        payload = envelope.object_payload()
        self._phase = then
        self._deadline = None
        # An ack is an ack: a payload in a shape that nobody expects takes nothing from it.
        return [AckReceived(None if isinstance(payload, Fault) else payload)]

    def _refused(self, then: Phase, envelope: Envelope, *, now: float) -> list[Event]:
        payload = envelope.any_payload()
        self._phase = then
        if then is Phase.REFUSED:
            self._deadline = now + _REFUSAL_SECONDS
        return [RefusalReceived(str(read_errors(payload)[0]["message"]), payload)]

    def _known(self, envelope: Envelope) -> str | None:
        """Return the id if it is one of a live operation; frames for others are normal races."""
        operation_id = str(envelope.id) if isinstance(envelope.id, str | int) else None
        return operation_id if operation_id in self._live else None

    def _unknown_type(self) -> list[Event]:
        return []

    def _answer_ping(self, envelope: Envelope) -> list[Event]:
        # A payload in a shape that nobody expects takes nothing from a ping: it is answered without one.
        odd = isinstance(envelope.object_payload(), Fault)
        return super()._answer_ping(Envelope(envelope.type) if odd else envelope)

    def _take_pong(self, envelope: Envelope) -> list[Event]:
        odd = isinstance(envelope.object_payload(), Fault)
        return super()._take_pong(Envelope(envelope.type) if odd else envelope)

    def _give_up(self) -> list[Event]:
        if self._phase is Phase.REFUSED:
            return self.close(CloseCode.NORMAL, "Refused")
        code = CloseCode.ACKNOWLEDGEMENT_TIMEOUT
        return self.close(code, fixed_reason(code))

    def _reject(self, detail: str) -> list[Event]:
        operation_id = begins_with_id(self._frame)
        if operation_id in self._live:
            return self._spoiled(operation_id, detail)
        if operation_id in self._failed:
            return []  # the server had not heard yet that we no longer listen
        return self.close(CloseCode.BAD_RESPONSE, fixed_reason(CloseCode.BAD_RESPONSE))


_TERMINABLE: Final = frozenset({Phase.INITIALISED, Phase.ACKNOWLEDGED})
