"""The open database: reads that run to their end, writes in a transaction, and failures that are errors of ours."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVarTuple

from sqlalchemy import literal, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from gqlink.chat.database import WRITING, open_engine
from gqlink.chat.migrations import migrate
from gqlink.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from sqlalchemy import Row, Select
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Columns = TypeVarTuple("Columns")


class Database:
    """One database, as the stores work with it.

    Args:
        url: As `database_url` gives it.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine: AsyncEngine | None = None
        self._reads: set[asyncio.Future[Any]] = set()

    async def open(self) -> None:
        """Migrate the database, then get ready.

        Raises:
            DataUnusable: A newer gqlink wrote the database, it is not one of ours, or it cannot be reached.
        """
        # Migrations read files and block, so they run in a thread, with an engine of their own.
        await asyncio.to_thread(migrate, self._url)
        self._engine = open_engine(self._url)

    async def aclose(self) -> None:
        """Close every connection; what comes later is refused."""
        engine, self._engine = self._engine, None
        if engine is not None:
            if self._reads:
                await asyncio.wait(self._reads)
            await engine.dispose()

    async def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StoreUnavailable: There was none.
        """
        await self.fetch(select(literal(1)))

    async def fetch(self, query: Select[*Columns]) -> Sequence[Row[*Columns]]:
        """Run one query, to its end although the caller is cancelled.

        A connection that is cut off in the middle of a query can only be thrown away, and not every driver does it
        well.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        task = asyncio.ensure_future(self._fetch(query))
        self._reads.add(task)
        task.add_done_callback(self._forget_read)
        return await asyncio.shield(task)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Hold a transaction; on SQLite writers take turns from its beginning.

        Raises:
            StoreUnavailable: The database does not answer: nothing was written.
            IntegrityError: The tables do not allow it; likewise.
        """
        with _translated():
            async with self._opened().execution_options(**WRITING).begin() as connection:
                yield connection

    async def _fetch(self, query: Select[*Columns]) -> Sequence[Row[*Columns]]:
        with _translated():
            async with self._opened().connect() as connection:
                return (await connection.execute(query)).all()

    def _forget_read(self, task: asyncio.Future[Any]) -> None:
        self._reads.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, in case that nobody is left to be told

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailable
        return self._engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # means something to who wrote
    except (SQLAlchemyError, OSError) as exc:
        raise StoreUnavailable from exc
