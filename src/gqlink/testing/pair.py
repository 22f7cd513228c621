"""Both machines, joined: what one says the other hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqlink.protocol import ClientConnection, Close, Event, Frame, ServerConnection, Text

if TYPE_CHECKING:
    from gqlink.protocol import ConnectionLimits, Dialect

__all__ = ("ConnectionPair",)


class ConnectionPair:
    """Both machines, joined by a wire without delay: what one says the other hears when it is carried.

    Args:
        dialect: The subprotocol.
        limits: The server machine's bounds.
    """

    def __init__(self, dialect: Dialect, *, limits: ConnectionLimits | None = None) -> None:
        self.now = 0.0
        self.client = ClientConnection(dialect, now=self.now)
        self.server = ServerConnection(dialect, now=self.now, limits=limits)

    def to_server(self) -> tuple[list[Frame], list[Event]]:
        """Carry what the client has said; returns the frames and what the server's application is told."""
        return _carry(self.client, self.server, now=self.now)

    def to_client(self) -> tuple[list[Frame], list[Event]]:
        """Carry what the server has said; returns the frames and what the client's application is told."""
        return _carry(self.server, self.client, now=self.now)

    def advance(self, seconds: float) -> list[Event]:
        """Let time pass on both sides."""
        self.now += seconds
        return [*self.client.expire(now=self.now), *self.server.expire(now=self.now)]


def _carry(
    source: ClientConnection | ServerConnection, target: ClientConnection | ServerConnection, *, now: float
) -> tuple[list[Frame], list[Event]]:
    frames, events = source.outgoing(), list[Event]()
    for frame in frames:
        match frame:
            case Text(data):
                events += target.receive(data, now=now)
            case Close(code, reason):
                events += target.disconnected(code, reason)
    return frames, events
