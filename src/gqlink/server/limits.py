"""Every bound of the server in one place; the defaults are safe."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("Limits",)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may make the server do or hold.

    Where a limit is exceeded, the error is `LIMIT_EXCEEDED` with the limit's name, what it allows and what came; a
    socket stays, except where another end is named here.

    Args:
        message_bytes: One WebSocket message (1009 beyond it), one HTTP body (413) or query string (414).
        operation_id_bytes: The id of an operation on a socket (4400 beyond it).
        init_seconds: From the handshake to the ack, authentication included (4408 beyond it); also how long
            authentication of an HTTP request may take (503 beyond it), and its body may take to come (408).
        authentications: How many authentications run at a time; the others wait, within `init_seconds`.
        sockets: Sockets and event streams at a time, all together (503 beyond it).
        sockets_per_address: Those of one address, or of one IPv6 network of 64 bits (429 beyond it).
        sockets_per_identity: Those of one subject (1013 beyond it, 429 for an event stream). Never applied to
            anonymous ones: strangers have nothing in common but being strangers.
        requests: HTTP requests that are being answered at a time (503 beyond it).
        operations_per_socket: Live operations at a time; one more gets an error of its own. As many again may be
            ending: mutations that the client no longer waits for, subscriptions that clean up.
        messages_per_second: What one socket may send, with as many at once; an operation beyond it gets an error of its
            own. A client that goes on, by as many again, is closed with 1008.
        document_bytes: The text of a document, in UTF-8.
        document_lines: Its lines: to say where an error is takes as long as to count them.
        document_tokens: Its names, numbers, strings, punctuators and comments.
        document_operations: Its operations: one is meant, and all are validated.
        depth: How deeply fields are nested, introspection's included.
        aliases: Fields with an alias.
        directives: Directives that stand anywhere in the document.
        fragments: Fragment definitions; and fragments that are spread, inline ones included.
        root_fields: Fields of the operation itself.
        repeated_fields: How often the same response name may stand in one selection set, with all that is merged there.
        cost: What the fields cost together; see the reference.
        variables_bytes: The variables, as JSON.
        variables_values: The values in them; a list is one, and each of its items.
        execution_seconds: How long a query or a mutation may take, a subscription to begin, and each of its events.
        send_buffer_bytes: What may wait to be sent to one client before its subscriptions and its further messages
            have to wait too. Subscriptions wait at a sixteenth of it while the client takes nothing.
        stall_seconds: How long a client may not read at all before its socket is closed with 4490.
        documents: How many validated documents are kept.
        documents_characters: How long their text may be together; one over a 32nd of it is not kept. In memory a
            document takes up to 300 times as much.

    `depth`, `aliases`, `directives`, `fragments`, `root_fields`, `repeated_fields` and `cost` are counted as if each
    fragment's fields stood wherever it is spread. Where a document has several operations, the aliases, directives,
    fragments and fields of all count together.
    """

    message_bytes: int = 65_536
    operation_id_bytes: int = 128
    init_seconds: float = 10.0
    authentications: int = 64
    sockets: int = 10_000
    sockets_per_address: int = 250
    sockets_per_identity: int = 100
    requests: int = 1_000
    operations_per_socket: int = 100
    messages_per_second: int = 200
    document_bytes: int = 8_192
    document_lines: int = 500
    document_tokens: int = 400
    document_operations: int = 10
    depth: int = 16
    aliases: int = 30
    directives: int = 50
    fragments: int = 50
    root_fields: int = 20
    repeated_fields: int = 10
    cost: int = 2_500
    variables_bytes: int = 32_768
    variables_values: int = 1_000
    execution_seconds: float = 30.0
    send_buffer_bytes: int = 262_144
    stall_seconds: float = 10.0
    documents: int = 1_000
    documents_characters: int = 262_144

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"Limits.{name} must be greater than 0")
