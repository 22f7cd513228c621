"""The data directory: where the chat keeps its database and its signing keys, for nobody else to read."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gqlink.errors import DataUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
DATABASE_FILE = "chat.sqlite3"
KEYS_FILE = "signing-keys.json"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into `DataUnusable`."""
    try:
        yield
    except OSError as exc:
        raise DataUnusable(str(path), detail=exc.strerror or str(exc)) from exc


def prepare_directory(path: Path) -> None:
    """Make sure that the data directory exists; a new one is closed to others.

    Raises:
        DataUnusable: It cannot be made, or something else has its name.
    """
    with translated(path):
        path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)


def prepare_file(path: Path) -> None:
    """Make sure that a file exists; a new one is closed to others, whatever the directory allows.

    SQLite gives the write-ahead log the mode of its database, so this closes all of them.

    Raises:
        DataUnusable: It cannot be made.
    """
    with translated(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE_FILE))
