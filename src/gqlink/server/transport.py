"""What the application may know of how an operation reached it, and of a socket's life."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from gqlink.auth import ANONYMOUS, Identity

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Context", "SocketEvent", "SocketStep", "Transport")


SocketStep: TypeAlias = Literal["opened", "acknowledged", "renewed", "refused", "closed"]
"""See `SocketEvent`."""


@dataclass(frozen=True, slots=True)
class Transport:
    """How an operation came in.

    Args:
        kind: "http", for an event stream too, or "websocket".
        client: The peer's address, such as "127.0.0.1:50312"; None where the server does not tell.
        headers: The request's or the handshake's headers in lower case, without `authorization`, `cookie` and
            `sec-websocket-key`.
        subprotocol: That of the socket; None over HTTP.
        socket: The socket's number, counted from 1 since the start; None over HTTP.
    """

    kind: Literal["http", "websocket"]
    client: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    subprotocol: str | None = None
    socket: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What resolvers find in `info.context` where the application builds no context of its own.

    Args:
        identity: Who the operation, or this event of a subscription, is executed for.
        transport: How it came in.
    """

    identity: Identity
    transport: Transport


@dataclass(frozen=True, slots=True)
class SocketEvent:
    """One step in the life of a socket, for a log or a terminal; it holds no secret.

    Args:
        socket: The socket's number, counted from 1 since the start.
        kind: What happened; "renewed" is a fresh token on a live socket, "refused" a credential that is not accepted,
            or no longer, and is followed by "closed".
        identity: Who the socket speaks for from now on.
        client: The peer's address.
        subprotocol: The subprotocol agreed on; None where there was none.
        code: The close code of "refused" and "closed".
        reason: Its reason.
    """

    socket: int
    kind: SocketStep
    identity: Identity = ANONYMOUS
    client: str | None = None
    subprotocol: str | None = None
    code: int | None = None
    reason: str = ""
