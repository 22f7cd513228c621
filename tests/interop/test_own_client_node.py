"""The stories S1 to S9: our client with the two servers of Node, graphql-ws 6 and subscriptions-transport-ws 0.11."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gqlink.client import Client
from gqlink.errors import ConnectionEnded, ConnectionRefused
from gqlink.testing import FaultProxy
from interop.chat_http import ADD_MESSAGE
from interop.forging import tampered
from interop.harness import LEGACY, MODERN, NodeServer
from interop.own_stories import LIVE, Bench, Person, Stories, hear, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BOTH = (MODERN, LEGACY)


@pytest.fixture(params=[(MODERN, BOTH), (LEGACY, (LEGACY,))], ids=["graphql-ws", "subscriptions-transport-ws"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """One of the two servers, and an offer that it understands at once."""
    subprotocol, offer = request.param
    async with NodeServer(subprotocol) as server:
        yield Bench(server, offer)


class TestWithNode(Stories):
    """Servers that know nothing of us."""

    @pytest.mark.parametrize("reason", ["Token invalid", "Token expired"])
    async def test_s7_a_bad_token_is_refused_with_its_reason_and_nothing_is_executed(
        self, bench: Bench, reason: str
    ) -> None:
        """S7: graphql-ws closes 4403; subscriptions-transport-ws says it in a `connection_error` and closes 1011."""
        server = bench.server
        expired = await server.http.login("alice", expiresIn=-1)
        person = Person(expired if reason == "Token expired" else tampered(expired, subject="bob"))
        async with Client(bench.link(person.params)) as client:
            with pytest.raises(ConnectionRefused) as refused:
                await hear(client.subscribe(LIVE))
            code = 4403 if bench.subprotocols == BOTH else 1011
            assert (refused.value.code, refused.value.reason) == (code, reason)
            with pytest.raises(ConnectionRefused):
                await client.execute(ADD_MESSAGE, {"text": "let me in"})
        assert server.sockets_opened == 1
        assert bench.window.of_type("subscribe") == bench.window.of_type("start") == []
        assert await server.http.texts(token=await server.fresh_token("bob")) == []


@pytest.mark.parametrize("negotiate", [False, True], ids=["as it comes", "negotiating"])
async def test_a_legacy_server_that_is_offered_both_is_understood(*, negotiate: bool) -> None:
    """As it comes it accepts the newer, closes 1002 and is dialled again in its own; from then on only in that."""
    async with NodeServer(LEGACY, negotiate=negotiate) as server, FaultProxy(f"127.0.0.1:{server.port}") as proxy:
        bench = Bench(server, BOTH)
        alice = await server.fresh_token("alice")
        link = bench.link({"accessToken": alice}, port=int(proxy.authority.rpartition(":")[2]))
        async with Client(link) as client, client.subscribe(LIVE) as events:
            await server.wait_listening()
            assert link.state.subprotocol == LEGACY
            proxy.cut()
            await server.wait_listening()
            await server.http.say("still here", token=alice)
            assert await hear(events) == said("alice", "still here")
        offered = [event.offered for event in server.seen("opened")]
    if negotiate:
        assert offered == [", ".join(BOTH)] * 2
    else:
        assert offered == [", ".join(BOTH), LEGACY, LEGACY]
        assert bench.window.of_type("close")[0].payload == {"code": 1002, "reason": ""}


async def test_a_mutation_waits_for_the_dialect_and_is_sent_once() -> None:
    """The newer subprotocol was accepted and then closed with 1002: nothing of the operation had been written."""
    async with NodeServer(LEGACY) as server:
        bench = Bench(server, BOTH)
        alice = await server.fresh_token("alice")
        async with Client(bench.link({"accessToken": alice})) as client:
            await client.execute(ADD_MESSAGE, {"text": "once"})
        assert await server.http.texts(token=alice) == ["once"]
        assert server.sockets_opened == 2


async def test_a_modern_server_that_is_offered_only_the_legacy_one_is_given_up() -> None:
    """There is no other dialect to try: the user is told, and the server is left alone."""
    async with NodeServer(MODERN) as server:
        bench = Bench(server, (LEGACY,))
        async with Client(bench.link({"accessToken": None})) as client:
            with pytest.raises(ConnectionEnded):
                await hear(client.subscribe(LIVE))
        assert server.sockets_opened <= 1
