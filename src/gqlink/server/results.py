"""What comes of executing something, as values, and as the JSON that clients get.

Source: GraphQL specification (September 2025), section 7, "Response".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gqlink.protocol import EventPosition, position_extensions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqlink.pubsub import Publication
    from gqlink.server.cursors import CursorCodec

__all__ = (
    "EventResult",
    "RequestError",
    "SharedResult",
    "encode_request_error",
    "encode_result",
    "start_payload",
)


class RequestError(Exception):
    """A request that cannot be executed: no resolver was called, so there is no data.

    Args:
        errors: Formatted; at least one.
    """

    def __init__(self, errors: list[dict[str, object]]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class EventResult:
    """One event of a subscription, executed; or its start, where the subscriber asked for cursors.

    Args:
        payload: An execution result as JSON text.
        data: The event itself, as the source yielded it.
        is_event: False of the start, which holds nothing that anybody could refuse.
    """

    payload: bytes
    data: object
    is_event: bool = True


class SharedResult:
    """One event of a topic, executed once for all who get the same; written as each of them wants it.

    Args:
        publication: The event, as the topic published it.
        data: Of its execution's result.
        errors: Likewise, formatted.
        extensions: Likewise.
    """

    __slots__ = ("_placed", "_unplaced", "publication", "tail")

    def __init__(
        self,
        publication: Publication,
        data: object,
        errors: list[dict[str, object]] | None,
        extensions: Mapping[str, object] | None,
    ) -> None:
        self.publication = publication
        self.tail = encode_result(data, errors, extensions) + b"}"
        """The payload and the end of the message that brings it."""
        self._unplaced: tuple[object, list[dict[str, object]] | None, Mapping[str, object]] | None
        self._unplaced = data, errors, extensions or {}
        self._placed = b""

    @property
    def payload(self) -> bytes:
        """The execution result."""
        return self.tail[:-1]

    def placed_tail(self, cursors: CursorCodec) -> bytes:
        """Return `tail` for those who want to know where it stands."""
        if self._unplaced is not None:
            data, errors, extensions = self._unplaced
            place = position_extensions(EventPosition(cursors.write(self.publication.position)))
            self._placed, self._unplaced = encode_result(data, errors, {**extensions, **place}) + b"}", None
        return self._placed


def encode_result(
    data: object, errors: list[dict[str, object]] | None, extensions: Mapping[str, object] | None
) -> bytes:
    """Write an execution result; what is empty but for `data` is left out."""
    response: dict[str, object] = {"data": data}
    if errors:
        response["errors"] = errors
    if extensions:
        response["extensions"] = extensions
    return msgspec.json.encode(response)


def start_payload(position: EventPosition | None) -> bytes:
    """Write what a subscriber who asked for cursors is told first: that it is live, and where."""
    return encode_result(None, None, {} if position is None else position_extensions(position))


def encode_request_error(error: RequestError) -> bytes:
    """Write the response to a request that was not executed: it has no `data` at all."""
    return msgspec.json.encode({"errors": error.errors})
