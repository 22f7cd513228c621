"""The stock client of server-sent events, npm's graphql-sse, with our server in distinct-connections mode."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gqlink.server.event_stream import KEEP_ALIVE_SECONDS
from gqlink.testing import FaultProxy
from interop.chat_http import ADD_MESSAGE, MESSAGES
from interop.harness import Driver, StockClient, fingerprint
from server.eventually import eventually
from server.nodes import Node
from server.world import World
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from interop.served_chat import ServedChat

GRAPHQL_SSE = Driver(
    name="graphql-sse-2",
    program="modern/client_graphql_sse.mjs",
    subprotocol="",
    executes_over="http",
    idle_close="always",
    reconnects_idle=False,
    retries_refusal="five times",
    close_command="",
)
LIVE = "subscription { messageAdded { from text } }"
HEARD = "subscription { messages }"
ALICE = "alice/s/t//90"


@pytest.fixture
async def events_client() -> AsyncIterator[StockClient]:
    """A process with that client, nothing created yet."""
    async with StockClient(GRAPHQL_SSE) as client:
        yield client


@asynccontextmanager
async def served_node(world: World) -> AsyncIterator[tuple[Node, str]]:
    """Serve an application whose clock the test turns; yield it and its authority."""
    node = Node(world)
    async with serving(node.app) as authority:
        yield node, authority


async def listening(node: Node, world: World) -> None:
    """Wait until a subscription listens."""
    await eventually(lambda: world.broker.statistics().subscriptions == 1 and len(node.app._host.listeners) == 1)


async def test_a_chat_is_used_by_events_alone(events_client: StockClient, chat: ServedChat) -> None:
    """Queries, mutations and subscriptions; the header is read anew for each, so a login reaches the next."""
    await events_client.create(chat.url)
    events_client.subscribe("too early", LIVE)
    assert (await events_client.outcome("too early")).error_codes == ("UNAUTHENTICATED",)
    await events_client.wait_for("complete", id="too early")

    events_client.set_token(await chat.http.login("alice"))
    events_client.subscribe("live", LIVE)
    await chat.wait_listening()
    for text in ("one", "two"):
        events_client.execute(f"write {text}", ADD_MESSAGE, variables={"text": text})
        assert (await events_client.outcome(f"write {text}")).error_codes == ()
        await events_client.wait_for("complete", id=f"write {text}")
        event = await events_client.outcome("live")
        assert event.data == {"messageAdded": {"from": "alice", "text": text}}
    events_client.execute("read", MESSAGES)
    assert (await events_client.outcome("read")).error_codes == ()
    assert await chat.http.texts(token=chat.token("bob")) == ["one", "two"]
    assert chat.sockets_opened == 0


async def test_a_refused_credential_is_an_error(events_client: StockClient, chat: ServedChat) -> None:
    """With its status, before anything is executed."""
    await events_client.create(chat.url, token="no token of ours", reconnect=False)
    events_client.subscribe("live", LIVE)
    error = await events_client.wait_for("error", id="live")
    assert "401" in (error.reason or "")
    assert chat.listeners == 0


async def test_a_document_that_is_not_valid_is_told_in_an_event(events_client: StockClient, chat: ServedChat) -> None:
    """And not asked for again: it will not become better."""
    await events_client.create(chat.url, token=chat.token("alice"))
    events_client.subscribe("wrong", "subscription { nothing }")
    assert (await events_client.outcome("wrong")).error_codes == ("GRAPHQL_VALIDATION_FAILED",)
    await events_client.wait_for("complete", id="wrong")
    assert len(events_client.seen("params_called")) == 1


async def test_a_silent_stream_goes_on(events_client: StockClient) -> None:
    """The comments of a minute are nothing to the client."""
    world = World()
    async with served_node(world) as (node, authority):
        await events_client.create(f"ws://{authority}/graphql")
        events_client.subscribe("live", HEARD)
        await listening(node, world)
        node.clock.advance(5 * KEEP_ALIVE_SECONDS)
        await world.messages.publish("still here")
        assert (await events_client.outcome("live")).data == {"messages": "still here"}
        events_client.unsubscribe("live")
        await eventually(lambda: not node.app._host.listeners)


@pytest.mark.parametrize(("revoked", "code"), [(False, "TOKEN_EXPIRED"), (True, "UNAUTHENTICATED")])
async def test_who_is_out_is_told_and_does_not_come_back_by_itself(
    events_client: StockClient, *, revoked: bool, code: str
) -> None:
    """What came before is heard, nothing after it; with a fresh token the next subscription is."""
    world = World()
    async with served_node(world) as (node, authority):
        await events_client.create(f"ws://{authority}/graphql", token=ALICE)
        events_client.subscribe("live", HEARD)
        await listening(node, world)
        await world.messages.publish("before")
        assert (await events_client.outcome("live")).data == {"messages": "before"}
        if revoked:
            await node.app.revoke(session="s")
        else:
            node.clock.advance(90)
        await world.messages.publish("after")
        assert (await events_client.outcome("live")).error_codes == (code,)
        await events_client.wait_for("complete", id="live")
        assert len(events_client.seen("params_called")) == 1

        events_client.set_token("alice/s2/t2//90")
        events_client.subscribe("again", HEARD)
        await listening(node, world)
        await world.messages.publish("for the new one")
        assert (await events_client.outcome("again")).data == {"messages": "for the new one"}


async def test_after_a_stop_the_client_comes_back_with_what_its_function_says_then(
    events_client: StockClient,
) -> None:
    """The answer ends without `complete`, so the same subscription is asked for again, until a process takes it."""
    before, after = World(), World()
    async with AsyncExitStack() as stack:
        old, old_authority = await stack.enter_async_context(served_node(before))
        new, new_authority = await stack.enter_async_context(served_node(after))
        proxy = await stack.enter_async_context(FaultProxy(old_authority))
        await events_client.create(f"ws://{proxy.authority}/graphql", token=ALICE)
        events_client.subscribe("live", HEARD)
        await listening(old, before)
        await before.messages.publish("one")
        assert (await events_client.outcome("live")).data == {"messages": "one"}
        await events_client.wait_for("params_called")
        proxy.target = new_authority
        events_client.set_token("alice/s2/t2//90")
        await old.app.aclose()
        await events_client.wait_for(
            "params_called"
        )  # it asks again, and is answered with 503 as long as the old lives
        proxy.cut()  # as the process goes, so do the connections that are kept for further requests
        await listening(new, after)
        await after.messages.publish("two")
        assert (await events_client.outcome("live")).data == {"messages": "two"}
        calls = [call.token for call in events_client.seen("params_called")]
        assert (calls[0], set(calls[1:])) == (fingerprint(ALICE), {fingerprint("alice/s2/t2//90")})
        assert events_client.seen("complete") == ()
        events_client.dispose()
        await eventually(lambda: not new.app._host.listeners)
