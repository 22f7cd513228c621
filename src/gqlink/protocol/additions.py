"""What gqlink adds on the wire, under the one key `gqlink`, in places that both subprotocols leave free.

An unmodified peer never notices. Durations, never moments, cross the wire: a client uses its monotonic clock and
never compares a token's `exp` with local time.

Source: docs/reference/wire.md, "Additions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "AckAddition",
    "CursorRequest",
    "EventPosition",
    "Renewal",
    "RenewalOutcome",
    "ack_payload",
    "outcome_payload",
    "position_extensions",
    "read_ack",
    "read_cursor_request",
    "read_outcome",
    "read_position",
    "read_renewal",
    "renewal_payload",
    "request_extensions",
)

T = TypeVar("T")

_KEY: Final = "gqlink"


class AckAddition(msgspec.Struct, frozen=True, rename="camel"):
    """What the server tells about the connection's identity in `connection_ack.payload.gqlink`.

    Shape:
        {"version": 1, "subject": str or null, "expiresIn": seconds or null, "renewal": "ping" or null}
    """

    version: int = 1
    subject: str | None = None
    expires_in: float | None = None
    renewal: str | None = None


class Renewal(msgspec.Struct, frozen=True, rename="camel"):
    """A fresh token of the same subject for a live connection, in `ping.payload.gqlink`.

    Shape:
        {"accessToken": str, "seq": int}
    """

    seq: int
    access_token: str

    def __repr__(self) -> str:
        """Say which renewal it is, never what it carries."""
        return f"Renewal(seq={self.seq})"


class RenewalOutcome(msgspec.Struct, frozen=True, rename="camel"):
    """What came of a renewal, in `pong.payload.gqlink`, unasked; `seq` says of which.

    Shape:
        {"seq": int, "expiresIn": seconds or null}, or {"seq": int, "error": reason}
    """

    seq: int
    expires_in: float | None = None
    error: str | None = None


class CursorRequest(msgspec.Struct, frozen=True):
    """A subscriber's wish for cursors, in `subscribe.payload.extensions.gqlink`.

    Args:
        cursor: Whether each event is to say where it stands.
        after: Where the subscriber left off; it wants cursors as well.

    Shape:
        {"cursor": true} or {"after": cursor}
    """

    cursor: bool = False
    after: str | None = None


class EventPosition(msgspec.Struct, frozen=True):
    """Where an event stands, in `next.payload.extensions.gqlink`; only for subscribers who asked.

    Args:
        cursor: Opaque; to be given back as `after`.
        recovered: None for an event. On the first `next`, which is none (its data is null), it says that the
            subscription is live from here, and whether everything after the cursor that was asked for will come.

    Shape:
        {"cursor": str, "recovered": bool}, later {"cursor": str}
    """

    cursor: str
    recovered: bool | None = None


def ack_payload(addition: AckAddition) -> dict[str, object]:
    """Return the payload of a `connection_ack` that carries the addition."""
    return {_KEY: msgspec.to_builtins(addition)}


def read_ack(payload: Mapping[str, object] | None) -> AckAddition | None:
    """Return what a gqlink server added to its ack; None from any other server."""
    return _read(payload, AckAddition)


def renewal_payload(renewal: Renewal) -> dict[str, object]:
    """Return the payload of a `ping` that carries a fresh token."""
    return {_KEY: msgspec.to_builtins(renewal)}


def read_renewal(payload: Mapping[str, object] | None) -> Renewal | None:
    """Return the renewal that a ping carries; None where it carries none that can be read."""
    return _read(payload, Renewal)


def outcome_payload(outcome: RenewalOutcome) -> dict[str, object]:
    """Return the payload of the `pong` that says what came of a renewal."""
    if outcome.error is not None:
        return {_KEY: {"seq": outcome.seq, "error": outcome.error}}
    return {_KEY: {"seq": outcome.seq, "expiresIn": outcome.expires_in}}


def read_outcome(payload: Mapping[str, object] | None) -> RenewalOutcome | None:
    """Return the outcome that a pong carries; None where it carries none that can be read."""
    return _read(payload, RenewalOutcome)


def request_extensions(after: str | None = None) -> dict[str, object]:
    """Return the extensions of a subscription that wants cursors.

    Args:
        after: Where it left off; None where it begins.
    """
    return {_KEY: {"cursor": True} if after is None else {"after": after}}


def read_cursor_request(extensions: Mapping[str, object] | None) -> CursorRequest | None:
    """Return what a subscriber says about cursors; None where it did not ask for any, or not legibly."""
    if not extensions:
        return None  # as nearly always
    request = _read(extensions, CursorRequest)
    return request if request is not None and (request.cursor or request.after is not None) else None


def position_extensions(position: EventPosition) -> dict[str, object]:
    """Return what goes into the extensions of a result that says where it stands."""
    if position.recovered is None:
        return {_KEY: {"cursor": position.cursor}}
    return {_KEY: {"cursor": position.cursor, "recovered": position.recovered}}


def read_position(extensions: Mapping[str, object] | None) -> EventPosition | None:
    """Return where a result stands; None where its server does not say."""
    return _read(extensions, EventPosition)


def _read(payload: Mapping[str, object] | None, kind: type[T]) -> T | None:
    try:
        return msgspec.convert((payload or {}).get(_KEY), kind)
    except msgspec.ValidationError:
        return None
