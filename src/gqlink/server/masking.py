"""What a client may read of an error: our own words in full, everything else as an id that the log carries.

Source: GraphQL specification (September 2025), section 7.1.2, "Errors".
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

import msgspec
from graphql import GraphQLError

from gqlink.errors import AuthError, AuthUnavailable, GqlinkError, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("ErrorFormatter",)

_log = logging.getLogger("gqlink.server")

_MASKED = "Internal server error"


class ErrorFormatter:
    """Formats the errors of one application.

    Args:
        debug: Show the text of unexpected exceptions as well.
    """

    def __init__(self, *, debug: bool) -> None:
        self._debug = debug

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
        elif cause is not None:
            formatted |= self._mask(cause)
        # Otherwise the text is graphql-core's, or a resolver raised a GraphQLError because it wants it to be read.
        return formatted if _is_encodable(formatted) else formatted | self._mask(error)

    def _mask(self, cause: BaseException) -> dict[str, object]:
        error_id = secrets.token_hex(8)
        _log.error("error %s in a resolver", error_id, exc_info=cause)
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
