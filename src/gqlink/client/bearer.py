"""The token of an HTTP request: one that has not ended and was not refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqlink.client.clock import SystemClock
from gqlink.client.refusals import refusals_of
from gqlink.errors import SessionRevoked

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqlink.client.clock import Clock
    from gqlink.client.tokens import Change, TokenSource, Unsubscribe
    from gqlink.errors import GqlinkError

__all__ = ("Bearer",)


class Bearer:
    """What a link presents, and what it does about a refusal.

    Args:
        source: Of the tokens.
        clock: For tests.
    """

    def __init__(self, source: TokenSource, *, clock: Clock | None) -> None:
        self._source = source
        self._clock = clock or SystemClock()
        self._refusals = refusals_of(source)
        self._unsubscribe: Unsubscribe | None = None
        self.changes = 0

    async def present(self) -> str | None:
        """Return the token to send: the source's, or its next one where that has ended or was refused.

        One that has ended by our count is sent all the same where there is no other: the server decides.

        Raises:
            AuthUnavailable: Another token is needed, and cannot be had now.
            SessionRevoked: The login ended, or another one took its place, while another token was asked for.
            GqlinkError: The source failed; or its token was refused and there is no other: then this is the refusal.
        """
        if self._unsubscribe is None:
            self._unsubscribe = self._source.subscribe(self._count)
        token = await self._source.token()
        if token is None:
            return None
        refusal = self._refusals.find(token)
        if refusal is not None or self._has_ended():
            token = await self._next(token, refusal)
        refusal = self._refusals.find(token)
        if refusal is not None:
            raise refusal
        return token

    async def replace(self, token: str, *, error: GqlinkError) -> str | None:
        """Return another token for one that was refused; None where there is none.

        Raises:
            AuthUnavailable: It cannot be had now.
            GqlinkError: The source failed.
        """
        self.refused(token, error=error)
        fresh = await self._source.refresh(token)
        return None if self._refusals.find(fresh) is not None else fresh

    def refused(self, token: str, *, error: GqlinkError) -> None:
        """Remember a refusal, for all links that use the source."""
        self._refusals.refused(token, error)

    def changed(self) -> None:
        """Count a change that the source did not tell of, because it does not know."""
        self.changes += 1

    def close(self) -> None:
        """Listen to the source no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    async def _next(self, token: str, refusal: GqlinkError | None) -> str:
        """Ask for another token of the same login: what one person wants is not done in the name of another."""
        changes = self.changes
        fresh = await self._source.refresh(token)
        if fresh is None or self.changes != changes:
            raise refusal or SessionRevoked("the login ended before the operation was sent")
        return fresh

    def _has_ended(self) -> bool:
        expires_at = self._source.expires_at
        return expires_at is not None and expires_at <= self._clock.now()

    def _count(self, change: Change) -> Awaitable[None]:
        # In the moment of the change and not a turn later: whoever waits for a refresh looks at it next.
        self.changes += change == "changed"
        return _followed()


async def _followed() -> None:
    """Every request asks for its token: there is nothing to bring up to date."""
