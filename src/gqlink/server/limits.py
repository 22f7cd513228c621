"""Every bound of the server in one place; the defaults are safe."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("Limits",)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may make the server do or hold.

    Args:
        message_bytes: One WebSocket message (1009 beyond it), one HTTP body (413) or query string (414).
        operation_id_bytes: The id of an operation on a socket (4400 beyond it).
        init_seconds: From the handshake to the ack, authentication included (4408 beyond it); also how long
            authentication of an HTTP request may take (503 beyond it), and its body may take to come (408).
        authentications: How many authentications run at a time; the others wait, within `init_seconds`.
        operations_per_socket: Live operations at a time; one more gets an error of its own. As many again may be
            ending: mutations that the client no longer waits for, subscriptions that clean up.
        execution_seconds: How long a query or a mutation may take, a subscription to begin, and each of its events.
        send_buffer_bytes: What may wait to be sent to one client before its subscriptions and its further messages
            have to wait too. Subscriptions wait at a sixteenth of it while the client takes nothing.
        stall_seconds: How long a client may not read at all before its socket is closed with 4490.
        documents: How many validated documents are kept.
        documents_characters: How long their text may be together; one over a 32nd of it is not kept. In memory a
            document takes up to 300 times as much.
    """

    message_bytes: int = 65_536
    operation_id_bytes: int = 128
    init_seconds: float = 10.0
    authentications: int = 64
    operations_per_socket: int = 100
    execution_seconds: float = 30.0
    send_buffer_bytes: int = 262_144
    stall_seconds: float = 10.0
    documents: int = 1_000
    documents_characters: int = 524_288

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"Limits.{name} must be greater than 0")
