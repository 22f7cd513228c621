"""Which message is legal when: one table, read by both sides.

Theory of operation
-------------------
A connection is a conversation of two speakers in five phases:

    OPENED ──connection_init──▶ INITIALISED ──connection_ack──▶ ACKNOWLEDGED ──▶ CLOSED
                                     │
                                     └──connection_error──▶ REFUSED ──▶ CLOSED

Legality depends on three things: the phase, **who speaks**, and what kind of message it is. Without the speaker
in the key a client could acknowledge itself. Every phase is a row: CLOSED is an empty one, so nothing can follow
a close. What is not in the table is illegal; the receiver closes with 4400 (a server) or 4004 (a client), and the
sender gets a `LocalProtocolError` and sends nothing.

Kinds are neutral of the dialect: `start` and `subscribe` are both SUBSCRIBE. A dialect (dialects.py) names the
kinds on the wire, lacks some, and may state exceptions to this table; there is one.

Source: graphql-ws PROTOCOL.md (graphql-transport-ws); subscriptions-transport-ws PROTOCOL.md (graphql-ws).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gqlink.protocol.closing import CloseCode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("AFTER", "Kind", "Phase", "Side", "Then")


class Side(StrEnum):
    """Who speaks."""

    CLIENT = "client"
    SERVER = "server"


class Phase(StrEnum):
    """How far the conversation has come."""

    OPENED = "opened"
    INITIALISED = "initialised"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    CLOSED = "closed"


class Kind(StrEnum):
    """What a message is for, whatever the dialect calls it."""

    CONNECTION_INIT = "connection_init"
    CONNECTION_ACK = "connection_ack"
    CONNECTION_ERROR = "connection_error"
    CONNECTION_TERMINATE = "connection_terminate"
    KEEP_ALIVE = "keep_alive"
    PING = "ping"
    PONG = "pong"
    SUBSCRIBE = "subscribe"
    NEXT = "next"
    ERROR = "error"
    COMPLETE = "complete"


Then = Phase | CloseCode
"""The phase after a legal message, or the code that an illegal one closes with."""

_C, _S = Side.CLIENT, Side.SERVER

AFTER: Final[Mapping[Phase, Mapping[tuple[Side, Kind], Then]]] = {
    Phase.OPENED: {
        (_C, Kind.CONNECTION_INIT): Phase.INITIALISED,
        # Pings may come at any time, also before the ack, and must be answered.
        (_C, Kind.PING): Phase.OPENED,
        (_C, Kind.PONG): Phase.OPENED,
        (_S, Kind.PING): Phase.OPENED,
        (_S, Kind.PONG): Phase.OPENED,
        (_S, Kind.KEEP_ALIVE): Phase.OPENED,
        # A server that has seen enough in the handshake need not wait for the init to refuse.
        (_S, Kind.CONNECTION_ERROR): Phase.REFUSED,
        (_C, Kind.SUBSCRIBE): CloseCode.UNAUTHORIZED,
        # Nothing is live yet, so there is nothing to end: an unknown id is ignored.
        (_C, Kind.COMPLETE): Phase.OPENED,
        (_C, Kind.CONNECTION_TERMINATE): CloseCode.NORMAL,
    },
    Phase.INITIALISED: {
        (_C, Kind.CONNECTION_INIT): CloseCode.TOO_MANY_INITIALISATION_REQUESTS,
        (_S, Kind.CONNECTION_ACK): Phase.ACKNOWLEDGED,
        (_S, Kind.CONNECTION_ERROR): Phase.REFUSED,
        (_C, Kind.PING): Phase.INITIALISED,
        (_C, Kind.PONG): Phase.INITIALISED,
        (_S, Kind.PING): Phase.INITIALISED,
        (_S, Kind.PONG): Phase.INITIALISED,
        (_S, Kind.KEEP_ALIVE): Phase.INITIALISED,
        (_C, Kind.SUBSCRIBE): CloseCode.UNAUTHORIZED,
        (_C, Kind.COMPLETE): Phase.INITIALISED,
        (_C, Kind.CONNECTION_TERMINATE): CloseCode.NORMAL,
    },
    Phase.ACKNOWLEDGED: {
        (_C, Kind.CONNECTION_INIT): CloseCode.TOO_MANY_INITIALISATION_REQUESTS,
        (_C, Kind.PING): Phase.ACKNOWLEDGED,
        (_C, Kind.PONG): Phase.ACKNOWLEDGED,
        (_S, Kind.PING): Phase.ACKNOWLEDGED,
        (_S, Kind.PONG): Phase.ACKNOWLEDGED,
        (_S, Kind.KEEP_ALIVE): Phase.ACKNOWLEDGED,
        (_C, Kind.SUBSCRIBE): Phase.ACKNOWLEDGED,
        (_C, Kind.COMPLETE): Phase.ACKNOWLEDGED,
        (_S, Kind.NEXT): Phase.ACKNOWLEDGED,
        (_S, Kind.ERROR): Phase.ACKNOWLEDGED,
        (_S, Kind.COMPLETE): Phase.ACKNOWLEDGED,
        # subscriptions-transport-ws also answers a frame that it cannot parse with it; that ends nothing.
        # Ours says it once more before it ends a live legacy socket whose credential is no longer good.
        (_S, Kind.CONNECTION_ERROR): Phase.ACKNOWLEDGED,
        (_C, Kind.CONNECTION_TERMINATE): CloseCode.NORMAL,
    },
    # The close is under way. A client ignores what still arrives.
    Phase.REFUSED: {},
    Phase.CLOSED: {},
}
