from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from gqlink.chat import database
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


async def test_closing_waits_for_what_has_begun_in_a_thread(sqlite: SqliteEngines, url: URL) -> None:
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


async def test_closing_waits_for_whatever_has_begun(engines: Engines) -> None:
    """Reads and writes come to their end, and their connections are closed with the others."""
    await engines.read(count)
    begun = [
        asyncio.create_task(engines.write(run("INSERT INTO words VALUES ('a')"))),
        asyncio.create_task(engines.read(count)),
    ]
    await asyncio.sleep(0)
    await engines.aclose()
    ended = [task.done() for task in begun]
    await asyncio.wait(begun)
    await engines.aclose()  # which closes what was left open, were it not for the first time
    assert ended == [True, True]


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


async def test_all_who_wait_for_another_processs_write_wait_at_the_same_time(
    url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hears after `BUSY_SECONDS` that the database is locked, not after those of everybody before it."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    sqlite = SqliteEngines(open_sqlite_engine(url))
    try:
        await sqlite.write(run("CREATE TABLE words (word TEXT)"))
        with closing(sqlite3.connect(str(url.database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writes = [asyncio.create_task(sqlite.write(run("INSERT INTO words VALUES ('a')"))) for _ in range(30)]
            refused, waiting = await asyncio.wait(writes, timeout=15)
            other.execute("ROLLBACK")
        assert not waiting
        assert all(isinstance(each.exception(), OperationalError) for each in refused)
    finally:
        await sqlite.aclose()


@pytest.fixture
async def children(sqlite: SqliteEngines) -> SqliteEngines:
    """With a table in which a commit can fail: what a child refers to is looked for only then."""
    reference = "REFERENCES words (word) DEFERRABLE INITIALLY DEFERRED"
    await sqlite.write(run(f"CREATE TABLE children (word TEXT {reference})"))
    return sqlite


async def test_a_commit_that_fails_leaves_nothing_locked(children: SqliteEngines, url: URL) -> None:
    """What could not be committed is undone at once: other processes can write, also before the next write here."""
    with pytest.raises(IntegrityError):
        await children.write(run("INSERT INTO children VALUES ('orphan')"))
    with closing(sqlite3.connect(str(url.database), timeout=0.05)) as other, other:
        other.execute("INSERT INTO words VALUES ('a')")


async def test_a_commit_that_fails_is_no_reason_for_the_next_write_to_fail(children: SqliteEngines) -> None:
    """One failure is one failure."""
    with pytest.raises(IntegrityError):
        await children.write(run("INSERT INTO children VALUES ('orphan')"))
    await children.write(run("INSERT INTO words VALUES ('a')"))


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
