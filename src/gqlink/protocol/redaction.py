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
_SECRET_ENDINGS: Final = ("token", "secret", "password", "apikey", "cookie", "authorization", "bearer")
_SCHEMES: Final = frozenset({"basic", "bearer", "digest", "jwt", "token"})
# Base64url parts with dots between: a JWT wherever it stands, if one of them begins like a JSON object. The search
# begins at whole parts only, so that it stays linear.
_DOTTED: Final = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+){2,}+")
_OBJECT_START: Final = "eyJ"
# `password: "..."` within a text, which is how an argument stands in a document, and a member in JSON that is broken.
_ASSIGNMENT: Final = re.compile(
    r'(?<![\w-])([A-Za-z][\w-]{2,40}+)("?\s*[:=]\s*)("""(?:[^"]|"(?!""))*+(?:""")?|"(?:[^"\\]|\\.)*+"?)', re.DOTALL
)
_SHOWN_CLAIMS: Final = ("sub", "exp")


def redact_text(text: bytes | str) -> object:
    """Decode one frame and redact it.

    Args:
        text: A frame as it is on the wire.

    Returns:
        The JSON value without secrets, or, when it is not JSON, the text without what looks like one.
    """
    try:
        return _redact_message(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _redact_string(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)


def _redact_message(message: object) -> object:
    """Redact a message; what presents a credential is secret as a whole, whatever an application calls its parts."""
    match message:
        case {"type": "connection_init", "payload": payload, **others}:
            rest = redact(others)
            return {"type": "connection_init", **(rest if isinstance(rest, dict) else {}), "payload": _conceal(payload)}
        case _:
            return redact(message)


def _conceal(value: object) -> object:
    return redact(value, name="secret")


def redact(value: object, *, name: str = "") -> object:
    """Replace every secret in a JSON value by what may be known of it; null, empty and booleans stay as they are.

    Args:
        value: Any JSON value, nested no deeper than the interpreter's stack.
        name: The member it was found under; below one that is secret, everything is.
    """
    match value:
        case dict():
            return {
                _redact_string(str(key)): redact(item, name=_innermost(name, str(key))) for key, item in value.items()
            }
        case list():
            return [redact(item, name=name) for item in value]
        case str() if value and _is_secret(name):
            return describe_token(value)
        case str():
            return _redact_string(value)
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
    # Any other first word may be half of a passphrase.
    prefix = f"{scheme} " if scheme.lower() in _SCHEMES else ""
    try:
        segment = bare.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        shown = {name: claims[name] for name in _SHOWN_CLAIMS if isinstance(claims.get(name), str | int | float)}
    except (IndexError, AttributeError, TypeError, ValueError, binascii.Error, RecursionError):
        return f"{prefix}<redacted, {len(bare)} characters>"
    subject = f" of {shown['sub']}" if "sub" in shown else ""
    expiry = f", exp {_whole(shown['exp'])}" if "exp" in shown else ""
    return f"{prefix}<token{subject}{expiry}>"


def _whole(moment: str | float) -> str:
    """Leave out the fraction of a second, which tells a reader nothing."""
    return f"{moment:.0f}" if isinstance(moment, float) else str(moment)


def _is_secret(name: str) -> bool:
    plain = name.lower().replace("-", "").replace("_", "")
    return plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDINGS)


def _innermost(outer: str, inner: str) -> str:
    return outer if _is_secret(outer) else inner


def _redact_string(text: str) -> str:
    return _DOTTED.sub(_redact_dotted, _ASSIGNMENT.sub(_redact_assignment, text))


def _redact_dotted(match: re.Match[str]) -> str:
    before, found, after = match.group().partition(_OBJECT_START)
    return before + describe_token(found + after) if found else before


def _redact_assignment(match: re.Match[str]) -> str:
    name, between, value = match.groups()
    if not _is_secret(name) or not value.strip('"'):
        return match.group()
    return f'{name}{between}"{describe_token(value.strip(chr(34)))}"'
