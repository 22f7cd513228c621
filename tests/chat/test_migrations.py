from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from gqlink.chat.database import database_url
from gqlink.chat.migrations import migrate
from gqlink.chat.tables import metadata
from gqlink.errors import DataUnusable

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import URL


def run(url: URL, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(str(url.database))) as connection, connection:
        return connection.execute(statement).fetchall()


def test_an_empty_database_gets_the_tables_that_the_store_works_with(url: URL) -> None:
    """Migrations and `tables` describe the same database."""
    migrate(url)
    engine = create_engine(url.set(drivername="sqlite"))
    try:
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    finally:
        engine.dispose()


def test_there_is_one_room_from_the_beginning(url: URL) -> None:
    """The room "general" is where everybody meets."""
    migrate(url)
    assert run(url, "SELECT id, title FROM rooms") == [("general", "General")]


def test_migrating_again_changes_nothing(url: URL) -> None:
    """Every start migrates."""
    migrate(url)
    before = run(url, "SELECT name, sql FROM sqlite_master ORDER BY name")
    run(url, "UPDATE rooms SET title = 'Lounge'")
    migrate(url)
    assert run(url, "SELECT name, sql FROM sqlite_master ORDER BY name") == before
    assert run(url, "SELECT title FROM rooms") == [("Lounge",)]


def test_the_data_of_a_version_before_revocations_is_kept(url: URL) -> None:
    """Who was logged in stays so, and who was logged out too: the tokens of their session do not count again."""
    migrate(url)
    run(url, "DROP TABLE revocations")
    run(url, "UPDATE alembic_version SET version_num = '0002'")
    run(url, "INSERT INTO users VALUES (1, 'alice', 'alice', 'hash', 0, '2026-01-01')")
    run(url, "INSERT INTO sessions VALUES ('s', 1, 1, NULL, '2026-01-01', '2026-02-01', NULL)")
    for name, ended_at in (("t", "2026-01-02 03:04:05.500000"), ("u", "2026-01-01 00:00:00.000000")):
        run(url, f"INSERT INTO sessions VALUES ('{name}', 1, 7, NULL, '2026-01-01', '2026-02-01', '{ended_at}')")
    migrate(url)
    assert run(url, "SELECT id, generation FROM sessions ORDER BY id") == [("s", 1), ("t", 7), ("u", 7)]
    rows = run(url, "SELECT id, subject, session, token_id, revoked_at FROM revocations")
    moments = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)]
    assert rows == [
        (number, None, name, None, pytest.approx(moment.timestamp(), abs=0.01))
        for number, name, moment in zip((1, 2), "ut", moments, strict=True)
    ]


def test_processes_that_start_at_once_take_turns(url: URL) -> None:
    """One of them migrates, the others find it done."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [url] * 4))
    assert run(url, "SELECT count(*) FROM rooms") == [(1,)]


def test_a_database_of_a_newer_version_is_refused_and_left_alone(url: URL) -> None:
    """An older program does not know what the newer tables mean."""
    migrate(url)
    run(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DataUnusable, match=r"a newer gqlink wrote this database \(version 9999\)"):
        migrate(url)
    assert run(url, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_migration_that_fails_leaves_nothing_behind(url: URL) -> None:
    """A database of somebody else, which has a table of the same name, is not changed."""
    run(url, "CREATE TABLE messages (theirs)")
    with pytest.raises(DataUnusable, match="table messages already exists"):
        migrate(url)
    assert run(url, "SELECT name FROM sqlite_master") == [("messages",)]


def test_a_file_that_is_no_database_is_an_error_of_ours(url: URL, tmp_path: Path) -> None:
    """The sentence names the file and what is wrong."""
    (tmp_path / "chat.sqlite3").write_bytes(b"x" * 4096)
    with pytest.raises(DataUnusable, match=r"chat\.sqlite3: .*file is not a database"):
        migrate(url)


def test_rows_that_refer_to_nothing_are_noticed(url: URL) -> None:
    """Foreign keys are off while migrating, so they are checked afterwards."""
    migrate(url)
    run(url, "INSERT INTO messages VALUES (1, NULL, 99, 'general', 'text', '2026-01-01 00:00:00.000000')")
    with pytest.raises(DataUnusable, match="rows refer to others that do not exist"):
        migrate(url)


def test_two_databases_migrated_at_once_in_one_process_take_turns(tmp_path: Path) -> None:
    """Each ends up with its own tables, whichever thread comes first."""
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    urls = [database_url(folder, given=None) for folder in folders]
    with ThreadPoolExecutor(len(urls)) as threads:
        list(threads.map(migrate, urls))

    assert [run(url, "SELECT count(*) FROM rooms") for url in urls] == [[(1,)]] * len(urls)
