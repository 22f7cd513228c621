"""What both halves of a conversation share: the phase, the deadline, and the frames that wait to be sent.

The caller owns the socket and the clock. It feeds text and the time in, acts on the events that come back, and
writes what `outgoing` returns:

    for event in connection.receive(text, now=now):
        ...
    for frame in connection.outgoing():
        ...

Receiving never raises: a peer's mistake becomes a `Close` in `outgoing`, and a `Closed` event. Saying something
that is not legal now raises, and then nothing was sent. The phase changes before a frame can be taken out, so no
wait can stand between the rule and the state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from gqlink.errors import ConnectionClosed, LocalProtocolError
from gqlink.protocol.closing import CloseCode, clip_reason, fixed_reason, is_sendable
from gqlink.protocol.frames import Close, Closed, PingReceived, PongReceived, Text
from gqlink.protocol.messages import Fault, decode_envelope, encode_message, encode_payload
from gqlink.protocol.tables import Kind, Phase, Side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqlink.protocol.dialects import Dialect
    from gqlink.protocol.frames import Event, Frame
    from gqlink.protocol.messages import Envelope

__all__ = ("Connection", "require_sendable")


class Connection(ABC):
    """One half of a conversation; `ServerConnection` and `ClientConnection` complete it.

    Args:
        dialect: The subprotocol that the handshake agreed on.
        deadline: When `expire` gives up, in seconds of the caller's monotonic clock; None for never.
        operation_id_bytes: The most bytes that an operation's id may have.
        nesting: How many levels a message may have; None for as many as the interpreter reads.
    """

    __slots__ = (
        "_deadline",
        "_live",
        "_nesting",
        "_operation_id_bytes",
        "_outgoing",
        "_phase",
        "dialect",
    )

    side: ClassVar[Side]
    peer: ClassVar[Side]

    def __init__(
        self, dialect: Dialect, *, deadline: float | None, operation_id_bytes: int, nesting: int | None = None
    ) -> None:
        self.dialect = dialect
        self._phase = Phase.OPENED
        self._deadline = deadline
        self._operation_id_bytes = operation_id_bytes
        self._nesting = nesting
        self._outgoing: list[Frame] = []
        self._live: set[str] = set()

    @property
    def phase(self) -> Phase:
        """How far the conversation has come."""
        return self._phase

    @property
    def deadline(self) -> float | None:
        """When to call `expire`, or None when nothing is awaited."""
        return self._deadline

    @property
    def live(self) -> frozenset[str]:
        """The ids of the operations that have started and not ended."""
        return frozenset(self._live)

    def outgoing(self) -> list[Frame]:
        """Take the frames to send now, oldest first; each is returned once."""
        frames, self._outgoing = self._outgoing, []
        return frames

    def receive(self, text: bytes | str, *, now: float) -> list[Event]:
        """Take one text frame from the peer.

        Args:
            text: The frame's payload as it came, UTF-8 where it is bytes.
            now: The current time, on the clock of `deadline`.

        Returns:
            What the application must act on, in order; often nothing.
        """
        expired = self.expire(now=now)
        if expired or self._phase in _OVER:
            return expired
        envelope = decode_envelope(text, nesting=self._nesting)
        if isinstance(envelope, Fault):
            return self._reject(envelope.detail)
        return self._hear(envelope, now=now)

    def receive_binary(self, *, now: float) -> list[Event]:
        """Take note of a binary frame, which neither subprotocol knows."""
        expired = self.expire(now=now)
        if expired or self._phase in _OVER:
            return expired
        return self._reject("binary frames are not understood")

    def expire(self, *, now: float) -> list[Event]:
        """Give up on a peer that has let its deadline pass; the last moment is ours."""
        if self._deadline is None or now < self._deadline:
            return []
        return self._give_up()

    def disconnected(self, code: int, reason: str = "") -> list[Event]:
        """Take note that the socket is gone; nothing can be sent any more.

        Args:
            code: The close code, or 1006 when it broke without one.
            reason: The peer's reason.
        """
        if self._phase is Phase.CLOSED:
            return []
        self._end()
        self._outgoing.clear()
        return [Closed(code, reason, self.peer)]

    def close(self, code: int, reason: str = "") -> list[Event]:
        """End the conversation; harmless when it is over already.

        Args:
            code: The WebSocket close code.
            reason: Cut to the 123 bytes that fit.

        Raises:
            LocalProtocolError: No close frame may carry this code (RFC 6455, section 7.4).
        """
        if self._phase is Phase.CLOSED:
            return []
        require_sendable(code)
        frame = Close(int(code), clip_reason(reason))
        self._outgoing.append(frame)
        self._end()
        return [Closed(frame.code, frame.reason, self.side)]

    def ping(self, payload: Mapping[str, object] | None = None) -> None:
        """Ask the peer for a sign of life; `graphql-transport-ws` only.

        Raises:
            LocalProtocolError: The dialect has no ping, or the connection is not acknowledged yet.
            ConnectionClosed: It is over.
        """
        self._require_acknowledged("ping")
        self._say(Kind.PING, payload=None if payload is None else encode_payload(payload))

    def pong(self, payload: Mapping[str, object]) -> None:
        """Say something unasked; `graphql-transport-ws` only.

        Raises:
            LocalProtocolError: The dialect has no pong, or the connection is not acknowledged yet.
            ConnectionClosed: It is over.
        """
        self._require_acknowledged("pong")
        self._say(Kind.PONG, payload=encode_payload(payload))

    def _hear(self, envelope: Envelope, *, now: float) -> list[Event]:
        """Apply the table to one message of the peer, then act on it."""
        kind = self.dialect.kind(self.peer, envelope.type)
        if kind is None:
            return self._unknown_type()
        then = self.dialect.advance(self._phase, self.peer, kind)
        if isinstance(then, CloseCode):
            return self._illegal(kind, then)
        return self._act(kind, then, envelope, now=now)

    @abstractmethod
    def _act(self, kind: Kind, then: Phase, envelope: Envelope, *, now: float) -> list[Event]:
        """Do what a legal message of the peer asks for."""

    def _unknown_type(self) -> list[Event]:
        return self._reject("unknown type")

    def _illegal(self, kind: Kind, code: CloseCode) -> list[Event]:
        del kind
        return self.close(code, fixed_reason(code))

    @abstractmethod
    def _give_up(self) -> list[Event]:
        """End a conversation whose deadline has passed."""

    @abstractmethod
    def _reject(self, detail: str) -> list[Event]:
        """End a conversation with a peer that cannot be understood."""

    def _answer_ping(self, envelope: Envelope) -> list[Event]:
        payload = envelope.object_payload()
        if isinstance(payload, Fault):
            return self._reject(payload.detail)
        # Echoed as it came, as peers expect, but for our own additions: a renewal's token is not sent back.
        self._say(Kind.PONG, payload=envelope.raw_payload() if payload and "gqlink" not in payload else None)
        return [PingReceived(payload)]

    def _take_pong(self, envelope: Envelope) -> list[Event]:
        payload = envelope.object_payload()
        return self._reject(payload.detail) if isinstance(payload, Fault) else [PongReceived(payload)]

    def _say(self, kind: Kind, *, operation_id: str | None = None, payload: bytes | None = None) -> None:
        """Queue one message of ours, if it is legal."""
        self._require_open()
        wire_type = self.dialect.types.get((self.side, kind))
        if wire_type is None:
            raise LocalProtocolError(f"{self.dialect.subprotocol} has no {kind} for the {self.side} to say")
        then = self.dialect.advance(self._phase, self.side, kind)
        if isinstance(then, CloseCode):
            raise LocalProtocolError(f"{kind} is not legal while the connection is {self._phase}", close_code=then)
        self._phase = then
        self._outgoing.append(Text(encode_message(wire_type, operation_id=operation_id, payload=payload)))

    def _require_open(self) -> None:
        if self._phase in _OVER:
            raise ConnectionClosed

    def _require_acknowledged(self, what: str) -> None:
        self._require_open()
        if self._phase is not Phase.ACKNOWLEDGED:
            raise LocalProtocolError(f"{what} is not legal while the connection is {self._phase}")

    def _require_live(self, operation_id: str, what: str) -> None:
        self._require_acknowledged(what)
        if operation_id not in self._live:
            raise LocalProtocolError(f"{what}: no operation with this id is live")

    def _end(self) -> None:
        self._phase = Phase.CLOSED
        self._deadline = None
        self._live.clear()


_OVER: Final = frozenset({Phase.REFUSED, Phase.CLOSED})


def require_sendable(code: int) -> None:
    """Refuse a code that no close frame may carry."""
    if not is_sendable(code):
        raise LocalProtocolError(f"a close frame cannot carry the code {int(code)}")
