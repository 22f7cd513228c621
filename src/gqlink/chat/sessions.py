"""Sessions: from a login to a logout, longer than any access token lives."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gqlink.errors import InvalidToken, SessionRevoked, TokenExpired

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.auth import Token, TokenSigner
    from gqlink.chat.accounts import Accounts
    from gqlink.chat.records import Account, Session
    from gqlink.chat.refresh_tokens import RefreshTokens
    from gqlink.chat.store import Store


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
        token_lifetime: Of an access token, in seconds.
        lifetime: Of a session, in seconds from the login; then the password is asked for again.
        clock: Seconds since the Unix epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        accounts: Accounts,
        signer: TokenSigner,
        refresh_tokens: RefreshTokens,
        token_lifetime: float,
        lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._signer = signer
        self._refresh_tokens = refresh_tokens
        self._token_lifetime = token_lifetime
        self._lifetime = timedelta(seconds=lifetime)
        self._clock = clock

    async def open(self, account: Account) -> Grant:
        """Begin a session of somebody who has just proved who they are.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        now = self._now()
        session = await self._store.add_session(
            secrets.token_urlsafe(16), account=account, created_at=now, expires_at=now + self._lifetime
        )
        return self._grant(session, now=now)

    async def renew(self, refresh_token: Token) -> Grant:
        """Give the next access token to whoever holds the refresh token of a session.

        Raises:
            InvalidToken: It is not a refresh token of ours, or not the session's present one.
            TokenExpired: The session has reached its age.
            SessionRevoked: Its user has logged out, or may not log in any more.
            StoreUnavailable: The database does not answer.
        """
        session_id, generation = self._refresh_tokens.read(refresh_token)
        session = await self._store.session(session_id)
        if session is None or generation != session.generation:
            raise InvalidToken("a refresh token that is no longer, or not yet, of use")
        now = self._now()
        self._refuse_if_over(session, now=now)
        return self._grant(session, now=now)

    async def end(self, refresh_token: Token) -> None:
        """Log out; harmless to repeat.

        Raises:
            InvalidToken: It is not a refresh token of ours.
            StoreUnavailable: The database does not answer: the session goes on.
        """
        session_id, _ = self._refresh_tokens.read(refresh_token)
        await self._store.end_session(session_id, ended_at=self._now())

    async def end_of(self, token: Token) -> None:
        """Log out whoever holds an access token and has kept no refresh token.

        Raises:
            InvalidToken: It is not an access token of ours, or it has expired.
            StoreUnavailable: The database does not answer: the session goes on.
        """
        session_id = self._signer.verify(token, now=self._clock()).session
        if session_id is not None:
            await self._store.end_session(session_id, ended_at=self._now())

    def _refuse_if_over(self, session: Session, *, now: datetime) -> None:
        if session.ended_at is not None or not self._accounts.may_log_in(session.account):
            raise SessionRevoked
        if session.expires_at <= now:
            raise TokenExpired(expired_at=session.expires_at.timestamp())

    def _grant(self, session: Session, *, now: datetime) -> Grant:
        left = (session.expires_at - now).total_seconds()
        lifetime = min(self._token_lifetime, left)  # nothing outlives its session
        name = session.account.name
        token = self._signer.issue(name, now=now.timestamp(), session=session.id, lifetime=lifetime)
        refresh_token = self._refresh_tokens.write(session.id, generation=session.generation)
        return Grant(name, token, lifetime, refresh_token, left)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
