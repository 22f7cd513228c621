"""Sessions: from a login to a logout, longer than any access token lives.

Refresh tokens rotate. Whoever presents the present one, token n, gets n + 1. Whoever presents n - 1 soon after gets n
again: two tabs that ask at once, a page that was reloaded twice, an answer that was lost. Anything older, and n - 1
later than that, is somebody's copy: either the thief or the owner comes second, and nobody can tell which, so the
session ends for both.

Source: RFC 9700, section 4.14.2.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from gqlink.errors import InvalidToken, SessionRevoked, TokenExpired

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqlink.auth import Token, TokenSigner
    from gqlink.chat.accounts import Accounts
    from gqlink.chat.records import Account, Session
    from gqlink.chat.refresh_tokens import RefreshTokens
    from gqlink.chat.session_store import SessionStore

REUSE_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody who is logged in holds.

    Attributes:
        name: The account's name.
        token: The access token.
        expires_in: How long it lasts, in seconds.
        refresh_token: What the next access token can be had for.
        session_expires_in: How long that one lasts, in seconds.
    """

    name: str
    token: Token
    expires_in: float
    refresh_token: Token
    session_expires_in: float


class Sessions:
    """Who is logged in, on which device.

    Args:
        store: Where the sessions are.
        accounts: Says who may still log in.
        signer: Signs the access tokens; they carry the session's id as `sid`.
        refresh_tokens: Writes and reads the others.
        revoke: Ends a session, given its id: refreshing, access tokens and sockets, at once; harmless to repeat.
        token_lifetime: Of an access token, in seconds.
        lifetime: Of a session, in seconds from the login; then the password is asked for again.
        clock: Seconds since the Unix epoch.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        accounts: Accounts,
        signer: TokenSigner,
        refresh_tokens: RefreshTokens,
        revoke: Callable[[str], Awaitable[None]],
        token_lifetime: float,
        lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._signer = signer
        self._refresh_tokens = refresh_tokens
        self._revoke = revoke
        self._token_lifetime = token_lifetime
        self._lifetime = timedelta(seconds=lifetime)
        self._clock = clock

    async def open(self, account: Account) -> Grant:
        """Begin a session of somebody who has just proved who they are.

        Raises:
            TokenExpired: The session has reached its age before it was begun: the clock has jumped.
            StoreUnavailable: The database does not answer.
        """
        now = self._now()
        session = await self._store.add(
            secrets.token_urlsafe(16), account=account, created_at=now, expires_at=now + self._lifetime
        )
        return self._grant(session)

    async def renew(self, refresh_token: Token) -> Grant:
        """Give the next access token, and the next refresh token, to whoever holds a session's present one.

        For 30 seconds the one before gets the same refresh token again, and an access token of its own.

        Raises:
            InvalidToken: It is not a refresh token of ours, or its session is forgotten.
            TokenExpired: The session has reached its age.
            SessionRevoked: The session was ended, is ended now because of a token that has had its turn, or its user
                may not log in any more.
            StoreUnavailable: The database does not answer.
            AuthUnavailable: A session that must end could not be ended everywhere.
        """
        session_id, presented = self._refresh_tokens.read(refresh_token)
        now = self._now()
        check = partial(self._refuse_if_over, now=now)
        session = await self._store.rotate(session_id, generation=presented, rotated_at=now, check=check)
        if session is None:
            raise InvalidToken("a refresh token of a session that is forgotten")
        self._refuse_if_over(session, now=now)
        if not _is_the_one_before(session, presented, now=now):
            whose = {"session": session.id, "subject": session.account.name}
            text = "session %s of %s ended: an old refresh token was used"
            log.warning(text, *whose.values(), extra={"gqlink_event": "refresh_token_reused", **whose})
            await self._revoke(session.id)
            raise SessionRevoked
        return self._grant(session)

    async def end(self, refresh_token: Token) -> None:
        """Log out: its access tokens and its sockets end too, at once. Harmless to repeat.

        Raises:
            InvalidToken: It is not a refresh token of ours.
            AuthUnavailable: The session could not be ended everywhere; it is to be ended again.
            StoreUnavailable: Likewise.
        """
        session_id, _ = self._refresh_tokens.read(refresh_token)
        await self._revoke(session_id)

    async def end_of(self, token: Token) -> None:
        """Log out whoever holds an access token and has kept no refresh token.

        Raises:
            InvalidToken: It is not an access token of ours, or it has expired.
            AuthUnavailable: The session could not be ended everywhere; it is to be ended again.
            StoreUnavailable: Likewise.
        """
        session_id = self._signer.verify(token, now=self._clock()).session
        if session_id is not None:
            await self._revoke(session_id)

    def _refuse_if_over(self, session: Session, *, now: datetime) -> None:
        if session.ended_at is not None or not self._accounts.may_log_in(session.account):
            raise SessionRevoked
        if session.expires_at <= now:
            raise TokenExpired(expired_at=session.expires_at.timestamp())

    def _grant(self, session: Session) -> Grant:
        # The time after the database has answered: writing may have waited for a revocation of all that was issued
        # until then, which this token is not to be among.
        now = self._now()
        self._refuse_if_over(session, now=now)
        left = (session.expires_at - now).total_seconds()
        lifetime = min(self._token_lifetime, left)  # nothing outlives its session
        name = session.account.name
        token = self._signer.issue(name, now=now.timestamp(), session=session.id, lifetime=lifetime)
        refresh_token = self._refresh_tokens.write(session.id, generation=session.generation)
        return Grant(name, token, lifetime, refresh_token, left)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _is_the_one_before(session: Session, presented: int, *, now: datetime) -> bool:
    """Say whether a token is the one that the present one has just replaced."""
    if session.rotated_at is None or presented != session.generation - 1:
        return False
    # Either way: a wall clock that was set back by a day must not give a copy a day more.
    return abs((now - session.rotated_at).total_seconds()) <= REUSE_SECONDS
