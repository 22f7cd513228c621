"""Our client, with its default settings, and the servers of others in Python: Strawberry and Ariadne."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from client.hands import FakeClock, until
from client.source import Source
from gqlink.client import Client, WebSocketLink
from gqlink.errors import ConnectionRefused, OperationFailed
from gqlink.testing import FaultProxy
from interop.stock_python import SERVERS, Feed, StockServer
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.client import Subscription

TICKS = "subscription { ticks }"


@pytest.fixture(params=list(SERVERS.values()), ids=list(SERVERS))
def stock(request: pytest.FixtureRequest) -> StockServer:
    """Each server in each subprotocol."""
    server = request.param
    assert isinstance(server, StockServer)
    return server


@asynccontextmanager
async def linked(stock: StockServer, source: Source) -> AsyncIterator[tuple[Feed, WebSocketLink]]:
    """Serve one, and return a link to it."""
    feed = Feed()
    async with serving(stock.make(feed), lifespan="off") as authority:
        yield feed, link_to(authority, stock, source)


def link_to(authority: str, stock: StockServer, source: Source) -> WebSocketLink:
    """Return a link as users make it; only the dice are loaded, so that no test waits."""
    clock = FakeClock(chance=0.0)
    return WebSocketLink(f"ws://{authority}/", auth=source, connection_params=stock.preset, clock=clock)


async def heard(feed: Feed, events: Subscription, value: int) -> object:
    """Say something until it is heard: a subscription may be on its way to another socket."""
    hearing = asyncio.ensure_future(anext(events))
    async with asyncio.timeout(10):
        while not hearing.done():
            feed.publish(value)
            await asyncio.wait([hearing], timeout=0.05)
    return (await hearing).data


async def test_queries_mutations_and_subscriptions_run(stock: StockServer) -> None:
    """Over one socket, in whichever subprotocol the server speaks; where one that stops ends all, they come back."""
    async with linked(stock, Source("alice-1")) as (feed, link), Client(link) as client:
        async with client.subscribe(TICKS) as one:
            async with client.subscribe(TICKS) as two:
                await until(lambda: len(feed.listeners) == 2)
                if stock.queries:
                    assert await client.execute("{ hello }") == {"hello": "world"}
                    assert await client.execute("mutation { greet }") == {"greet": "hello"}
                feed.publish(1)
                assert [(await anext(events)).data for events in (one, two)] == [{"ticks": 1}] * 2
            await until(lambda: len(feed.listeners) == 1 if stock.survives_stop else len(feed.presented) == 2)
            assert await heard(feed, one, 2) == {"ticks": 2}
        assert link.state.subprotocol == stock.subprotocol
    assert feed.presented == ["alice-1"] * (1 if stock.survives_stop else 2)
    assert feed.greetings == (1 if stock.queries else 0)


async def test_a_refused_login_is_told_and_another_one_is_let_in(stock: StockServer) -> None:
    """With code and reason; the refused credential is presented once."""
    source = Source("mallory-1")
    async with linked(stock, source) as (feed, link), Client(link) as client:
        async with client.subscribe(TICKS) as events:
            with pytest.raises(ConnectionRefused) as refused:
                await anext(events)
        assert (refused.value.code, refused.value.reason) == stock.refusal
        assert feed.presented == ["mallory-1"]
        await source.become("alice-1")
        async with client.subscribe(TICKS) as events:
            await until(lambda: feed.listeners)
            feed.publish(1)
            assert (await anext(events)).data == {"ticks": 1}
    assert feed.presented.count("mallory-1") == 1


async def test_one_denied_subscription_among_five_costs_one_error(stock: StockServer) -> None:
    """Four go on, over the same socket."""
    async with linked(stock, Source("alice-1")) as (feed, link), Client(link) as client, AsyncExitStack() as stack:
        others = [await stack.enter_async_context(client.subscribe(TICKS)) for _ in range(4)]
        await until(lambda: len(feed.listeners) == 4)
        async with client.subscribe("subscription { denied }") as denied:
            try:
                event = await anext(denied)
            except OperationFailed as failed:
                errors = failed.errors
            else:
                errors = event.errors
        assert errors[0]["message"] == "denied"
        feed.publish(1)
        assert [(await anext(events)).data for events in others] == [{"ticks": 1}] * 4
    assert len(feed.presented) == 1


async def test_subscriptions_go_on_after_a_restart(stock: StockServer) -> None:
    """The server stops and another one takes its place; nobody calls anything."""
    before, after = Feed(), Feed()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        proxy = await stack.enter_async_context(
            FaultProxy(await first.enter_async_context(serving(stock.make(before), lifespan="off")))
        )
        link = link_to(proxy.authority, stock, Source("alice-1"))
        client = await stack.enter_async_context(Client(link))
        events = await stack.enter_async_context(client.subscribe(TICKS))
        await until(lambda: before.listeners)
        before.publish(1)
        assert (await anext(events)).data == {"ticks": 1}
        proxy.target = await stack.enter_async_context(serving(stock.make(after), lifespan="off"))
        await first.aclose()
        await until(lambda: after.listeners)
        after.publish(2)
        assert (await anext(events)).data == {"ticks": 2}
        await client.aclose()
    assert after.presented == ["alice-1"]


async def test_an_event_with_errors_is_delivered_with_them() -> None:
    """Ariadne: the resolver of one event fails, and the next one is fine."""
    stock = SERVERS["ariadne"]
    async with (
        linked(stock, Source("alice-1")) as (feed, link),
        Client(link) as client,
        client.subscribe(TICKS) as events,
    ):
        await until(lambda: feed.listeners)
        feed.publish(-1)
        event = await anext(events)
        assert event.data == {"ticks": None}
        assert event.errors[0]["message"] == "no tick"
        feed.publish(1)
        assert (await anext(events)).data == {"ticks": 1}
