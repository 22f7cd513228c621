"""The two subprotocols: how each names the kinds of message on the wire, and where it differs from the table.

A dialect holds no state. `graphql-transport-ws` is what npm's graphql-ws speaks; the legacy one is called
`graphql-ws`, like that library, and is what subscriptions-transport-ws and Apollo's `WebSocketLink` speak.

Source: graphql-ws PROTOCOL.md; subscriptions-transport-ws PROTOCOL.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gqlink.protocol.closing import CloseCode
from gqlink.protocol.tables import AFTER, Kind, Phase, Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gqlink.protocol.tables import Then

__all__ = ("DIALECTS", "LEGACY", "TRANSPORT_WS", "Dialect", "choose_dialect")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One subprotocol.

    Args:
        subprotocol: Its name in `Sec-WebSocket-Protocol`.
        types: The `type` on the wire of each kind that each side may say.
        exceptions: Cells of the table that differ in this dialect.
        tolerated: Types that a client understands although the specification lacks them, because servers say them.
        acknowledges_complete: Whether the server answers a client's `complete` of a live operation in kind.
        lists_errors: Whether the payload of `error` is a list; otherwise it is one object.
    """

    subprotocol: str
    types: Mapping[tuple[Side, Kind], str]
    exceptions: Mapping[tuple[Phase, Side, Kind], Then] = field(default_factory=dict)
    tolerated: Mapping[str, Kind] = field(default_factory=dict)
    acknowledges_complete: bool = False
    lists_errors: bool = True
    _kinds: Mapping[tuple[Side, str], Kind] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kinds = {(side, wire_type): kind for (side, kind), wire_type in self.types.items()}
        kinds |= {(Side.SERVER, wire_type): kind for wire_type, kind in self.tolerated.items()}
        object.__setattr__(self, "_kinds", kinds)

    def kind(self, speaker: Side, wire_type: str) -> Kind | None:
        """Return what `wire_type` is for when `speaker` says it, or None where it is not theirs to say."""
        return self._kinds.get((speaker, wire_type))

    def advance(self, phase: Phase, speaker: Side, kind: Kind) -> Then:
        """Return the phase after a message, or the close code of an illegal one."""
        exception = self.exceptions.get((phase, speaker, kind))
        if exception is not None:
            return exception
        fault = CloseCode.BAD_REQUEST if speaker is Side.CLIENT else CloseCode.BAD_RESPONSE
        return AFTER[phase].get((speaker, kind), fault)


TRANSPORT_WS: Final = Dialect(
    "graphql-transport-ws",
    {
        (Side.CLIENT, Kind.CONNECTION_INIT): "connection_init",
        (Side.CLIENT, Kind.PING): "ping",
        (Side.CLIENT, Kind.PONG): "pong",
        (Side.CLIENT, Kind.SUBSCRIBE): "subscribe",
        (Side.CLIENT, Kind.COMPLETE): "complete",
        (Side.SERVER, Kind.CONNECTION_ACK): "connection_ack",
        (Side.SERVER, Kind.PING): "ping",
        (Side.SERVER, Kind.PONG): "pong",
        (Side.SERVER, Kind.NEXT): "next",
        (Side.SERVER, Kind.ERROR): "error",
        (Side.SERVER, Kind.COMPLETE): "complete",
    },
    # Hasura up to 2.29 refuses with the legacy message, and keeps alive with it, in this dialect too.
    tolerated={"connection_error": Kind.CONNECTION_ERROR, "ka": Kind.KEEP_ALIVE},
)

LEGACY: Final = Dialect(
    "graphql-ws",
    {
        (Side.CLIENT, Kind.CONNECTION_INIT): "connection_init",
        (Side.CLIENT, Kind.CONNECTION_TERMINATE): "connection_terminate",
        (Side.CLIENT, Kind.SUBSCRIBE): "start",
        (Side.CLIENT, Kind.COMPLETE): "stop",
        (Side.SERVER, Kind.CONNECTION_ACK): "connection_ack",
        (Side.SERVER, Kind.CONNECTION_ERROR): "connection_error",
        (Side.SERVER, Kind.KEEP_ALIVE): "ka",
        (Side.SERVER, Kind.NEXT): "data",
        (Side.SERVER, Kind.ERROR): "error",
        (Side.SERVER, Kind.COMPLETE): "complete",
    },
    # Every stock legacy client sends `start` right after `connection_init`. The server machine holds it until the
    # ack and drops it on a refusal, so that nothing runs before somebody has looked at the credential.
    exceptions={(Phase.INITIALISED, Side.CLIENT, Kind.SUBSCRIBE): Phase.INITIALISED},
    acknowledges_complete=True,
    lists_errors=False,
)

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.subprotocol: dialect for dialect in (TRANSPORT_WS, LEGACY)}
"""By subprotocol, the one to prefer first."""


def choose_dialect(offered: Iterable[str]) -> Dialect | None:
    """Pick the dialect for a handshake: the newer one if it is offered at all, whatever the client's order.

    Args:
        offered: The subprotocols of `Sec-WebSocket-Protocol`.

    Returns:
        None when none of them is ours.
    """
    names = set(offered)
    return next((dialect for name, dialect in DIALECTS.items() if name in names), None)
