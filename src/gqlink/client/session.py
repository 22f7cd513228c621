"""One login at a server, from the first token to the last.

A session is one object, and what comes too late belongs to another one: an answer to a refresh is kept by the session
that asked for it, and whoever holds the present session compares which one that is. So no counter can be forgotten.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gqlink.client.sharing import SharedCall
from gqlink.errors import SessionRevoked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqlink.client.clock import Clock
    from gqlink.client.login_server import Grant, LoginServer
    from gqlink.client.tokens import Change

__all__ = ("LoginIdentity", "Session")

_log: Final = logging.getLogger("gqlink.client")


@dataclass(frozen=True, slots=True)
class LoginIdentity:
    """Who is logged in.

    Args:
        subject: The name that was logged in with.
        expires_at: When the token ends, in seconds of the monotonic clock (the event loop's `time()`), counted by
            `expiresIn` from the moment it was asked for; never compared with the machine's date.
    """

    subject: str
    expires_at: float


class Session:
    """Its tokens, and one refresh at a time.

    Args:
        server: Where it is.
        clock: Tells when a token ends.
        refresh_token: For the next token; None where there is none.
        on_change: Called when a refresh has brought another token than there was, or has found the session over.
        on_rotated: Awaited with each new refresh token, before anything else happens with its access token.
    """

    def __init__(
        self,
        server: LoginServer,
        *,
        clock: Clock,
        refresh_token: str | None,
        on_change: Callable[[Session, Change], object],
        on_rotated: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._server = server
        self._clock = clock
        self._refresh_token = refresh_token
        self._on_change = on_change
        self._on_rotated = on_rotated
        self._ended = False
        self.token: str | None = None
        self.expires_at: float | None = None
        self.subject: str | None = None
        self.renew = SharedCall(self._renew, name="the refresh of a session")

    @property
    def identity(self) -> LoginIdentity | None:
        """Whose it is, once that is known."""
        if self.subject is None or self.expires_at is None:
            return None
        return LoginIdentity(self.subject, self.expires_at)

    @property
    def renewable(self) -> bool:
        """Whether asking for another token makes sense."""
        return self._refresh_token is not None

    def keep(self, grant: Grant, *, asked_at: float, subject: str | None = None) -> None:
        """Take what the server gave.

        Args:
            grant: It.
            asked_at: When it was asked for, in seconds of the clock.
            subject: Whose it is; None for whoever the server says. A session is one person's: what is known stays,
                even if the server spells the name in another way.
        """
        self.token = grant.token.value
        self.expires_at = asked_at + (grant.token.expires_in or 0.0)
        self.subject = self.subject or subject or grant.name
        self._refresh_token = grant.refresh_token or self._refresh_token

    async def end(self) -> None:
        """Tell the server that it is over; nothing to tell where there is no refresh token.

        Raises:
            RequestFailed: It could not be told: the session may live on there.
        """
        self._ended = True
        await self._server.logout(self._refresh_token)

    async def end_quietly(self) -> None:
        """Likewise, but a failure is logged."""
        self._ended = True
        await self._server.logout_quietly(self._refresh_token)

    async def _renew(self) -> None:
        assert self._refresh_token is not None
        asked_at = self._clock.now()
        is_first = self.token is None
        try:
            grant = await self._server.refresh(self._refresh_token)
        except SessionRevoked as exc:
            _log.info("a session is over: %s", exc)
            self.token = self.expires_at = self._refresh_token = None
            self._on_change(self, "changed")
            return
        if grant.refresh_token is not None and grant.refresh_token != self._refresh_token:
            await self._rotate(grant.refresh_token)
        self.keep(grant, asked_at=asked_at)
        if not is_first:
            self._on_change(self, "renewed")

    async def _rotate(self, refresh_token: str) -> None:
        self._refresh_token = refresh_token
        if self._ended:
            await self.end_quietly()  # the logout did not know this one yet
        elif self._on_rotated is not None:
            try:
                await self._on_rotated(refresh_token)
            except Exception as exc:  # noqa: BLE001 -- the session goes on, whoever cannot keep its tokens
                _log.error("on_rotated failed: %s", type(exc).__name__)
