"""One event of a subscription, as its consumer sees it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.client.gaps import Gap
    from gqlink.protocol import ExecutionResult

__all__ = ("Event", "cursor_of", "read_event")

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of a subscription; with `errors` it is still an event, not the end.

    Args:
        data: What the subscription selected, or None.
        errors: As in a GraphQL response, each with at least a `message`; empty when all went well.
        extensions: The response's own.
        cursor: Where to resume after this event; None where the server gives none.
        gap: With `on_gap="yield"`: that events may be missing here; then there is nothing else.

    Outside of the garbage collector's sight: what comes out of JSON has no cycles, and there are many.

    Source: GraphQL specification (September 2025), section 7.1.
    """

    data: object
    errors: Sequence[Mapping[str, object]] = ()
    extensions: Mapping[str, object] = _NOTHING
    cursor: str | None = None
    gap: Gap | None = None


def read_event(result: ExecutionResult) -> Event:
    """Return a result as its subscriber sees it."""
    if result.extensions is None:
        return Event(result.data, result.errors or ())
    return Event(result.data, result.errors or (), result.extensions, cursor_of(result))


def cursor_of(result: ExecutionResult) -> str | None:
    """Return where a result stands, as `read_position` does, only faster; None where its server does not say."""
    addition = None if result.extensions is None else result.extensions.get("gqlink")
    cursor = addition.get("cursor") if isinstance(addition, dict) else None
    return cursor if isinstance(cursor, str) else None
