"""Where the chat keeps its sessions; how one ends is `revocation_store`'s business, since its tokens end with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from gqlink.chat.records import Account, Session
from gqlink.chat.tables import sessions, users

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from gqlink.chat.connection import Database

_SESSIONS = select(
    sessions.c.id,
    sessions.c.generation,
    sessions.c.rotated_at,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.ended_at,
    users.c.id.label("user_id"),
    users.c.name,
    users.c.password_hash,
    users.c.is_demo,
).join(users, sessions.c.user_id == users.c.id)


class SessionStore:
    """The table of sessions.

    Args:
        database: Opened and closed by the caller.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session_id: str, *, account: Account, created_at: datetime, expires_at: datetime) -> Session:
        """Add a session, and forget those of anybody that have reached their age.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        session = Session(session_id, account, generation=1, created_at=created_at, expires_at=expires_at)
        new = insert(sessions).values(
            id=session.id,
            user_id=account.id,
            generation=session.generation,
            created_at=created_at,
            expires_at=expires_at,
        )
        async with self._database.writing() as connection:
            await connection.execute(delete(sessions).where(sessions.c.expires_at <= created_at))
            await connection.execute(new)
        return session

    async def find(self, session_id: str) -> Session | None:
        """Find a session by its id, also one that has ended.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        return next(iter(await self._select(sessions.c.id == session_id)), None)

    async def going_on(self, *, now: datetime, account: Account | None = None) -> list[Session]:
        """List the sessions that go on, of one account or of all, by account and from the oldest to the newest.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        goes_on = sessions.c.ended_at.is_(None) & (sessions.c.expires_at > now)
        return await self._select(goes_on if account is None else goes_on & (users.c.id == account.id))

    async def rotate(self, session: Session, *, rotated_at: datetime) -> Session | None:
        """Begin the next generation of a session, unless somebody else has done so, or it has ended.

        The database decides, so that processes agree: of several at once, one rotates.

        Returns:
            The session as it is now; None where nothing has been changed.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        unchanged = (
            (sessions.c.id == session.id)
            & (sessions.c.generation == session.generation)
            & sessions.c.ended_at.is_(None)
        )
        rotated = replace(session, generation=session.generation + 1, rotated_at=rotated_at)
        change = update(sessions).where(unchanged).values(generation=rotated.generation, rotated_at=rotated_at)
        async with self._database.writing() as connection:
            count = (await connection.execute(change)).rowcount
        return rotated if count == 1 else None

    async def _select(self, condition: ColumnElement[bool]) -> list[Session]:
        query = _SESSIONS.where(condition).order_by(users.c.name_key, sessions.c.created_at, sessions.c.id)
        return [
            Session(
                id=row.id,
                account=Account(row.user_id, row.name, row.password_hash, row.is_demo),
                generation=row.generation,
                created_at=row.created_at,
                expires_at=row.expires_at,
                ended_at=row.ended_at,
                rotated_at=row.rotated_at,
            )
            for row in await self._database.fetch(query)
        ]
