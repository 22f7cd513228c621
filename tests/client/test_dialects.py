"""The client with its default settings, and servers that do as well-known ones do."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.dialects.dialect import DIALECTS, LEGACY, MODERN, Closing, Dialect
from client.dialects.server import DialectServer
from client.hands import FakeClock, until
from client.source import Source
from gqlink.client import Client, WebSocketLink, presets
from gqlink.errors import ConnectionRefused, GqlinkError, OperationFailed, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from gqlink.client import Event, Subscription

TICKS = "subscription { ticks }"
DENIED = "subscription { denied }"
HELLO = "{ hello }"
REFUSALS = [
    pytest.param(dialect, closing, id=f"{name}-{number}")
    for name, dialect in DIALECTS.items()
    for number, closing in enumerate(dialect.refusals)
]


@pytest.fixture(params=list(DIALECTS.values()), ids=list(DIALECTS))
async def server(request: pytest.FixtureRequest) -> AsyncIterator[DialectServer]:
    """One server of each dialect in turn."""
    async with DialectServer(request.param) as server:
        yield server


def link_to(server: DialectServer, source: Source, clock: FakeClock) -> WebSocketLink:
    """Return a link as users make it, but for the clock."""
    return WebSocketLink(server.url, auth=source, connection_params=server.dialect.preset, clock=clock)


async def settled(clock: FakeClock, waiting: Awaitable[object]) -> object:
    """Wait, while the hands turn quickly enough for every deadline of the protocol."""
    task = asyncio.ensure_future(waiting)
    async with asyncio.timeout(10):
        while not task.done():
            await asyncio.wait([task], timeout=0.01)
            if not task.done():
                clock.advance(0.5)
    return task.result()


async def ticked(server: DialectServer, events: Subscription, value: int) -> Event:
    """Publish, and hear it; an event that only confirms the subscription is skipped."""
    await server.publish({"ticks": value})
    event = await anext(events)
    while server.dialect.confirms and event.data is None:
        event = await anext(events)
    return event


async def drained(events: Subscription) -> None:
    """Take what comes, to the end."""
    async for _ in events:
        pass


async def test_queries_and_subscriptions_run(server: DialectServer) -> None:
    """Whatever comes before the ack or after it; one subscription ends, the other goes on."""
    clock = FakeClock(chance=0.0)
    async with Client(link_to(server, Source("alice-1"), clock)) as client:
        assert await client.execute(HELLO) == {"hello": "world"}
        async with client.subscribe(TICKS) as one:
            async with client.subscribe(TICKS) as two:
                await until(lambda: server.subscriptions == 2)
                assert (await ticked(server, one, 1)).data == {"ticks": 1}
                assert (await ticked(server, two, 2)).data in ({"ticks": 1}, {"ticks": 2})
            await until(lambda: server.subscriptions == 1)
            assert (await ticked(server, one, 3)).data == {"ticks": 2}
    assert server.admitted == ["alice-1"] * len(server.admitted)
    assert server.refused == []


async def test_one_denied_subscription_among_five_costs_one_error(server: DialectServer) -> None:
    """Four go on undisturbed, over the same socket."""
    clock = FakeClock(chance=0.0)
    async with Client(link_to(server, Source("alice-1"), clock)) as client, AsyncExitStack() as stack:
        others = [await stack.enter_async_context(client.subscribe(TICKS)) for _ in range(4)]
        await until(lambda: server.subscriptions == 4)
        sockets = server.sockets
        async with client.subscribe(DENIED) as denied:
            with pytest.raises(OperationFailed, match="denied"):
                await anext(denied)
        await server.publish({"ticks": 1})
        for events in others:
            event = await anext(events)
            while event.data is None:
                event = await anext(events)
            assert event.data == {"ticks": 1}
        assert server.sockets == sockets


@pytest.mark.parametrize(("dialect", "refusal"), REFUSALS)
async def test_a_refused_credential_is_never_sent_twice(dialect: Dialect, refusal: Closing) -> None:
    """At most two sockets, then a typed error with code and reason; whoever asks again is told without a socket."""
    clock = FakeClock(chance=0.0)
    async with DialectServer(dialect) as server:
        server.refusal = refusal
        async with Client(link_to(server, Source("bad-1"), clock)) as client:
            with pytest.raises(ConnectionRefused) as refused:
                await settled(clock, client.execute(HELLO))
            sockets = server.sockets
            assert sockets <= 2
            assert server.refused == ["bad-1"]
            assert refused.value.code == (refusal.heard or refusal.code)
            if refusal.told or refusal.reason:
                assert refused.value.reason == (refusal.told or refusal.reason)
            assert refused.value.temporary is False
            assert "bad-1" not in str(refused.value)
            if refused.value.reason:  # without a word it is only a suspicion, which ends with the attempt
                with pytest.raises(ConnectionRefused):
                    await settled(clock, client.execute(HELLO))
                assert server.sockets == sockets
        assert server.requests == []


@pytest.mark.parametrize(("dialect", "refusal"), REFUSALS)
async def test_another_credential_is_tried_once(dialect: Dialect, refusal: Closing) -> None:
    """A source that has another token gets its chance; one more refusal is the end."""
    clock = FakeClock(chance=0.0)
    async with DialectServer(dialect) as server:
        server.refusal = refusal
        async with Client(link_to(server, Source("bad-1", "bad-2", "bad-3"), clock)) as client:
            with pytest.raises(ConnectionRefused):
                await settled(clock, client.execute(HELLO))
        assert server.refused == ["bad-1", "bad-2"]
        assert server.sockets <= 3 if dialect.rejects else 2


async def test_who_logs_in_after_a_refusal_is_let_in(server: DialectServer) -> None:
    """A link that was refused is not lost: the next credential is another story."""
    clock = FakeClock(chance=0.0)
    source = Source("bad-1")
    async with Client(link_to(server, source, clock)) as client:
        with pytest.raises(ConnectionRefused):
            await settled(clock, client.execute(HELLO))
        await source.become("alice-1")
        assert await settled(clock, client.execute(HELLO)) == {"hello": "world"}
    assert server.refused == ["bad-1"]
    assert server.admitted[-1] == "alice-1"


async def test_a_token_that_expires_is_replaced(server: DialectServer) -> None:
    """However the server ends the socket: the subscription goes on with the next token, and its user sees nothing."""
    clock = FakeClock(chance=0.0)
    source = Source("alice-1", "alice-2")
    async with Client(link_to(server, source, clock)) as client, client.subscribe(TICKS) as events:
        await until(lambda: server.subscriptions == 1)
        await server.expire()
        await settled(clock, until(lambda: server.admitted[-1] == "alice-2" and server.subscriptions == 1))
        assert (await ticked(server, events, 1)).data == {"ticks": 1}
    assert set(server.refused) <= {"alice-1"}
    assert len(server.refused) <= 1


async def test_who_has_no_other_token_is_told_of_the_expiry(server: DialectServer) -> None:
    """The old one is presented at most once more."""
    clock = FakeClock(chance=0.0)
    async with Client(link_to(server, Source("alice-1"), clock)) as client, client.subscribe(TICKS) as events:
        await until(lambda: server.subscriptions == 1)
        await server.expire()
        with pytest.raises(ConnectionRefused):
            await settled(clock, drained(events))
    assert len(server.refused) <= 1


async def test_a_token_is_renewed_by_a_second_socket(server: DialectServer) -> None:
    """Ahead of its end, where the token source knows that: the subscription moves, and the first socket goes."""
    clock = FakeClock(chance=0.0)
    source = Source("alice-1", "alice-2")
    source.expires_at = clock.now() + 100.0
    async with Client(link_to(server, source, clock)) as client, client.subscribe(TICKS) as events:
        await until(lambda: server.subscriptions == 1)
        assert (await ticked(server, events, 1)).data == {"ticks": 1}
        clock.advance(81.0)
        await until(lambda: server.admitted[-1] == "alice-2")
        source.expires_at = clock.now() + 10_000.0
        await settled(clock, until(lambda: server.subscriptions == len(server.open) == 1))
        assert (await ticked(server, events, 2)).data == {"ticks": 2}
    assert server.refused == []


async def test_subscriptions_go_on_after_a_restart(server: DialectServer) -> None:
    """A server that stops says 1001 or 1012, or nothing at all."""
    clock = FakeClock(chance=0.0)
    async with Client(link_to(server, Source("alice-1"), clock)) as client, client.subscribe(TICKS) as events:
        for number, closing in enumerate([Closing(1001), Closing(1012, "Service restart"), Closing(1006)]):
            await until(lambda: server.subscriptions == 1)
            assert (await ticked(server, events, number)).data == {"ticks": number}
            (socket,) = (socket for socket in server.open if socket.subscriptions)
            await socket.end(closing)
            await settled(clock, until(lambda: server.subscriptions == 1 and socket not in server.open))  # noqa: B023 -- awaited here
    assert server.refused == []


@pytest.mark.parametrize("name", ["strawberry", "graphql-ws", "hasura"])
async def test_a_null_payload_is_avoided(name: str) -> None:
    """A link without a credential leaves the payload out: some servers close on null."""
    async with DialectServer(DIALECTS[name]) as server:
        link = WebSocketLink(server.url)
        async with Client(link) as client:
            with pytest.raises(ConnectionRefused) as refused:
                await client.execute(HELLO)
        assert refused.value.reason == server.refusal.reason
        assert server.refused == [None]


@pytest.mark.parametrize("status", [401, 403])
async def test_an_upgrade_that_is_refused_costs_one_socket(status: int) -> None:
    """Servers that look at headers, such as Absinthe's or a gateway, say it with HTTP's own status."""
    async with DialectServer(DIALECTS["graphql-ws"]) as server:
        server.status = status
        link = WebSocketLink(server.url, headers={"Authorization": "Bearer bad-1"})
        async with Client(link) as client:
            for _ in range(2):
                with pytest.raises(ConnectionRefused, match=str(status)) as refused:
                    await client.execute(HELLO)
                assert refused.value.temporary is False
        assert server.sockets == 1


async def test_an_event_with_errors_is_delivered_with_them(server: DialectServer) -> None:
    """It is an event, not the end."""
    clock = FakeClock(chance=0.0)
    async with Client(link_to(server, Source("alice-1"), clock)) as client, client.subscribe(TICKS) as events:
        await until(lambda: server.subscriptions == 1)
        (socket,) = (socket for socket in server.open if socket.subscriptions)
        payload = {"data": {"ticks": None}, "errors": [{"message": "no tick"}]}
        await socket.say("next", next(iter(socket.subscriptions)), payload)
        event = await anext(events)
        while event.data is None:
            event = await anext(events)
        assert event.data == {"ticks": None}
        assert event.errors == [{"message": "no tick"}]
        assert (await ticked(server, events, 2)).data == {"ticks": 2}


BAD = st.one_of(
    st.sampled_from(
        [
            '{{"type":"{next}","id":"{id}"}}',
            '{{"type":"{next}","id":"{id}","payload":null}}',
            '{{"type":"{next}","id":"{id}","payload":[]}}',
            '{{"type":"{next}","id":"{id}","payload":{{"data":1,"errors":"no"}}}}',
            '{{"type":"{next}","id":"{id}","payload":{{"data":',
            '{{"id":"{id}","type":"{next}","payload":{{"data":1e999999}}}}',
            '{{"id":"{id}","type":5}}',
            '{{"id":"{id}"',
        ]
    ),
    st.text(alphabet='{}[]",:01ae\\u', max_size=30).map(
        lambda text: '{{"id":"{id}","type":"{next}","payload":' + text.replace("{", "{{").replace("}", "}}")
    ),
)


@pytest.mark.parametrize("subprotocol", [MODERN, LEGACY])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(BAD, min_size=1, max_size=4))
def test_mutilated_frames_of_one_operation_leave_the_others_alone(subprotocol: str, frames: list[str]) -> None:
    """Whatever a frame became, if it still begins with an id, only that operation can fail; the link stays."""
    asyncio.run(asyncio.wait_for(_mutilate(subprotocol, frames), 10))


async def _mutilate(subprotocol: str, frames: list[str]) -> None:
    dialect = Dialect(
        subprotocols=(subprotocol,),
        preset=presets.bearer(),
        token=DIALECTS["graphql-ws"].token,
        refusals=(Closing(4403, "Forbidden"),),
    )
    async with DialectServer(dialect) as server:
        link = link_to(server, Source("alice-1"), FakeClock(chance=0.0))
        async with Client(link) as client, client.subscribe(TICKS) as one, client.subscribe(TICKS) as two:
            await until(lambda: server.subscriptions == 2)
            (socket,) = server.open
            name = socket.words.get("next", "next")
            for frame in frames:
                await socket.connection.send(frame.format(id="1", next=name))
            await socket.say("next", "2", {"data": 7})
            assert (await anext(two)).data == 7
            await server.publish(8)
            assert (await anext(two)).data == 8
            socket.subscriptions.discard("1")
            await socket.say("complete", "1")
            with suppress(OperationFailed):
                await drained(one)
        assert server.sockets == 1


@pytest.mark.parametrize("text", ["<html>", "[]", "{}", json.dumps({"type": 5})])
async def test_a_link_comes_back_after_a_frame_that_nobody_can_read(text: str) -> None:
    """It closes with 4004, and the next connection may be whole."""
    async with DialectServer(DIALECTS["graphql-ws"]) as server:
        clock = FakeClock(chance=0.0)
        async with Client(link_to(server, Source("alice-1"), clock)) as client, client.subscribe(TICKS) as events:
            await until(lambda: server.subscriptions == 1)
            (socket,) = server.open
            await socket.connection.send(text)
            await settled(clock, until(lambda: server.sockets == 2 and server.subscriptions == 1))
            assert (await ticked(server, events, 1)).data == {"ticks": 1}
        assert socket.connection.close_code == 4004


async def test_a_server_of_something_else_is_told_apart() -> None:
    """What never was a GraphQL conversation is given up at once, and said to be the server's fault."""
    dialect = Dialect(
        subprotocols=(MODERN,),
        preset=presets.bearer(),
        token=DIALECTS["graphql-ws"].token,
        refusals=(Closing(4403, "Forbidden"),),
        greetings={MODERN: ("Welcome!",)},
    )
    async with DialectServer(dialect) as server:
        async with Client(link_to(server, Source("alice-1"), FakeClock())) as client:
            with pytest.raises(GqlinkError) as broken:
                await client.execute(HELLO)
        assert isinstance(broken.value, RemoteProtocolError)
        assert server.sockets == 1
