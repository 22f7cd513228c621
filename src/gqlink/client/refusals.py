"""Which tokens a server has refused, so that none of them is ever sent again.

One memory for each token source: what HTTP learns, the socket knows, and the other way round.
"""

from __future__ import annotations

import hashlib
import weakref
from typing import TYPE_CHECKING, Final

from gqlink.client.twin import twin

if TYPE_CHECKING:
    from gqlink.client.tokens import TokenSource
    from gqlink.errors import GqlinkError

__all__ = ("Refusals", "refusals_of")

_REMEMBERED: Final = 32


class Refusals:
    """The last 32 tokens that were refused, as digests, each with what the server said."""

    def __init__(self) -> None:
        self._errors: dict[bytes, GqlinkError] = {}

    def refused(self, token: str, error: GqlinkError) -> None:
        """Remember a refusal.

        Args:
            token: What was refused.
            error: What its next user is told instead of asking the server again.
        """
        digest = _digest(token)
        self._errors.pop(digest, None)
        self._errors[digest] = twin(error)
        while len(self._errors) > _REMEMBERED:
            del self._errors[next(iter(self._errors))]

    def find(self, token: str | None) -> GqlinkError | None:
        """Return what to raise instead of sending a token, or None where nothing is known against it."""
        error = None if token is None else self._errors.get(_digest(token))
        return None if error is None else twin(error)

    def __repr__(self) -> str:
        """Say how many, never which."""
        return f"Refusals({len(self._errors)})"


# By identity, because a source of one's own may be a dataclass, which has no hash; an entry goes with its source.
_known: Final[dict[int, tuple[weakref.ref[TokenSource], Refusals]]] = {}


def refusals_of(source: TokenSource) -> Refusals:
    """Return the memory of a token source, the same for every link that uses it.

    A source that cannot be referred to weakly (`__slots__` without `__weakref__`) gets a new one at each call, so that
    each link remembers for itself.
    """
    key = id(source)
    if key in _known:
        return _known[key][1]
    refusals = Refusals()
    try:
        reference = weakref.ref(source, lambda _: _known.pop(key, None))
    except TypeError:
        return refusals
    _known[key] = (reference, refusals)
    return refusals


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
