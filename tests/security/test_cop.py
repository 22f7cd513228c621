from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from security.broken import BrokenServer
from security.cop import CHECKS, HTTP_ONLY, patrol
from security.served import ROADS, road_to
from serving import serving

if TYPE_CHECKING:
    from security.served import Production
    from server.world import World

BROKEN_ROADS = tuple(name for name in ROADS if name != "event stream")
IMPLIED = {"circular_introspection": {"introspection"}}
"""What a flaw cannot be without."""


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("logged_in", [False, True], ids=["anonymous", "logged in"])
@pytest.mark.parametrize("check", CHECKS)
async def test_the_chat_as_an_operator_starts_it_is_left_open_nowhere(
    production: Production, check: str, *, logged_in: bool, road: str
) -> None:
    """`gqlink serve` without an option that loosens anything: no question finds anything, on no road."""
    assert await CHECKS[check](production.road(road, logged_in=logged_in)) is None


@pytest.mark.parametrize("road", ROADS)
async def test_a_bare_application_is_left_open_nowhere(world: World, road: str) -> None:
    """A `GraphQLApp` with no setting but its schema and its authentication is as closed as the chat."""
    async with serving(world.app()) as authority:
        assert await patrol(road_to(authority, road)) == {}


@pytest.mark.parametrize("road", BROKEN_ROADS)
@pytest.mark.parametrize("flaw", CHECKS)
async def test_each_question_finds_the_flaw_that_it_is_there_for(flaw: str, road: str) -> None:
    """A server that has it is found out, by that question and no other: a question that finds nothing is no proof."""
    async with serving(BrokenServer(flaw).app) as authority:
        found = set(await patrol(road_to(authority, road)))

    expected = {flaw} | IMPLIED.get(flaw, set())
    assert found == (expected if road == "http" else expected - HTTP_ONLY)


@pytest.mark.parametrize("road", BROKEN_ROADS)
async def test_a_server_without_a_flaw_is_not_accused(road: str) -> None:
    """What the questions find is the flaw, and not how the server is made."""
    async with serving(BrokenServer().app) as authority:
        assert await patrol(road_to(authority, road)) == {}


def test_there_are_thirteen_questions_and_each_is_in_the_explanation() -> None:
    """A reader of the page learns what is asked."""
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "security.md").read_text()

    assert len(CHECKS) == 13
    assert [name for name in CHECKS if not re.search(rf"\b{name.replace('_', ' ')}\b", page, re.IGNORECASE)] == []
