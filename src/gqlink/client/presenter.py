"""Knows what to present, and whether that is still the answer: it counts the changes that it has been told of.

A change is counted when it is told, and seen when the credential is asked for the next time; while there are more of
the one than of the other, whatever speaks may speak for the wrong person. So a change that comes while the credential
is being asked for, or while a connection is being made, is not missed, and several are followed at once.

Whoever is asked may take its time, so a change does not wait for the answer: it is asked for anew, and what comes of
the question before is nobody's. That one goes on all the same, for it may be a refresh whose answer must be kept.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from gqlink.client.ending import Ending
from gqlink.client.errands import Errands
from gqlink.errors import AuthUnavailable, GqlinkError
from gqlink.protocol import Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqlink.client.params import Credential, Reason
    from gqlink.client.recovery import Recovery
    from gqlink.client.settings import LinkSettings

__all__ = ("Presenter",)

# The question that the running code is to answer, also in the tasks that it starts.
_QUESTION: Final[ContextVar[object]] = ContextVar("gqlink question", default=None)


class _OutdatedError(Exception):
    """The credential has changed while it was being asked for."""


class Presenter:
    """Asks for the credential of a link.

    Args:
        settings: What the link keeps to.
        recovery: Knows why it is asked, and what was refused.
        release: Lets token sources go on that wait until a change has been followed.
    """

    def __init__(self, settings: LinkSettings, *, recovery: Recovery, release: Callable[[], Awaitable[None]]) -> None:
        self._params = settings.params
        self._clock = settings.clock
        self._recovery = recovery
        self._release = release
        self._errands = Errands("gqlink credential")
        self._changes = 0
        self._changes_seen = 0
        self._renewals = 0
        self._renewals_seen = 0
        self._told_by_source = False
        self._question: object = None
        self._outdated: asyncio.Future[None] | None = None
        self._answers_itself = False
        self.is_asking = False

    @property
    def is_behind(self) -> bool:
        """Whether the credential has changed since it was asked for."""
        return self._changes != self._changes_seen

    @property
    def has_newer(self) -> bool:
        """Whether the source has renewed its token since the credential was asked for."""
        return self._renewals != self._renewals_seen

    def changed(self, *, source: bool = False) -> bool:
        """Count a change.

        Args:
            source: Whether a token source tells it, of itself.

        Returns:
            Whether that is the doing of whoever is being asked: a function that logs in, say. It cannot wait until the
            link has followed. It is asked once more, for it may not have looked again; what it does then is no news.
        """
        own = self._question is not None and _QUESTION.get() is self._question
        if own and self._answers_itself:
            return True
        self._answers_itself |= own
        self._changes += 1
        self._told_by_source |= source
        if not own and self._outdated is not None and not self._outdated.done():
            self._outdated.set_result(None)
        return own

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
        changed, self._answers_itself, self.is_asking = connected, False, True
        try:
            while True:
                changed = changed or self.is_behind
                self._changes_seen, self._renewals_seen = self._changes, self._renewals
                credential = await self._ask_once(connected=connected, changed=changed)
                if credential is not None and not self.is_behind:
                    return credential
        finally:
            self.is_asking = False

    async def aclose(self) -> None:
        """End every question that is still open."""
        await self._errands.aclose()

    async def _ask_once(self, *, connected: bool, changed: bool) -> Credential | Ending | None:
        """Ask; None where the answer is not worth having."""
        try:
            return await (self._evaluate("changed") if connected else self._ask_anew(changed=changed))
        except _OutdatedError:
            return None
        except GqlinkError as exc:
            if self.is_behind:
                return None
            if not exc.temporary:
                raise
            # Whoever knows the credential cannot say now: that is no refusal.
            return Ending(Verdict.RETRY, reason=str(exc), fault=exc, dialled=False)

    async def _ask_anew(self, *, changed: bool) -> Credential:
        """Ask for a credential that is worth a connection."""
        recovery = self._recovery
        if not changed and recovery.reason in {"expired", "refused"}:
            await self._release()  # there is no socket, and a source that waits for us cannot answer us
            credential = await self._evaluate(recovery.reason, stale=recovery.stale)
            if credential.sourced == recovery.stale:  # there is no other: asking again would not help
                return credential
        else:
            credential = await self._evaluate("changed" if changed else recovery.reason)
        if credential.sourced is None:
            return credential
        if recovery.refusal_of(credential) is not None:  # HTTP may have learnt it, or a renewal
            await self._release()
            return await self._evaluate("refused", stale=credential.sourced)
        if not changed and credential.expires_at is not None and credential.expires_at <= self._clock.now():
            return await self._evaluate("expired", stale=credential.sourced)
        return credential

    async def _evaluate(self, reason: Reason, *, stale: str | None = None) -> Credential:
        """Ask one question, for as long as it is the right one.

        Raises:
            _OutdatedError: The credential has changed meanwhile.
            AuthUnavailable: It cannot be said now.
        """
        if self.is_behind:
            raise _OutdatedError
        self._question = question = object()
        self._outdated = outdated = asyncio.get_running_loop().create_future()
        asking = self._errands.start(self._put(question, reason, stale))
        try:
            await asyncio.wait([asking, outdated], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        finally:
            self._question = self._outdated = None
        if not asking.done():
            raise _OutdatedError
        if asking.cancelled():  # not our end, but that of something that the function waited for
            raise AuthUnavailable("what gives the credential was cancelled")
        return asking.result()

    async def _put(self, question: object, reason: Reason, stale: str | None) -> Credential:
        _QUESTION.set(question)
        return await self._params.evaluate(reason, stale=stale)
