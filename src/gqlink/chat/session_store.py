"""Where the chat keeps its sessions; how one ends is `revocation_store`'s business, since its tokens end with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, update

from gqlink.chat.records import Account, Session
from gqlink.chat.tables import sessions, users

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection, Row

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
_SESSION = _SESSIONS.where(sessions.c.id == bindparam("session_id"))
_ROTATE = (
    update(sessions)
    .where(
        (sessions.c.id == bindparam("session_id"))
        & (sessions.c.generation == bindparam("present"))
        & sessions.c.ended_at.is_(None)
    )
    .values(generation=bindparam("next"), rotated_at=bindparam("moment"))
)


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
        old = delete(sessions).where(sessions.c.expires_at <= created_at)

        def work(connection: Connection) -> None:
            connection.execute(old)
            connection.execute(new)

        await self._database.write(work)
        return session

    async def going_on(self, *, now: datetime, account: Account | None = None) -> list[Session]:
        """List the sessions that go on, of one account or of all, by account and from the oldest to the newest.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        goes_on = sessions.c.ended_at.is_(None) & (sessions.c.expires_at > now)
        if account is not None:
            goes_on &= users.c.id == account.id
        query = _SESSIONS.where(goes_on).order_by(users.c.name_key, sessions.c.created_at, sessions.c.id)
        return [_session(row) for row in await self._database.fetch(query)]

    async def rotate(
        self, session_id: str, *, generation: int, rotated_at: datetime, check: Callable[[Session], None]
    ) -> Session | None:
        """Begin the next generation of a session, if its present one is `generation`.

        The database decides, so that processes agree: of several at once, one rotates.

        Args:
            session_id: Which session.
            generation: The one that it must have.
            rotated_at: The moment.
            check: Called with the session as it is; what it raises leaves the session alone, and is raised here. It may
                run in another thread.

        Returns:
            The session as it is now, rotated or not; None where there is none.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        parameters = {"session_id": session_id, "present": generation, "next": generation + 1, "moment": rotated_at}

        def work(connection: Connection) -> Session | None:
            session = _find(connection, session_id)
            if session is None:
                return None
            check(session)
            if session.generation != generation:
                return session
            if connection.execute(_ROTATE, parameters).rowcount == 1:
                return replace(session, generation=generation + 1, rotated_at=rotated_at)
            return _find(connection, session_id)  # somebody was faster, where writers do not take turns

        return await self._database.write(work)


def _find(connection: Connection, session_id: str) -> Session | None:
    row = connection.execute(_SESSION, {"session_id": session_id}).first()
    return None if row is None else _session(row)


def _session(row: Row[str, int, datetime | None, datetime, datetime, datetime | None, int, str, str, bool]) -> Session:
    number, generation, rotated_at, created_at, expires_at, ended_at, user_id, name, password_hash, is_demo = row
    return Session(
        id=number,
        account=Account(user_id, name, password_hash, is_demo),
        generation=generation,
        created_at=created_at,
        expires_at=expires_at,
        ended_at=ended_at,
        rotated_at=rotated_at,
    )
