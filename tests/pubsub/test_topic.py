import asyncio
from collections.abc import AsyncIterable

import pytest

from gqlink.errors import ConnectionClosed, SubscriberLagging
from gqlink.pubsub import MemoryBroker, Position, Publication, Subscription, Topic
from pubsub.hearing import ready, started


class SlowBroker:
    """A broker of ours whose `subscribe` waits, as one over the network does."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.calls = 0
        self.answering = asyncio.Event()

    async def publish(self, topic: str, data: object) -> Position:
        """Publish as ever."""
        return await self.broker.publish(topic, data)

    async def subscribe(self, topic: str, *, after: Position | None = None) -> Subscription:
        """Subscribe once `answering` is set."""
        self.calls += 1
        await self.answering.wait()
        return await self.broker.subscribe(topic, after=after)

    async def position(self, topic: str) -> Position:
        """Give the position as ever."""
        return await self.broker.position(topic)

    async def reset(self, topic: str) -> None:
        """Reset as ever."""
        await self.broker.reset(topic)

    async def aclose(self) -> None:
        """Close as ever."""
        await self.broker.aclose()


async def test_a_topic_speaks_and_its_streams_hear_the_data(broker: MemoryBroker) -> None:
    """A stream yields what was said, without its position."""
    topic = Topic(broker, "a")
    async with topic.stream() as stream:
        await stream.open()
        position = await topic.publish({"text": "hello"})
        assert position == await broker.position("a")
        assert await anext(stream) == {"text": "hello"}


async def test_topics_are_values(broker: MemoryBroker) -> None:
    """The same name on the same broker is the same topic."""
    assert Topic(broker, "a") == Topic(broker, "a") != Topic(broker, "b")
    assert Topic(broker, "a").stream().topic == Topic(broker, "a")


async def test_a_stream_is_what_graphql_calls_an_async_iterable(broker: MemoryBroker) -> None:
    """A resolver returns it as it is."""
    assert isinstance(Topic(broker, "a").stream(), AsyncIterable)


async def test_a_stream_listens_from_its_first_use_on(broker: MemoryBroker) -> None:
    """One that is made and never used leaves nothing behind."""
    stream = Topic(broker, "a").stream()
    assert stream.subscription is None
    assert broker.statistics().subscriptions == 0
    await broker.publish("a", "too early")
    assert await ready(stream) == []
    assert broker.statistics().subscriptions == 1
    await broker.publish("a", "heard")
    assert await ready(stream) == ["heard"]
    await stream.aclose()
    assert broker.statistics().subscriptions == 0


async def test_opening_gives_the_subscription_with_its_positions(broker: MemoryBroker) -> None:
    """For a server that sends cursors; opening again changes nothing."""
    stream = Topic(broker, "a").stream()
    subscription = await stream.open()
    assert stream.subscription is subscription
    assert await stream.open() is subscription
    position = await broker.publish("a", "hello")
    assert await anext(subscription) == Publication("a", position, "hello")
    assert broker.statistics().subscriptions == 1


async def test_a_stream_resumes_where_it_was_told(broker: MemoryBroker) -> None:
    """By whoever made it."""
    positions = [await broker.publish("a", each) for each in range(4)]
    stream = Topic(broker, "a").stream(after=positions[1])
    assert (await stream.open()).recovered
    assert await ready(stream) == [2, 3]


async def test_a_stream_says_what_its_maker_said(broker: MemoryBroker) -> None:
    """Where to resume, and for whom results are the same; both may be left unsaid."""
    topic = Topic(broker, "news")
    position = await topic.publish("one")
    stream = topic.stream(after=position, share_key="members")
    assert (stream.after, stream.share_key) == (position, "members")
    assert (topic.stream().after, topic.stream().share_key) == (None, None)


async def test_whoever_opens_a_stream_knows_best_where_to_resume(broker: MemoryBroker) -> None:
    """The server has the client's cursor, the resolver does not."""
    positions = [await broker.publish("a", each) for each in range(4)]
    stream = Topic(broker, "a").stream(after=positions[0])
    await stream.open(after=positions[2])
    assert await ready(stream) == [3]


async def test_iterating_a_closed_stream_ends(broker: MemoryBroker) -> None:
    """Closed before or after its first use, once or twice."""
    unused, used = Topic(broker, "a").stream(), Topic(broker, "a").stream()
    await used.open()
    await broker.publish("a", "unread")
    for stream in (unused, used):
        await stream.aclose()
        await stream.aclose()
        assert [each async for each in stream] == []
    assert broker.statistics().subscriptions == 0


async def test_a_closed_stream_does_not_open(broker: MemoryBroker) -> None:
    """It would never be closed again."""
    stream = Topic(broker, "a").stream()
    await stream.aclose()
    with pytest.raises(ConnectionClosed, match="the stream is closed"):
        await stream.open()


async def test_a_stream_ends_with_its_broker(broker: MemoryBroker) -> None:
    """After what was buffered; one that was not opened in time says why it cannot be."""
    stream, late = Topic(broker, "a").stream(), Topic(broker, "a").stream()
    await stream.open()
    await broker.publish("a", "last words")
    await broker.aclose()
    assert [each async for each in stream] == ["last words"]
    with pytest.raises(ConnectionClosed, match="the broker is closed"):
        await anext(late)


async def test_a_slow_stream_says_so(broker: MemoryBroker) -> None:
    """The subscription's error comes through."""
    stream = Topic(broker, "a").stream()
    await stream.open()
    for each in range(6):
        await broker.publish("a", each)
    assert [await anext(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(SubscriberLagging):
        await anext(stream)


async def test_a_topic_can_be_reset(broker: MemoryBroker) -> None:
    """Its streams end with an error, and what they knew recovers nothing."""
    topic = Topic(broker, "a")
    known = await topic.publish(1)
    stream = topic.stream(after=known)
    await stream.open()
    await topic.reset()
    with pytest.raises(SubscriberLagging):
        await anext(stream)
    assert not (await topic.stream().open(after=known)).recovered


async def test_two_who_open_at_once_share_one_subscription(broker: MemoryBroker) -> None:
    """Also when the broker takes its time."""
    slow = SlowBroker(broker)
    stream = Topic(slow, "a").stream()
    opening = [asyncio.ensure_future(stream.open()) for _ in range(2)]
    slow.answering.set()
    first, second = await asyncio.gather(*opening)
    assert first is second
    assert slow.calls == 1


async def test_a_stream_that_is_closed_while_it_opens_leaves_nothing_behind(broker: MemoryBroker) -> None:
    """The subscription that comes too late is closed, and iterating ends for everybody."""
    slow = SlowBroker(broker)
    stream = Topic(slow, "a").stream()
    readings: list[asyncio.Task[object]] = [asyncio.ensure_future(anext(stream)) for _ in range(2)]
    assert not await started(readings[0])
    await stream.aclose()
    slow.answering.set()
    for reading in readings:
        with pytest.raises(StopAsyncIteration):
            await reading
    assert broker.statistics().subscriptions == 0
