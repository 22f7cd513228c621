"""Brings a database to the present tables, whatever version of gqlink wrote it.

Each file in `versions` is one step. Steps are never edited once released; a new one names the one before it as its
`down_revision`, works without importing `tables`, and uses `op.batch_alter_table` to alter a table.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from gqlink.chat.database import WRITING, open_migration_engine, shown
from gqlink.errors import DataUnusable

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

# Any number that no other user of the database takes for its own lock.
_ADVISORY_LOCK = 0x67716C696E6B

# Alembic keeps what it works on in module globals, so two databases in one process take turns.
_one_at_a_time = threading.Lock()


def migrate(url: URL) -> None:
    """Bring a database to the newest version, in one transaction; two processes at once take turns.

    It blocks, and runs an event loop of its own: call it in a thread from a coroutine.

    Raises:
        DataUnusable: A newer gqlink wrote the database, it is not one of ours, or it cannot be reached.
    """
    try:
        asyncio.run(_migrate(url))
    except (SQLAlchemyError, CommandError, OSError) as exc:
        raise DataUnusable(shown(url), detail=f"the database cannot be opened: {_cause(exc)}") from exc


async def _migrate(url: URL) -> None:
    engine = open_migration_engine(url)
    try:
        async with engine.execution_options(**WRITING).begin() as connection:
            await connection.run_sync(_upgrade, shown(url))
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "gqlink.chat:migrations")  # a package's folder, also in a wheel
    _refuse_if_newer(connection, ScriptDirectory.from_config(config), name)
    with _one_at_a_time:
        command.upgrade(config, "head")
    _refuse_if_inconsistent(connection, name)


def _refuse_if_newer(connection: Connection, script: ScriptDirectory, name: str) -> None:
    known = {revision.revision for revision in script.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        detail = f"a newer gqlink wrote this database (version {', '.join(sorted(unknown))}); start that one instead"
        raise DataUnusable(name, detail=detail)


def _refuse_if_inconsistent(connection: Connection, name: str) -> None:
    # Foreign keys are off while migrating, so they are checked at the end; what raises here is rolled back.
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise DataUnusable(name, detail="rows refer to others that do not exist; restore a backup")


def _cause(exc: Exception) -> str:
    return str(getattr(exc, "orig", None) or exc).splitlines()[0]
