"""A lock between processes, and a file that is replaced."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

import pytest

from client.hands import until
from gqlink.client.file_lock import locked
from gqlink.client.login_file import LoginFile, StoredLogin
from gqlink.errors import AuthUnavailable, DataUnusable

if TYPE_CHECKING:
    from pathlib import Path


async def test_whoever_waits_in_vain_is_told_that_it_may_pass(tmp_path: Path) -> None:
    """The error is temporary, and names the file."""
    path = tmp_path / "a.lock"
    async with locked(path, seconds=5):
        with pytest.raises(AuthUnavailable, match=r"a\.lock") as held:
            async with locked(path, seconds=0):
                raise AssertionError
        assert held.value.temporary
    async with locked(path, seconds=5):
        pass


async def test_whoever_stops_waiting_holds_nothing(tmp_path: Path) -> None:
    """Whenever that is: also while a thread is about to bring the lock."""
    path = tmp_path / "a.lock"

    async def wait() -> None:
        async with locked(path, seconds=5):
            await asyncio.Event().wait()

    for rounds in range(8):
        waiting = asyncio.create_task(wait())
        for _ in range(rounds):
            await asyncio.sleep(0)
        waiting.cancel()
        await until(waiting.done)
        async with locked(path, seconds=5):
            pass


async def test_a_lock_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    """Nobody has to read a traceback."""
    with pytest.raises(DataUnusable, match="cannot be opened"):
        async with locked(tmp_path, seconds=5):
            raise AssertionError


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """No half of the new one, and no other file either."""
    file = LoginFile(tmp_path / "tokens.json")
    file.write("http://a:80", StoredLogin("alice", "t"))
    before = file.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(DataUnusable, match="cannot be written"):
            file.write("http://a:80", StoredLogin("bob", "t"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json"]
    assert file.path.read_bytes() == before
