"""Credentials that no longer count although they verify: what was revoked, remembered for as long as it matters.

Nothing here waits, so that whoever registers a socket can ask in the very step that registers it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqlink.auth.claims import LATEST, is_unicode

if TYPE_CHECKING:
    from gqlink.auth.identity import Identity

__all__ = ("DenyList", "Revocation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The order that some credentials shall not count any more.

    Exactly one of the first three says which. A revoked session or token never counts again. A revoked subject may
    log in again at once: the order covers what was issued until then, and nobody for ever.

    Args:
        subject: All that was issued to this account until `revoked_at`, that moment included.
        session: All that belongs to this login.
        token_id: This one credential.
        revoked_at: When, in seconds since the Unix epoch, by the same clock as the credentials' `issued_at`.

    Raises:
        ValueError: None or several of the three, an empty one, or a moment that is no date.
    """

    subject: str | None = None
    session: str | None = None
    token_id: str | None = None
    revoked_at: float

    def __post_init__(self) -> None:
        given = [value for value in (self.subject, self.session, self.token_id) if value is not None]
        if len(given) != 1:
            raise ValueError("a revocation names exactly one of subject, session and token_id")
        [value] = given
        if not isinstance(value, str) or not value or not is_unicode(value):
            raise ValueError("what a revocation names is a text that is not empty")
        if not _is_moment(self.revoked_at):
            raise ValueError("revoked_at lies between 1970 and 9999, in seconds since the Unix epoch")

    def matches(self, identity: Identity) -> bool:
        """Tell whether the order covers an identity; nobody anonymous is covered by a subject's."""
        if self.subject is not None:
            return identity.subject == self.subject and _is_covered(identity, self.revoked_at)
        if self.session is not None:
            return identity.session == self.session
        return identity.token_id == self.token_id


class DenyList:
    """Revocations, looked up in the same time however many there are.

    Belongs to one event loop.

    Args:
        remember_seconds: How long a revocation is remembered; at least as long as a credential may live, because one
            that is forgotten too early counts again.

    Raises:
        ValueError: It is not greater than 0.
    """

    def __init__(self, *, remember_seconds: float) -> None:
        if not remember_seconds > 0:
            raise ValueError("remember_seconds must be greater than 0")
        self._remember_seconds = remember_seconds
        self._subjects: dict[str, float] = {}
        self._sessions: set[str] = set()
        self._token_ids: set[str] = set()
        # When each entry was added last, oldest first: forgetting looks at the front and no further.
        self._added: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._added)

    def add(self, revocation: Revocation, *, now: float) -> None:
        """Deny what a revocation covers, from now on; forget what was added too long ago.

        Harmless to repeat. A subject's moment only ever moves forward, whatever the order in which orders come.

        Args:
            revocation: The order.
            now: Seconds of a clock that never goes back, so that a wall clock that jumps makes nothing forgotten.
        """
        if revocation.subject is not None:
            entry = ("subject", revocation.subject)
            known = self._subjects.get(revocation.subject, revocation.revoked_at)
            self._subjects[revocation.subject] = max(known, revocation.revoked_at)
        elif revocation.session is not None:
            entry = ("session", revocation.session)
            self._sessions.add(revocation.session)
        else:
            entry = ("token_id", str(revocation.token_id))
            self._token_ids.add(entry[1])
        self._added[entry] = now
        self._added.move_to_end(entry)
        self._forget(now)

    def denies(self, identity: Identity) -> bool:
        """Tell whether an identity's credential was revoked."""
        if identity.session in self._sessions or identity.token_id in self._token_ids:
            return True
        revoked_at = None if identity.subject is None else self._subjects.get(identity.subject)
        return revoked_at is not None and _is_covered(identity, revoked_at)

    def _forget(self, now: float) -> None:
        """Drop what is too old; the entry that was just added never is, so there always is an oldest one."""
        while now - self._added[oldest := next(iter(self._added))] > self._remember_seconds:
            del self._added[oldest]
            kind, value = oldest
            match kind:
                case "subject":
                    del self._subjects[value]
                case "session":
                    self._sessions.discard(value)
                case _:
                    self._token_ids.discard(value)


def _is_covered(identity: Identity, revoked_at: float) -> bool:
    """Spare only what was certainly issued later: an unknown moment, or one that is no date, is covered."""
    issued_at = identity.issued_at
    return issued_at is None or not revoked_at < issued_at <= LATEST


def _is_moment(value: object) -> bool:
    # A moment beyond all dates would deny a person for ever.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LATEST
