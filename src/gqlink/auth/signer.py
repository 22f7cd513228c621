"""Access tokens of our own: signed, read back, and remembered until they expire.

PyJWT does the base64 and the signature (JWS, RFC 7515); a token that begins as a genuine one did is not taken apart by
it once more, and its key is not looked at again. Everything that a signature does not say is checked here,
against a `now` that comes in: PyJWT's own checks look at the wall clock, and some of them forgive.
"""

from __future__ import annotations

import json
import secrets
from binascii import a2b_base64, b2a_base64
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

import jwt

from gqlink.auth.claims import Verified, is_unicode, numeric_date, read_claims, scope_text
from gqlink.auth.keys import MIN_SECRET_BYTES, SigningKey, key_ring
from gqlink.auth.token import MAX_TOKEN_BYTES, Token
from gqlink.errors import InvalidToken, TokenExpired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jwt.algorithms import Algorithm

    from gqlink.auth.identity import Identity

__all__ = ("TokenSigner",)

# RFC 9068, section 2.1: another kind of token from the same issuer is no access token.
_TYPE: Final = "at+jwt"
_TYPES: Final = frozenset({_TYPE, f"application/{_TYPE}"})
# They let a token bring its own key, or change how it is read (RFC 7515, section 4.1; RFC 7797).
_REFUSED_HEADERS: Final = ("jwk", "jku", "x5u", "x5c", "crit", "b64")

_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_FROM_BASE64: Final = bytes.maketrans(b"+/", b"-_")

# A header of ours is one text for each key; others that sign with it may write theirs in some other way.
_MOST_HEADS: Final = 64


class TokenSigner:
    """Issues access tokens and verifies them.

    A verified token is remembered by its digest, so that a socket, its renewals and its HTTP requests cost one
    signature together; its times are looked at whenever it is presented. Belongs to one event loop.

    Args:
        keys: At least one, with different ids; the last one is the newest and signs, all of them verify.
        issuer: The `iss` of every token, ours alone.
        audience: The `aud` of every token.
        lifetime: For how many seconds a token counts.
        leeway: For how many seconds the clock of whoever issued a token may be ahead. It never prolongs a token.
        remembered: How many verified tokens are remembered at most; the least recently used goes first.

    Raises:
        ValueError: No key, two keys with one id, or a lifetime that is not positive.
    """

    def __init__(
        self,
        keys: Sequence[SigningKey],
        *,
        issuer: str,
        audience: str,
        lifetime: float = 900.0,
        leeway: float = 5.0,
        remembered: int = 4096,
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.lifetime = _positive(lifetime)
        self._leeway = leeway
        self._remembered = remembered
        self._jws = jwt.PyJWS(algorithms=list(MIN_SECRET_BYTES), options={"enforce_minimum_key_length": True})
        self.replace_keys(keys)

    def replace_keys(self, keys: Sequence[SigningKey]) -> None:
        """Sign with the last of these and verify with all of them from now on; forget every verified token.

        Raises:
            ValueError: No key, or two keys with one id; then nothing has changed.
        """
        self._keys = key_ring(keys)
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()
        self._known_heads: dict[str, Callable[[bytes, bytes], bool]] = {}
        """The headers of genuine tokens, in base64, which are few, and how each of them says that it is signed."""

    def issue(
        self,
        subject: str,
        *,
        now: float,
        session: str | None = None,
        scopes: Iterable[str] = (),
        lifetime: float | None = None,
    ) -> Token:
        """Make a token for somebody who has proved who they are.

        Args:
            subject: Whom it stands for; not empty.
            now: Seconds since the Unix epoch.
            session: The login that it belongs to.
            scopes: What it allows.
            lifetime: For how many seconds it counts; the signer's own by default.

        Raises:
            ValueError: An argument that no token can hold, or more than fits into one.

        Shape:
            header {"alg": str, "kid": str, "typ": "at+jwt"}
            payload {"sub": str, "iss": str, "aud": str, "iat": number, "exp": number, "jti": str,
                     "sid"?: str, "scope"?: str}

        Source: RFC 9068, section 2.
        """
        for name, text in (("subject", subject), ("session", session)):
            if text is not None and not (text and is_unicode(text)):
                raise ValueError(f"a {name} is a text that is not empty")
        claims: dict[str, object] = {
            "sub": subject,
            "iss": self.issuer,
            "aud": self.audience,
            "iat": numeric_date(now),
            "exp": numeric_date(now + (self.lifetime if lifetime is None else _positive(lifetime))),
            "jti": secrets.token_urlsafe(16),
        }
        optional = {"sid": session, "scope": scope_text(scopes)}
        return self._sign(claims | {name: value for name, value in optional.items() if value})

    def verify(self, token: Token, *, now: float) -> Identity:
        """Say whom a token stands for.

        Args:
            token: A compact JWT, at most 8192 bytes.
            now: Seconds since the Unix epoch.

        Raises:
            TokenExpired: A genuine token, at or past its `exp`.
            InvalidToken: Anything else that is wrong with it.
        """
        digest = token.digest()
        verified = self._verified.get(digest) or self._read(token)
        try:
            verified.check(now=now, leeway=self._leeway)
        except TokenExpired:
            self._verified.pop(digest, None)
            raise
        self._remember(digest, verified)
        return verified.identity

    def _remember(self, digest: bytes, verified: Verified) -> None:
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        if len(self._verified) > self._remembered:
            self._verified.popitem(last=False)

    def _sign(self, claims: Mapping[str, object]) -> Token:
        *_, key = self._keys.values()
        payload = json.dumps(claims, separators=(",", ":"), allow_nan=False).encode()
        text = self._jws.encode(payload, key.secret, key.algorithm, headers={"kid": key.id, "typ": _TYPE})
        if len(text) > MAX_TOKEN_BYTES:
            raise ValueError(f"a token is at most {MAX_TOKEN_BYTES} bytes; subject, session or scopes are too long")
        return Token(text)

    def _read(self, token: Token) -> Verified:
        text = token.reveal()
        if len(text) > MAX_TOKEN_BYTES or not text.isascii():
            raise InvalidToken(f"longer than {MAX_TOKEN_BYTES} bytes, or not ASCII")
        head, _, _ = text.partition(".")
        verify = self._known_heads.get(head)
        payload = None if verify is None else _signed_payload(text, verify)
        if payload is None:
            payload = self._decode(text, head)
        return read_claims(payload, issuer=self.issuer, audience=self.audience)

    def _decode(self, text: str, head: str) -> bytes:
        try:
            key = self._key_for(self._jws.get_unverified_header(text))
            payload: bytes = self._jws.decode(text, key.secret, algorithms=[key.algorithm])
        except jwt.PyJWTError as exc:
            # Only the kind of fault: its message and its cause may hold parts of the token.
            raise InvalidToken(f"not a token of ours ({type(exc).__name__})") from None
        # Only now that the signature has been verified, so that nobody else has a say in what is remembered.
        if len(self._known_heads) < _MOST_HEADS:
            self._known_heads[head] = self._verifier(key)
        return payload

    def _verifier(self, key: SigningKey) -> Callable[[bytes, bytes], bool]:
        algorithm = self._jws.get_algorithm_by_name(key.algorithm)
        prepared = algorithm.prepare_key(key.secret)
        return partial(_verify, algorithm, prepared)

    def _key_for(self, header: Mapping[str, object]) -> SigningKey:
        """Choose the key by the header's word, and let the key say which algorithm; never the other way round."""
        for name in _REFUSED_HEADERS:
            if name in header:
                raise InvalidToken(f"header {name} is never honoured")
        kind, kid = header.get("typ"), header.get("kid")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken(f"header typ is not {_TYPE}")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise InvalidToken("header kid names no key of ours")
        if header.get("alg") != key.algorithm:
            raise InvalidToken("header alg is not the key's")
        return key


def _positive(lifetime: float) -> float:
    if not lifetime > 0:
        raise ValueError("a lifetime is a positive number of seconds")
    return lifetime


def _verify(algorithm: Algorithm, key: object, signed: bytes, signature: bytes) -> bool:
    return bool(algorithm.verify(signed, key, signature))


def _signed_payload(text: str, verify: Callable[[bytes, bytes], bool]) -> bytes | None:
    """Return the payload of a token if it is genuine and written in the one right way; what is not has to be looked at.

    Args:
        text: ASCII, and with a dot in it.
        verify: Told what is signed, and the signature.
    """
    signed, _, signature = text.encode().rpartition(b".")
    said = signed.rpartition(b".")[2]
    payload, signature_bytes = _from_base64url(said), _from_base64url(signature)
    if payload is None or signature_bytes is None or signed.count(b".") != 1:
        return None
    return payload if verify(signed, signature_bytes) else None


def _from_base64url(text: bytes) -> bytes | None:
    """Read base64url without padding (RFC 7515, section 2); None for what is written in another way."""
    try:
        read = a2b_base64(text.translate(_TO_BASE64) + b"==")  # what is too much of it is ignored
    except ValueError:
        return None
    return read if b2a_base64(read, newline=False).rstrip(b"=").translate(_FROM_BASE64) == text else None
