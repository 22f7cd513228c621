"""What was revoked, in the database: it survives a restart, and reaches every process that shares the database."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, exists, false, func, insert, select, text, update

from gqlink.auth import Revocation
from gqlink.chat.tables import revocations, sessions, users

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from gqlink.chat.connection import Database

# Any number that no other user of the database takes for its own lock.
_ADVISORY_LOCK: Final = 0x67716C72766B

_REVOCATIONS = select(
    revocations.c.id,
    revocations.c.subject,
    revocations.c.session,
    revocations.c.token_id,
    revocations.c.revoked_at,
)


class SqlRevocationStore:
    """The table of revocations; implements `gqlink.server.RevocationStore`.

    A session ends in the same transaction that revokes its access tokens: there is no moment, and no failure, after
    which only one of the two is true. So revoking, by whichever way, is the one manner in which a session ends before
    its age.

    Args:
        database: Opened and closed by the caller.
        seconds: How long a revocation is remembered: at least as long as an access token lives.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, database: Database, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock

    async def add(self, revocation: Revocation) -> None:
        """Remember a revocation, and end the sessions that it is about; harmless to repeat.

        Raises:
            StoreUnavailable: The database does not answer: nothing has been changed.
        """
        await self.end_sessions(revocation)

    async def end_sessions(self, revocation: Revocation) -> int:
        """Do what `add` does.

        Returns:
            How many sessions it has ended.

        Raises:
            StoreUnavailable: The database does not answer: nothing has been changed.
        """
        moment = revocation.revoked_at
        async with self._database.writing() as connection:
            ended = await _end(connection, revocation)
            await _take_turns(connection)
            await connection.execute(delete(revocations).where(revocations.c.revoked_at <= self._forgotten_at()))
            if revocation.subject is not None:
                # One for each session too: a token of theirs that was being made meanwhile may be later than `moment`.
                for session in ended:
                    await _insert(connection, Revocation(session=session, revoked_at=moment))
            await _insert(connection, revocation)
        return len(ended)

    async def load(self) -> Sequence[Revocation]:
        """Return what is still remembered, oldest first.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        remembered = revocations.c.revoked_at > self._forgotten_at()
        return [revocation for _, revocation in await self._select(remembered)]

    async def later_than(self, number: int) -> Sequence[tuple[int, Revocation]]:
        """Return what came after revocation `number`, with the numbers, ascending.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        return await self._select(revocations.c.id > number)

    async def newest(self) -> int:
        """Return the number of the newest revocation; 0 when there is none.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        ((number,),) = await self._database.fetch(select(func.max(revocations.c.id)))
        return number or 0

    async def _select(self, condition: ColumnElement[bool]) -> Sequence[tuple[int, Revocation]]:
        rows = await self._database.fetch(_REVOCATIONS.where(condition).order_by(revocations.c.id))
        return [
            (
                row.id,
                Revocation(subject=row.subject, session=row.session, token_id=row.token_id, revoked_at=row.revoked_at),
            )
            for row in rows
        ]

    def _forgotten_at(self) -> float:
        return self._clock() - self._seconds


async def _end(connection: AsyncConnection, revocation: Revocation) -> list[str]:
    """End the sessions that a revocation is about, as far as they go on; return their ids."""
    moment = datetime.fromtimestamp(revocation.revoked_at, UTC)
    goes_on = sessions.c.ended_at.is_(None) & (sessions.c.expires_at > moment)
    change = update(sessions).where(goes_on & _concerned(revocation)).values(ended_at=moment)
    return list((await connection.scalars(change.returning(sessions.c.id))).all())


def _concerned(revocation: Revocation) -> ColumnElement[bool]:
    if revocation.session is not None:
        return sessions.c.id == revocation.session
    if revocation.subject is not None:
        return sessions.c.user_id.in_(select(users.c.id).where(users.c.name == revocation.subject))
    return false()  # a single token says nothing about its session


async def _take_turns(connection: AsyncConnection) -> None:
    # A watcher asks for larger numbers than the last it saw, so numbers must become visible in their order. SQLite's
    # writers take turns anyway; PostgreSQL's would not.
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


async def _insert(connection: AsyncConnection, revocation: Revocation) -> None:
    values = {"subject": revocation.subject, "session": revocation.session, "token_id": revocation.token_id}
    # Whenever it was: a session or a token stays revoked, so that once is enough.
    once = {name: value for name, value in values.items() if name != "subject" and value is not None}
    if once and await connection.scalar(select(exists().where(*(revocations.c[name] == once[name] for name in once)))):
        return
    await connection.execute(insert(revocations).values(**values, revoked_at=revocation.revoked_at))
