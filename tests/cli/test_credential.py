"""Whom the commands speak for, as processes against a real server."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from cli.running import Home
from gqlink.chat import ChatSettings, create_app
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

VIEWER = "{ viewer { name } }"
ALICE = {"viewer": {"name": "alice"}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user who has never run the command."""
    return Home(tmp_path)


@asynccontextmanager
async def counted(home: Home) -> AsyncIterator[tuple[str, Counter[str]]]:
    """Serve the chat, and count what is asked for by path."""
    app = create_app(ChatSettings(data_dir=home.path / "chat", demo=True))
    asked: Counter[str] = Counter()

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        asked[scope.get("path", "")] += 1
        await app(scope, receive, send)

    async with serving(counting) as authority:
        yield f"http://{authority}", asked


def edit(home: Home, **changes: object) -> dict[str, Any]:
    """Change the one login in the file; return what it was."""
    file = home.path / "config" / "gqlink" / "tokens.json"
    content = json.loads(file.read_text())
    ((server, login),) = content["servers"].items()
    file.write_text(json.dumps({"version": content["version"], "servers": {server: login | changes}}))
    return dict(login)


@pytest.mark.parametrize("changes", [{"expires_at": 1.0}, {"token": "not one of ours"}])
async def test_an_expired_token_is_renewed_once_for_several_processes(home: Home, changes: dict[str, object]) -> None:
    """Whether the file says that it has ended or the server does not take it: nobody notices."""
    async with counted(home) as (url, asked):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        login = edit(home, **changes)
        answers = await asyncio.gather(*(home.run("query", VIEWER, "-s", url) for _ in range(4)))
        again = await home.run("query", VIEWER, "-s", url)

    assert [answer.err for answer in answers] == [""] * 4
    assert [json.loads(answer.out) for answer in [*answers, again]] == [ALICE] * 5
    assert asked["/refresh"] == 1
    assert edit(home)["token"] not in {login["token"], changes.get("token")}


async def test_a_subscription_begins_with_a_renewed_token(home: Home) -> None:
    """Its socket is refused once at most."""
    async with counted(home) as (url, _):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        edit(home, token="not one of ours")
        async with home.running("subscribe", "subscription { messageAdded { text } }", "-s", url) as listener:
            await listener.line("connected as alice", stream="err")
            stopped = await listener.stop()
    assert "Traceback" not in stopped.err


async def test_a_subscription_whose_session_is_ended_elsewhere_says_how_to_go_on(home: Home) -> None:
    """Its socket is closed and its token cannot be renewed; whichever command notices that forgets the login."""
    async with counted(home) as (url, _):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        login = edit(home)
        async with home.running("subscribe", "subscription { messageAdded { text } }", "-s", url) as listener:
            await listener.line("connected as alice", stream="err")
            async with httpx2.AsyncClient() as client:
                await client.post(f"{url}/logout", json={"refreshToken": login["refresh_token"]})
            error = await listener.line("gqlink: ", stream="err")
        await home.run("whoami", "-s", url)
        nobody = await home.run("whoami", "-s", url)

    assert "Session revoked; log in again with: gqlink login alice" in error
    assert "Nobody is logged in" in nobody.out


async def test_a_subscription_goes_on_as_whoever_logs_in_meanwhile(home: Home) -> None:
    """In another process, which ends the session before; it says for whom it listens now."""
    async with counted(home) as (url, _):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        async with home.running("subscribe", "subscription { messageAdded { text } }", "-s", url) as listener:
            await listener.line("connected as alice", stream="err")
            await home.run("login", "bob", "-s", url, given="bob123\n")
            await listener.line("connected as bob", stream="err")
            await home.run("query", 'mutation { addMessage(input: {text: "hello"}) { id } }', "-s", url)
            event = await listener.line("hello")
            stopped = await listener.stop()

    assert json.loads(event) == {"messageAdded": {"text": "hello"}}
    assert "Traceback" not in stopped.err


async def test_a_logout_ends_the_session_at_the_server(home: Home) -> None:
    """Who has kept a copy of the file cannot renew it any more, and is logged out."""
    async with counted(home) as (url, asked):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        file = home.path / "config" / "gqlink" / "tokens.json"
        copy = file.read_text()
        logout = await home.run("logout", "-s", url)
        again = await home.run("logout", "-s", url)
        file.write_text(copy)
        edit(home, expires_at=1.0)
        answer = await home.run("query", VIEWER, "-s", url)
        nobody = await home.run("whoami", "-s", url)

    assert (logout.code, logout.out) == (0, "Logged out alice.\n")
    assert (again.code, again.out) == (0, f"Nobody was logged in at {url}.\n")
    assert asked["/logout"] == 1
    assert (answer.code, "Session revoked" in answer.err) == (1, True), answer
    assert (nobody.code, "Nobody is logged in" in nobody.out) == (1, True)


async def test_a_logout_that_the_server_did_not_hear_says_so(home: Home) -> None:
    """Here it stands."""
    async with counted(home) as (url, _):
        await home.run("login", "alice", "-s", url, given="alice123\n")
    logout = await home.run("logout", "-s", url)
    nobody = await home.run("whoami", "-s", url)

    assert (logout.code, "may live on at the server" in logout.err) == (1, True), logout
    assert "Nobody is logged in" in nobody.out


async def test_a_token_in_the_environment_takes_precedence(home: Home) -> None:
    """`whoami` says so; login and logout say that it goes on; the file is used again without it."""
    async with counted(home) as (url, asked):
        other = Home(home.path / "other")
        await other.run("login", "alice", "-s", url, given="alice123\n")
        home.env["GQLINK_TOKEN"] = edit(other)["token"]
        login = await home.run("login", "bob", "-s", url, given="bob123\n")
        alice = await home.run("whoami", "-s", url)
        del home.env["GQLINK_TOKEN"]
        bob = await home.run("whoami", "-s", url)
        home.env["GQLINK_TOKEN"] = "not one of ours"
        refused = await home.run("query", VIEWER, "-s", url)
        logout = await home.run("logout", "-s", url)

    assert "GQLINK_TOKEN is set" in login.err
    assert "GQLINK_TOKEN is set" in logout.err
    assert alice.out == f"alice at {url}, by the token in GQLINK_TOKEN.\n"
    assert bob.out.startswith(f"bob at {url}, token until")
    assert (refused.code, "Token invalid" in refused.err) == (1, True), refused
    assert "not one of ours" not in refused.err
    assert asked["/refresh"] == 0
