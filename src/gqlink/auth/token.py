"""A secret that proves who speaks, in a wrapper that does not tell it by accident."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, final

__all__ = ("MAX_TOKEN_BYTES", "Token")

MAX_TOKEN_BYTES: Final = 8192
"""No longer token is read at all, so that nobody can make a parser work for nothing."""


@final
class Token:
    """A bearer token; only `reveal()` gives its text, so that no log line, error or trace holds it by accident.

    Args:
        value: The token's text, not empty. Whether it is well formed is for the one who verifies it to say.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a token cannot be empty; None stands for no token")
        self._value = value

    def reveal(self) -> str:
        """Give the secret itself, to send or to verify it."""
        return self._value

    def digest(self) -> bytes:
        """Give 32 bytes that stand for this token without telling it: SHA-256 of its text in UTF-8."""
        return hashlib.sha256(_as_bytes(self._value)).digest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Token):
            return NotImplemented
        # An ordinary comparison stops at the first difference and tells by its time how much was right.
        return hmac.compare_digest(_as_bytes(self._value), _as_bytes(other._value))

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Token(<hidden>)"


def _as_bytes(value: str) -> bytes:
    # JavaScript can send half a surrogate pair; a comparison must survive it.
    return value.encode("utf-8", "surrogatepass")
