"""The one who speaks, as the rest of gqlink knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ("ANONYMOUS", "Identity")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request or a live connection speaks for; somebody anonymous is an identity too.

    An identity is shared: everybody who presents the same token gets the same object. Therefore nothing in it can be
    changed, down to the bottom of its claims, and no resolver can grant a right to the next request by accident.

    Args:
        subject: A stable name or id of the account, or None for somebody anonymous.
        scopes: What the credential allows, as its issuer says.
        claims: All that the credential says. JSON objects become read-only mappings, arrays become tuples. Never shown.
        session: The login that the credential belongs to; logging out ends all of them at once.
        token_id: The credential's own id.
        issued_at: When the credential was made, in seconds since the Unix epoch.
        expires_at: The moment from which the credential no longer counts, in seconds since the Unix epoch; None: never.
    """

    subject: str | None = None
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    session: str | None = None
    token_id: str | None = None
    issued_at: float | None = None
    expires_at: float | None = None

    def __post_init__(self) -> None:
        frozen = {name: _frozen(value) for name, value in self.claims.items()}
        object.__setattr__(self, "claims", MappingProxyType(frozen))

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody has logged in."""
        return self.subject is None


def _frozen(value: object) -> object:
    """Make JSON read-only all the way down; what is no JSON container stays as it is."""
    if isinstance(value, str | int | float):  # most are, and to ask whether something is a mapping takes longer
        return value
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return value


ANONYMOUS = Identity()
