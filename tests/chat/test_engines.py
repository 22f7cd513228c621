from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from gqlink.chat.database import open_sqlite_engine
from gqlink.chat.engines import SQLITE_READERS, AsyncEngines, SqliteEngines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

    from gqlink.chat.engines import Engines

COUNT = text("SELECT count(*) FROM words")


@pytest.fixture(params=["threads", "event loop"])
async def engines(request: pytest.FixtureRequest, url: URL) -> AsyncIterator[Engines]:
    """Both ways to work, over a file of SQLite's, with a table of words."""
    sqlite = SqliteEngines(open_sqlite_engine(url))
    await sqlite.write(run("CREATE TABLE words (word TEXT PRIMARY KEY)"))
    if request.param == "threads":
        yield sqlite
        await sqlite.aclose()
    else:
        await sqlite.aclose()
        # The way of PostgreSQL, through SQLite's asynchronous driver: no server is needed to test what is ours.
        other = AsyncEngines(create_async_engine(url))
        yield other
        await other.aclose()


@pytest.fixture
async def sqlite(url: URL) -> AsyncIterator[SqliteEngines]:
    """SQLite, with a table of words."""
    sqlite = SqliteEngines(open_sqlite_engine(url))
    await sqlite.write(run("CREATE TABLE words (word TEXT PRIMARY KEY)"))
    yield sqlite
    await sqlite.aclose()


def run(statement: str) -> Callable[[Connection], None]:
    return lambda connection: connection.execute(text(statement)).close()


def count(connection: Connection) -> int:
    return int(connection.execute(COUNT).scalar_one())


async def test_what_was_written_is_read_afterwards(engines: Engines) -> None:
    """It was committed before the write returned, so that any other connection sees it."""
    await engines.write(run("INSERT INTO words VALUES ('a')"))
    assert await engines.read(count) == 1


async def test_work_that_fails_is_undone_as_a_whole(engines: Engines) -> None:
    """A transaction, whatever is raised in it; and the next one is none the worse."""

    def work(connection: Connection) -> None:
        run("INSERT INTO words VALUES ('a')")(connection)
        raise KeyError("after the first statement")

    with pytest.raises(KeyError):
        await engines.write(work)
    assert await engines.read(count) == 0
    await engines.write(run("INSERT INTO words VALUES ('b')"))
    assert await engines.read(count) == 1


async def test_a_reader_that_is_cancelled_leaves_the_connection_usable(engines: Engines) -> None:
    """Sockets close while their queries run."""
    readers = [asyncio.create_task(engines.read(count)) for _ in range(8)]
    await asyncio.sleep(0)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert await engines.read(count) == 0


async def test_closing_waits_for_what_has_begun(sqlite: SqliteEngines, url: URL) -> None:
    """Also when whoever asked for it has gone."""
    begun = threading.Event()
    goes_on = threading.Event()

    def work(connection: Connection) -> None:
        begun.set()
        goes_on.wait(10)
        run("INSERT INTO words VALUES ('late')")(connection)

    writer = asyncio.create_task(sqlite.write(work))
    await asyncio.to_thread(begun.wait, 10)
    writer.cancel()
    closing = asyncio.create_task(sqlite.aclose())
    await asyncio.sleep(0)
    goes_on.set()
    await closing
    with sqlite3.connect(str(url.database)) as connection:
        assert connection.execute("SELECT word FROM words").fetchall() == [("late",)]
    connection.close()


async def test_nobody_waits_to_read_while_somebody_writes(sqlite: SqliteEngines) -> None:
    """A reader sees what was committed before."""
    begun = threading.Event()
    goes_on = threading.Event()

    def work(connection: Connection) -> None:
        run("INSERT INTO words VALUES ('slow')")(connection)
        begun.set()
        goes_on.wait(10)

    writer = asyncio.create_task(sqlite.write(work))
    await asyncio.to_thread(begun.wait, 10)
    assert await sqlite.read(count) == 0
    goes_on.set()
    await writer
    assert await sqlite.read(count) == 1


async def test_two_processes_take_turns_to_write(sqlite: SqliteEngines, url: URL) -> None:
    """Each waits from the beginning of its transaction, so that what it has read is still so when it writes."""
    other = SqliteEngines(open_sqlite_engine(url))
    try:
        insert = text("INSERT INTO words SELECT 'word ' || count(*) FROM words")
        writes = [each.write(lambda connection: connection.execute(insert).close()) for each in [sqlite, other] * 10]
        await asyncio.gather(*writes)
    finally:
        await other.aclose()
    assert await sqlite.read(count) == 20


async def test_a_connection_that_broke_is_replaced(sqlite: SqliteEngines) -> None:
    """One failure is one failure."""

    def breaks(connection: Connection) -> None:
        connection.invalidate()
        raise KeyError("broken")

    for _ in range(SQLITE_READERS + 1):
        with pytest.raises(KeyError):
            await sqlite.read(breaks)
    with pytest.raises(KeyError):
        await sqlite.write(breaks)
    await sqlite.write(run("INSERT INTO words VALUES ('a')"))
    assert await sqlite.read(count) == 1


async def test_a_database_that_cannot_be_opened_says_so_each_time(tmp_path: Path) -> None:
    """And may be there the next time."""
    engines = SqliteEngines(create_engine(f"sqlite:///{tmp_path}/nowhere/chat.sqlite3"))
    for _ in range(2):
        with pytest.raises(OperationalError):
            await engines.read(count)
    (tmp_path / "nowhere").mkdir()
    await engines.write(run("CREATE TABLE words (word TEXT)"))
    assert await engines.read(count) == 0
    await engines.aclose()
