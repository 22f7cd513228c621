from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from gqlink.protocol import Close, Dialect, Text
from gqlink.server import Limits, ServerStatistics
from gqlink.server.send_queue import SendQueue
from gqlink.server.statistics import Meter
from server.eventually import eventually, turns
from server.peer import member
from server.raw import let_in, starting
from serving import serving

if TYPE_CHECKING:
    from server.world import World

pytestmark = pytest.mark.usefixtures("road")

NOTHING = ServerStatistics(
    sockets=0,
    sockets_opened=0,
    closed={},
    slow_consumers=0,
    operations=0,
    messages_sent=0,
    waiting_bytes=0,
    most_waiting_bytes=0,
)


def test_nothing_has_happened_yet(world: World) -> None:
    """Every count begins at 0."""
    assert world.app().statistics() == NOTHING


async def test_sockets_operations_and_messages_are_counted(world: World, dialect: Dialect) -> None:
    """While they are there, and how each socket has ended."""
    app = world.app()
    async with serving(app) as authority:
        async with member(authority, dialect) as client, member(authority, dialect) as other:
            await client.start("{ slow }", id="a")
            await client.start("subscription { messages }", id="b")
            await eventually(lambda: app.statistics().operations == 2)
            found = app.statistics()
            assert (found.sockets, found.sockets_opened, found.closed) == (2, 2, {})
            await other.ask("{ hello }")
            await eventually(lambda: app.statistics().messages_sent == 4)  # two acks, a result and its complete
            await client.stop("a")
            await eventually(lambda: app.statistics().operations == 1)
        await eventually(lambda: app.statistics().sockets == 0)
        found = app.statistics()
        assert (found.sockets_opened, found.operations, found.closed) == (2, 0, {1000: 2})
        assert (found.waiting_bytes, found.slow_consumers) == (0, 0)
        assert found.most_waiting_bytes > 0


async def test_operations_over_http_are_counted(world: World) -> None:
    """Whoever watches for the client to leave is none."""
    app = world.app()
    async with serving(app) as authority, httpx2.AsyncClient() as client:
        asking = asyncio.create_task(client.post(f"http://{authority}/graphql", json={"query": "{ slow }"}))
        await eventually(lambda: app.statistics().operations == 1)
        world.gate.set()
        assert (await asking).status_code == 200
        await eventually(lambda: app.statistics().operations == 0)


async def test_a_mutation_counts_until_it_has_finished(world: World, dialect: Dialect) -> None:
    """Although its client has left."""
    app = world.app()
    async with serving(app) as authority:
        async with member(authority, dialect) as client:
            await client.start('mutation { slowAdd(text: "a") }', id="a")
            await eventually(lambda: app.statistics().operations == 1)
        await eventually(lambda: app.statistics().closed == {1000: 1})
        assert app.statistics().operations == 1
        world.gate.set()
        await eventually(lambda: app.statistics().operations == 0)


async def test_a_client_that_never_reads_is_counted_as_a_slow_consumer(world: World, dialect: Dialect) -> None:
    """It is closed with 4490 after `stall_seconds`, and what waited for it is waited for no more."""
    app = world.app(limits=Limits(send_buffer_bytes=100_000, stall_seconds=0.2))
    async with serving(app) as authority, let_in(authority, dialect, receive_bytes=1024) as raw:
        raw.send(starting(dialect, "subscription { flood(bytes: 50000) }", id="1"))
        await eventually(lambda: app.statistics().slow_consumers == 1)
        await eventually(lambda: app.statistics().waiting_bytes == 0)
    found = app.statistics()
    assert found.closed == {4490: 1}
    assert 50_000 < found.most_waiting_bytes < 250_000


async def test_a_subscriber_of_a_reset_topic_is_no_slow_consumer(world: World, dialect: Dialect) -> None:
    """It is closed with 4490 so that it comes back, but it has read everything: only who did not read is counted."""
    app = world.app()
    async with serving(app) as authority, let_in(authority, dialect) as raw:
        raw.send(starting(dialect, "subscription { messages }"))
        await eventually(lambda: world.broker.statistics().subscriptions == 1)
        await world.messages.reset()
        assert await raw.closed() == (4490, "Slow consumer")
        await eventually(lambda: app.statistics().closed == {4490: 1})
        assert app.statistics().slow_consumers == 0


async def test_who_falls_behind_the_brokers_buffer_is_one_slow_consumer(world: World, dialect: Dialect) -> None:
    """However many of its subscriptions did."""
    app = world.app()
    async with serving(app) as authority, let_in(authority, dialect) as raw:
        for number in range(3):
            raw.send(starting(dialect, "subscription { messages }", id=str(number)))
        await eventually(lambda: world.broker.statistics().subscriptions == 3)
        for _ in range(1001):  # one more than the buffer holds, and nobody else has a turn meanwhile
            await world.messages.publish("burst")
        assert await raw.closed() == (4490, "Slow consumer")
        await eventually(lambda: app.statistics().closed == {4490: 1})
        assert app.statistics().slow_consumers == 1


async def test_a_code_that_a_client_says_makes_it_no_slow_consumer(world: World, dialect: Dialect) -> None:
    """`closed` counts what was said; `slow_consumers` what we found out ourselves."""
    app = world.app()
    async with serving(app) as authority:
        async with member(authority, dialect) as client:
            await client.socket.close(4490, "so I say")
        await eventually(lambda: app.statistics().closed == {4490: 1})
    assert app.statistics().slow_consumers == 0


async def test_what_was_counted_does_not_change_afterwards(world: World, dialect: Dialect) -> None:
    """A reading is of one moment, and nobody can write into it."""
    app = world.app()
    async with serving(app) as authority:
        before = app.statistics()
        async with member(authority, dialect):
            pass
        await eventually(lambda: app.statistics().closed == {1000: 1})
    assert before.closed == {}
    with pytest.raises(TypeError):
        before.closed[1000] = 1  # type: ignore[index]


async def test_what_is_stuck_on_its_way_to_somebody_who_has_left_makes_no_slow_consumer() -> None:
    """The conversation is over, so stalling closes nothing."""
    meter = Meter()
    stalled = asyncio.Event()

    async def send(_: Any) -> None:
        await asyncio.Event().wait()

    async with SendQueue(send, limits=Limits(stall_seconds=0.01), meter=meter) as queue:
        queue.when_stalled(stalled.set)
        queue.write([Text(b"x")])
        await stalled.wait()
        await turns()
    assert (meter.slow_consumers, meter.waiting_bytes) == (0, 0)


async def test_who_does_not_read_a_close_is_no_slow_consumer() -> None:
    """We had other reasons to end it."""
    meter = Meter()

    async def send(_: Any) -> None:
        await asyncio.Event().wait()

    async with SendQueue(send, limits=Limits(stall_seconds=0.01), meter=meter) as queue:
        queue.when_stalled(lambda: queue.write([Close(4490)]))
        queue.write([Text(b"x"), Close(1012)])
        await eventually(lambda: queue._ended)
    assert meter.slow_consumers == 0


@pytest.mark.parametrize("end", ["drained", "dropped", "closed", "stalled", "failed", "cancelled"])
async def test_whatever_becomes_of_it_nothing_waits_in_the_end(end: str) -> None:
    """Two queues share a meter; what one of them held comes off again, by every way out."""
    meter = Meter()
    gate = asyncio.Event()
    failing = end == "failed"

    async def send(_: Any) -> None:
        await gate.wait()
        if failing:
            raise OSError("gone")

    limits = Limits(stall_seconds=0.01 if end == "stalled" else 1000)
    async with SendQueue(send, limits=limits, meter=meter) as other:
        other.write([Text(b"yyyyy")])
        async with SendQueue(send, limits=limits, meter=meter) as queue:
            queue.when_stalled(lambda: queue.write([Close(4490)]))
            queue.write([Text(b"xxxxxxxxxx")] * 3)
            await turns()
            assert meter.waiting_bytes == 35
            match end:
                case "dropped":
                    queue.drop()
                    assert meter.waiting_bytes == 15
                case "closed":
                    queue.write([Close(1012)])
                case "stalled":
                    await eventually(lambda: meter.waiting_bytes <= 7)
                case "cancelled":
                    queue._writer.cancel()
                case _:
                    pass
            gate.set()
    assert meter.waiting_bytes == 0
    assert meter.most_waiting_bytes >= 35
    assert meter.slow_consumers == (1 if end == "stalled" else 0)
