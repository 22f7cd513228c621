"""A login in a file, and several who use it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import threading
from typing import TYPE_CHECKING

import httpx2
import pytest

from client.hands import turns, until
from client.sessions import URL, SessionServer
from gqlink.client import TokenFile
from gqlink.client.login_file import LoginFile
from gqlink.errors import (
    AuthUnavailable,
    BadUserInput,
    ConnectionClosed,
    DataUnusable,
    InvalidCredentials,
    RequestFailed,
    SessionRevoked,
)
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from gqlink.client import Change


class FullDisk(LoginFile):
    """A file that cannot be written."""

    def _save(self, text: bytes) -> None:
        del text
        raise OSError(28, "No space left on device")


class SlowDisk(LoginFile):
    """A file that is written when the test says so."""

    go = threading.Event()
    begun = threading.Event()

    def _save(self, text: bytes) -> None:
        self.begun.set()
        assert self.go.wait(10)
        super()._save(text)


class Desk:
    """A file, a server and a clock, for as many sources as a test needs.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = SessionServer()
        self.clock = FakeClock()

    def source(self, url: str = URL) -> TokenFile:
        """Make what another process would have made."""
        return TokenFile(url, path=self.path, transport=self.server.transport, clock=self.clock)


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """Nobody is logged in, and there is no file."""
    return Desk(tmp_path / "config" / "tokens.json")


def told_by(source: TokenFile) -> list[Change]:
    """Return a list that grows with each change."""
    told: list[Change] = []

    async def changed(change: Change) -> None:
        told.append(change)

    source.subscribe(changed)
    return told


async def test_a_login_is_there_for_everybody_who_opens_the_file(desk: Desk) -> None:
    """Token, name and end; the file is the user's alone; it has no end of its own making where it says none."""
    one, two = desk.source(), desk.source(URL.replace("http", "ws") + "/graphql")
    assert (await one.token(), one.identity, one.expires_at) == (None, None, None)
    identity = await one.login("alice", "right")
    assert (identity.subject, identity.expires_at) == ("alice", 1060.0)
    assert (await two.token(), two.identity, two.expires_at) == ("alice-1", identity, 1060.0)
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in desk.path.parent.iterdir()} == {0o600}


async def test_a_refresh_by_one_serves_all(desk: Desk) -> None:
    """Twenty sources, as in twenty processes, want another token at the same time: one request."""
    sources = [desk.source() for _ in range(20)]
    await sources[0].login("alice", "right")
    assert set(await asyncio.gather(*(source.refresh("alice-1") for source in sources))) == {"alice-2"}
    assert desk.server.asked == ["/login", "/refresh"]
    assert await desk.source().refresh("alice-1") == "alice-2"


@pytest.mark.parametrize("rotates", [True, False])
async def test_what_a_refresh_brings_is_in_the_file(desk: Desk, *, rotates: bool) -> None:
    """So that the next process goes on from there."""
    desk.server.rotates = rotates
    await desk.source().login("alice", "right")
    for number in range(2, 5):
        desk.clock.advance(50)
        source = desk.source()
        assert await source.refresh(f"alice-{number - 1}") == f"alice-{number}"
        assert source.expires_at == desk.clock.now() + 60


async def test_one_source_shares_one_refresh_and_outlives_its_callers(desk: Desk) -> None:
    """Within a process it is one request as well, and nobody's leaving ends it."""
    source = desk.source()
    await source.login("alice", "right")
    gate = desk.server.hold("/refresh")
    callers = [asyncio.create_task(source.refresh("alice-1")) for _ in range(10)]
    await until(lambda: "/refresh" in desk.server.asked)
    for caller in callers[1:]:
        caller.cancel()
    gate.set()
    assert await callers[0] == "alice-2"
    assert desk.server.asked.count("/refresh") == 1


async def test_a_change_by_another_is_noticed_and_told(desk: Desk) -> None:
    """A refresh is "renewed"; a logout, and somebody else's login, are "changed"; nothing is told of the first look."""
    mine, other = desk.source(), desk.source()
    told = told_by(mine)
    await other.login("alice", "right")
    assert (await mine.token(), told) == ("alice-1", [])
    await other.refresh("alice-1")
    assert (await mine.token(), await mine.token()) == ("alice-2", "alice-2")
    await other.login("bob", "right")
    assert await mine.token() == "bob-1"
    await other.logout()
    assert await mine.token() is None
    await turns()
    assert told == ["renewed", "changed", "changed"]


async def test_changes_made_here_are_told(desk: Desk) -> None:
    """A login and a logout wait for those who follow, a refresh does not."""
    source = desk.source()
    told = told_by(source)
    await source.logout()
    await source.login("alice", "right")
    await source.refresh("alice-1")
    await source.login("alice", "right")
    forgotten = await source.logout()
    assert told == ["changed", "renewed", "changed", "changed"]
    assert forgotten is not None
    assert "alice-" not in repr(forgotten) + repr(source)
    assert desk.server.sessions == {}


async def test_a_session_that_is_over_is_taken_out_of_the_file(desk: Desk) -> None:
    """For everybody."""
    source = desk.source()
    await source.login("alice", "right")
    told = told_by(source)
    desk.server.sessions.clear()
    assert await source.refresh("alice-1") is None
    assert await desk.source().token() is None
    await turns()
    assert told == ["changed"]


async def test_a_server_that_is_away_refuses_nothing(desk: Desk) -> None:
    """The token stays, and so does the file; the lock is free for the next one."""
    source = desk.source()
    await source.login("alice", "right")
    before = desk.path.read_bytes()
    desk.server.spoilt["/refresh"] = httpx2.Response(503)
    for each in (source, desk.source()):
        with pytest.raises(AuthUnavailable):
            await each.refresh("alice-1")
    assert (await source.token(), desk.path.read_bytes()) == ("alice-1", before)
    del desk.server.spoilt["/refresh"]
    assert await source.refresh("alice-1") == "alice-2"


@pytest.mark.parametrize("switch", [True, False])
async def test_a_login_or_logout_during_a_refresh_stays(desk: Desk, *, switch: bool) -> None:
    """Also one in another process; it does not wait, and the late answer is only used to end its session."""
    source, other = desk.source(), desk.source()
    await source.login("alice", "right")
    gate = desk.server.hold("/refresh")
    refresh = asyncio.create_task(source.refresh("alice-1"))
    await until(lambda: "/refresh" in desk.server.asked)
    if switch:
        await other.login("bob", "right")
    else:
        await other.logout()
    gate.set()
    assert await refresh == ("bob-1" if switch else None)
    assert await desk.source().token() == ("bob-1" if switch else None)
    assert set(desk.server.sessions) == ({"bob-r1"} if switch else set())


async def test_a_refresh_for_somebody_else_is_not_the_one_that_was_wanted(desk: Desk) -> None:
    """Who joins one that was begun for the login before gets one of the present login."""
    source, other = desk.source(), desk.source()
    await source.login("alice", "right")
    gate = desk.server.hold("/refresh")
    first = asyncio.create_task(source.refresh("alice-1"))
    await until(lambda: "/refresh" in desk.server.asked)
    await other.login("bob", "right")
    second = asyncio.create_task(source.refresh("bob-1"))
    await until(lambda: source.identity is not None and source.identity.subject == "bob")
    gate.set()
    assert await second == "bob-2"
    assert await first in {"bob-1", "bob-2"}


async def test_a_later_call_stays_whatever_answer_comes_last(desk: Desk) -> None:
    """A login that is overtaken by a logout says so, and leaves no session behind."""
    source = desk.source()
    gate = desk.server.hold("/login")
    pending = asyncio.create_task(source.login("alice", "right"))
    await until(lambda: desk.server.asked)
    await source.logout()
    gate.set()
    with pytest.raises(SessionRevoked):
        await pending
    assert (await source.token(), desk.server.sessions) == (None, {})


async def test_a_login_that_fails_changes_nothing(desk: Desk) -> None:
    """Whoever was logged in stays so."""
    source = desk.source()
    await source.login("alice", "right")
    with pytest.raises(InvalidCredentials):
        await source.login("bob", "wrong")
    assert await source.token() == "alice-1"


async def test_a_logout_that_the_server_did_not_hear_stands_and_says_so(desk: Desk) -> None:
    """The file has forgotten it."""
    source = desk.source()
    await source.login("alice", "right")
    desk.server.spoilt["/logout"] = httpx2.ConnectError("refused")
    with pytest.raises(RequestFailed, match="may live on"):
        await source.logout()
    assert await desk.source().token() is None


async def test_a_process_that_dies_lets_go(desk: Desk) -> None:
    """Killed while it holds both locks; the file is as it was, and the next one refreshes."""
    source = desk.source()
    await source.login("alice", "right")
    await source.refresh("alice-1")
    locks = [str(path) for path in desk.path.parent.glob("*.lock")]
    assert len(locks) == 2
    code = (
        "import fcntl, sys, time\n"
        "files = [open(name) for name in sys.argv[1:]]\n"
        "for file in files: fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", code, *locks, stdout=asyncio.subprocess.PIPE)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    refresh = asyncio.create_task(source.refresh("alice-2"))
    await asyncio.to_thread(os.stat, desk.path)
    assert desk.server.asked.count("/refresh") == 1
    assert await source.token() == "alice-2"
    holder.kill()
    await holder.communicate()
    assert await refresh == "alice-3"


async def test_a_process_that_died_with_the_answer_is_made_up_for(desk: Desk) -> None:
    """The server gives the same successor again; the file still had the token before."""
    source = desk.source()
    await source.login("alice", "right")
    before = desk.path.read_bytes()
    desk.server.rotates = False
    assert await source.refresh("alice-1") == "alice-2"
    desk.path.write_bytes(before)
    assert await desk.source().refresh("alice-1") == "alice-3"


async def test_a_file_of_the_first_version_opens(desk: Desk) -> None:
    """It has no refresh token, so its token is what there is; a login makes the file a new one and keeps the others."""
    desk.path.parent.mkdir()
    login = {"name": "alice", "token": "old", "expires_at": desk.clock.wall() + 5}
    other = {"name": "bob", "token": "else", "expires_at": None}
    servers = {"http://chat.invalid:80": login, "http://other.invalid:80": other}
    desk.path.write_text(json.dumps({"version": 1, "servers": servers}))
    source = desk.source()
    assert (await source.token(), source.expires_at) == ("old", 1005.0)
    assert await source.refresh("old") == "old"
    await source.login("carol", "right")
    elsewhere = desk.source("https://other.invalid:80".replace("https", "http"))
    assert (await elsewhere.token(), elsewhere.expires_at) == ("else", None)
    assert elsewhere.identity is not None
    assert elsewhere.identity.expires_at == float("inf")
    assert json.loads(desk.path.read_text())["version"] == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "delete it and log in again"), ('{"version": 3}', "later version"), ("\udcff", "delete it")],
)
async def test_a_file_that_cannot_be_used_is_left_alone(desk: Desk, content: str, sentence: str) -> None:
    """It is one sentence, no session is opened for it, and nothing is lost."""
    desk.path.parent.mkdir()
    desk.path.write_bytes(content.encode("utf-8", "surrogateescape"))
    source = desk.source()
    for attempt in (source.token(), source.refresh(None), source.logout(), source.login("alice", "right")):
        with pytest.raises(DataUnusable, match=sentence):
            await attempt
    assert desk.server.asked == []
    assert desk.path.read_bytes() == content.encode("utf-8", "surrogateescape")


async def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """Such as a directory in the file's place, or a file in the directory's."""
    (tmp_path / "tokens.json").mkdir()
    with pytest.raises(DataUnusable, match="cannot be read"):
        await Desk(tmp_path / "tokens.json").source().token()
    (tmp_path / "file").write_text("")
    desk = Desk(tmp_path / "file" / "tokens.json")
    with pytest.raises(DataUnusable, match="cannot be"):
        await desk.source().login("alice", "right")
    assert desk.server.sessions == {}


async def test_closing_lets_a_refresh_come_home(desk: Desk) -> None:
    """Otherwise its refresh token would be lost."""
    source = desk.source()
    await source.login("alice", "right")
    gate = desk.server.hold("/refresh")
    refresh = asyncio.create_task(source.refresh("alice-1"))
    await until(lambda: "/refresh" in desk.server.asked)
    closing = asyncio.create_task(source.aclose())
    await turns()
    gate.set()
    await closing
    assert await refresh == "alice-2"
    async with desk.source() as next_one:
        assert await next_one.token() == "alice-2"


async def test_what_a_full_disk_does_not_take_holds_in_this_process(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The server has taken the refresh token before; what came instead is used, and goes on being renewed."""
    source = desk.source()
    await source.login("alice", "right")
    told = told_by(source)
    source._filed.file = FullDisk(desk.path)
    assert await source.refresh("alice-1") == "alice-2"
    assert "No space left" in caplog.text
    assert (await source.token(), source.expires_at) == ("alice-2", 1060.0)
    assert await source.refresh("alice-2") == "alice-3"
    assert await source.refresh("alice-2") == "alice-3"
    assert await desk.source().token() == "alice-1"
    assert [body.get("refreshToken") for body in desk.server.bodies] == [None, "alice-r1", "alice-r2"]
    assert told == ["renewed", "renewed"]
    assert "alice-3" not in caplog.text


@pytest.mark.parametrize("occasion", ["token", "refresh", "aclose"])
async def test_it_is_written_at_the_next_occasion(desk: Desk, occasion: str) -> None:
    """Tried once a second at most, and when it is closed; nobody is told again."""
    source = desk.source()
    await source.login("alice", "right")
    source._filed.file = FullDisk(desk.path)
    await source.refresh("alice-1")
    told = told_by(source)
    await source.token()
    source._filed.file = LoginFile(desk.path)
    await source.token()
    assert await desk.source().token() == "alice-1"
    if occasion == "aclose":
        await source.aclose()
    else:
        desk.clock.advance(1.0)
        assert await (source.token() if occasion == "token" else source.refresh("alice-1")) == "alice-2"
    other = desk.source()
    assert (await other.token(), await source.token(), told) == ("alice-2", "alice-2", [])
    assert await other.refresh("alice-2") == "alice-3"
    assert await source.token() == "alice-3"
    await turns()


async def test_a_change_by_another_takes_the_place_of_what_was_not_written(desk: Desk) -> None:
    """What the file says counts, as soon as it is not what was to be replaced."""
    source, other = desk.source(), desk.source()
    await source.login("alice", "right")
    source._filed.file = FullDisk(desk.path)
    await source.refresh("alice-1")
    await other.login("bob", "right")
    source._filed.file = LoginFile(desk.path)
    assert (await source.token(), await other.token()) == ("bob-1", "bob-1")


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_login_or_logout_that_is_written_replaces_what_was_not(desk: Desk, *, leaves: bool) -> None:
    """The session that was kept in memory is ended, as any session before."""
    source = desk.source()
    await source.login("alice", "right")
    source._filed.file = FullDisk(desk.path)
    await source.refresh("alice-1")
    source._filed.file = LoginFile(desk.path)
    await (source.logout() if leaves else source.login("bob", "right"))
    assert await source.token() == await desk.source().token() == (None if leaves else "bob-1")
    assert set(desk.server.sessions) == (set() if leaves else {"bob-r1"})


async def test_a_session_that_is_over_is_over_also_if_that_cannot_be_written(desk: Desk) -> None:
    """In this process; the next one finds out for itself."""
    source = desk.source()
    await source.login("alice", "right")
    source._filed.file = FullDisk(desk.path)
    desk.server.sessions.clear()
    assert await source.refresh("alice-1") is None
    assert (await source.token(), await desk.source().token()) == (None, "alice-1")
    source._filed.file = LoginFile(desk.path)
    desk.clock.advance(1.0)
    assert (await source.token(), await desk.source().token()) == (None, None)


async def test_closing_holds_the_lock_until_it_is_written(desk: Desk) -> None:
    """Otherwise what is written late would undo what another process writes meanwhile."""
    source, other = desk.source(), desk.source()
    await source.login("alice", "right")
    SlowDisk.go.clear()
    source._filed.file = slow = SlowDisk(desk.path)
    refresh = asyncio.create_task(source.refresh("alice-1"))
    await until(slow.begun.is_set)
    closing = asyncio.create_task(source._renewal.aclose())
    await turns()
    logout = asyncio.create_task(other.logout())
    await turns(200)
    assert not closing.done()
    assert not logout.done()
    slow.go.set()
    await closing
    with pytest.raises(ConnectionClosed):
        await refresh
    await logout
    assert await desk.source().token() is None
    assert desk.server.sessions == {}


@pytest.mark.parametrize("url", ["localhost:9000", "ftp://a", "http://", "http://a:x"])
def test_it_needs_the_url_of_a_server(url: str) -> None:
    """Any of its URLs."""
    with pytest.raises(BadUserInput, match="http://localhost:9000"):
        TokenFile(url)


async def test_a_server_may_be_an_address(tmp_path: Path) -> None:
    """IPv6 addresses keep their brackets."""
    server = SessionServer()
    source = TokenFile("http://[::1]:9000/graphql", path=tmp_path / "tokens.json", transport=server.transport)
    await source.login("alice", "right")
    assert "http://[::1]:9000" in json.loads((tmp_path / "tokens.json").read_text())["servers"]
