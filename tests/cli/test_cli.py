"""The command line against a real server, as processes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from cli.running import Home

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE_ADDED = "subscription { messageAdded { from text } }"
ADD = "mutation($text: String!) { addMessage(input: {text: $text}) { from text } }"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user who has never run the command."""
    return Home(tmp_path)


async def test_from_login_to_logout(home: Home) -> None:
    """Log in, be somebody, speak, log out, be nobody."""
    async with home.serving("--demo") as (url, _):
        nobody = await home.run("whoami", "-s", url)
        login = await home.run("login", "alice", "-s", url, given="alice123\n")
        somebody = await home.run("whoami", "-s", url)
        said = await home.run("query", ADD, "-v", '{"text": "Hello"}', "-s", url)
        logout = await home.run("logout", "-s", url)
        silent = await home.run("query", ADD, "-v", '{"text": "Hello"}', "-s", url)

    assert (nobody.code, "Nobody is logged in" in nobody.out) == (1, True)
    assert (login.code, login.out.startswith(f"Logged in as alice at {url}, token until")) == (0, True), login
    assert (somebody.code, somebody.out.startswith(f"alice at {url}")) == (0, True), somebody
    assert json.loads(said.out) == {"addMessage": {"from": "alice", "text": "Hello"}}
    assert (logout.code, logout.out) == (0, "Logged out alice.\n")
    assert (silent.code, "You must be logged in" in silent.err) == (1, True)
    assert "Traceback" not in nobody.err + silent.err


async def test_tokens_are_kept_for_the_user_alone_and_for_several_servers(home: Home) -> None:
    """One file of mode 0600; a login at one server leaves the other's alone."""
    async with home.serving("--demo") as (one, _), home.serving("--demo", "--data", str(home.path / "2")) as (two, _):
        await home.run("login", "alice", "-s", one, given="alice123\n")
        await home.run("login", "bob", "-s", two, given="bob123\n")
        alice = await home.run("whoami", "-s", one)
        bob = await home.run("whoami", "-s", two + "/graphql")
    file = home.path / "config" / "gqlink" / "tokens.json"

    assert (alice.out.split()[0], bob.out.split()[0]) == ("alice", "bob")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_wrong_password_is_one_sentence(home: Home) -> None:
    """Exit code 1, and nothing is stored."""
    async with home.serving("--demo") as (url, _):
        login = await home.run("login", "alice", "-s", url, given="wrong-password\n")

    assert login.code == 1
    assert "rong name or password" in login.err
    assert "Traceback" not in login.err
    assert not (home.path / "config" / "gqlink" / "tokens.json").exists()


async def test_subscribe_survives_a_restart_of_the_server(home: Home) -> None:
    """It prints one JSON object a line in a pipe, tells of the gap once, goes on, and stops cleanly."""
    async with home.serving("--demo") as (url, server):
        port = int(url.rpartition(":")[2])
        await home.run("login", "alice", "-s", url, given="alice123\n")
        async with home.running("subscribe", MESSAGE_ADDED, "-s", url) as listener:
            await listener.line("connected as alice", stream="err")
            await home.run("query", ADD, "-v", '{"text": "before"}', "-s", url)
            before = await listener.line("before")
            await server.stop()
            await listener.line(r"connection lost \(1012 Service restart\)", stream="err")
            async with home.serving("--demo", port=port):
                await listener.line("connected as alice", stream="err")
                await listener.line("^gap: events may have been missed: ", stream="err")
                await home.run("query", ADD, "-v", '{"text": "after"}', "-s", url)
                after = await listener.line("after")
                stopped = await listener.stop(signal.SIGINT)

    assert json.loads(before) == {"messageAdded": {"from": "alice", "text": "before"}}
    assert json.loads(after) == {"messageAdded": {"from": "alice", "text": "after"}}
    assert stopped.code == 130
    assert "Traceback" not in stopped.err
    assert "gap" not in stopped.err
    assert "connected" not in stopped.err


async def test_subscribe_goes_on_after_a_cursor(home: Home) -> None:
    """It says at the end where it was; what was said meanwhile comes first, the next time."""
    async with home.serving("--demo") as (url, _):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        async with home.running("subscribe", MESSAGE_ADDED, "-s", url) as listener:
            await listener.line("connected as alice", stream="err")
            await home.run("query", ADD, "-v", '{"text": "first"}', "-s", url)
            await listener.line("first")
            stopped = await listener.stop(signal.SIGINT)
        cursor = re.findall(r"--after (\S+)", stopped.err)[0]
        await home.run("query", ADD, "-v", '{"text": "meanwhile"}', "-s", url)
        async with home.running("subscribe", MESSAGE_ADDED, "--after", cursor, "-s", url) as listener:
            line = await listener.line("text")
            stopped = await listener.stop(signal.SIGINT)

    assert json.loads(line) == {"messageAdded": {"from": "alice", "text": "meanwhile"}}
    assert "gap" not in stopped.err


async def test_frames_show_everything_but_the_token(home: Home) -> None:
    """Direction, time, type and payload of each frame; the token decoded, never shown."""
    async with home.serving("--demo") as (url, _):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        async with home.running("subscribe", MESSAGE_ADDED, "--frames", "-s", url) as listener:
            init = await listener.line("connection_init", stream="err")
            ack = await listener.line("connection_ack", stream="err")
            await listener.line("subscribe", stream="err")
            stopped = await listener.stop(signal.SIGTERM)

    assert re.match(r'\d\d:\d\d:\d\d\.\d{3} #1 ▶ connection_init  \{"accessToken":"<token of alice, exp \d+>"\}', init)
    assert '"subject":"alice"' in ack
    assert "eyJ" not in init + ack + stopped.err
    assert stopped.code == 143


async def test_a_stranger_is_told_why_nothing_comes(home: Home) -> None:
    """Anonymous, the subscription is answered with an error, and the command ends."""
    async with home.serving("--demo") as (url, _):
        answer = await home.run("subscribe", MESSAGE_ADDED, "-s", url)

    assert answer.code == 1
    assert "You must be logged in" in answer.err
    assert "Traceback" not in answer.err


async def test_serve_says_what_happens_to_sockets(home: Home) -> None:
    """One line for each step: opened, whom it speaks for and until when, closed."""
    async with home.serving("--demo") as (url, server):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        async with home.running("subscribe", MESSAGE_ADDED, "-s", url) as listener:
            opened = await server.line("socket 1 opened")
            named = await server.line("socket 1 alice")
            await listener.stop()
        closed = await server.line("socket 1 closed")

    assert re.search(r"socket 1 opened from 127\.0\.0\.1:\d+, graphql-transport-ws", opened)
    assert re.search(r"socket 1 alice, token until \d\d:\d\d:\d\d", named)
    assert "closed: 1000" in closed


async def test_accounts_are_made_beside_a_running_server(home: Home) -> None:
    """`users add` on the same data directory; the new account logs in at once."""
    data = str(home.path / "chat")
    async with home.serving("--data", data) as (url, _):
        added = await home.run("users", "add", "dora", "--data", data, given="a long password\n")
        login = await home.run("login", "dora", "-s", url, given="a long password\n")
        again = await home.run("users", "add", "Dora", "--data", data, given="a long password\n")

    assert (added.code, added.out) == (0, "dora can log in now.\n"), added
    assert login.code == 0, login
    assert again.code == 1
    assert "Traceback" not in again.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("serve", "--demo", "--host", "0.0.0.0"), "loopback only"),
        (("query", "{ viewer { name } }", "-s", "http://127.0.0.1:9"), "127.0.0.1:9"),
        (("query", "{ viewer { name } }", "-s", "nonsense"), "http://localhost:9000"),
        (("query", "{ viewer", "-s", "http://127.0.0.1:9"), "yntax"),
        (("query", "{ a }", "-v", "[1]", "-s", "http://127.0.0.1:9"), "--variables must be a JSON object"),
        (("login", "alice", "-s", "http://127.0.0.1:9"), "password"),
    ],
)
async def test_a_mistake_is_one_sentence(home: Home, arguments: tuple[str, ...], sentence: str) -> None:
    """Exit code 1, the sentence on standard error, no traceback."""
    answer = await home.run(*arguments)

    assert answer.code == 1, answer
    assert sentence in answer.err, answer
    assert "Traceback" not in answer.err


async def test_a_port_in_use_is_one_sentence(home: Home) -> None:
    """It says which, and how to choose another."""
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        answer = await home.run("serve", "--demo", "--port", str(port))

    assert answer.code == 1
    assert f"port {port}" in answer.err
    assert "--port" in answer.err
    assert "Traceback" not in answer.err


async def test_a_damaged_token_file_says_what_to_do(home: Home) -> None:
    """Its name and the way out; it is not overwritten."""
    file = home.path / "config" / "gqlink" / "tokens.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    answer = await home.run("whoami")

    assert answer.code == 1
    assert "delete it and log in again" in answer.err
    assert file.read_text() == "{"
