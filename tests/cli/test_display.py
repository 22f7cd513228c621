"""How results, frames and states look."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cli.running import WITHIN, Home
from gqlink.auth import Identity
from gqlink.cli.display import frame_line, gap_note, print_table, readable, state_note, visible
from gqlink.cli.serve import describe_event
from gqlink.client import Gap, LinkPhase, LinkState, SocketFrame
from gqlink.server import SocketEvent

if TYPE_CHECKING:
    from pathlib import Path

ALICE = Identity("alice", expires_at=time.mktime((2026, 1, 2, 12, 3, 15, 0, 0, -1)))


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"messageAdded": {"from": "alice", "text": "Hello"}}, "messageAdded  from: alice, text: Hello"),
        ({"a": 1, "b": None}, "a: 1, b: null"),
        ({"rooms": [{"id": "1"}, {"id": "2"}]}, "rooms  [id: 1; id: 2]"),
        (None, "null"),
    ],
)
def test_an_event_reads_like_a_sentence(data: object, line: str) -> None:
    """One field needs no braces; text needs no quotation marks."""
    assert readable(data) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]52;c;aGk=\x07", r"\x1b[2J\x1b]52;c;aGk=\x07"),
        ("x\n23:59:59 socket 1 alice", r"x\n23:59:59 socket 1 alice"),
        ("\u202eevil", r"\u202eevil"),
        ("Grüße 👩‍🚀 naïve", "Grüße 👩‍🚀 naïve"),
    ],
)
def test_nobody_elses_words_drive_the_terminal(text: str, shown: str) -> None:
    """Escape sequences, new lines and overrides are shown, not obeyed; letters and emoji stay as they are."""
    assert visible(text) == shown


def test_a_close_reason_cannot_pass_for_a_line_of_ours() -> None:
    """The peer chooses its reason, and nothing beside it."""
    event = SocketEvent(socket=3, kind="closed", code=1000, reason="x\n23:59:59 socket 1 alice\x1b[31m")

    assert describe_event(event).count("\n") == 0
    assert "\x1b" not in describe_event(event)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (SocketEvent(2, "acknowledged", ALICE), "socket 2 alice, token until 12:03:15"),
        (SocketEvent(2, "acknowledged", Identity("alice")), "socket 2 alice, token that does not expire"),
        (SocketEvent(2, "acknowledged"), "socket 2 anonymous, no token"),
        (SocketEvent(2, "renewed", ALICE), "socket 2 alice, renewed, token until 12:03:15"),
        (SocketEvent(2, "refused", code=4403, reason="Token invalid"), "socket 2 refused: 4403 Token invalid"),
        (
            SocketEvent(2, "refused", ALICE, code=4403, reason="Token expired"),
            "socket 2 alice, ended: 4403 Token expired",
        ),
        (
            SocketEvent(2, "refused", ALICE, code=4403, reason="Session revoked"),
            "socket 2 alice, ended: 4403 Session revoked",
        ),
        (SocketEvent(2, "closed", ALICE, code=4403, reason="Token expired"), "socket 2 closed: 4403 Token expired"),
    ],
)
def test_each_step_of_a_socket_is_a_line(event: SocketEvent, line: str) -> None:
    """Who it is, until when, and why it ends: by expiry or by revocation of somebody who was in."""
    assert describe_event(event).partition(" ")[2] == line


def test_a_table_is_as_wide_as_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """And what is in it cannot drive the terminal."""
    print_table(("account", "since"), [("alice", "today"), ("\x1b[31mbob", "a year ago")])
    assert capsys.readouterr().out == "ACCOUNT      SINCE\nalice        today\n\\x1b[31mbob  a year ago\n"


def test_a_frame_is_a_line_as_developer_tools_show_it() -> None:
    """Time, socket, direction, type, id, payload."""
    moment = time.mktime((2026, 1, 2, 12, 3, 15, 0, 0, -1)) + 0.125
    frame = SocketFrame("sent", 1.0, moment, 1, "subscribe", "7", {"query": "{ a }"})

    assert frame_line(frame) == '12:03:15.125 #1 ▶ subscribe [7]  {"query":"{ a }"}'


@pytest.mark.parametrize(
    ("state", "note"),
    [
        (LinkState(LinkPhase.LIVE, 0.0, subject="alice"), "connected as alice"),
        (LinkState(LinkPhase.WAITING, 0.0, retry_in=3.0, code=1012, reason="Service restart"), "1012 Service restart"),
        (LinkState(LinkPhase.WAITING, 0.0, retry_in=3.0), "connection lost, next attempt in 3.0 s"),
    ],
)
def test_a_state_that_matters_is_said(state: LinkState, note: str) -> None:
    """Who the connection speaks for, and when it will be tried again."""
    assert note in (state_note(state) or "")


@pytest.mark.parametrize(("missed", "number"), [(None, "events"), (3, "3 events")])
def test_a_gap_is_one_line(missed: int | None, number: str) -> None:
    """How many are missing, where that is known, and why nobody can say more."""
    note = gap_note(Gap("the server was restarted", missed=missed))
    assert note == f"gap: {number} may have been missed: the server was restarted"


def test_a_state_that_does_not_matter_is_not_said() -> None:
    """Connecting takes a moment, and is no news."""
    assert state_note(LinkState(LinkPhase.CONNECTING, 0.0)) is None


async def test_on_a_terminal_events_are_readable_lines(tmp_path: Path) -> None:
    """The same command that prints JSON into a pipe prints sentences on a terminal."""
    home = Home(tmp_path)
    ours, theirs = pty.openpty()
    document = "subscription { messageAdded { from text } }"
    async with home.serving("--demo") as (url, _):
        await home.run("login", "alice", "-s", url, given="alice123\n")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gqlink", "subscribe", document, "-s", url,
            stdout=theirs, stderr=asyncio.subprocess.PIPE, env=home.env,
        )  # fmt: skip
        os.close(theirs)
        assert process.stderr is not None
        try:
            async with asyncio.timeout(WITHIN):
                while b"connected as alice" not in await process.stderr.readline():
                    pass
            add = 'mutation { addMessage(input: {text: "Hello"}) { id } }'
            await home.run("query", add, "-s", url)
            line = await asyncio.wait_for(asyncio.to_thread(os.read, ours, 1000), WITHIN)
        finally:
            process.terminate()
            await process.communicate()
            os.close(ours)

    assert "messageAdded  from: alice, text: Hello" in line.decode()
