"""What a client may read of an error: our own words in full, everything else as an id that the log carries.

A `GraphQLError` is meant to be read where the application raised it. graphql-core raises some as well: of what the
client sent, which it may read, and of what a resolver returned (that it is no Int, of no type of a union), which would
show it what it was not given. So it matters who raised it.

Source: GraphQL specification (September 2025), section 7.1.2, "Errors".
"""

from __future__ import annotations

import secrets
from traceback import walk_tb
from typing import TYPE_CHECKING, Final

import msgspec
from graphql import GraphQLError

from gqlink.errors import (
    AuthError,
    AuthUnavailable,
    BadUserInput,
    GqlinkError,
    LimitExceeded,
    LoginRequired,
    PermissionDenied,
)
from gqlink.server.logbook import log_event
from gqlink.server.observing import present_operation
from gqlink.server.schema_names import without_suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from gqlink.server.schema_names import SchemaNames

__all__ = ("ErrorFormatter",)

_MASKED: Final = "Internal server error"
# How Python says that a value will not do, and how we do.
_ABOUT_A_VALUE: Final = (ValueError, TypeError, BadUserInput, LimitExceeded, LoginRequired, PermissionDenied)
# Where graphql-core looks at arguments, and speaks of what the client sent.
_ARGUMENTS: Final = "graphql.execution.values"


def _ignore(*_arguments: object) -> None:
    """Count nothing."""


class ErrorFormatter:
    """Formats the errors of one application.

    Args:
        debug: Show the text of unexpected exceptions as well.
        names: Those of the schema, which a client reads only where it sent them; None where introspection is allowed.
        on_limit: Called with the name of each limit that was exceeded.
        on_masked: Called for each error that a client reads an id of.
    """

    def __init__(
        self,
        *,
        debug: bool,
        names: SchemaNames | None = None,
        on_limit: Callable[[str], None] = _ignore,
        on_masked: Callable[[], None] = _ignore,
    ) -> None:
        self._debug = debug
        self._names = names
        self._on_limit = on_limit
        self._on_masked = on_masked

    def format_all(
        self, errors: Iterable[GraphQLError], *, code: str | None = None, sent: str = ""
    ) -> list[dict[str, object]]:
        """Format errors for a response.

        Args:
            errors: As graphql-core collected them.
            code: Given for a request that is not executed: the `extensions.code` of those that have none. Their text
                speaks of the request, so it is not masked, not even where a scalar raised it; but a scalar that fails
                with anything else than `_ABOUT_A_VALUE` has not said what is wrong with the request.
            sent: What the client sent besides the document.

        Shape:
            [{"message": str, "locations"?: [...], "path"?: [...], "extensions"?: {"code": str, ...}}]
        """
        return [self.format(error, code=code, sent=sent) for error in errors]

    def format(self, error: BaseException, *, code: str | None = None, sent: str = "") -> dict[str, object]:
        """Format one error; see `format_all`. What is not a `GraphQLError` is treated as a resolver's."""
        formatted: dict[str, object] = {}
        if isinstance(error, GraphQLError):
            formatted = {**error.formatted, "message": self._discreet(error, sent=sent, is_cores=code is not None)}
        cause = _cause(error) if code is None else _cause_in_request(error)
        if code is not None and cause is None:
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

    def _discreet(self, error: GraphQLError, *, sent: str, is_cores: bool) -> str:
        """Return a sentence with what its reader may learn; one that the application wrote is its own affair."""
        if not (is_cores or _is_about_an_argument(error)):
            return error.message
        message = error.message if self._debug else without_suggestion(error.message)
        if self._names is None:
            return message
        document = "" if error.source is None else error.source.body
        return self._names.withhold(message, sent=f"{document} {sent}")

    def _mask(self, cause: BaseException) -> dict[str, object]:
        error_id = secrets.token_hex(8)
        self._on_masked()
        log_event("error", "error %s in a resolver", error_id, exc_info=cause, error_id=error_id)
        text = cause.message if isinstance(cause, GraphQLError) else cause
        message = f"{type(cause).__name__}: {text}" if self._debug else _MASKED
        return {"message": message, "extensions": {"code": "INTERNAL_SERVER_ERROR", "id": error_id}}


def _cause(error: BaseException) -> BaseException | None:
    """Return the exception that is not meant to be read as it is, or None where the text is."""
    raised = _raised(error)
    if isinstance(raised, GraphQLError):
        return raised if _is_about_what_was_returned(raised) else None
    return raised


def _cause_in_request(error: BaseException) -> BaseException | None:
    """Return the same of a request that is not executed."""
    raised = _raised(error)
    return None if isinstance(raised, (GraphQLError, *_ABOUT_A_VALUE)) else raised


def _raised(error: BaseException) -> BaseException:
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return error


def _is_about_what_was_returned(error: GraphQLError) -> bool:
    """Tell whether graphql-core itself raised an error while it made a result of what a resolver returned."""
    frames = _frames(error)
    if not frames or not _module(frames[-1]).startswith("graphql.") or _is_about_an_argument(error):
        return False
    # Otherwise a resolver has returned the error, which is as good as to raise it.
    return frames[-1].f_locals.get("result") is not error


def _is_about_an_argument(error: GraphQLError) -> bool:
    """Tell whether graphql-core raised an error while it looked at the arguments of a field."""
    return any(_module(frame) == _ARGUMENTS for frame in _frames(error))


def _frames(error: BaseException) -> list[FrameType]:
    return [frame for frame, _ in walk_tb(error.__traceback__)]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


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
