from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from gqlink.chat.database import (
    database_url,
    open_async_engine,
    open_migration_engine,
    open_sqlite_engine,
    shown,
)
from gqlink.errors import DataUnusable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


def test_the_database_is_a_file_in_the_data_directory_by_default() -> None:
    """Nothing needs to be installed beside gqlink."""
    assert database_url(Path("/data"), given=None).database == "/data/chat.sqlite3"


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:////data/other.sqlite3", "sqlite+aiosqlite"),
        ("postgres://chat@db/chat", "postgresql+asyncpg"),
        ("postgresql://chat@db/chat", "postgresql+asyncpg"),
        ("postgresql+asyncpg://chat@db/chat", "postgresql+asyncpg"),
    ],
)
def test_a_url_gets_the_asynchronous_driver(given: str, driver: str) -> None:
    """Nobody needs to know the drivers' names."""
    assert database_url(Path("/data"), given=given).drivername == driver


@pytest.mark.parametrize("given", ["nonsense", "mysql://chat:secret@db/chat", "sqlite://", "sqlite:///:memory:"])
def test_other_urls_are_refused_without_showing_a_password(given: str) -> None:
    """SQLite in memory is refused too, since every connection would see a database of its own."""
    with pytest.raises(DataUnusable) as caught:
        database_url(Path("/data"), given=given)
    assert "secret" not in str(caught.value)


def test_a_shown_url_has_no_password() -> None:
    """Errors and logs quote the shown form only."""
    assert shown(make_url("postgresql://chat:secret@db/chat")) == "postgresql://chat:***@db/chat"


SECRET = "a password's hash"


def fail_in_a_thread(url: URL) -> None:
    """Let a statement fail that carries a secret."""
    engine = open_sqlite_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": SECRET})
    finally:
        engine.dispose()


async def fail_in_the_loop(engine: AsyncEngine) -> None:
    """Likewise."""
    try:
        async with engine.connect() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": SECRET})
    finally:
        await engine.dispose()


async def test_a_statement_that_fails_does_not_say_what_it_carried(tmp_path: Path) -> None:
    """Its error goes to the log, and a password's hash may be among the parameters."""
    url = database_url(tmp_path, given=None)
    with pytest.raises(OperationalError, match="nowhere") as failed:
        fail_in_a_thread(url)
    assert SECRET not in str(failed.value)
    for open_engine in (open_async_engine, open_migration_engine):
        with pytest.raises(OperationalError, match="nowhere") as failed:
            await fail_in_the_loop(open_engine(url))
        assert SECRET not in str(failed.value)


def test_sqlite_waits_for_others_keeps_references_and_logs_ahead(tmp_path: Path) -> None:
    """WAL lets readers read while somebody writes; foreign keys are off unless asked for; busy means wait.

    And what is committed has reached the disk, which synchronous = FULL (2) stands for.
    """
    engine = open_sqlite_engine(database_url(tmp_path, given=None))
    try:
        with engine.connect() as connection:
            pragmas = ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            found = [connection.scalar(text(f"PRAGMA {pragma}")) for pragma in pragmas]
    finally:
        engine.dispose()
    assert found == ["wal", 1, 5000, 2]


@pytest.fixture
def open_directory(tmp_path: Path) -> Path:
    """A directory in which everybody may look."""
    tmp_path.chmod(0o755)
    return tmp_path


def modes(directory: Path) -> dict[str, str]:
    return {path.name: f"{path.stat().st_mode & 0o777:o}" for path in directory.iterdir()}


def test_sqlite_files_are_private_whatever_their_directory_allows(open_directory: Path) -> None:
    """The write-ahead log holds what the database holds, so it gets the same mode."""
    engine = open_sqlite_engine(database_url(open_directory, given=None))
    try:
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE t (x)"))
            found = modes(open_directory)
    finally:
        engine.dispose()
    assert found == {"chat.sqlite3": "600", "chat.sqlite3-wal": "600", "chat.sqlite3-shm": "600"}
