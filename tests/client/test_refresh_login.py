"""Going on with a session that somebody else has opened."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import httpx2
import pytest

from client.hands import turns, until
from client.sessions import URL, SessionServer
from gqlink.client import RefreshTokenLogin
from gqlink.errors import AuthUnavailable, BadUserInput
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    from gqlink.client import Change
    from gqlink.client.refresh_login import OnRotated


@pytest.fixture
async def server() -> SessionServer:
    """Know a session of alice."""
    server = SessionServer()
    server.sessions["alice-r0"] = "alice"
    return server


def source_at(server: SessionServer, on_rotated: OnRotated | None = None) -> RefreshTokenLogin:
    """Make a source that begins with it."""
    return RefreshTokenLogin(URL, "alice-r0", on_rotated=on_rotated, transport=server.transport, clock=FakeClock())


async def test_the_first_token_is_asked_for_when_somebody_needs_it(server: SessionServer) -> None:
    """Once for all; the server says whose it is; nobody is told, because nobody had another one."""
    source = source_at(server)
    told: list[Change] = []

    async def changed(change: Change) -> None:
        told.append(change)

    source.subscribe(changed)
    assert (source.identity, source.expires_at, server.asked) == (None, None, [])
    assert {*await asyncio.gather(source.token(), source.token())} == {"alice-1"}
    await turns()
    assert (server.asked, told) == (["/refresh"], [])
    assert source.identity is not None
    assert (source.identity.subject, source.expires_at) == ("alice", 1060.0)
    await source.refresh("alice-1")
    await turns()
    assert told == ["renewed"]


async def test_each_new_refresh_token_is_told_before_its_access_token_is_used(server: SessionServer) -> None:
    """Whoever keeps it may take their time."""
    kept: list[str] = []
    gate = asyncio.Event()

    async def keep(refresh_token: str) -> None:
        await gate.wait()
        kept.append(refresh_token)

    source = source_at(server, keep)
    asking = asyncio.create_task(source.token())
    await until(lambda: server.asked)
    await turns()
    assert not asking.done()
    gate.set()
    assert await asking == "alice-1"
    await source.refresh("alice-1")
    assert kept == ["alice-r1", "alice-r2"]


async def test_a_refresh_token_that_stays_is_not_told(server: SessionServer) -> None:
    """It is kept already."""
    server.rotates = False
    kept: list[str] = []
    source = source_at(server, kept.append)
    await source.token()
    assert (await source.refresh("alice-1"), kept) == ("alice-2", [])


async def test_one_who_cannot_keep_it_does_not_end_the_session(
    server: SessionServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, and shows no token."""

    def broken(refresh_token: str) -> None:
        raise OSError(refresh_token)

    source = source_at(server, broken)
    with caplog.at_level(logging.ERROR):
        assert await source.token() == "alice-1"
    assert "on_rotated failed: OSError" in caplog.text
    assert "alice-r" not in caplog.text + repr(source)


async def test_before_the_first_token_a_server_may_be_away(server: SessionServer) -> None:
    """That is a temporary error, and nobody is logged out."""
    source = source_at(server)
    server.spoilt["/refresh"] = httpx2.ConnectError("refused")
    with pytest.raises(AuthUnavailable):
        await source.token()
    del server.spoilt["/refresh"]
    assert await source.token() == "alice-1"


async def test_a_session_that_is_over_leaves_nobody(server: SessionServer) -> None:
    """Also one that was over before it began."""
    source = source_at(server)
    server.sessions.clear()
    assert (await source.token(), await source.token(), source.identity) == (None, None, None)
    assert server.asked == ["/refresh"]


async def test_a_logout_ends_the_session(server: SessionServer) -> None:
    """Also before its first token, with the refresh token that it began with."""
    await source_at(server).logout()
    assert (server.asked, server.sessions) == (["/logout"], {})


async def test_closing_lets_a_refresh_come_home(server: SessionServer) -> None:
    """Otherwise nobody would have its refresh token."""
    kept: list[str] = []
    source = source_at(server, kept.append)
    gate = server.hold("/refresh")
    asking = asyncio.create_task(source.token())
    await until(lambda: server.asked)
    closing = asyncio.create_task(source.aclose())
    await turns()
    gate.set()
    await closing
    assert (await asking, kept) == ("alice-1", ["alice-r1"])


def test_it_needs_a_refresh_token() -> None:
    """An empty one is none."""
    with pytest.raises(BadUserInput, match="empty"):
        RefreshTokenLogin(URL, "")
