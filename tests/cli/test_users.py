"""`gqlink users` beside a running server, as processes."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
import websockets
from websockets.asyncio.client import connect

from cli.running import Home

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 10.0
NEWER = websockets.Subprotocol("graphql-transport-ws")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user who has never run the command."""
    return Home(tmp_path)


def post(url: str, body: object, *, token: str | None = None) -> tuple[int, dict[str, str]]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)


def log_in(url: str, name: str) -> dict[str, str]:
    status, grant = post(f"{url}/login", {"name": name, "password": f"{name}123"})
    assert status == 200, grant
    return grant


def ask(url: str, token: str) -> int:
    return post(f"{url}/graphql", {"query": "{ viewer { name } }"}, token=token)[0]


def id_of(grant: dict[str, str]) -> str:
    return grant["refreshToken"].partition(".")[0]


async def test_sessions_are_listed_and_ended_beside_a_running_server(home: Home) -> None:
    """One of them by the beginning of its id, then all of them; the server notices by itself."""
    async with home.serving("--demo") as (url, server):
        desk, phone, bob = log_in(url, "alice"), log_in(url, "alice"), log_in(url, "bob")
        listed = await home.run("users", "sessions", "--demo")
        async with connect(url.replace("http", "ws") + "/graphql", subprotocols=[NEWER], proxy=None) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"accessToken": desk["token"]}}))
            await socket.recv()
            one = await home.run("users", "revoke", "alice", f"--session={id_of(desk)[:8]}", "--demo")
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
        ended = await server.line("socket 1 alice, ended")
        statuses = [post(f"{url}/refresh", {"refreshToken": each["refreshToken"]})[0] for each in (desk, phone, bob)]
        all_of_alice = await home.run("users", "revoke", "alice", "--demo")
        alice = await home.run("users", "sessions", "alice", "--demo")

    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    lines = listed.out.splitlines()
    assert re.fullmatch(r"ACCOUNT  SESSION   SINCE +LAST REFRESHED +UNTIL", lines[0]), listed
    for line, grant, name in zip(lines[1:], (desk, phone, bob), ("alice", "alice", "bob"), strict=True):
        assert re.fullmatch(rf"{name} +{re.escape(id_of(grant)[:8])}  {moment}  {moment}  {moment}", line), listed
    assert one.out == "Ended 1 session of alice.\n", one
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4403, "Session revoked")
    assert ended.endswith("socket 1 alice, ended: 4403 Session revoked")
    assert statuses == [401, 200, 200]
    assert all_of_alice.out == "Ended 1 session of alice.\n"
    assert alice.out == "alice is not logged in.\n"
    assert not any(each.err or each.code for each in (listed, one, all_of_alice, alice))


async def test_sessions_are_ended_while_the_server_is_down(home: Home) -> None:
    """The next start knows: neither token is of use any more, and another account's are."""
    async with home.serving("--demo") as (url, server):
        alice, bob = log_in(url, "alice"), log_in(url, "bob")
        await server.stop()
    revoked = await home.run("users", "revoke", "alice", "--demo")
    async with home.serving("--demo") as (url, _):
        asked = [ask(url, each["token"]) for each in (alice, bob)]
        refreshed = [post(f"{url}/refresh", {"refreshToken": each["refreshToken"]})[0] for each in (alice, bob)]
        again = log_in(url, "alice")
        assert ask(url, again["token"]) == 200
    assert (revoked.code, revoked.out) == (0, "Ended 1 session of alice.\n")
    assert (asked, refreshed) == ([401, 200], [401, 200])


async def test_a_name_that_nobody_has_is_one_sentence(home: Home) -> None:
    """Exit code 1, and its characters cannot drive the terminal."""
    answer = await home.run("users", "revoke", "no\x1b[31mbody")
    assert (answer.code, answer.out, answer.err) == (1, "", "gqlink: There is no account 'no\\x1b[31mbody'.\n")


async def test_a_session_may_begin_with_a_dash(home: Home) -> None:
    """It is no option then."""
    await home.run("users", "add", "dora", given="a long password\n")
    answer = await home.run("users", "revoke", "dora", "--session", "-abc")
    assert (answer.code, answer.err) == (1, "gqlink: No session of dora that goes on begins with '-abc'.\n")
