"""What goes out on the wire, and what came in that somebody must act on; plain values.

Frames are outgoing: the shell writes them in order. Events are incoming: the shell acts on them in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.protocol.tables import Side

__all__ = (
    "AckReceived",
    "Close",
    "Closed",
    "CompleteReceived",
    "ErrorReceived",
    "Event",
    "ExecutionResult",
    "Frame",
    "InitReceived",
    "KeepAliveReceived",
    "NextReceived",
    "OperationRejected",
    "PingReceived",
    "PongReceived",
    "RefusalReceived",
    "Request",
    "SubscribeReceived",
    "Text",
)


class Text(msgspec.Struct, frozen=True):
    """One text frame to send; `data` is UTF-8."""

    data: bytes


class Close(msgspec.Struct, frozen=True):
    """The close frame to send; nothing follows it. `reason` is at most 123 bytes."""

    code: int
    reason: str = ""


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of an operation.

    Shape:
        {"query": str, "variables"?: object, "operationName"?: str, "extensions"?: object}

    Source: graphql-ws PROTOCOL.md, "Subscribe".
    """

    query: str
    variables: dict[str, object] | None = None
    operation_name: str | None = msgspec.field(name="operationName", default=None)
    extensions: dict[str, object] | None = None


class ExecutionResult(msgspec.Struct, frozen=True, gc=False):
    """The payload of one event.

    Shape:
        {"data"?: object, "errors"?: [{"message": str, ...}], "extensions"?: object}

    Source: GraphQL specification (September 2025), section 7.1.
    """

    data: object = None
    errors: list[dict[str, object]] | None = None
    extensions: dict[str, object] | None = None


class InitReceived(msgspec.Struct, frozen=True):
    """The client asks to be let in; `payload` is None when absent or null. Answer with `acknowledge` or `refuse`."""

    payload: Mapping[str, object] | None


class SubscribeReceived(msgspec.Struct, frozen=True):
    """The client starts an operation: a query, a mutation or a subscription."""

    id: str
    request: Request


class OperationRejected(msgspec.Struct, frozen=True):
    """The client started an operation that was answered with an error at once; `limit` is what it exceeds, if that."""

    id: str
    limit: str | None = None


class AckReceived(msgspec.Struct, frozen=True):
    """The server lets us in."""

    payload: Mapping[str, object] | None


class RefusalReceived(msgspec.Struct, frozen=True):
    """The server said `connection_error`; `message` is its text, `payload` what it sent."""

    message: str
    payload: object


class NextReceived(msgspec.Struct, frozen=True):
    """One result of an operation; it may hold errors and is not the end."""

    id: str
    result: ExecutionResult


class ErrorReceived(msgspec.Struct, frozen=True):
    """An operation failed and is over; `id` is None where the server did not say which."""

    id: str | None
    errors: Sequence[Mapping[str, object]]


class CompleteReceived(msgspec.Struct, frozen=True):
    """The peer ended an operation that was live."""

    id: str


class PingReceived(msgspec.Struct, frozen=True):
    """The peer pinged; the pong is already on its way."""

    payload: Mapping[str, object] | None


class PongReceived(msgspec.Struct, frozen=True):
    """The peer ponged, asked or unasked."""

    payload: Mapping[str, object] | None


class KeepAliveReceived(msgspec.Struct, frozen=True):
    """The legacy server is alive."""


class Closed(msgspec.Struct, frozen=True):
    """The conversation is over; `by` closed it."""

    code: int
    reason: str
    by: Side


Frame = Text | Close
Event = (
    InitReceived
    | SubscribeReceived
    | OperationRejected
    | AckReceived
    | RefusalReceived
    | NextReceived
    | ErrorReceived
    | CompleteReceived
    | PingReceived
    | PongReceived
    | KeepAliveReceived
    | Closed
)
