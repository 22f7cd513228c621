"""What a client may read of an error: our own words in full, everything else as an id that the log carries.

Source: GraphQL specification (September 2025), section 7.1.2, "Errors".
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
from graphql import GraphQLError

from gqlink.errors import AuthError, AuthUnavailable, GqlinkError, LimitExceeded
from gqlink.server.logbook import log_event
from gqlink.server.observing import present_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ("ErrorFormatter",)

_MASKED = "Internal server error"


def _ignore(*_arguments: object) -> None:
    """Count nothing."""


class ErrorFormatter:
    """Formats the errors of one application.

    Args:
        debug: Show the text of unexpected exceptions as well.
        on_limit: Called with the name of each limit that was exceeded.
        on_masked: Called for each error that a client reads an id of.
    """

    def __init__(
        self, *, debug: bool, on_limit: Callable[[str], None] = _ignore, on_masked: Callable[[], None] = _ignore
    ) -> None:
        self._debug = debug
        self._on_limit = on_limit
        self._on_masked = on_masked

    def format_all(self, errors: Iterable[GraphQLError], *, code: str | None = None) -> list[dict[str, object]]:
        """Format errors for a response.

        Args:
            errors: As graphql-core collected them.
            code: Given for a request that is not executed: the `extensions.code` of those that have none. Their text
                speaks of the request, so it is never masked, not even where a scalar raised it.

        Shape:
            [{"message": str, "locations"?: [...], "path"?: [...], "extensions"?: {"code": str, ...}}]
        """
        return [self.format(error, code=code) for error in errors]

    def format(self, error: BaseException, *, code: str | None = None) -> dict[str, object]:
        """Format one error; see `format_all`. What is not a `GraphQLError` is treated as a resolver's."""
        formatted: dict[str, object] = dict(error.formatted) if isinstance(error, GraphQLError) else {}
        cause = None if code is not None else _cause(error)
        if code is not None:
            formatted["extensions"] = {"code": code, **_mapping(formatted.get("extensions"))}
        elif isinstance(cause, GqlinkError) and cause.extension_code is not None:
            formatted |= {"message": _words(cause), "extensions": {"code": cause.extension_code, **_details(cause)}}
            if isinstance(cause, LimitExceeded):
                self._on_limit(cause.limit)
        elif cause is not None:
            formatted |= self._mask(cause)
        # Otherwise the text is graphql-core's, or a resolver raised a GraphQLError because it wants it to be read.
        formatted = formatted if _is_encodable(formatted) else formatted | self._mask(error)
        operation = present_operation()
        if operation is not None:
            operation.fail(_mapping(formatted.get("extensions")).get("code"))
        return formatted

    def _mask(self, cause: BaseException) -> dict[str, object]:
        error_id = secrets.token_hex(8)
        self._on_masked()
        log_event("error", "error %s in a resolver", error_id, exc_info=cause, error_id=error_id)
        message = f"{type(cause).__name__}: {cause}" if self._debug else _MASKED
        return {"message": message, "extensions": {"code": "INTERNAL_SERVER_ERROR", "id": error_id}}


def _cause(error: BaseException) -> BaseException | None:
    """Return the exception that a resolver raised, or None where graphql-core itself speaks."""
    while isinstance(error, GraphQLError):
        if error.original_error is None:
            return None
        error = error.original_error
    return error


def _words(cause: GqlinkError) -> str:
    """Say what a client may read: the details of an `AuthError` are for the log."""
    return cause.reason if isinstance(cause, AuthError | AuthUnavailable) else str(cause)


def _details(cause: GqlinkError) -> dict[str, object]:
    if isinstance(cause, LimitExceeded):
        return {"limit": cause.limit, "allowed": cause.allowed, "actual": cause.actual}
    return {}


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}


def _is_encodable(formatted: dict[str, object]) -> bool:
    """Tell whether JSON has a form for it: what a resolver puts into `extensions` is its own choice."""
    try:
        msgspec.json.encode(formatted)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True
