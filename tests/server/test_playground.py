from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from graphql import build_schema, get_introspection_query
from starlette.applications import Starlette
from starlette.routing import Mount

from gqlink.auth import ANONYMOUS
from gqlink.server import GraphQLApp, Playground

if TYPE_CHECKING:
    from gqlink.auth import Credentials, Identity

CHAT = Playground(login="/login", refresh="/refresh", logout="/logout")


async def nobody(_: Credentials) -> Identity:
    """Know nobody."""
    return ANONYMOUS


def browser(*, playground: bool | Playground, path: str = "/graphql", mount: str = "") -> httpx2.AsyncClient:
    """Somebody who looks at an application with a schema of one field."""
    graphql = GraphQLApp(build_schema("type Query { hello: String }"), authenticate=nobody, playground=playground)
    routes = graphql.routes(path)
    app = Starlette(routes=[Mount(mount, routes=routes)] if mount else routes)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost")


@pytest.mark.parametrize("path", ["/playground", "/playground/", "/playground/config.json"])
async def test_there_is_no_playground_unless_it_is_asked_for(path: str) -> None:
    """A server that goes public shows nothing that its author has not chosen."""
    async with browser(playground=False) as client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("mount", ["", "/api/v1"])
async def test_the_playground_is_found_with_and_without_a_slash(mount: str) -> None:
    """Its own addresses are relative, so it needs the slash; the way there is right under any mount."""
    async with browser(playground=True, mount=mount) as client:
        redirect = await client.get(f"{mount}/playground")
        assert redirect.status_code == 307
        assert redirect.next_request is not None
        assert redirect.next_request.url.path == f"{mount}/playground/"
        assert (await client.get(redirect.next_request.url)).status_code in {200, 503}  # built, or not yet


async def test_its_scripts_are_its_servers_and_no_others() -> None:
    """Only the editor's styles and workers are let off."""
    async with browser(playground=True) as client:
        policy = (await client.get("/playground/")).headers["content-security-policy"]
    directives = {part.strip().partition(" ")[0]: part.strip().partition(" ")[2] for part in policy.split(";")}
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert directives["style-src"] == "'self' 'unsafe-inline'"
    assert directives["worker-src"] == "'self' blob:"


@pytest.mark.parametrize("mount", ["", "/api/v1"])
async def test_the_page_is_told_where_everything_is(mount: str) -> None:
    """From the server's root, wherever the application is mounted; nobody keeps the answer."""
    async with browser(playground=CHAT, path="/query", mount=mount) as client:
        answer = await client.get(f"{mount}/playground/config.json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "graphql": f"{mount}/query",
        "login": f"{mount}/login",
        "refresh": f"{mount}/refresh",
        "logout": f"{mount}/logout",
    }


async def test_an_application_without_a_login_of_ours_says_so() -> None:
    """Then a token is pasted."""
    async with browser(playground=True) as client:
        config = (await client.get("/playground/config.json")).json()
    assert config == {"graphql": "/graphql", "login": None, "refresh": None, "logout": None}


async def test_public_accounts_are_named() -> None:
    """For a demo; where there are none, nothing is said of any."""
    async with browser(playground=Playground(login="/login", accounts={"alice": "alice123"})) as client:
        config = (await client.get("/playground/config.json")).json()
    assert config["accounts"] == [{"name": "alice", "password": "alice123"}]
    assert "alice123" not in repr(Playground(accounts={"alice": "alice123"}))


async def test_the_playground_may_be_elsewhere() -> None:
    """Two applications in one may each have theirs."""
    async with browser(playground=Playground(path="/admin/try")) as client:
        assert (await client.get("/admin/try")).headers["location"] == "try/"
        assert (await client.get("/admin/try/config.json")).status_code == 200
        assert (await client.get("/playground")).status_code == 404


@pytest.mark.parametrize("path", ["/playground/", "/playground/config.json", "/playground/assets/x.js"])
async def test_the_playground_answers_under_its_own_names_only(path: str) -> None:
    """As GraphQL does."""
    async with browser(playground=True) as client:
        assert (await client.get(path, headers={"host": "evil.example"})).status_code == 400


@pytest.mark.parametrize(("playground", "is_allowed"), [(True, True), (False, False)])
async def test_a_playground_can_see_the_schema(*, playground: bool, is_allowed: bool) -> None:
    """Without introspection there would be nothing to explore; mistakes are still answered without suggestions."""
    async with browser(playground=playground) as client:
        answer = (await client.post("/graphql", json={"query": get_introspection_query()})).json()
        typo = (await client.post("/graphql", json={"query": "{ helo }"})).json()
    assert ("errors" not in answer) is is_allowed
    assert "Did you mean" not in str(typo)
