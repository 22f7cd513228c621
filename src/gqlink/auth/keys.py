"""The secrets that sign our tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import jwt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ("MIN_SECRET_BYTES", "SigningKey", "key_ring")

MIN_SECRET_BYTES: Final[Mapping[str, int]] = MappingProxyType({"HS256": 32, "HS384": 48, "HS512": 64})
"""The algorithms we allow, each with the shortest secret it may have (RFC 7518, section 3.2)."""

_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_JWS: Final = jwt.PyJWS(algorithms=list(MIN_SECRET_BYTES))


@dataclass(frozen=True)
class SigningKey:
    """One secret, the name that tokens call it by, and the only algorithm that it may be used with.

    Args:
        id: The `kid` in a token's header: 1 to 128 visible ASCII characters; no secret.
        secret: Random bytes, at least as many as the algorithm's digest has: 32 for HS256. Never shown.
        algorithm: "HS256", "HS384" or "HS512".

    Raises:
        ValueError: Any of them is not so, or the secret looks like a public key or a certificate: whoever knows the
            public half could sign with it.
    """

    id: str
    secret: bytes = field(repr=False)
    algorithm: str = "HS256"

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError("a key's id is 1 to 128 visible ASCII characters")
        shortest = MIN_SECRET_BYTES.get(self.algorithm)
        if shortest is None:
            raise ValueError(f"a key's algorithm is one of {', '.join(MIN_SECRET_BYTES)}")
        if len(self.secret) < shortest:
            raise ValueError(f"a key for {self.algorithm} has at least {shortest} bytes")
        _refuse_public_keys(self)


def _refuse_public_keys(key: SigningKey) -> None:
    try:
        _JWS.get_algorithm_by_name(key.algorithm).prepare_key(key.secret)
    except jwt.InvalidKeyError:
        raise ValueError("a key's secret is random bytes, not another kind of key") from None


def key_ring(keys: Sequence[SigningKey]) -> Mapping[str, SigningKey]:
    """Arrange keys by id, in their order: the newest is the last.

    Raises:
        ValueError: There is no key, or two have the same id.
    """
    ring = {key.id: key for key in keys}
    if not ring:
        raise ValueError("there is no key to sign with")
    if len(ring) < len(keys):
        raise ValueError("two keys have the same id")
    return MappingProxyType(ring)
