"""The guide for places without WebSockets: its client comes back to where it was, and ends where it should."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from examples.howto_scripts import load
from examples.runs import demo_chat
from gqlink.client import Client, PasswordLogin
from gqlink.testing import FaultProxy
from server.eventually import eventually
from server.nodes import Node
from server.world import World
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEARD = "subscription { messages }"


async def no_pause(_seconds: float) -> None:
    """Let others have their turn, and no more."""
    await asyncio.sleep(0)


class Follower:
    """The guide's client of one server, which does not pause, and counts its tokens."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self.tokens = 0
        module: Any = load("events_instead")
        self.results = module.follow(http, url, HEARD, token=self.token, pause=no_pause)

    async def token(self) -> str:
        """Give another one each time; it lives for 90 seconds."""
        self.tokens += 1
        return f"alice/s/t{self.tokens}//90"

    async def text(self) -> str:
        """Wait for the next message."""
        async with asyncio.timeout(10):
            result = await anext(self.results)
        text: str = result["data"]["messages"]
        return text


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client."""
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
        yield client


async def listening(node: Node, world: World) -> None:
    """Wait until somebody listens."""
    await eventually(lambda: world.broker.statistics().subscriptions == 1 and len(node.app._host.listeners) == 1)


async def test_it_misses_nothing_when_its_token_ends_or_the_line_breaks(http: httpx2.AsyncClient) -> None:
    """It asks with the next token, after the last that it has heard."""
    world = World()
    node = Node(world)
    async with serving(node.app) as authority, FaultProxy(authority) as proxy:
        follower = Follower(http, f"http://{proxy.authority}/graphql")
        async with aclosing(follower.results):
            first = asyncio.create_task(follower.text())
            await listening(node, world)
            await world.messages.publish("one")
            assert await first == "one"
            for end in ("token", "line"):
                if end == "token":
                    node.clock.advance(90)
                else:
                    proxy.cut()
                await eventually(lambda: not node.app._host.listeners)
                await world.messages.publish("meanwhile")
                assert await follower.text() == "meanwhile"
            assert follower.tokens == 3
        await eventually(lambda: not node.app._host.listeners)


async def test_it_ends_where_the_server_says_so_and_not_where_it_stops(http: httpx2.AsyncClient) -> None:
    """A stop is 503 until another process takes over; a revocation is told, and over."""
    before, after = World(), World()
    old, new = Node(before), Node(after)
    async with AsyncExitStack() as stack:
        old_authority = await stack.enter_async_context(serving(old.app))
        new_authority = await stack.enter_async_context(serving(new.app))
        proxy = await stack.enter_async_context(FaultProxy(old_authority))
        follower = Follower(http, f"http://{proxy.authority}/graphql")
        await stack.enter_async_context(aclosing(follower.results))
        first = asyncio.create_task(follower.text())
        await listening(old, before)
        await old.app.aclose()
        proxy.target = new_authority
        await eventually(lambda: follower.tokens > 1)
        proxy.cut()
        await listening(new, after)
        await after.messages.publish("two")
        assert await first == "two"

        await new.app.revoke(subject="alice")
        async with asyncio.timeout(10):
            told = [result async for result in follower.results]
        assert [result["errors"][0]["message"] for result in told] == ["Session revoked"]


async def test_a_token_that_is_refused_is_an_error(http: httpx2.AsyncClient) -> None:
    """To ask again would not help."""
    world = World()
    async with serving(world.app()) as authority:
        follower = Follower(http, f"http://{authority}/graphql")

        async def bad() -> str:
            return "bad"

        follower.results = load("events_instead").follow(http, f"http://{authority}/graphql", HEARD, token=bad)
        with pytest.raises(httpx2.HTTPStatusError, match="401"):
            await follower.text()


async def test_the_script_prints_what_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the demo, as alice."""
    module: Any = load("events_instead")
    async with demo_chat() as server:
        monkeypatch.setattr(module, "SERVER", server)
        running = asyncio.create_task(module.main())
        account = PasswordLogin(server)
        await account.login("bob", "bob123")
        printed = ""
        async with Client(f"{server}/graphql", auth=account) as client, asyncio.timeout(20):
            while "hello" not in printed:  # until it listens, nothing that is said reaches it
                await client.execute('mutation { addMessage(input: {text: "hello"}) { id } }')
                printed += capsys.readouterr().out
        assert "{'data': {'messageAdded': {'from': 'bob', 'text': 'hello'}}" in printed
        running.cancel()
        await asyncio.wait([running])
