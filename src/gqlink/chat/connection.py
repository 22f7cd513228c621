"""The open database: reads that run to their end, writes in a transaction, and failures that are errors of ours."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from sqlalchemy import literal, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from gqlink.chat.engines import open_engines
from gqlink.chat.migrations import migrate
from gqlink.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select
    from sqlalchemy.engine import URL

    from gqlink.chat.engines import Engines

Columns = TypeVarTuple("Columns")
Result = TypeVar("Result")

_SIGN_OF_LIFE = select(literal(1))


class NothingWritten(StoreUnavailable):
    """The database did not answer, and no work of a write had begun: there is nothing to look up."""


class Database:
    """One database, as the stores work with it.

    Args:
        url: As `database_url` gives it.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engines: Engines | None = None

    async def open(self) -> None:
        """Migrate the database, then get ready.

        Raises:
            DataUnusable: A newer gqlink wrote the database, it is not one of ours, or it cannot be reached.
        """
        # Migrations read files and block, so they run in a thread, with an engine of their own.
        await asyncio.to_thread(migrate, self._url)
        self._engines = open_engines(self._url)

    async def aclose(self) -> None:
        """Close every connection, after what has begun; what comes later is refused."""
        engines, self._engines = self._engines, None
        if engines is not None:
            await engines.aclose()

    async def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StoreUnavailable: There was none.
        """
        await self.fetch(_SIGN_OF_LIFE)

    async def fetch(
        self, query: Select[*Columns], parameters: Mapping[str, object] | None = None
    ) -> Sequence[Row[*Columns]]:
        """Run one query, to its end although the caller is cancelled.

        Args:
            query: One that is made once, and takes parameters, saves the time to make it.
            parameters: By the names in its `bindparam`s.

        Raises:
            StoreUnavailable: The database does not answer.
        """

        def work(connection: Connection) -> Sequence[Row[*Columns]]:
            return connection.execute(query, parameters).all()

        with _translated():
            return await self._opened().read(work)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run work in a transaction, and commit it; on SQLite writers take turns from its beginning.

        It may run in another thread, so it works with what it was given, and with nothing that changes meanwhile.

        Args:
            work: Runs statements. What it raises undoes them, and is raised here.

        Raises:
            NothingWritten: The database cannot be reached, is locked or closed: the work was not run.
            StoreUnavailable: The database fails. Where the connection was lost while it committed, it may have.
            IntegrityError: The tables do not allow it: nothing was written.
        """
        begun = False

        def noted(connection: Connection) -> Result:
            nonlocal begun
            begun = True
            return work(connection)

        try:
            with _translated():
                return await self._opened().write(noted)
        except StoreUnavailable as failure:
            if begun:
                raise
            raise NothingWritten from failure.__cause__

    def _opened(self) -> Engines:
        if self._engines is None:
            raise StoreUnavailable
        return self._engines


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # means something to who wrote
    except (SQLAlchemyError, OSError) as exc:
        raise StoreUnavailable from exc
