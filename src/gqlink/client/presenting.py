"""Where in what a connection presents the access token stands: the names that our server reads, and many others do.

Source: docs/reference/wire.md, "Credentials".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from gqlink.errors import BadUserInput

__all__ = ("find_token", "fingerprint", "stands_in", "without_token")

_NAMES: Final = ("accessToken", "authorization", "Authorization", "authToken")
_NAMES_IN_HEADERS: Final = frozenset(name.lower() for name in _NAMES)


def find_token(payload: Mapping[str, object] | None, headers: Mapping[str, str]) -> tuple[bool, str | None]:
    """Find the token in what a connection presents.

    Args:
        payload: That of `connection_init`.
        headers: Those of the handshake.

    Returns:
        Whether anything is said at one of the known names, be it null, and the token, without `Bearer`.
    """
    said = [_bare(value) for value in _candidates(payload or {}, headers)]
    return bool(said), next((token for token in said if token), None)


def fingerprint(payload: Mapping[str, object] | None, headers: Mapping[str, str]) -> bytes:
    """Return the JSON text of both, the same in whatever order their members stand.

    Raises:
        BadUserInput: They are not what JSON can express.
    """
    try:
        return msgspec.json.encode([payload, headers], order="deterministic")
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise BadUserInput("connection_params and headers must be values that JSON can express") from exc


def without_token(payload: Mapping[str, object] | None, headers: Mapping[str, str], token: str | None) -> bytes:
    """Return a fingerprint of everything but the token: equal where a renewal of the token renews all of it."""
    return msgspec.json.encode(_mask([payload, headers], token), order="deterministic")


def stands_in(token: str, value: object) -> bool:
    """Say whether a token is one of the texts in a JSON value, with or without a scheme before it."""
    return _mask(value, token) != _mask(value, None)


def _candidates(payload: Mapping[str, object], headers: Mapping[str, str]) -> Iterator[object]:
    for name in _NAMES:
        if name in payload:
            yield payload[name]
    inner = payload.get("headers")
    for members in (inner if isinstance(inner, Mapping) else {}, headers):
        for name, value in members.items():
            if isinstance(name, str) and name.lower() in _NAMES_IN_HEADERS:
                yield value


def _bare(value: object) -> str | None:
    """Return a token without its scheme; what is no text, or a scheme alone, is none."""
    if not isinstance(value, str):
        return None
    scheme, _, rest = value.strip().partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else value.strip()
    return token or None


def _mask(value: object, token: str | None) -> object:
    match value:
        case str():
            return None if token is not None and token in {value, _bare(value)} else value
        case Mapping():
            return {str(name): _mask(item, token) for name, item in value.items()}
        case list() | tuple():
            return [_mask(item, token) for item in value]
        case _:
            return value
