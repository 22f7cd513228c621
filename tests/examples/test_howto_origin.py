"""The guide about pages of another origin does what it says, against a server that really serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from examples.howto_scripts import load, on_the_path
from examples.pages import ROOT
from server.raw import dialled
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = "http://localhost:5173"
EVIL = "http://evil.example"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


@pytest.fixture
async def authority() -> AsyncIterator[str]:
    """The application of the guide."""
    with on_the_path():
        module: Any = load("other_origin_app")
    async with serving(module.app) as authority:
        yield authority


@pytest.mark.parametrize(("path", "body"), [("/graphql", '{"query": "{ whoAmI }"}'), ("/feedback", '"fine"')])
async def test_the_page_that_is_named_may_ask_and_read(authority: str, path: str, body: str) -> None:
    """At the application's route and at the one beside it; another page may do neither."""
    async with httpx2.AsyncClient(base_url=f"http://{authority}", trust_env=False) as http:
        for origin, statuses in ((PAGE, [204, 200]), (EVIL, [403, 403])):
            headers = {"origin": origin, "content-type": "application/json"}
            asked = await http.options(path, headers=headers | PREFLIGHT)
            answered = await http.post(path, content=body, headers=headers)
            assert [asked.status_code, answered.status_code] == statuses
            told = [answer.headers.get("access-control-allow-origin") for answer in (asked, answered)]
            assert told == ([PAGE, PAGE] if origin == PAGE else [None, None])


async def test_the_page_that_is_named_may_open_a_socket(authority: str) -> None:
    """And no other."""
    for origin, status in ((PAGE, 101), (EVIL, 403)):
        async with dialled(authority) as raw:
            assert await raw.shake_hands(authority, subprotocol="graphql-transport-ws", Origin=origin) == status


async def test_the_sentences_of_the_guide_are_those_of_the_server(authority: str) -> None:
    """Whoever reads one finds its row."""
    guide = (ROOT / "docs" / "howto" / "serve-a-page-of-another-origin.md").read_text()
    async with httpx2.AsyncClient(base_url=f"http://{authority}", trust_env=False) as http:
        for headers in ({"origin": EVIL}, {"host": "api.example"}, {"sec-fetch-site": "cross-site"}):
            answer = await http.post("/feedback", headers=headers)
            said = answer.json()["message"]
            assert f"| {answer.status_code} `{said.partition(';')[0].partition(' that is in')[0]}" in guide
