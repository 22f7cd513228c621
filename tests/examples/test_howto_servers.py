"""The guide about the servers of others does what it says, against servers that do as they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client.dialects.dialect import DIALECTS
from client.dialects.server import DialectServer
from client.hands import FakeClock
from client.source import Source
from examples.howto_scripts import load
from gqlink.client import Attempt, Client, WebSocketLink, presets

if TYPE_CHECKING:
    from types import ModuleType


async def test_the_link_to_hasura_is_let_in() -> None:
    """Its preset stands where Hasura looks, with the role beside the token."""
    module: Any = load("other_servers")
    async with DialectServer(DIALECTS["hasura"]) as server:
        async with Client(module.link_to_hasura(server.url, Source("alice-1"))) as client:
            assert await client.execute("{ hello }") == {"hello": "world"}
        assert server.admitted == ["alice-1"]


async def test_an_application_may_have_a_name_of_its_own() -> None:
    """The token stands under it, with its scheme."""
    module: Any = load("other_servers")
    async with (
        DialectServer(DIALECTS["graphql-ws"]) as server,
        Client(module.link_to_our_own(server.url, Source("alice-1"))) as client,
    ):
        assert (await module.try_once(client)).startswith("log in again: 4403")
    assert presets.bearer("sessionToken")(Attempt("first", "t")) == {"sessionToken": "Bearer t"}


async def test_errors_say_what_to_do() -> None:
    """Log in again, come back later, or here is the answer."""
    module: ModuleType = load("other_servers")
    async with DialectServer(DIALECTS["graphql-ws"]) as server:
        for token, answer in (("alice-1", "{'hello': 'world'}"), ("bad-1", "log in again: 4403 Forbidden")):
            link = WebSocketLink(server.url, auth=Source(token), connection_params=presets.graphql_ws())
            async with Client(link) as client:
                assert await module.try_once(client) == answer
        server.status = 503
        link = WebSocketLink(server.url, reconnect=False, clock=FakeClock())
        async with Client(link) as client:
            assert await module.try_once(client) == "come back later: None HTTP status 503"
