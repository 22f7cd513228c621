"""Revocations in a file, for those who have no database: one line each, added at the end.

A last line that a crash cut short is one whose `add` never returned, so it may be left out, and the next one takes its
place. Any other line that cannot be read may be a revocation: nothing is made of the file then, and nothing changed in
it, until somebody has looked. Several processes of one machine may share it; a lock beside it keeps them apart.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gqlink.errors import DataUnusable
from gqlink.server.logbook import log_event
from gqlink.server.orders import UnreadableOrder, read_revocation, write_revocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gqlink.auth import Revocation

__all__ = ("FileRevocationStore",)

_MONTH: Final = 30 * 24 * 3600.0

_SUPERFLUOUS_BYTES: Final = 65_536
"""A file that is longer than twice what counts, and this, is written anew."""


class FileRevocationStore:
    """A `RevocationStore` in a file, which is created when it is first needed, readable by its owner alone.

    What it has kept is on the disk when `add` returns. It reads and writes in threads, so the event loop does not wait.

    Args:
        path: The file; its directory exists. A lock file of the same name with ".lock" is made beside it.
        seconds: How long a revocation is kept; that of `GraphQLApp(revocation_seconds=…)`.
        clock: Seconds since the Unix epoch.

    Raises:
        OSError: This system has no locks for files.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, seconds: float = _MONTH, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = Path(path)
        self._lock = _find_lock()
        self._seconds = seconds
        self._clock = clock
        self._clear_at: int | None = None

    async def add(self, revocation: Revocation) -> None:
        """Keep a revocation; harmless to repeat.

        Raises:
            OSError: It could not be written, and may or may not be kept.
        """
        await asyncio.to_thread(self._add, revocation)

    async def load(self) -> Sequence[Revocation]:
        """Return what was kept and is not too old; of a subject's revocations the last one.

        Raises:
            OSError: The file could not be read.
            DataUnusable: A line in it cannot be.
        """
        return await asyncio.to_thread(self._load)

    def _add(self, revocation: Revocation) -> None:
        with self._locked():
            with _opened(self._path) as descriptor:
                before = self._mend(descriptor)
                _write(descriptor, before + _line(revocation))
                size = os.fstat(descriptor).st_size
            _sync_directory(self._path.parent)
            if self._clear_at is None:
                self._clear_at = _clear_at(size)
            if size > self._clear_at:
                self._clear_if_readable()

    def _load(self) -> list[Revocation]:
        with self._locked():
            kept = self._read()
            needed = sum(len(_line(revocation)) for revocation in kept)
            self._clear_at = _clear_at(needed)
            if self._path.exists() and self._path.stat().st_size > self._clear_at:
                self._clear(kept)
            return kept

    def _read(self) -> list[Revocation]:
        if not self._path.exists():
            return []
        forgotten_at = self._clock() - self._seconds
        latest: dict[tuple[str | None, str | None, str | None], Revocation] = {}
        for revocation in self._parse(self._path.read_bytes()):
            key = (revocation.subject, revocation.session, revocation.token_id)
            known = latest.get(key, revocation)
            if revocation.revoked_at > forgotten_at:
                latest[key] = max(known, revocation, key=lambda each: each.revoked_at)
        return list(latest.values())

    def _parse(self, data: bytes) -> Iterator[Revocation]:
        *lines, rest = data.split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                if line:
                    yield _revocation(line)
            except UnreadableOrder:
                # Without the line, which may be anything by now. Nobody may be let in who could be named in it.
                detail = f"line {number} is no revocation; mend it, or delete it if nobody needs to be kept out by it"
                log_event("revocation_file", "%s: %s", self._path, detail, level=logging.ERROR)
                raise DataUnusable(str(self._path), detail=detail) from None
        try:
            if rest:
                yield _revocation(rest)
        except UnreadableOrder:
            text = "%s: line %d was cut short, and is left out"
            log_event("revocation_file", text, self._path, len(lines) + 1)

    def _mend(self, descriptor: int) -> bytes:
        """Cut off what a crash has left of a last line, and return what has to come before the next one."""
        size = os.fstat(descriptor).st_size
        if not size or os.pread(descriptor, 1, size - 1) == b"\n":
            return b""
        data = os.pread(descriptor, size, 0)
        start = data.rfind(b"\n") + 1
        try:
            _revocation(data[start:])
        except UnreadableOrder:
            log_event("revocation_file", "%s: its last line was cut short, and is removed", self._path)
            os.ftruncate(descriptor, start)
            return b""
        return b"\n"

    def _clear_if_readable(self) -> None:
        with suppress(DataUnusable):  # what was to be kept is kept, and whoever loads is told
            self._clear(self._read())

    def _clear(self, kept: Sequence[Revocation]) -> None:
        """Write the file anew with what counts; whenever a crash comes, either the old or the new one is there."""
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fresh.unlink(missing_ok=True)
            with _opened(fresh) as descriptor:
                _write(descriptor, b"".join(map(_line, kept)))
                self._clear_at = _clear_at(os.fstat(descriptor).st_size)
            fresh.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError:
            # Nothing is lost: the file is only longer than it need be.
            log_event("revocation_file", "%s cannot be cleared of what is superfluous", self._path, exc_info=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _opened(self._path.with_name(self._path.name + ".lock")) as descriptor:
            self._lock(descriptor)
            yield  # closing the file gives the lock back, and so does a crash


def _line(revocation: Revocation) -> bytes:
    return json.dumps(write_revocation(revocation), separators=(",", ":")).encode() + b"\n"


def _clear_at(needed_bytes: int) -> int:
    return 2 * needed_bytes + _SUPERFLUOUS_BYTES


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _revocation(line: bytes) -> Revocation:
    """Read a line.

    Raises:
        UnreadableOrder: It is no revocation.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise UnreadableOrder("no JSON") from None
    return read_revocation(data if isinstance(data, dict) else {})


def _find_lock() -> Callable[[int], None]:
    """Find what locks a file until it is closed; not every system has it."""
    try:
        import fcntl
    except ImportError as exc:
        raise OSError("FileRevocationStore needs file locks, which this system does not have") from exc
    return lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it, and wait until it is on the disk."""
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    """Put a new name on the disk as well."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
