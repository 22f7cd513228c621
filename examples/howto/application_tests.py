"""Tests of an application that uses gqlink: `.venv/bin/python -m pytest examples/howto/application_tests.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from graphql import build_schema

from gqlink.auth import ANONYMOUS, Identity
from gqlink.client import Client, LinkPhase, WebSocketLink
from gqlink.errors import ConnectionRefused
from gqlink.server import GraphQLApp
from gqlink.testing import FakeClock, FaultProxy, ScriptedServer, close, eventually, expect, refuse, send

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gqlink.auth import Credentials
    from gqlink.testing.served import ServedApp

PRICES = "subscription { price }"


async def prices(_root: object, _info: object) -> AsyncGenerator[int]:
    """Say a price, and then nothing."""
    clock = FakeClock()
    yield 7
    await clock.sleep(3600.0)


def application(clock: FakeClock) -> GraphQLApp:
    """Make what is to be tested."""
    schema = build_schema("type Query { price: Int } type Subscription { price: Int! }")
    assert schema.subscription_type is not None
    schema.subscription_type.fields["price"].subscribe = prices
    schema.subscription_type.fields["price"].resolve = lambda price, _info: price

    async def authenticate(credentials: Credentials) -> Identity:
        if credentials.token is None:
            return ANONYMOUS
        return Identity(subject=credentials.token.reveal(), expires_at=clock.wall() + 60.0)

    return GraphQLApp(schema, authenticate=authenticate, clock=clock)


# region expiry
async def test_my_server_ends_what_has_expired(gqlink_server: type[ServedApp], gqlink_clock: FakeClock) -> None:
    async with gqlink_server(application(gqlink_clock)) as server:
        link = WebSocketLink(server.ws_url, auth=lambda: "ann")  # always the same token, which lasts a minute
        async with Client(link) as client, client.subscribe(PRICES) as events:
            assert (await anext(events)).data == {"price": 7}
            await gqlink_clock.elapse(61.0)
            with pytest.raises(ConnectionRefused, match="Token expired"):
                await anext(events)


# endregion


# region renewal
GREETING = [expect(type="connection_init"), send({"type": "connection_ack"})]
SUBSCRIBED = expect(type="subscribe", payload={"query": PRICES})


async def test_my_client_presents_the_next_token(
    gqlink_scripted_server: type[ScriptedServer], gqlink_clock: FakeClock
) -> None:
    gqlink_clock.load(0.0)  # what a client spreads by chance comes at once
    tokens = iter(["old", "fresh"])
    scripts = [
        [
            expect(type="connection_init", payload={"accessToken": "old"}),
            send({"type": "connection_ack"}),
            SUBSCRIBED,
            send({"type": "next", "id": "1", "payload": {"data": {"price": 7}}}),
            close(4403, "Token expired"),
        ],
        [
            expect(type="connection_init", payload={"accessToken": "fresh"}),
            send({"type": "connection_ack"}),
            SUBSCRIBED,
            send({"type": "next", "id": "1", "payload": {"data": {"price": 8}}}),
            send({"type": "complete", "id": "1"}),
        ],
    ]
    async with gqlink_scripted_server(scripts) as server:
        link = WebSocketLink(server.url, auth=lambda: next(tokens), clock=gqlink_clock)
        async with Client(link) as client, client.subscribe(PRICES, on_gap="ignore") as events:
            assert [event.data async for event in events] == [{"price": 7}, {"price": 8}]
        await server.finished()


# endregion


# region refusal
async def test_my_client_comes_back_to_a_server_that_was_full(
    gqlink_scripted_server: type[ScriptedServer], gqlink_clock: FakeClock
) -> None:
    gqlink_clock.load(0.0)
    subscription = [*GREETING, SUBSCRIBED, send({"type": "complete", "id": "1"})]
    async with gqlink_scripted_server([refuse(503), subscription]) as server:
        link = WebSocketLink(server.url, clock=gqlink_clock)
        async with Client(link) as client, client.subscribe(PRICES) as events:
            assert [event async for event in events] == []
        await server.finished()


# endregion


# region cut
async def test_my_subscriber_is_told_of_a_gap(
    gqlink_server: type[ServedApp], gqlink_fault_proxy: type[FaultProxy], gqlink_clock: FakeClock
) -> None:
    gqlink_clock.load(0.0)
    async with (
        gqlink_server(application(gqlink_clock)) as server,
        gqlink_fault_proxy(server.authority) as proxy,
        Client(WebSocketLink(f"ws://{proxy.authority}/graphql", clock=gqlink_clock)) as client,
        client.subscribe(PRICES, on_gap="yield") as events,
    ):
        assert (await anext(events)).data == {"price": 7}
        proxy.cut()
        assert (await anext(events)).gap is not None  # something may have been missed
        assert (await anext(events)).data == {"price": 7}


# endregion


# region black_hole
async def test_my_client_notices_a_line_that_is_dead(
    gqlink_server: type[ServedApp], gqlink_fault_proxy: type[FaultProxy], gqlink_clock: FakeClock
) -> None:
    gqlink_clock.load(0.0)
    async with gqlink_server(application(gqlink_clock)) as server, gqlink_fault_proxy(server.authority) as proxy:
        url = f"ws://{proxy.authority}/graphql"
        link = WebSocketLink(url, ping_seconds=0.05, clock=gqlink_clock)  # the pings go by real time
        async with Client(link) as client, client.subscribe(PRICES, on_gap="ignore") as events:
            assert (await anext(events)).data == {"price": 7}
            proxy.black_hole()
            await eventually(lambda: link.state.phase is not LinkPhase.LIVE)
            proxy.heal()
            assert (await anext(events)).data == {"price": 7}


# endregion
