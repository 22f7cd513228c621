"""What every broker promises; another engine joins by adding itself to the fixture."""

from __future__ import annotations

import asyncio
import operator
from typing import TYPE_CHECKING

import pytest

from gqlink.errors import ConnectionClosed, SubscriberLagging
from gqlink.pubsub import Broker, MemoryBroker, Position, Publication, Subscription
from pubsub.hearing import heard, started

if TYPE_CHECKING:
    from collections.abc import Callable

# Positions


def test_positions_of_one_epoch_are_ordered_by_offset() -> None:
    """Within a life of a topic, later is greater."""
    first, second = Position("e", 1), Position("e", 2)
    assert first < second
    assert first <= second
    assert second > first
    assert second >= first
    assert first <= Position("e", 1)
    assert not second <= first
    assert sorted([second, first]) == [first, second]


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_positions_of_two_epochs_have_no_order(compare: Callable[[object, object], bool]) -> None:
    """Offsets of different epochs say nothing about each other."""
    with pytest.raises(TypeError):
        compare(Position("e", 1), Position("f", 2))


def test_positions_are_values() -> None:
    """Equal if both parts are; usable as keys; not to be changed."""
    assert Position("e", 1) == Position("e", 1) != Position("f", 1)
    assert len({Position("e", 1), Position("e", 1)}) == 1
    with pytest.raises(AttributeError):
        Position("e", 1).offset = 2  # type: ignore[misc] # what is tested


# Speaking and listening


async def test_a_memory_broker_is_a_broker(broker: MemoryBroker) -> None:
    """The types say so, which is what this test is for."""
    some: Broker = broker
    subscription: Subscription = await some.subscribe("a")
    assert subscription.topic == "a"


async def test_offsets_start_at_1_and_grow_by_1(broker: Broker) -> None:
    """0 is before everything, each topic counts for itself."""
    assert (await broker.position("a")).offset == 0
    assert [(await broker.publish("a", each)).offset for each in "xyz"] == [1, 2, 3]
    assert (await broker.publish("b", "x")).offset == 1
    assert (await broker.position("a")).offset == 3


async def test_two_topics_never_share_an_epoch(broker: Broker) -> None:
    """So a position of one is never taken for a position of the other."""
    assert len({(await broker.position(name)).epoch for name in "abc"}) == 3


async def test_a_subscriber_hears_what_is_published_after_it_came(broker: Broker) -> None:
    """And nothing from before, unless it asks."""
    await broker.publish("a", "before")
    subscription = await broker.subscribe("a")
    assert subscription.position == await broker.position("a")
    assert not subscription.recovered
    position = await broker.publish("a", "after")
    assert await anext(subscription) == Publication("a", position, "after")
    assert await heard(subscription) == []


async def test_a_subscriber_hears_its_own_topic_only(broker: Broker) -> None:
    """Also where one name is the beginning of another, or looks like a pattern."""
    subscriptions = {name: await broker.subscribe(name) for name in ("room", "room:1", "room:*", "*", ">")}
    await broker.publish("room:1", "hello")
    assert [name for name, each in subscriptions.items() if await heard(each)] == ["room:1"]


async def test_everybody_hears_the_same_in_the_same_order(broker: Broker) -> None:
    """Also when speakers take turns."""
    subscriptions = [await broker.subscribe("a") for _ in range(3)]
    await asyncio.gather(*(broker.publish("a", each) for each in range(5)))
    assert [await heard(each) for each in subscriptions] == [[0, 1, 2, 3, 4]] * 3


async def test_whoever_waits_is_woken(broker: Broker) -> None:
    """A publication ends the wait, at once."""
    subscription = await broker.subscribe("a")
    reading = asyncio.ensure_future(anext(subscription))
    assert not reading.done()
    await broker.publish("a", "hello")
    assert (await reading).data == "hello"


async def test_a_reader_that_gives_up_loses_nothing(broker: Broker) -> None:
    """Cancelled in the very moment in which something came: it is still there."""
    subscription = await broker.subscribe("a")
    reading: asyncio.Task[object] = asyncio.ensure_future(anext(subscription))
    assert not await started(reading)
    await broker.publish("a", "hello")
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert await heard(subscription) == ["hello"]


# Resuming


async def test_resuming_brings_everything_after_the_position_then_what_is_new(broker: Broker) -> None:
    """No gap, no duplicate."""
    last = [await broker.publish("a", each) for each in range(4)][1]
    subscription = await broker.subscribe("a", after=last)
    await broker.publish("a", 4)
    assert subscription.recovered
    assert subscription.position == last
    assert await heard(subscription) == [2, 3, 4]


async def test_resuming_where_nothing_was_missed_is_recovery_too(broker: Broker) -> None:
    """Everything after it comes: there is nothing yet."""
    for _ in range(2):
        subscription = await broker.subscribe("a", after=await broker.position("a"))
        assert subscription.recovered
        assert await heard(subscription) == []
        await broker.publish("a", "something")


async def test_resuming_from_before_the_first_publication_brings_all(broker: Broker) -> None:
    """A cursor taken in an empty topic counts."""
    start = await broker.position("a")
    for each in range(3):
        await broker.publish("a", each)
    assert await heard(await broker.subscribe("a", after=start)) == [0, 1, 2]


@pytest.mark.parametrize("offset", [-1, 4, 10**9])
async def test_an_offset_that_never_was_recovers_nothing(broker: Broker, offset: int) -> None:
    """Below 0, or in the future: only what is new comes."""
    for each in range(3):
        await broker.publish("a", each)
    epoch = (await broker.position("a")).epoch
    subscription = await broker.subscribe("a", after=Position(epoch, offset))
    await broker.publish("a", "new")
    assert not subscription.recovered
    assert subscription.position == Position(epoch, 3)
    assert await heard(subscription) == ["new"]


async def test_a_position_of_another_epoch_recovers_nothing(broker: Broker) -> None:
    """An invented one, or another topic's."""
    await broker.publish("a", "old")
    for foreign in (Position("", 0), Position("x", 1), await broker.publish("b", "other")):
        subscription = await broker.subscribe("a", after=foreign)
        assert not subscription.recovered
        assert subscription.position == await broker.position("a")
        assert await heard(subscription) == []


# Ending


async def test_iterating_ends_after_closing(broker: Broker) -> None:
    """What was not read is dropped; closing again does nothing."""
    subscription = await broker.subscribe("a")
    await broker.publish("a", "unread")
    await subscription.aclose()
    await subscription.aclose()
    assert [each async for each in subscription] == []
    await broker.publish("a", "unheard")
    assert [each async for each in subscription] == []


async def test_the_end_of_the_block_closes(broker: Broker) -> None:
    """`async with` leaves nothing behind."""
    async with await broker.subscribe("a") as subscription:
        await broker.publish("a", 1)
        assert (await anext(subscription)).data == 1
    assert [each async for each in subscription] == []


async def test_closing_ends_whoever_waits(broker: Broker) -> None:
    """From another task."""
    subscription = await broker.subscribe("a")
    reading: asyncio.Task[object] = asyncio.ensure_future(anext(subscription))
    assert not await started(reading)
    await subscription.aclose()
    with pytest.raises(StopAsyncIteration):
        await reading


async def test_one_who_leaves_disturbs_nobody(broker: Broker) -> None:
    """The others hear on."""
    staying, leaving = await broker.subscribe("a"), await broker.subscribe("a")
    await leaving.aclose()
    await broker.publish("a", "hello")
    assert await heard(staying) == ["hello"]


async def test_a_reset_ends_everybody_with_an_error_after_what_they_have(broker: Broker) -> None:
    """Whoever listened learns that there is something that nobody heard."""
    reader, other = await broker.subscribe("a"), await broker.subscribe("a")
    elsewhere = await broker.subscribe("b")
    await broker.publish("a", 1)
    await broker.reset("a")
    await broker.publish("a", 2)
    await broker.publish("b", 3)
    for subscription in (reader, other):
        assert (await anext(subscription)).data == 1
        with pytest.raises(SubscriberLagging) as caught:
            await anext(subscription)
        assert caught.value.reset  # so nobody was too slow
        with pytest.raises(StopAsyncIteration):
            await anext(subscription)
        await subscription.aclose()
    assert await heard(elsewhere) == [3]


async def test_a_reset_wakes_whoever_waits(broker: Broker) -> None:
    """They learn of it at once, not with the next publication."""
    subscription = await broker.subscribe("a")
    reading = asyncio.ensure_future(anext(subscription))
    assert not await started(reading)
    await broker.reset("a")
    with pytest.raises(SubscriberLagging):
        await reading


async def test_nobody_resumes_over_a_reset(broker: Broker) -> None:
    """Not even where nothing was published, nor from where nothing was missed."""
    known = [await broker.position("a"), await broker.publish("a", 1)]
    await broker.reset("a")
    await broker.publish("a", 2)
    for position in known:
        subscription = await broker.subscribe("a", after=position)
        assert not subscription.recovered
        assert await heard(subscription) == []


async def test_after_a_reset_a_topic_is_as_good_as_new(broker: Broker) -> None:
    """Positions of the new epoch can be resumed; also of a topic that was not used before, and after two of them."""
    await broker.publish("a", 1)
    await broker.reset("a")
    await broker.reset("a")
    first = await broker.publish("a", 2)
    await broker.publish("a", 3)
    assert await heard(await broker.subscribe("a", after=first)) == [3]


async def test_closing_the_broker_ends_everybody_after_what_they_have(broker: Broker) -> None:
    """Nothing that was published is lost by it."""
    waiting, reading = await broker.subscribe("a"), await broker.subscribe("b")
    wait: asyncio.Task[object] = asyncio.ensure_future(anext(waiting))
    assert not await started(wait)
    await broker.publish("b", "last words")
    await broker.aclose()
    await broker.aclose()
    with pytest.raises(StopAsyncIteration):
        await wait
    assert [each.data async for each in reading] == ["last words"]
    await reading.aclose()


async def test_a_closed_broker_takes_nothing_more(broker: Broker) -> None:
    """Rather than lose it silently."""
    await broker.aclose()
    for refused in (broker.publish("a", 1), broker.subscribe("a"), broker.position("a"), broker.reset("a")):
        with pytest.raises(ConnectionClosed, match="the broker is closed"):
            await refused
