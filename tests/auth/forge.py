"""Builds JSON Web Signatures by hand, so that what the tests forge does not depend on the library under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING

from gqlink.auth import SigningKey, Token

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 1_800_000_000.0
PEM = (
    b"-----BEGIN PUBLIC KEY-----\n"
    b"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    b"-----END PUBLIC KEY-----\n"
)
KEY = SigningKey("2027-01", b"k" * 32)
CLAIMS: dict[str, object] = {
    "sub": "alice",
    "iss": "chat",
    "aud": "chat-api",
    "iat": 1_800_000_000,
    "exp": 1_800_000_900,
    "jti": "one",
}
HEADER: dict[str, object] = {"alg": "HS256", "kid": "2027-01", "typ": "at+jwt"}


def encode(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(
    *,
    header: Mapping[str, object] = HEADER,
    claims: Mapping[str, object] | bytes = CLAIMS,
    secret: bytes = KEY.secret,
    digest: str = "sha256",
) -> Token:
    """Sign whatever is given, however wrong it is."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{encode(json.dumps(header).encode())}.{encode(payload)}"
    signature = hmac.new(secret, signed.encode(), getattr(hashlib, digest)).digest()
    return Token(f"{signed}.{encode(signature)}")


def parts(token: Token) -> tuple[dict[str, object], dict[str, object]]:
    """Read header and payload of a token without verifying anything."""
    header, payload, _ = token.reveal().split(".")
    decoded = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, payload))
    first, second = decoded
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    return first, second
