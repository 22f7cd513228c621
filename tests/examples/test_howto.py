"""The how-to guides' applications serve, and their functions put tokens where servers find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from examples.howto_scripts import load, on_the_path
from examples.runs import demo_chat
from gqlink.client import Attempt, Client, PasswordLogin, WebSocketLink
from gqlink.errors import OperationFailed
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _app_dir() -> Iterator[None]:
    with on_the_path():
        yield


async def ring_and_hear(authority: str, token: str) -> object:
    """Subscribe to the bell over WebSocket, ring it over HTTP, and return what was heard."""
    ws = WebSocketLink(f"ws://{authority}/graphql", auth=lambda: token)
    async with (
        Client(ws) as socket,
        Client(f"http://{authority}/graphql", auth=lambda: token) as http,
        socket.subscribe("subscription { bell }") as events,
    ):
        await http.execute("mutation { ring }")
        return (await anext(events)).data


async def test_the_starlette_application_knows_who_rings() -> None:
    """A token that its signer issued speaks for its subject over both transports."""
    module: Any = load("starlette_app")
    token = module.signer.issue("ann", now=module.time.time()).reveal()
    async with serving(module.app) as authority:
        assert await ring_and_hear(authority, token) == {"bell": "ann"}


async def test_the_starlette_application_lets_no_stranger_ring() -> None:
    """Without a token one is nobody, and may only ask who one is."""
    module: Any = load("starlette_app")
    async with serving(module.app) as authority, Client(f"http://{authority}/graphql") as client:
        assert await client.execute("{ whoAmI }") == {"whoAmI": None}
        with pytest.raises(OperationFailed) as refused:
            await client.execute("mutation { ring }")
        assert refused.value.codes == ("UNAUTHENTICATED",)


async def test_the_fastapi_application_serves_both() -> None:
    """GraphQL beside an ordinary route, and no redirect in between."""
    starlette_app: Any = load("starlette_app")
    module: Any = load("fastapi_app")
    token = starlette_app.signer.issue("ann", now=starlette_app.time.time()).reveal()
    async with serving(module.app) as authority:
        async with httpx2.AsyncClient() as http:
            assert (await http.get(f"http://{authority}/hello")).json() == {"hello": "world"}
        assert await ring_and_hear(authority, token) == {"bell": "ann"}


async def test_our_server_finds_the_token_in_its_places() -> None:
    """The chat knows alice by each of them, and a stranger as a stranger."""
    module: Any = load("token_places")
    async with demo_chat() as server:
        account = PasswordLogin(server)
        for place in (module.plain, module.bearer, module.hasura):
            assert await ask_who(server, account, place) == {"viewer": None}
        await account.login("alice", "alice123")
        for place in (module.plain, module.bearer, module.hasura):
            assert await ask_who(server, account, place) == {"viewer": {"name": "alice"}}


async def ask_who(server: str, account: PasswordLogin, place: Callable[[Attempt], dict[str, object]]) -> object:
    """Ask over a WebSocket that puts the token in this place."""
    url = f"{server.replace('http', 'ws', 1)}/graphql"
    async with Client(WebSocketLink(url, auth=account, connection_params=place)) as client:
        return await client.execute("{ viewer { name } }")


def test_nobody_is_nowhere_a_string() -> None:
    """Without a token no payload says "None"."""
    module: Any = load("token_places")
    for place in ("plain", "bearer", "hasura", "directus"):
        assert "None" not in str([str(value) for value in getattr(module, place)(Attempt("first")).values() if value])
    assert module.directus(Attempt("first", "t")) == {"access_token": "t"}
    assert isinstance(module.link_to_hasura("ws://localhost/graphql", PasswordLogin("http://localhost")), WebSocketLink)
