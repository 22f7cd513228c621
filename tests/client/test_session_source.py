"""What every source that holds a session does, shown with the one that opens it by a password."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import httpx2
import pytest

from client.hands import turns, until
from client.sessions import URL, SessionServer
from gqlink.client import PasswordLogin
from gqlink.errors import AuthUnavailable, ConnectionClosed, InvalidCredentials, RequestFailed, SessionRevoked
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    from gqlink.client import Change


def login_at(server: SessionServer, clock: FakeClock | None = None) -> PasswordLogin:
    """Make a login at a server."""
    return PasswordLogin(URL, transport=server.transport, clock=clock or FakeClock())


class Follower:
    """Keeps what it is told."""

    def __init__(self, login: PasswordLogin) -> None:
        self.told: list[Change] = []
        login.subscribe(self._changed)

    async def _changed(self, change: Change) -> None:
        self.told.append(change)


@pytest.mark.parametrize("rotates", [True, False])
async def test_a_refresh_renews_the_token_and_tells_it(*, rotates: bool) -> None:
    """The same login with a later end, as often as asked; also where the refresh token stays the same."""
    server, clock = SessionServer(rotates=rotates), FakeClock()
    login = login_at(server, clock)
    await login.login("alice", "right")
    follower = Follower(login)
    clock.advance(50)
    assert await login.refresh("alice-1") == "alice-2"
    assert await login.refresh("alice-2") == "alice-3"
    await turns()
    assert (await login.token(), login.expires_at, follower.told) == ("alice-3", 1110.0, ["renewed", "renewed"])
    assert login.identity is not None
    assert (login.identity.subject, login.identity.expires_at) == ("alice", 1110.0)


async def test_a_name_that_the_server_spells_in_another_way_is_no_switch() -> None:
    """A session is one person's; the name stays the one that was logged in with."""
    server = SessionServer()
    login = login_at(server)
    await login.login("Alice", "right")
    follower = Follower(login)
    server.spoilt["/refresh"] = httpx2.Response(200, json={"token": "t", "expiresIn": 60, "name": "alice"})
    assert await login.refresh("Alice-1") == "t"
    await turns()
    assert (follower.told, login.identity and login.identity.subject) == (["renewed"], "Alice")


async def test_one_refresh_serves_all_who_want_it() -> None:
    """A hundred callers, one request."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    assert set(await asyncio.gather(*(login.refresh("alice-1") for _ in range(100)))) == {"alice-2"}
    assert server.asked == ["/login", "/refresh"]


async def test_whoever_holds_an_old_token_gets_the_present_one_without_asking() -> None:
    """A refusal that comes late is no reason for another refresh."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    await login.refresh("alice-1")
    assert await login.refresh("alice-1") == "alice-2"
    assert server.asked.count("/refresh") == 1


async def test_a_caller_that_goes_leaves_the_refresh_to_the_others() -> None:
    """Even to nobody: the answer is kept."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    gate = server.hold("/refresh")
    callers = [asyncio.create_task(login.refresh("alice-1")) for _ in range(2)]
    await until(lambda: "/refresh" in server.asked)
    callers[0].cancel()
    await turns()
    assert not callers[1].done()
    callers[1].cancel()
    gate.set()
    await until(lambda: login.expires_at is not None and "alice-2" in repr(login._session and login._session.token))
    assert server.asked.count("/refresh") == 1


async def test_a_refresh_waits_for_no_follower() -> None:
    """A link that follows a change may itself be waiting for the refresh."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    heard: list[str | None] = []

    async def changed(_change: Change) -> None:
        heard.append(await login.refresh("alice-2"))

    login.subscribe(changed)
    async with asyncio.timeout(5):
        assert await login.refresh("alice-1") == "alice-2"
        await until(lambda: len(heard) == 2)
    assert heard == ["alice-3", "alice-3"]


@pytest.mark.parametrize(
    "outage",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        httpx2.Response(500),
        httpx2.Response(503),
        httpx2.Response(429),
    ],
)
async def test_a_server_that_is_away_refuses_nothing(outage: httpx2.Response | Exception) -> None:
    """The token stays, the error says to try again, the next call asks again, and nothing asks by itself."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    follower = Follower(login)
    server.spoilt["/refresh"] = outage
    with pytest.raises(AuthUnavailable) as away:
        await login.refresh("alice-1")
    await turns()
    assert away.value.temporary
    assert (await login.token(), server.asked.count("/refresh"), follower.told) == ("alice-1", 1, [])
    del server.spoilt["/refresh"]
    assert await login.refresh("alice-1") == "alice-2"


async def test_a_server_that_says_when_is_not_asked_before() -> None:
    """`Retry-After` is kept to, with its own error meanwhile; five minutes are the most."""
    server, clock = SessionServer(), FakeClock()
    login = login_at(server, clock)
    await login.login("alice", "right")
    server.spoilt["/refresh"] = httpx2.Response(429, headers={"retry-after": "30"})
    for seconds, retry_after in ((0, 30.0), (10, 20.0)):
        clock.advance(seconds)
        with pytest.raises(AuthUnavailable) as away:
            await login.refresh("alice-1")
        assert away.value.retry_after == retry_after
    assert server.asked.count("/refresh") == 1
    server.spoilt["/refresh"] = httpx2.Response(503, headers={"retry-after": "99999"})
    clock.advance(20)
    with pytest.raises(AuthUnavailable) as away:
        await login.refresh("alice-1")
    assert away.value.retry_after == 300.0
    del server.spoilt["/refresh"]
    clock.advance(300)
    assert await login.refresh("alice-1") == "alice-2"


@pytest.mark.parametrize("answer", [httpx2.Response(404), httpx2.Response(200, json={"token": "", "expiresIn": 1})])
async def test_an_answer_that_makes_no_sense_changes_nothing(answer: httpx2.Response) -> None:
    """It is an error, and neither a refusal nor a reason to try again."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    server.spoilt["/refresh"] = answer
    with pytest.raises(RequestFailed) as failed:
        await login.refresh("alice-1")
    assert not failed.value.temporary
    assert await login.token() == "alice-1"


async def test_a_session_that_is_over_logs_out() -> None:
    """Nobody is logged in, the followers know, and nobody asks again."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    follower = Follower(login)
    server.sessions.clear()
    for answer in await asyncio.gather(login.refresh("alice-1"), login.refresh("alice-1")):
        assert answer is None
    await turns()
    assert (login.identity, login.expires_at, await login.token()) == (None, None, None)
    assert follower.told == ["changed"]
    assert await login.refresh(None) is None
    await login.logout()
    assert server.asked == ["/login", "/refresh"]


async def test_without_a_refresh_token_there_is_nothing_to_ask_for() -> None:
    """What is stale stays what there is; the server is not asked, at the logout neither."""
    server = SessionServer(refreshes=False)
    login = login_at(server)
    await login.login("alice", "right")
    assert await login.refresh("alice-1") == "alice-1"
    await login.logout()
    assert server.asked == ["/login"]


async def test_a_login_during_a_refresh_stays() -> None:
    """The answer to the refresh comes late, changes nothing and tells nobody; its session is ended."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    gate = server.hold("/refresh")
    refresh = asyncio.create_task(login.refresh("alice-1"))
    await until(lambda: "/refresh" in server.asked)
    await login.login("bob", "right")
    follower = Follower(login)
    gate.set()
    assert await refresh == "bob-1"
    await turns()
    assert (await login.token(), follower.told, set(server.sessions)) == ("bob-1", [], {"bob-r1"})


@pytest.mark.parametrize("outage", [None, httpx2.ConnectError("refused")])
async def test_a_logout_during_a_refresh_stays(outage: Exception | None) -> None:
    """At once; and the refresh token that comes after it is used once more, to end the session."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    if outage is not None:
        server.spoilt["/refresh"] = outage
    gate = server.hold("/refresh")
    refresh = asyncio.create_task(login.refresh("alice-1"))
    await until(lambda: "/refresh" in server.asked)
    await login.logout()
    assert await login.token() is None
    gate.set()
    assert await refresh is None
    assert (await login.token(), login.identity, set(server.sessions)) == (None, None, set())


async def test_a_logout_during_a_login_stays() -> None:
    """The login says why it did not take effect, and leaves no session behind."""
    server = SessionServer()
    login = login_at(server)
    follower = Follower(login)
    gate = server.hold("/login")
    pending = asyncio.create_task(login.login("alice", "right"))
    await until(lambda: "/login" in server.asked)
    await login.logout()
    gate.set()
    with pytest.raises(SessionRevoked, match="later login or logout"):
        await pending
    assert (await login.token(), follower.told, server.sessions) == (None, [], {})


async def test_a_switch_during_a_login_stays() -> None:
    """Whoever called last is logged in, however late the answer to the one before."""
    server = SessionServer()
    login = login_at(server)
    gate = server.hold("/login")
    pending = asyncio.create_task(login.login("alice", "right"))
    await until(lambda: "/login" in server.asked)
    server._gates.clear()
    await login.login("bob", "right")
    gate.set()
    with pytest.raises(SessionRevoked):
        await pending
    assert (await login.token(), set(server.sessions)) == ("bob-1", {"bob-r1"})


async def test_a_switch_that_fails_does_not_undo_the_login_before() -> None:
    """A wrong password takes no effect, so an earlier login that is still under way does."""
    server = SessionServer()
    login = login_at(server)
    gate = server.hold("/login")
    pending = asyncio.create_task(login.login("alice", "right"))
    await until(lambda: "/login" in server.asked)
    server._gates.clear()
    with pytest.raises(InvalidCredentials):
        await login.login("bob", "wrong")
    gate.set()
    assert (await pending).subject == "alice"
    assert await login.token() == "alice-1"


async def test_a_switch_ends_the_session_before(caplog: pytest.LogCaptureFixture) -> None:
    """At the server, after the followers have gone; where that fails, the log says so and the switch stands."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    order: list[str] = []

    async def changed(change: Change) -> None:
        order.extend([change, *server.asked])

    login.subscribe(changed)
    await login.login("bob", "right")
    assert order == ["changed", "/login", "/login"]
    assert set(server.sessions) == {"bob-r1"}
    server.spoilt["/logout"] = httpx2.Response(503)
    with caplog.at_level(logging.WARNING):
        await login.login("carol", "right")
    assert await login.token() == "carol-1"
    assert "could not be ended" in caplog.text
    assert "bob-r1" not in caplog.text


async def test_a_logout_takes_effect_here_then_at_the_followers_then_at_the_server() -> None:
    """Each step has come when the next one begins."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    follow = asyncio.Event()
    gate = server.hold("/logout")

    async def changed(_change: Change) -> None:
        await follow.wait()

    login.subscribe(changed)
    leaving = asyncio.create_task(login.logout())
    await turns()
    assert (await login.token(), "/logout" in server.asked) == (None, False)
    follow.set()
    await until(lambda: "/logout" in server.asked)
    assert not leaving.done()
    gate.set()
    await leaving
    assert server.bodies[-1] == {"refreshToken": "alice-r1"}


async def test_a_logout_that_the_server_did_not_hear_stands_and_says_so() -> None:
    """The error says what may live on; no token is in it; a second logout is harmless."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    for outage in (httpx2.Response(500), httpx2.ConnectError("refused")):
        await login.login("alice", "right")
        server.spoilt["/logout"] = outage
        with pytest.raises(RequestFailed, match="may live on at the server") as failed:
            await login.logout()
        assert "alice-" not in f"{failed.value!r} {failed.value.__cause__!r}"
        assert await login.token() is None
        await login.logout()
        del server.spoilt["/logout"]


async def test_a_logout_whose_caller_goes_is_carried_out() -> None:
    """The followers are told and the server too."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    follow = asyncio.Event()

    async def changed(_change: Change) -> None:
        await follow.wait()

    login.subscribe(changed)
    leaving = asyncio.create_task(login.logout())
    await turns()
    leaving.cancel()
    await turns()
    assert leaving.cancelled()
    follow.set()
    await until(lambda: server.sessions == {})
    assert server.asked[-1] == "/logout"
    await turns()


async def test_closing_it_ends_what_is_under_way() -> None:
    """Whoever waits for a refresh is told; the session is not ended."""
    server = SessionServer()
    async with login_at(server) as login:
        await login.login("alice", "right")

        async def changed(_change: Change) -> None:
            await asyncio.Event().wait()

        login.subscribe(changed)
        leaving = asyncio.create_task(login.login("alice", "right"))
        await until(lambda: server.asked.count("/login") == 2)
        server.hold("/refresh")
        refresh = asyncio.create_task(login.refresh("alice-2"))
        await until(lambda: "/refresh" in server.asked)
    with pytest.raises(ConnectionClosed):
        await refresh
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_nothing_shows_a_token() -> None:
    """Neither the source nor what it is made of."""
    server = SessionServer()
    login = login_at(server)
    await login.login("alice", "right")
    shown = f"{login!r} {login._session!r} {login.identity!r}"
    assert "alice-" not in shown
    assert "'alice'" in shown
