"""Revocations in a file: what was kept is there after any crash, and the file does not grow for ever."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from gqlink.auth import Identity, Revocation
from gqlink.errors import AuthUnavailable, DataUnusable
from gqlink.server import FileRevocationStore, revocation_file
from server.nodes import Node

if TYPE_CHECKING:
    from pathlib import Path

    from server.world import World

NOW = 1_700_000_000.0
ONE = Revocation(subject="alice", revoked_at=NOW)
TWO = Revocation(session="söss\n\u2028", revoked_at=NOW + 0.5)
THREE = Revocation(token_id="t1", revoked_at=NOW)


def make_store(path: Path, *, seconds: float = 3600.0, now: float = NOW) -> FileRevocationStore:
    """Open the file as another process would, at a moment of one's choice."""
    return FileRevocationStore(path / "revocations", seconds=seconds, clock=lambda: now)


async def test_what_was_kept_is_read_by_the_next_process(tmp_path: Path) -> None:
    """All three kinds, with their moments; a file that is not there yet holds nothing."""
    assert await make_store(tmp_path).load() == []
    for each in (ONE, TWO, THREE):
        await make_store(tmp_path).add(each)
    assert await make_store(tmp_path).load() == [ONE, TWO, THREE]


async def test_an_application_keeps_its_revocations_there(world: World, tmp_path: Path) -> None:
    """From one life to the next."""
    for denied in (False, True):
        node = Node(world, revocation_store=make_store(tmp_path))
        await node.app._host.revocations.ready()
        assert node.app._host.revocations.denies(Identity(session="s1")) is denied
        await node.app.revoke(session="s1")
        await node.app.aclose()


async def test_the_last_one_of_a_subject_counts(tmp_path: Path) -> None:
    """In whatever order they were kept."""
    store = make_store(tmp_path)
    for moment in (NOW, NOW + 2, NOW + 1):
        await store.add(Revocation(subject="alice", revoked_at=moment))
    assert await store.load() == [Revocation(subject="alice", revoked_at=NOW + 2)]


async def test_what_is_too_old_is_left_out(tmp_path: Path) -> None:
    """Its credentials have expired."""
    await make_store(tmp_path).add(ONE)
    assert await make_store(tmp_path, now=NOW + 3599).load() == [ONE]
    assert await make_store(tmp_path, now=NOW + 3600).load() == []


@pytest.mark.parametrize("length", range(1, 40, 3))
async def test_a_crash_in_the_middle_of_a_line_loses_nothing_else(
    tmp_path: Path, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What came before is there, and so is what comes after; the log says what was left out, and removed."""
    path = tmp_path / "revocations"
    await make_store(tmp_path).add(ONE)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.replace(b"alice", b"carol")[:length])
    assert await make_store(tmp_path).load() == [ONE]
    await make_store(tmp_path).add(TWO)
    assert await make_store(tmp_path).load() == [ONE, TWO]
    assert "line 2 was cut short, and is left out" in caplog.text
    assert "its last line was cut short, and is removed" in caplog.text
    assert "carol" not in caplog.text + path.read_text()


async def test_a_last_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    """The crash came one byte before it was complete."""
    path = tmp_path / "revocations"
    await make_store(tmp_path).add(ONE)
    path.write_bytes(path.read_bytes()[:-1])
    assert await make_store(tmp_path).load() == [ONE]
    await make_store(tmp_path).add(TWO)
    assert await make_store(tmp_path).load() == [ONE, TWO]


@pytest.mark.parametrize("line", [b"\xff", b"[]", b"5", b"{}", b"[" * 100_000, b'{"subject":"a","revokedAt":NaN}'])
async def test_a_line_that_is_no_revocation_lets_nobody_in(
    world: World, tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be one that was damaged: the log says which line, and when somebody has mended it, all is well."""
    path = tmp_path / "revocations"
    await make_store(tmp_path).add(ONE)
    whole = path.read_bytes()
    path.write_bytes(line + b"\n\n" + whole)
    with pytest.raises(DataUnusable, match="line 1 is no revocation"):
        await make_store(tmp_path).load()
    node = Node(world, revocation_store=make_store(tmp_path))
    with pytest.raises(AuthUnavailable):
        await node.app._host.revocations.ready()
    assert f"{path}: line 1 is no revocation" in caplog.text
    path.write_bytes(whole)
    await node.app._host.revocations.ready()
    await node.app.aclose()


async def test_a_line_that_cannot_be_read_is_never_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is not written anew while there is one; what comes is kept all the same."""
    monkeypatch.setattr(revocation_file, "_SUPERFLUOUS_BYTES", 1)
    path = tmp_path / "revocations"
    path.write_bytes(b"damaged\n")
    store = make_store(tmp_path)
    for _ in range(5):
        await store.add(ONE)
    assert path.read_bytes().startswith(b"damaged\n")
    with pytest.raises(DataUnusable):
        await store.load()
    path.write_bytes(path.read_bytes().removeprefix(b"damaged\n"))
    assert await store.load() == [ONE]


async def test_the_server_needs_no_locks_for_files() -> None:
    """Only this store does, and says so where a system has none."""
    script = """
import sys
sys.modules["fcntl"] = None
from gqlink.server import FileRevocationStore, GraphQLApp
try:
    FileRevocationStore("revocations")
except OSError as exc:
    print(exc)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert said.decode().strip() == "FileRevocationStore needs file locks, which this system does not have"


async def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said twice, or is too old, goes; while it runs, and when it is opened."""
    monkeypatch.setattr(revocation_file, "_SUPERFLUOUS_BYTES", 1_000)
    path = tmp_path / "revocations"
    store = make_store(tmp_path)
    for number in range(200):
        await store.add(Revocation(subject="alice", revoked_at=NOW + number))
        assert path.stat().st_size < 1_300
    assert await store.load() == [Revocation(subject="alice", revoked_at=NOW + 199)]
    line = json.dumps({"session": "old", "revokedAt": NOW - 5000}).encode() + b"\n"
    path.write_bytes(path.read_bytes() + line * 1_000)
    assert await make_store(tmp_path).load() == await store.load()
    assert path.stat().st_size < 100


async def test_a_file_that_cannot_be_cleared_still_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is only longer than it need be."""
    monkeypatch.setattr(revocation_file, "_SUPERFLUOUS_BYTES", 100)
    (tmp_path / "revocations.new").mkdir()
    store = make_store(tmp_path)
    for number in range(20):
        await store.add(Revocation(subject="alice", revoked_at=NOW + number))
    assert await store.load() == [Revocation(subject="alice", revoked_at=NOW + 19)]
    assert "cannot be cleared" in caplog.text


async def test_what_a_crash_left_of_a_new_file_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one counts until the new one is complete."""
    monkeypatch.setattr(revocation_file, "_SUPERFLUOUS_BYTES", 1)
    (tmp_path / "revocations.new").write_bytes(b'{"sess')
    store = make_store(tmp_path)
    for _ in range(5):
        await store.add(ONE)
    assert await store.load() == [ONE]
    assert not (tmp_path / "revocations.new").exists()


async def test_a_disk_that_is_full_is_told_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is left there, and does no harm."""
    await make_store(tmp_path).add(ONE)
    write = os.write
    room = 5

    def write_some(descriptor: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError("no space left")
        written = write(descriptor, data[:room])
        room -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_some)
        with pytest.raises(OSError, match="no space left"):
            await make_store(tmp_path).add(TWO)
    assert await make_store(tmp_path).load() == [ONE]
    await make_store(tmp_path).add(TWO)
    assert await make_store(tmp_path).load() == [ONE, TWO]


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """It says who was here."""
    await make_store(tmp_path).add(ONE)
    for name in ("revocations", "revocations.lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


async def test_many_may_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks, stores and processes; nothing is lost, also while the file is written anew."""
    monkeypatch.setattr(revocation_file, "_SUPERFLUOUS_BYTES", 200)
    script = """
import asyncio, sys
from gqlink.auth import Revocation
from gqlink.server import FileRevocationStore, revocation_file
revocation_file._SUPERFLUOUS_BYTES = 200
store = FileRevocationStore(sys.argv[1], clock=lambda: 1_700_000_000.0)
async def main():
    for number in range(30):
        await store.add(Revocation(session=f"{sys.argv[2]} {number}", revoked_at=1_700_000_000.0))
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path / "revocations")]
    processes = [await asyncio.create_subprocess_exec(*command, str(number)) for number in range(2)]
    stores = [make_store(tmp_path) for _ in range(2)]
    await asyncio.gather(
        *(stores[number % 2].add(Revocation(session=f"here {number // 2}", revoked_at=NOW)) for number in range(100))
    )
    for process in processes:
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    kept = {revocation.session for revocation in await make_store(tmp_path).load()}
    assert kept == {f"here {number}" for number in range(50)} | {
        f"{process} {number}" for process in range(2) for number in range(30)
    }
