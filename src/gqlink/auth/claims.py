"""What an access token says, and how it is read: strictly, and without a clock.

A claim is trusted only after the signature was verified, and even then its type is checked, because what it says
decides for how long a socket lives. Messages name the claim, never its value.

Source: RFC 7519, section 4.1; RFC 9068, section 2.2.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Final, NoReturn

from gqlink.auth.identity import Identity
from gqlink.errors import InvalidToken, TokenExpired

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("Verified", "is_unicode", "numeric_date", "read_claims", "scope_text")

LATEST: Final = 253_402_214_400
"""The last moment a claim may name, 9999-12-31: whatever shows it must be able to make a date of it."""

# RFC 6749, section 3.3.
_NO_SCOPES: Final[frozenset[str]] = frozenset()
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True)
class Verified:
    """A genuine token of ours, whatever the time is.

    Args:
        identity: Whom it stands for.
        valid_from: The later of its `iat` and `nbf`, in seconds since the Unix epoch.
        expires_at: Its `exp`, in seconds since the Unix epoch.
    """

    identity: Identity
    valid_from: float
    expires_at: float

    def check(self, *, now: float, leeway: float) -> None:
        """Accept the token at this moment, or refuse it.

        Both comparisons accept only what is certainly true, so that a `now` that is no number accepts nothing.

        Args:
            now: Seconds since the Unix epoch.
            leeway: For how many seconds the clock of the issuer may be ahead of ours. It never prolongs a token.

        Raises:
            TokenExpired: At or past `exp` (RFC 7519, section 4.1.4: "on or after").
            InvalidToken: Not valid yet.
        """
        if not now < self.expires_at:
            raise TokenExpired("past its exp", expired_at=self.expires_at)
        if not self.valid_from <= now + leeway:
            raise InvalidToken("not valid yet")


def read_claims(payload: bytes, *, issuer: str, audience: str) -> Verified:
    """Read the payload of a token whose signature was verified.

    Args:
        payload: JSON.
        issuer: What `iss` must be.
        audience: What `aud` must be or contain.

    Raises:
        InvalidToken: It is no JSON object, or a claim is missing, of a wrong type, or not as it must be.

    Shape:
        {"sub": str, "iss": str, "aud": str | [str], "iat": number, "exp": number, "jti": str,
         "nbf"?: number, "sid"?: str, "scope"?: "words between spaces"}
    """
    claims = _json_object(payload)
    if claims.get("iss") != issuer:
        raise InvalidToken("claim iss is not ours")
    named = claims.get("aud")
    if audience not in (named if isinstance(named, list) else [named]):
        raise InvalidToken("claim aud does not name us")
    # Ten thousand sockets hold these texts once; they are a genuine token's, so that nobody else has a say in them.
    claims = {intern(name): value for name, value in claims.items()}
    claims |= {"iss": issuer, "aud": named if isinstance(named, list) else audience}
    issued_at, expires_at = _moment(claims, "iat"), _moment(claims, "exp")
    not_before = _moment(claims, "nbf") if "nbf" in claims else issued_at
    return Verified(
        _identity(claims, issued_at=issued_at, expires_at=expires_at),
        valid_from=max(issued_at, not_before),
        expires_at=expires_at,
    )


def numeric_date(moment: float) -> float:
    """Give a moment as a claim holds it: a JSON number, whole where it can be (RFC 7519, section 2, "NumericDate").

    Raises:
        ValueError: It is before the Unix epoch, after 9999-12-31, or no number.
    """
    if not 0 <= moment <= LATEST:
        raise ValueError("a moment lies between 1970 and 9999, in seconds since the Unix epoch")
    return int(moment) if moment == int(moment) else float(moment)


def scope_text(scopes: Iterable[str]) -> str:
    """Give scopes as the claim holds them, sorted, with a space between (RFC 8693, section 4.2).

    Raises:
        ValueError: A scope could not be told apart from two, or is empty.
    """
    words = sorted(set(scopes))
    if not all(_SCOPE.fullmatch(word) for word in words):
        raise ValueError("a scope is visible ASCII characters other than a quotation mark and a backslash")
    return " ".join(words)


def _identity(claims: Mapping[str, object], *, issued_at: float, expires_at: float) -> Identity:
    try:
        return Identity(
            _text(claims, "sub"),
            scopes=frozenset(_text(claims, "scope").split()) if "scope" in claims else _NO_SCOPES,
            claims=claims,
            session=_text(claims, "sid") if "sid" in claims else None,
            token_id=_text(claims, "jti"),
            issued_at=issued_at,
            expires_at=expires_at,
        )
    except RecursionError:
        raise InvalidToken("the payload is nested too deeply") from None


def _json_object(payload: bytes) -> dict[str, object]:
    try:
        claims = _DECODER.decode(payload.decode())
    except (ValueError, RecursionError):
        # Without its cause: that holds the text.
        raise InvalidToken("the payload is not JSON") from None
    if not isinstance(claims, dict):
        raise InvalidToken("the payload is not a JSON object")
    return claims


def _refuse_constant(_name: str) -> NoReturn:
    # Python reads NaN and Infinity, which are no JSON and would never expire.
    raise ValueError("not JSON")


# One for all: to make it takes longer than to read a payload.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or not is_unicode(value):
        raise InvalidToken(f"claim {name} is missing or not a text")
    return value


def _moment(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    # A bool is an int to Python; a number such as 1e999 is read as infinity.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise InvalidToken(f"claim {name} is missing or not a moment")
    return value


def is_unicode(value: str) -> bool:
    """Whether a text can be sent: half a surrogate pair is JSON, but no UTF-8."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
