"""Our client and the two servers of Node across a restart; what else it does with them is in test_own_client_node."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from client.hands import FakeClock
from client.source import Source
from gqlink.client import Client, WebSocketLink
from gqlink.testing import FaultProxy
from interop.harness import LEGACY, MODERN, NodeServer
from interop.own_stories import LIVE, hear, said


@pytest.mark.parametrize("subprotocol", [MODERN, LEGACY])
async def test_subscriptions_go_on_after_a_restart(subprotocol: str) -> None:
    """The process ends, another one takes its place under the same address; nobody calls anything."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        old = await first.enter_async_context(NodeServer(subprotocol))
        new = await stack.enter_async_context(NodeServer(subprotocol))
        proxy = await stack.enter_async_context(FaultProxy(f"127.0.0.1:{old.port}"))
        alice = await old.fresh_token("alice")
        link = WebSocketLink(f"ws://{proxy.authority}/graphql", auth=Source(alice), clock=FakeClock(chance=0.0))
        client = await stack.enter_async_context(Client(link))
        events = await stack.enter_async_context(client.subscribe(LIVE))
        await old.wait_listening()
        await old.http.say("before", token=alice)
        assert await hear(events) == said("alice", "before")
        proxy.target = f"127.0.0.1:{new.port}"
        await first.aclose()
        await new.wait_listening()
        await new.http.say("after", token=alice)
        assert await hear(events) == said("alice", "after")
        await client.aclose()
