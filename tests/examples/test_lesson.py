"""The eight lessons do what their pages say."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import TYPE_CHECKING

import pytest

from examples.pages import LESSON_PAGES, LESSON_SCRIPTS, TUTORIAL, blocks, prose, regions, settled, strands
from examples.runs import Run, demo_chat, run_each, run_together, say

if TYPE_CHECKING:
    from pathlib import Path

# Sixteen processes run in these tests, on whatever else the machine has to do; each has a bound of its own.
pytestmark = pytest.mark.timeout(180)

MOST_WORDS = 500
NULL = '▶ connection_init {"accessToken": null}'
ALICE = '▶ connection_init {"accessToken": "<token of alice, exp 1800000000>"}'
BOB = '▶ connection_init {"accessToken": "<token of bob, exp 1800000000>"}'

by_page = pytest.mark.parametrize("page", LESSON_PAGES, ids=lambda page: page.stem)
by_script = pytest.mark.parametrize("script", LESSON_SCRIPTS, ids=lambda script: script.stem)


@pytest.fixture(scope="module")
def runs() -> dict[Path, Run]:
    """Each script has run once, in an empty chat of its own."""
    return asyncio.run(run_each(LESSON_SCRIPTS))


@pytest.fixture
def lines(runs: dict[Path, Run], request: pytest.FixtureRequest) -> list[str]:
    """What the script of the lesson with this number printed."""
    script = LESSON_SCRIPTS[request.param - 1]
    return settled(runs[script].output).splitlines()


def lesson(number: int) -> pytest.MarkDecorator:
    """Let a test look at what one lesson printed."""
    return pytest.mark.parametrize("lines", [number], indirect=True, ids=[f"lesson {number}"])


def inits(lines: list[str]) -> list[str]:
    """Which `connection_init`s were sent."""
    return ["▶" + line.partition("▶")[2] for line in lines if "▶ connection_init" in line]


def test_there_are_eight_lessons() -> None:
    """Eight pages and eight scripts, numbered alike."""
    assert [page.name[:2] for page in LESSON_PAGES] == [f"0{number}" for number in range(1, 9)]
    assert [script.name[:2] for script in LESSON_SCRIPTS] == [f"0{number}" for number in range(1, 9)]


@by_script
def test_a_script_ends_by_itself_and_says_what_was_learned(script: Path, runs: dict[Path, Run]) -> None:
    """The exit code is 0, the last line is the lesson, and the log tells of lesson 5's cut and lesson 7's bad token."""
    run = runs[script]
    assert run.code == 0, run.output + run.complaints
    assert run.output.splitlines()[-1].startswith("Learned: ")
    expected = {
        "05_reconnect": "the connection was lost: the connection ended with code 1006\n",
        "07_frames": "the link gives up: 4403 Token invalid\n",
    }
    assert run.complaints == expected.get(script.stem, "")


@by_page
def test_a_page_shows_what_its_script_prints(page: Path, runs: dict[Path, Run]) -> None:
    """The output on the page is real, but for times and for frames that cross on their way."""
    (shown,) = [block for block in blocks(page) if block.output_of is not None]
    assert shown.output_of is not None
    assert strands(shown.text) == strands(settled(runs[shown.output_of].output))


@by_page
def test_a_page_quotes_its_script(page: Path) -> None:
    """Every Python block is a region of the page's own script, and every region is on the page."""
    script = LESSON_SCRIPTS[LESSON_PAGES.index(page)]
    quoted = {}
    for block in blocks(page):
        if block.language == "python":
            assert block.quotation is not None, "a Python block needs a comment that says where it is from"
            assert block.quotation[0] == script
            quoted[block.quotation[1]] = block.text
    assert quoted == regions(script)


@by_page
def test_a_page_is_short_and_names_its_stories(page: Path) -> None:
    """At most 500 words without the output, and the stories of the tutorial's index at the end."""
    output = sum(len(block.text.split()) for block in blocks(page) if block.output_of is not None)
    assert len(page.read_text("utf-8").split()) - output <= MOST_WORDS
    stories = re.search(r"^(?:Story|Stories): (S\d(?:, S\d)*)[.,]", prose(page), re.MULTILINE)
    assert stories is not None


def test_every_story_is_told() -> None:
    """S1 to S9 each have a page."""
    told = {story for page in LESSON_PAGES for story in re.findall(r"\bS\d\b", prose(page))}
    assert told == {f"S{number}" for number in range(1, 10)}
    assert told == set(re.findall(r"\*\*(S\d)\*\*", prose(TUTORIAL / "README.md")))


@by_script
def test_no_token_is_ever_shown(script: Path, runs: dict[Path, Run]) -> None:
    """Tokens are described; not one begins anywhere, neither in the output nor on standard error."""
    assert "eyJ" not in runs[script].output + runs[script].complaints


@by_page
def test_no_page_holds_a_token(page: Path) -> None:
    """Nor on a page."""
    assert "eyJ" not in page.read_text("utf-8")


@lesson(1)
def test_lesson_1_a_login_counts_from_the_next_request_on(lines: list[str]) -> None:
    """S1 over HTTP: refused without a token, welcome with one; the author is taken from the token."""
    assert lines[1:3] == [
        "  POST /graphql  authorization: (none)",
        "  UNAUTHENTICATED: You must be logged in to do this.",
    ]
    assert "  POST /graphql  authorization: Bearer <token of alice, exp 1800000000>" in lines
    assert "  {'addMessage': {'from': 'alice', 'text': 'Hello over HTTP'}}" in lines


@lesson(2)
def test_lesson_2_a_stranger_gets_nothing(lines: list[str]) -> None:
    """S1: reading, writing and listening are refused, and the socket is acknowledged all the same."""
    assert sum("UNAUTHENTICATED: " in line for line in lines) == 3
    assert any('◀ connection_ack {"gqlink": {"version": 1, "subject": null' in line for line in lines)
    assert not any("◀ next" in line for line in lines)


@lesson(3)
def test_lesson_3_a_plain_object_stays_null(lines: list[str]) -> None:
    """S2: null is sent before the login and again after it."""
    assert inits(lines) == [NULL, NULL]
    assert "Alice has logged in. Over HTTP: {'viewer': {'name': 'alice'}}" in lines


@lesson(4)
def test_lesson_4_a_function_is_read_at_the_next_connection(lines: list[str]) -> None:
    """S3: the second connection carries the token, and the message arrives once."""
    assert inits(lines) == [NULL, ALICE]
    assert sum('◀ next {"data": {' in line for line in lines) == 1


@lesson(5)
def test_lesson_5_the_subscription_survives_the_cut(lines: list[str]) -> None:
    """S4 and S5: no socket at first, two in the end, the function called for each."""
    assert lines[0] == "The client is there. Calls of connection_params: 0, sockets: 0"
    assert lines[-2] == "The subscription has ended. Calls of connection_params: 2, sockets: 2"
    assert '12:00:00 #1 ◀ close {"code": 1006, "reason": ""}' in lines
    assert inits(lines) == [ALICE, ALICE]


@lesson(6)
def test_lesson_6_the_open_socket_is_brought_to_the_login(lines: list[str]) -> None:
    """S9: by `credentials_changed()`, and by a token source without a word."""
    assert inits(lines) == [NULL, ALICE, NULL, ALICE]
    assert sum("UNAUTHENTICATED: " in line for line in lines) == 1
    assert sum('◀ next {"data": {' in line for line in lines) == 2


@lesson(7)
def test_lesson_7_a_changed_token_is_refused_with_its_reason(lines: list[str]) -> None:
    """S7: 4403, and nothing was asked for on that socket."""
    forged = lines[lines.index("A token that somebody has changed:") :]
    assert '12:00:00 #1 ◀ close {"code": 4403, "reason": "Token invalid"}' in forged
    assert not any("subscribe" in line for line in forged)
    assert sum("▶ connection_init" in line for line in forged) == 1


@lesson(8)
def test_lesson_8_the_next_connection_acts_as_the_other(lines: list[str]) -> None:
    """S6 and S8: alice, nobody, bob; charlie hears both in order, each once. Alice's token is of no use any more."""
    assert inits(lines) == [ALICE, NULL, BOB]
    assert "  with the old token: Session revoked" in lines
    assert [line for line in lines if line.startswith("Charlie")] == [
        "Charlie heard {'messageAdded': {'from': 'alice', 'text': 'Alice was here'}}",
        "Charlie heard {'messageAdded': {'from': 'bob', 'text': 'Bob was here'}}",
    ]


def test_a_stranger_leaves_nothing_behind(runs: dict[Path, Run]) -> None:
    """S1: after lesson 2 the chat is as empty as before."""
    assert runs[LESSON_SCRIPTS[1]].said == []


async def test_the_lessons_do_not_mind_company() -> None:
    """All run at the same time in a chat that is full of old messages."""
    async with demo_chat() as server:
        await say(server, [f"old message {number}" for number in range(60)])
        runs = await run_together(LESSON_SCRIPTS, server=server)
    for run in runs.values():
        assert run.code == 0, run.output + run.complaints
        assert run.output.splitlines()[-1].startswith("Learned: ")
        assert "eyJ" not in run.output + run.complaints


async def test_without_a_server_a_script_says_what_to_type() -> None:
    """One sentence on standard error, and no traceback: whether it begins with a query, an app's socket, or a login."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        server = "http://{}:{}".format(*taken.getsockname())
        runs = await run_together([LESSON_SCRIPTS[number - 1] for number in (2, 6, 8)], server=server)
    for run in runs.values():
        assert run.code == 1
        assert re.fullmatch(r"Start the chat first: make run \(.+\)\n", run.complaints)


def test_scripts_differ_only_in_their_stories() -> None:
    """What every script needs is the same in each: where the server is, and how it ends."""
    for script in LESSON_SCRIPTS:
        text = script.read_text("utf-8")
        assert 'SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]\n' in text
        assert text.endswith('        sys.exit(f"Start the chat first: make run ({failed})")\n')
        assert len(text.splitlines()) <= 100


def test_shown_frames_are_json() -> None:
    """Whoever copies a payload from a page can read it."""
    for page in LESSON_PAGES:
        for line in page.read_text("utf-8").splitlines():
            found = re.match(r"12:00:00 #\d [▶◀] \w+ (?:\[\d+\] )?(.+)", line)
            if found:
                json.loads(found.group(1))
