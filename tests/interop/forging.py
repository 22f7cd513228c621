"""Tokens of a chat's own signing key, and four that only look like them."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import TYPE_CHECKING, Literal

from gqlink.auth import SigningKey, TokenSigner
from gqlink.chat.app import ISSUER
from gqlink.chat.data import KEYS_FILE
from gqlink.chat.keys import load_signing_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Forgery = Literal["tampered", "expired", "another key", "algorithm none"]
REASONS: Mapping[Forgery, str] = {
    "tampered": "Token invalid",
    "expired": "Token expired",
    "another key": "Token invalid",
    "algorithm none": "Token invalid",
}
_HOUR = 3600.0


class TokenMint:
    """Makes tokens, without the time that a login takes.

    Args:
        data_dir: Of a chat that has been started once.
    """

    def __init__(self, data_dir: Path) -> None:
        self._keys = load_signing_keys(data_dir / KEYS_FILE)

    def genuine(self, name: str) -> str:
        """A token as `POST /login` gives it."""
        return _issue(self._keys, name)

    def forged(self, how: Forgery) -> str:
        """A token that would be alice's if it were any good."""
        match how:
            case "tampered":
                return tampered(self.genuine("bob"), subject="alice")
            case "expired":
                return _issue(self._keys, "alice", age=2 * _HOUR)
            case "another key":
                # Under the same name, or it would be refused before anybody looked at the signature.
                return _issue([SigningKey(key.id, secrets.token_bytes(32)) for key in self._keys], "alice")
            case "algorithm none":
                return _unsigned(self.genuine("alice"))


def _issue(keys: Sequence[SigningKey], name: str, *, age: float = 0.0) -> str:
    signer = TokenSigner(keys, issuer=ISSUER, audience=ISSUER, lifetime=_HOUR)
    return signer.issue(name, now=time.time() - age).reveal()


def tampered(token: str, *, subject: str) -> str:
    """The same token, for somebody else, under the old signature."""
    header, payload, signature = token.split(".")
    return ".".join((header, _encode(_decode(payload) | {"sub": subject}), signature))


def _unsigned(token: str) -> str:
    header, payload, _ = token.split(".")
    return ".".join((_encode(_decode(header) | {"alg": "none"}), payload, ""))


def _decode(part: str) -> dict[str, object]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(value, dict)
    return value


def _encode(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
