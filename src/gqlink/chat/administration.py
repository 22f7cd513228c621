"""What whoever administers a server may do beside it: make accounts, see who is logged in, end sessions."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gqlink.auth import Revocation
from gqlink.errors import BadUserInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.chat.accounts import Accounts
    from gqlink.chat.records import Account, Session
    from gqlink.chat.revocation_store import SqlRevocationStore
    from gqlink.chat.session_store import SessionStore
    from gqlink.chat.store import Store


class Administration:
    """The accounts and sessions of a server that may be running; it notices by itself.

    Args:
        store: Where the accounts are.
        accounts: Makes them.
        sessions: Where the sessions are.
        revocations: Ends sessions; a server that shares the database learns of it within about a second.
        clock: Seconds since the Unix epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        accounts: Accounts,
        sessions: SessionStore,
        revocations: SqlRevocationStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = accounts
        self._store = store
        self._sessions = sessions
        self._revocations = revocations
        self._clock = clock

    async def sessions(self, name: str | None = None) -> list[Session]:
        """List the sessions that go on, of one account or of all, by account and from the oldest to the newest.

        Raises:
            BadUserInput: There is no such account.
            StoreUnavailable: The database does not answer.
        """
        account = None if name is None else await self._account(name)
        return await self._going_on(account)

    async def revoke(self, name: str, *, session: str | None = None) -> int:
        """End the sessions of an account: its refresh tokens, access tokens and sockets.

        Args:
            name: The account.
            session: Only this one: its id, or the beginning of its id where no other session of the account begins so.

        Returns:
            How many have been ended.

        Raises:
            BadUserInput: There is no such account, or not exactly one such session.
            StoreUnavailable: The database does not answer: nothing has been changed.
        """
        account = await self._account(name)
        now = self._clock()
        if session is None:
            return await self._revocations.end_sessions(Revocation(subject=account.name, revoked_at=now))
        found = await self._find(account, session)
        return await self._revocations.end_sessions(Revocation(session=found.id, revoked_at=now))

    async def _account(self, name: str) -> Account:
        account = await self._store.account(name)
        if account is None:
            raise BadUserInput(f"There is no account {name[:64]!r}.")
        return account

    async def _find(self, account: Account, beginning: str) -> Session:
        going_on = await self._going_on(account)
        found = [session for session in going_on if beginning and session.id.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        which = "Several sessions of {} begin" if found else "No session of {} that goes on begins"
        raise BadUserInput(f"{which.format(account.name)} with {beginning[:64]!r}.")

    async def _going_on(self, account: Account | None) -> list[Session]:
        return await self._sessions.going_on(now=datetime.fromtimestamp(self._clock(), UTC), account=account)
