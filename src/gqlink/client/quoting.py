"""What servers say of an operation, without what they were given: some repeat the token that they do not like.

The text of an error ends up in logs, so it is the `message` that is looked at; what else an error has is the
application's, untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gqlink.client.frames import conceal, find_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx2

__all__ = ("conceal_request", "quote_errors")

# What is shorter stands in many a text by chance.
_CREDENTIAL_CHARACTERS: Final = 8


def quote_errors(errors: Sequence[Mapping[str, object]], conceal_text: Callable[[str], str]) -> list[dict[str, object]]:
    """Return errors of GraphQL with messages that repeat no secret.

    Args:
        errors: As they came.
        conceal_text: Returns a text without what was presented.
    """
    return [_quote(error, conceal_text) for error in errors]


def conceal_request(text: str, request: httpx2.Request) -> str:
    """Return a text without the credentials that stand in a request's headers, or in the query of its address."""
    queried = {value for value in request.url.params.values() if len(value) >= _CREDENTIAL_CHARACTERS}
    return str(conceal(text, find_secrets(dict(request.headers)) | queried))


def _quote(error: Mapping[str, object], conceal_text: Callable[[str], str]) -> dict[str, object]:
    message = error.get("message")
    return {**error, "message": conceal_text(message)} if isinstance(message, str) else {**error}
