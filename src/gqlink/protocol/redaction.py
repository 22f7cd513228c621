"""Frames as a person may see them: every token decoded, none shown.

Developer tools show frames; so do the client's `on_frame`, `gqlink subscribe --frames` and the logs. A secret in
any of them ends up in a screenshot or an issue.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

import msgspec

__all__ = ("describe_token", "redact", "redact_text")

# Members whose value is a secret wherever they stand, compared without case, `-` and `_`.
_SECRET_NAMES: Final = frozenset(
    {"accesstoken", "authorization", "authtoken", "refreshtoken", "idtoken", "token", "jwt", "apikey", "password",
     "secret", "cookie", "xhasuraadminsecret"}
)  # fmt: skip
# Three base64url parts with dots between, the first of which is a JSON object: a JWT wherever it stands.
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
_SHOWN_CLAIMS: Final = ("sub", "exp")


def redact_text(text: bytes | str) -> object:
    """Decode one frame and redact it.

    Args:
        text: A frame as it is on the wire.

    Returns:
        The JSON value without secrets, or, when it is not JSON, the text without what looks like a token.
    """
    try:
        return redact(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return _JWT.sub(_describe_match, plain)


def redact(value: object, *, name: str = "") -> object:
    """Replace every secret in a JSON value by what may be known of it; null and empty stay as they are.

    Args:
        value: Any JSON value.
        name: The member it was found under.
    """
    match value:
        case dict():
            return {key: redact(item, name=str(key)) for key, item in value.items()}
        case list():
            return [redact(item, name=name) for item in value]
        case str() if value and _is_secret(name):
            return describe_token(value)
        case str():
            return _JWT.sub(_describe_match, value)
        case int() | float() if not isinstance(value, bool) and _is_secret(name):
            return "<redacted>"
        case _:
            return value


def describe_token(token: str) -> str:
    """Say of a token what a person may see: whose it is and when it ends, never enough to use it.

    Args:
        token: A credential with or without its scheme (`Bearer `).

    Returns:
        Such as `<token of alice, exp 1765432100>`; `<redacted, 20 characters>` if it is no JWT.
    """
    scheme, _, bare = token.rpartition(" ")
    prefix = f"{scheme} " if scheme.isalpha() else ""
    try:
        segment = bare.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        shown = {name: claims[name] for name in _SHOWN_CLAIMS if isinstance(claims.get(name), str | int | float)}
    except (IndexError, AttributeError, TypeError, ValueError, binascii.Error, RecursionError):
        return f"{prefix}<redacted, {len(bare)} characters>"
    subject = f" of {shown['sub']}" if "sub" in shown else ""
    expiry = f", exp {shown['exp']}" if "exp" in shown else ""
    return f"{prefix}<token{subject}{expiry}>"


def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "").replace("_", "") in _SECRET_NAMES


def _describe_match(match: re.Match[str]) -> str:
    return describe_token(match.group())
