"""Which database, and how it is spoken to: SQLite beside the signing keys, or PostgreSQL by URL."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gqlink.chat.data import DATABASE_FILE, prepare_file
from gqlink.errors import DataUnusable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry

DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
BUSY_SECONDS: Final = 5
ABANDONED_SECONDS: Final = 30
WRITING: Final = {"gqlink_writing": True}  # the execution options of a connection that writes
ASKED_AT: Final = "gqlink_asked_at"  # in a connection's `info`: when its work was asked for, in monotonic seconds


def database_url(data_dir: Path, *, given: str | None) -> URL:
    """Say which database to use.

    Args:
        data_dir: Where SQLite's file lies when no database is given.
        given: "sqlite:///path" or "postgresql://user:password@host/name", or None.

    Raises:
        DataUnusable: The URL cannot be read, is for another kind of database, or for one in memory, which
            every connection would see differently.
    """
    if given is None:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / DATABASE_FILE))
    try:
        url = make_url(given)
    except ArgumentError:
        raise DataUnusable("the database URL", detail="cannot be read as a URL") from None
    if url.drivername not in DRIVERS:
        raise DataUnusable(shown(url), detail="only sqlite and postgresql are supported")
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise DataUnusable(shown(url), detail="SQLite needs a file here: sqlite:///path")
    return url.set(drivername=DRIVERS[url.drivername])


def shown(url: URL) -> str:
    """Write a URL for people and logs, without its password."""
    return url.render_as_string(hide_password=True)


# In all three engines `hide_parameters`: what a statement carries, a password's hash say, would stand in its error's
# text, and so in the log.


def open_sqlite_engine(url: URL) -> Engine:
    """Make the engine that works with SQLite's file, from threads; it connects when it is first used.

    Raises:
        DataUnusable: SQLite's file cannot be made.
    """
    _prepare_file(url)
    engine = create_engine(url.set(drivername="sqlite+pysqlite"), hide_parameters=True)
    _teach_sqlite(engine, foreign_keys=True)
    return engine


def open_async_engine(url: URL) -> AsyncEngine:
    """Make the engine that works with a database server; it connects when it is first used."""
    engine = create_async_engine(url, pool_pre_ping=True, hide_parameters=True)
    if url.get_backend_name() == "postgresql":
        event.listen(engine.sync_engine, "connect", _teach_postgresql)
    return engine


def open_migration_engine(url: URL) -> AsyncEngine:
    """Make the engine that migrates: it keeps no connection, and SQLite's foreign keys are off.

    With them on, writing a table anew, which is how SQLite alters one, would delete what refers to it.

    Raises:
        DataUnusable: SQLite's file cannot be made.
    """
    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
    if url.get_backend_name() == "sqlite":
        _prepare_file(url)
        _teach_sqlite(engine.sync_engine, foreign_keys=False)
    return engine


def _prepare_file(url: URL) -> None:
    prepare_file(Path(url.database or ""))


def _teach_postgresql(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # What a connection holds that was lost without a word, as where a network was cut, nobody else can have until the
    # server notices; by itself it may take hours to.
    connection.autocommit = True  # or the end of a transaction undoes it
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{ABANDONED_SECONDS}s'")
    cursor.close()
    connection.autocommit = False


def _teach_sqlite(engine: Engine, *, foreign_keys: bool) -> None:
    pragmas = (
        f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
        "PRAGMA journal_mode = WAL",
        # What was committed survives a power cut, too, whatever SQLite was compiled with: a revocation that came undone
        # would let somebody in again, and a message that was answered is stored. It costs a sync of the log per commit.
        "PRAGMA synchronous = FULL",
        f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}",
    )

    def configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver would open transactions late, and none for DDL
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    def begin(connection: Connection) -> None:
        # Writers queue up at the start: a transaction that reads first and then writes can fail at once, without
        # waiting, when another wrote in between. Readers run single statements and need no transaction.
        if connection.get_execution_options().get("gqlink_writing"):
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_milliseconds_left(connection)}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begin)


def _milliseconds_left(connection: Connection) -> int:
    """Say how long work may still wait for another process: what waited in a queue before it has waited already."""
    now = time.monotonic()
    asked_at: float = connection.info.get(ASKED_AT, now)
    return max(0, round((asked_at + BUSY_SECONDS - now) * 1000))
