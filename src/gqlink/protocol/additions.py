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
    "Renewal",
    "RenewalOutcome",
    "ack_payload",
    "outcome_payload",
    "read_ack",
    "read_outcome",
    "read_renewal",
    "renewal_payload",
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


def _read(payload: Mapping[str, object] | None, kind: type[T]) -> T | None:
    try:
        return msgspec.convert((payload or {}).get(_KEY), kind)
    except msgspec.ValidationError:
        return None
