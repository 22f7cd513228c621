"""What gqlink adds on the wire, under the one key `gqlink`, in places that both subprotocols leave free.

An unmodified peer never notices. Durations, never moments, cross the wire: a client uses its monotonic clock and
never compares a token's `exp` with local time.

Source: docs/reference/wire.md, "Additions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("AckAddition", "ack_payload", "read_ack")


class AckAddition(msgspec.Struct, frozen=True, rename="camel"):
    """What the server tells about the connection's identity in `connection_ack.payload.gqlink`.

    Shape:
        {"version": 1, "subject": str or null, "expiresIn": seconds or null, "renewal": "ping" or null}
    """

    version: int = 1
    subject: str | None = None
    expires_in: float | None = None
    renewal: str | None = None


def ack_payload(addition: AckAddition) -> dict[str, object]:
    """Return the payload of a `connection_ack` that carries the addition."""
    return {"gqlink": msgspec.to_builtins(addition)}


def read_ack(payload: Mapping[str, object] | None) -> AckAddition | None:
    """Return what a gqlink server added to its ack; None from any other server."""
    try:
        return msgspec.convert((payload or {}).get("gqlink"), AckAddition | None)
    except msgspec.ValidationError:
        return None
