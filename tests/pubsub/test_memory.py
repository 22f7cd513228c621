import pytest

from gqlink.errors import SubscriberLagging
from gqlink.pubsub import MemoryBroker, Position, Statistics
from pubsub.hearing import heard

# History


async def test_history_is_bounded(broker: MemoryBroker) -> None:
    """Of twelve publications the last ten are kept: one may resume after the second, not after the first."""
    positions = [await broker.publish("a", each) for each in range(1, 13)]
    within = await broker.subscribe("a", after=positions[1])
    assert within.recovered
    assert await heard(within) == list(range(3, 13))
    beyond = await broker.subscribe("a", after=positions[0])
    assert not beyond.recovered
    assert beyond.position == positions[-1]
    assert await heard(beyond) == []


async def test_without_history_only_the_present_can_be_resumed() -> None:
    """A broker may keep nothing."""
    broker = MemoryBroker(history=0)
    first, second = await broker.publish("a", 1), await broker.publish("a", 2)
    assert not (await broker.subscribe("a", after=first)).recovered
    resumed = await broker.subscribe("a", after=second)
    await broker.publish("a", 3)
    assert resumed.recovered
    assert await heard(resumed) == [3]


@pytest.mark.parametrize("bounds", [{"history": -1}, {"buffer": 0}, {"topics": 0}])
def test_bounds_make_sense(bounds: dict[str, int]) -> None:
    """A subscriber needs room for one publication at least."""
    with pytest.raises(ValueError, match="at least"):
        MemoryBroker(**bounds)


# Slow subscribers


async def test_a_slow_subscriber_is_ended_after_what_was_buffered(broker: MemoryBroker) -> None:
    """It gets all that fitted, then is told, then it is over: there is never a silent gap."""
    subscription = await broker.subscribe("a")
    for each in range(7):
        await broker.publish("a", each)
    assert [(await anext(subscription)).data for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(SubscriberLagging) as caught:
        await anext(subscription)
    assert (caught.value.topic, caught.value.buffered, caught.value.reset) == ("a", 5, False)
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)
    await subscription.aclose()


async def test_a_slow_subscriber_may_resume(broker: MemoryBroker) -> None:
    """After the last publication that it got, as long as history reaches back."""
    subscription = await broker.subscribe("a")
    for each in range(8):
        await broker.publish("a", each)
    last = [await anext(subscription) for _ in range(5)][-1]
    assert await heard(await broker.subscribe("a", after=last.position)) == [5, 6, 7]


async def test_a_slow_subscriber_holds_up_nobody(broker: MemoryBroker) -> None:
    """Neither the speaker nor the other listeners; and it is no longer counted."""
    slow, quick = await broker.subscribe("a"), await broker.subscribe("a")
    for each in range(20):
        await broker.publish("a", each)
        assert (await anext(quick)).data == each
    assert broker.statistics().subscriptions == 1
    await slow.aclose()
    assert await heard(slow) == []


async def test_what_one_resumes_with_is_not_counted_as_slowness(broker: MemoryBroker) -> None:
    """A backlog of ten beside a buffer of five: the first new publication does not end it, the sixth does."""
    start = await broker.position("a")
    for each in range(10):
        await broker.publish("a", each)
    subscription = await broker.subscribe("a", after=start)
    for each in range(10, 15):
        await broker.publish("a", each)
    assert await heard(subscription) == list(range(15))
    again = await broker.subscribe("a", after=Position(start.epoch, 10))
    for each in range(15, 21):
        await broker.publish("a", each)
    assert [(await anext(again)).data for _ in range(10)] == list(range(10, 20))
    with pytest.raises(SubscriberLagging) as caught:
        await anext(again)
    assert caught.value.buffered == 10


async def test_a_full_buffer_is_not_an_overflow(broker: MemoryBroker) -> None:
    """Five may wait."""
    subscription = await broker.subscribe("a")
    for each in range(5):
        await broker.publish("a", each)
    assert await heard(subscription) == [0, 1, 2, 3, 4]


async def test_closing_a_slow_subscriber_is_its_end(broker: MemoryBroker) -> None:
    """Whoever has gone away is not told that they were slow."""
    subscription = await broker.subscribe("a")
    for each in range(7):
        await broker.publish("a", each)
    await subscription.aclose()
    assert [each async for each in subscription] == []


# Topics


async def test_nobody_can_make_it_grow_for_ever() -> None:
    """The topics that nobody listens to are bounded, whatever they are called."""
    broker = MemoryBroker(topics=3)
    for number in range(100):
        await broker.publish(f"published {number}", 0)
        await broker.position(f"asked for {number}")
        async with await broker.subscribe(f"listened to {number}"):
            pass
    assert broker.statistics().topics == 3


async def test_the_topic_that_was_unused_for_longest_is_forgotten_and_gets_a_new_epoch() -> None:
    """Whoever held a position of it is told that there is a gap."""
    broker = MemoryBroker(topics=2)
    first = {name: await broker.publish(name, 1) for name in "ab"}
    await broker.publish("a", 2)
    await broker.publish("c", 1)
    assert (await broker.position("a")).epoch == first["a"].epoch
    again = await broker.subscribe("b", after=first["b"])
    assert not again.recovered
    assert again.position.epoch != first["b"].epoch
    assert again.position.offset == 0


@pytest.mark.parametrize("use", ["publish", "subscribe", "position"])
async def test_every_use_counts(use: str) -> None:
    """Speaking, having listened, and asking for the position keep a topic."""
    broker = MemoryBroker(topics=2)
    kept = await broker.publish("a", 1)
    await broker.publish("b", 1)
    match use:
        case "publish":
            await broker.publish("a", 2)
        case "subscribe":
            await (await broker.subscribe("a")).aclose()
        case _:
            await broker.position("a")
    await broker.publish("c", 1)
    assert (await broker.position("a")).epoch == kept.epoch


async def test_a_topic_that_somebody_listens_to_is_never_forgotten() -> None:
    """However many others there are; afterwards it counts as just used."""
    broker = MemoryBroker(topics=1)
    subscription = await broker.subscribe("a")
    for number in range(5):
        await broker.publish(f"other {number}", 0)
    await broker.publish("a", "hello")
    assert await heard(subscription) == ["hello"]
    await subscription.aclose()
    assert (await broker.position("a")).epoch == subscription.position.epoch
    assert broker.statistics().topics == 1


async def test_topics_without_publications_are_forgotten_before_those_with_some() -> None:
    """Whoever may name topics cannot flush the others' history."""
    broker = MemoryBroker(topics=2)
    kept = await broker.publish("a", 1)
    for number in range(10):
        await broker.position(f"empty {number}")
    assert (await broker.subscribe("a", after=kept)).recovered


async def test_a_position_that_was_just_given_out_is_good() -> None:
    """However full it is: a client may leave an empty room and come back at once without a gap."""
    broker = MemoryBroker(topics=2)
    for name in "ab":
        await broker.publish(name, 1)
    async with await broker.subscribe("empty") as subscription:
        start = subscription.position
    await broker.publish("empty", "missed")
    again = await broker.subscribe("empty", after=start)
    assert again.recovered
    assert await heard(again) == ["missed"]


async def test_one_who_was_too_slow_keeps_no_topic() -> None:
    """Ended by the broker is gone, even before it notices."""
    broker = MemoryBroker(buffer=1, topics=1)
    subscription = await broker.subscribe("a")
    for each in range(2):
        await broker.publish("a", each)
    await broker.publish("b", 1)
    assert broker.statistics() == Statistics(topics=1, subscriptions=0, publications=3)
    await subscription.aclose()
    assert broker.statistics().topics == 1


async def test_a_late_farewell_does_not_disturb_the_topics_next_life() -> None:
    """The topic was forgotten and came back: the old subscriber has no part in it."""
    broker = MemoryBroker(buffer=1, topics=1)
    old = await broker.subscribe("a")
    for each in range(2):
        await broker.publish("a", each)
    await broker.publish("b", 1)
    new = await broker.subscribe("a")
    assert new.position.epoch != old.position.epoch
    await old.aclose()
    await broker.publish("a", "hello")
    assert await heard(new) == ["hello"]


async def test_a_topic_that_was_reset_no_longer_counts() -> None:
    """Neither its subscribers, nor it itself among those that may be forgotten."""
    broker = MemoryBroker(topics=2)
    old = await broker.subscribe("a")
    await broker.publish("b", 1)
    await broker.reset("a")
    await broker.reset("b")
    assert broker.statistics() == Statistics(topics=0, subscriptions=0, publications=1)
    for each in "cd":
        await broker.publish(each, 1)
    await old.aclose()
    assert broker.statistics().topics == 2


async def test_statistics_count_what_is_held() -> None:
    """Topics and subscriptions now; publications since the beginning."""
    broker = MemoryBroker()
    assert broker.statistics() == Statistics(topics=0, subscriptions=0, publications=0)
    one, two = await broker.subscribe("a"), await broker.subscribe("a")
    await broker.publish("a", 1)
    await broker.publish("b", 1)
    assert broker.statistics() == Statistics(topics=2, subscriptions=2, publications=2)
    await one.aclose()
    assert broker.statistics().subscriptions == 1
    await broker.aclose()
    assert broker.statistics() == Statistics(topics=0, subscriptions=0, publications=2)
    await two.aclose()
    assert broker.statistics().topics == 0
