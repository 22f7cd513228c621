"""What was revoked, in the database: it survives a restart, and reaches every process that shares the database."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVarTuple

from sqlalchemy import delete, exists, false, func, insert, select, text, update

from gqlink.auth import Revocation
from gqlink.chat.tables import revocations, sessions, users
from gqlink.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from gqlink.chat.connection import Database

Columns = TypeVarTuple("Columns")

PAGE: Final = 1000
PAGE_SECONDS: Final = 10.0

_MONTH: Final = 30 * 86_400.0

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
        seconds: How long a revocation is loaded: at least as long as whoever loads it honours an access token. Kept it
            is for twice as long, and a month at least: others may need it longer, and a wall clock that is wrong for a
            day must not delete what is still needed.
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
        swept_at = self._swept_at()

        def work(connection: Connection) -> int:
            ended = _end(connection, revocation)
            _take_turns(connection)
            connection.execute(delete(revocations).where(revocations.c.revoked_at <= swept_at))
            if revocation.subject is not None:
                # One for each session too: a token of theirs that was being made meanwhile may be later than this one.
                for session in ended:
                    _insert(connection, Revocation(session=session, revoked_at=revocation.revoked_at))
            _insert(connection, revocation)
            return len(ended)

        return await self._database.write(work)

    async def load(self) -> Sequence[Revocation]:
        """Return what is still remembered, oldest first; page by page, so that others have their turn in between.

        Raises:
            StoreUnavailable: The database does not answer, or takes more than ten seconds for a page.
        """
        forgotten_at = self._clock() - self._seconds
        first = select(func.min(revocations.c.id)).where(revocations.c.revoked_at > forgotten_at)
        ((oldest,),) = await self._in_time(first)
        if oldest is None:
            return []
        since = await self.later_than(oldest - 1)
        return [revocation for _, revocation in since if revocation.revoked_at > forgotten_at]

    async def later_than(self, number: int) -> Sequence[tuple[int, Revocation]]:
        """Return what came after revocation `number`, with the numbers, ascending; page by page, as `load` does.

        Raises:
            StoreUnavailable: The database does not answer, or takes more than ten seconds for a page.
        """
        found: list[tuple[int, Revocation]] = []
        while page := await self._page(number):
            found += page
            number, _ = page[-1]
        return found

    async def newest(self) -> int:
        """Return the number of the newest revocation; 0 when there is none.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        ((number,),) = await self._database.fetch(select(func.max(revocations.c.id)))
        return number or 0

    async def _page(self, number: int) -> list[tuple[int, Revocation]]:
        return [
            (
                row.id,
                Revocation(subject=row.subject, session=row.session, token_id=row.token_id, revoked_at=row.revoked_at),
            )
            for row in await self._in_time(
                _REVOCATIONS.where(revocations.c.id > number).order_by(revocations.c.id).limit(PAGE)
            )
        ]

    async def _in_time(self, query: Select[*Columns]) -> Sequence[Row[*Columns]]:
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                return await self._database.fetch(query)
        except TimeoutError:
            raise StoreUnavailable from None

    def _swept_at(self) -> float:
        return self._clock() - max(2 * self._seconds, _MONTH)


def _end(connection: Connection, revocation: Revocation) -> list[str]:
    """End the sessions that a revocation is about, as far as they go on; return their ids."""
    moment = datetime.fromtimestamp(revocation.revoked_at, UTC)
    goes_on = sessions.c.ended_at.is_(None) & (sessions.c.expires_at > moment)
    change = update(sessions).where(goes_on & _concerned(revocation)).values(ended_at=moment)
    return list((connection.scalars(change.returning(sessions.c.id))).all())


def _concerned(revocation: Revocation) -> ColumnElement[bool]:
    if revocation.session is not None:
        return sessions.c.id == revocation.session
    if revocation.subject is not None:
        return sessions.c.user_id.in_(select(users.c.id).where(users.c.name == revocation.subject))
    return false()  # a single token says nothing about its session


def _take_turns(connection: Connection) -> None:
    # A watcher asks for larger numbers than the last it saw, so numbers must become visible in their order. SQLite's
    # writers take turns anyway; PostgreSQL's would not.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _insert(connection: Connection, revocation: Revocation) -> None:
    values = {"subject": revocation.subject, "session": revocation.session, "token_id": revocation.token_id}
    # Whenever it was: a session or a token stays revoked, so that once is enough.
    once = {name: value for name, value in values.items() if name != "subject" and value is not None}
    if once and connection.scalar(select(exists().where(*(revocations.c[name] == once[name] for name in once)))):
        return
    connection.execute(insert(revocations).values(**values, revoked_at=revocation.revoked_at))
