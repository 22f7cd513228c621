"""How work reaches the database: a whole transaction at a time, never a statement at a time.

To hand a statement to another thread and its rows back costs more than the statement. So a piece of work is a plain
function of a connection. SQLite's runs in a thread that keeps its connection; PostgreSQL's runs in the event loop,
where its driver waits by itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from gqlink.chat.database import ASKED_AT, WRITING, open_async_engine, open_sqlite_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

Result = TypeVar("Result")

SQLITE_READERS: Final = 2  # threads: one slow query leaves another way


class Engines(Protocol):
    """Runs pieces of work, each in a transaction of its own."""

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run work that changes nothing, to its end although the caller is cancelled."""

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run work, and commit before returning; what it raises undoes it.

        Whoever is cancelled meanwhile does not know whether it was done.
        """

    async def aclose(self) -> None:
        """Let what has begun come to its end, then close every connection."""


def open_engines(url: URL) -> Engines:
    """Get ready to work with a database; it is connected to when it is first used.

    Raises:
        DataUnusable: SQLite's file cannot be made.
    """
    if url.get_backend_name() == "sqlite":
        return SqliteEngines(open_sqlite_engine(url))
    return AsyncEngines(open_async_engine(url))


class SqliteEngines:
    """One thread that writes, since SQLite has one writer at a time, and a few that read.

    Args:
        engine: Closed with this.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = _Threads(engine.execution_options(**WRITING), threads=1, name="gqlink-chat-writer")
        self._readers = _Threads(engine, threads=SQLITE_READERS, name="gqlink-chat-reader")

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """See `Engines`."""
        return await self._readers.run(work)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """See `Engines`."""
        return await self._writer.run(work)

    async def aclose(self) -> None:
        """See `Engines`."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._readers.close()
        self._engine.dispose()


class _Threads:
    """Threads that keep a connection each: to open one, or to fetch it from a pool, costs as much as to use it.

    Args:
        engine: Where the connections come from.
        threads: How many at most.
        name: What the threads are called.
    """

    def __init__(self, engine: Engine, *, threads: int, name: str) -> None:
        self._engine = engine
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._own = threading.local()
        self._connections: set[Connection] = set()

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Run work in a transaction, in one of the threads."""
        run = partial(self._run, work, asked_at=time.monotonic())
        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    def close(self) -> None:
        """Let what has begun come to its end, then end the threads; blocks."""
        self._executor.shutdown()
        for connection in self._connections:
            connection.close()

    def _run(self, work: Callable[[Connection], Result], *, asked_at: float) -> Result:
        connection = self._connection()
        connection.info[ASKED_AT] = asked_at
        try:
            with connection.begin():
                return work(connection)
        finally:
            self._tidy(connection)

    def _tidy(self, connection: Connection) -> None:
        if connection.invalidated:  # it broke in a way that the next one need not suffer from
            self._connections.discard(connection)
            del self._own.connection
            connection.close()
        else:
            # SQLite lets a transaction whose commit failed be mended and tried again. Nobody here does, and as long as
            # it is open no other process can write; where there is none, this does nothing.
            connection.connection.rollback()

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            self._own.connection = connection = self._engine.connect()
            self._connections.add(connection)
        return connection


class AsyncEngines:
    """A pool of connections whose driver waits in the event loop.

    Args:
        engine: Closed with this.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._begun: set[asyncio.Future[Any]] = set()

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """See `Engines`.

        A connection that is cut off in the middle of a query can only be thrown away, and not every driver does it
        well; hence the shield.
        """
        task = asyncio.create_task(self._read(work))
        self._begun.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """See `Engines`."""
        ended = asyncio.get_running_loop().create_future()
        self._begun.add(ended)
        try:
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            self._begun.discard(ended)
            ended.set_result(None)

    async def aclose(self) -> None:
        """See `Engines`."""
        if self._begun:
            await asyncio.wait(self._begun)
        await self._engine.dispose()

    async def _read(self, work: Callable[[Connection], Result]) -> Result:
        async with self._engine.connect() as connection:
            return await connection.run_sync(work)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._begun.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, in case that nobody is left to be told
