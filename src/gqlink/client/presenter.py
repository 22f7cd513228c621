"""Knows what to present, and whether that is still the answer: it counts the changes that it has been told of.

A change is counted when it is told, and seen when the credential is asked for the next time; while there are more of
the one than of the other, whatever speaks may speak for the wrong person. So a change that comes while the credential
is being asked for, or while a connection is being made, is not missed, and several are followed at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqlink.client.ending import Ending
from gqlink.errors import GqlinkError
from gqlink.protocol import Verdict

if TYPE_CHECKING:
    from gqlink.client.followers import Followers
    from gqlink.client.params import Credential
    from gqlink.client.recovery import Recovery
    from gqlink.client.settings import LinkSettings

__all__ = ("Presenter",)


class Presenter:
    """Asks for the credential of a link.

    Args:
        settings: What the link keeps to.
        recovery: Knows why it is asked, and what was refused.
        followers: Those who wait until a change has been followed.
    """

    def __init__(self, settings: LinkSettings, *, recovery: Recovery, followers: Followers) -> None:
        self._params = settings.params
        self._clock = settings.clock
        self._recovery = recovery
        self._followers = followers
        self._changes = 0
        self._changes_seen = 0
        self._renewals = 0
        self._renewals_seen = 0
        self._told_by_source = False

    @property
    def is_behind(self) -> bool:
        """Whether the credential has changed since it was asked for."""
        return self._changes != self._changes_seen

    @property
    def has_newer(self) -> bool:
        """Whether the source has renewed its token since the credential was asked for."""
        return self._renewals != self._renewals_seen

    def changed(self, *, source: bool = False) -> None:
        """Count a change.

        Args:
            source: Whether a token source tells it, of itself.
        """
        self._changes += 1
        self._told_by_source |= source

    def renewed(self) -> None:
        """Count a renewal that the source tells of."""
        self._renewals += 1

    async def differs(self, known: Credential) -> bool:
        """Say whether the source has told of a change, and has another token than the one that was presented."""
        told, self._told_by_source = self._told_by_source, False
        if not told:
            return False
        try:
            token = await self._params.token()
        except GqlinkError:
            return True
        return token != known.sourced

    async def has_another(self, credential: Credential) -> bool:
        """Say whether the source has another token by now, without having told: another process has logged in."""
        try:
            return await self._params.token() not in {None, credential.sourced}
        except GqlinkError:
            return False

    async def ask(self, *, connected: bool = False) -> Credential | Ending:
        """Ask for the credential until the answer is newer than the last change.

        Args:
            connected: Whether there is a socket, so that the only question is whether it still speaks for the same.

        Returns:
            What to present; an `Ending` where nobody can say now.

        Raises:
            GqlinkError: Nobody will be able to say.
        """
        changed = connected
        while True:
            changed = changed or self.is_behind
            self._changes_seen, self._renewals_seen = self._changes, self._renewals
            try:
                credential = await (self._params.evaluate("changed") if connected else self._ask_anew(changed=changed))
            except GqlinkError as exc:
                if not exc.temporary:
                    raise
                # Whoever knows the credential cannot say now: that is no refusal.
                return Ending(Verdict.RETRY, reason=str(exc), fault=exc, dialled=False)
            if not self.is_behind:
                return credential

    async def _ask_anew(self, *, changed: bool) -> Credential:
        """Ask for a credential that is worth a connection."""
        params, recovery = self._params, self._recovery
        if not changed and recovery.reason in {"expired", "refused"}:
            self._followers.release_sources()  # there is no socket, and a source that waits for us cannot answer us
            credential = await params.evaluate(recovery.reason, stale=recovery.stale)
            if credential.sourced == recovery.stale:  # there is no other: asking again would not help
                return credential
        else:
            credential = await params.evaluate("changed" if changed else recovery.reason)
        if credential.sourced is None:
            return credential
        if recovery.refusal_of(credential) is not None:  # HTTP may have learnt it, or a renewal
            self._followers.release_sources()
            return await params.evaluate("refused", stale=credential.sourced)
        if not changed and credential.expires_at is not None and credential.expires_at <= self._clock.now():
            return await params.evaluate("expired", stale=credential.sourced)
        return credential
