"""What a schema's directives demand of whoever asks for an operation, as one value.

It is a conjunction of everything that the operation touches, so it can be told of an identity in one look whether it
may; and two operations that demand the same have equal values, and the same fingerprint, in every process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from gqlink.errors import LoginRequired, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gqlink.auth import Identity

__all__ = ("NOTHING_REQUIRED", "Alternatives", "Requirements", "all_of")

Alternatives = frozenset[frozenset[str]]
"""The scopes of one `@requiresScopes`: those of one inner list at least must all be there."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What somebody must bring; false where that is nothing.

    Args:
        authenticated: Somebody who has logged in.
        scopes: Of each of these, one alternative at least; order and repetition in the schema leave no trace.
        fingerprint: Names the value: the same text for the same demands in every process, "" for none.
    """

    authenticated: bool = False
    scopes: frozenset[Alternatives] = frozenset()
    fingerprint: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        text = msgspec.json.encode([self.authenticated, _sorted(self.scopes)])
        object.__setattr__(self, "fingerprint", blake2b(text, digest_size=16).hexdigest() if self else "")

    def __bool__(self) -> bool:
        return self.authenticated or bool(self.scopes)

    def check(self, identity: Identity) -> None:
        """Let somebody pass who brings it all.

        Raises:
            LoginRequired: Nobody has logged in, and that, or a scope, is missing.
            PermissionDenied: Scopes are missing. The text names what would be enough, as `insufficient_scope` does
                in RFC 6750, section 3.1; only somebody who has logged in gets to read it.
        """
        if self.authenticated and identity.subject is None:
            raise LoginRequired
        # Asked twice for every event, hence one plain loop for those who may pass.
        for alternatives in self.scopes:
            for one in alternatives:
                if one.issubset(identity.scopes):
                    break
            else:
                raise self._refusal(identity)

    def _refusal(self, identity: Identity) -> LoginRequired | PermissionDenied:
        if identity.subject is None:
            return LoginRequired()
        missing = (each for each in self.scopes if not any(one.issubset(identity.scopes) for one in each))
        return PermissionDenied(f"do this without {_words(missing)}")


def all_of(several: Iterable[Requirements]) -> Requirements:
    """Demand what each of several demands."""
    demanded = {each for each in several if each}
    if len(demanded) <= 1:
        return next(iter(demanded), NOTHING_REQUIRED)
    return Requirements(
        authenticated=any(each.authenticated for each in demanded),
        scopes=frozenset[Alternatives]().union(*(each.scopes for each in demanded)),
    )


def _sorted(scopes: Iterable[Alternatives]) -> list[list[list[str]]]:
    return sorted(sorted(sorted(one) for one in alternatives) for alternatives in scopes)


def _words(missing: Iterable[Alternatives]) -> str:
    """Say "the scope a", or "the scopes (a and b) or c"."""
    demanded = _sorted(missing)
    parts = [
        " or ".join(_group(" and ".join(one), needed=len(one) > 1 < len(each)) for one in each) for each in demanded
    ]
    text = " and ".join(
        _group(part, needed=len(each) > 1 < len(parts)) for part, each in zip(parts, demanded, strict=True)
    )
    return f"the {'scope' if ' ' not in text else 'scopes'} {text}"


def _group(text: str, *, needed: bool) -> str:
    return f"({text})" if needed else text


NOTHING_REQUIRED: Final = Requirements()
