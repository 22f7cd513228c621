"""A state machine that speaks, listens, reads, closes and comes back in any order, beside a model of what must come."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from gqlink.errors import SubscriberLagging
from gqlink.pubsub import MemoryBroker, Position, Subscription
from pubsub.hearing import started

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")
NAMES = st.sampled_from("abc")
NOTHING, LAGGING, OVER = "nothing yet", "lagging", "over"


@dataclass(eq=False)
class Listener:
    """A subscription, and what it must still bring."""

    subscription: Subscription
    backlog: deque[object]
    live: deque[object] = field(default_factory=deque)
    listening: bool = True
    lagging: bool = False

    def hears(self, data: object, *, buffer: int) -> None:
        """Expect one more, or the end of its patience."""
        if len(self.live) == buffer:
            self.listening, self.lagging = False, True
        else:
            self.live.append(data)

    def expects(self) -> object:
        """Say what reading must bring now."""
        for waiting in (self.backlog, self.live):
            if waiting:
                return waiting.popleft()
        if self.lagging:
            self.lagging = False
            return LAGGING
        return NOTHING if self.listening else OVER


class Conversation(RuleBasedStateMachine):
    """Whatever happens in whatever order: no gap, no duplicate, the right order, and honest answers."""

    listeners = Bundle("listeners")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.open: list[Listener] = []
        self.said: dict[str, list[tuple[Position, object]]] = {name: [] for name in "abc"}
        self.known: list[Position] = []
        self.count = 0

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        """Let the loop run until this is done."""
        return self.runner.run(work)

    @initialize(history=st.integers(0, 4), buffer=st.integers(1, 3), topics=st.integers(1, 3))
    def begin(self, history: int, buffer: int, topics: int) -> None:
        """Make a broker with narrow bounds."""
        self.history, self.buffer, self.topics = history, buffer, topics
        self.broker = MemoryBroker(history=history, buffer=buffer, topics=topics)

    def listening(self, topic: str) -> list[Listener]:
        """List whoever listens to a topic."""
        return [each for each in self.open if each.listening and each.subscription.topic == topic]

    @rule(topic=NAMES)
    def publish(self, topic: str) -> None:
        """The next offset of the same epoch; or the first of a new one, but only if nobody listened."""
        self.count += 1
        listening = self.listening(topic)
        position = self.run(self.broker.publish(topic, self.count))
        last = self.said[topic][-1][0] if self.said[topic] else None
        if last is not None and last.epoch == position.epoch:
            assert position.offset == last.offset + 1
        else:
            assert position.offset == 1
            assert all(position.epoch != other.epoch for other, _ in self.said[topic])
            assert all(each.subscription.position.epoch == position.epoch for each in listening)
        self.said[topic].append((position, self.count))
        self.known += [position, Position(position.epoch, 0)]
        for each in listening:
            each.hears(self.count, buffer=self.buffer)

    def listen(self, topic: str, after: Position | None) -> Listener:
        """Subscribe, and check the answer against what is known."""
        present = self.run(self.broker.position(topic))
        subscription = self.run(self.broker.subscribe(topic, after=after))
        self.check_start(subscription, present, after)
        start = subscription.position
        missed = [data for said, data in self.said[topic] if said.epoch == start.epoch and said > start]
        assert subscription.recovered or not missed
        listener = Listener(subscription, deque(missed))
        self.open.append(listener)
        self.known.append(start)
        return listener

    def check_start(self, subscription: Subscription, present: Position, after: Position | None) -> None:
        """Everything after it is there exactly if it is of this epoch, not too old, and not in the future."""
        kept = min(self.history, present.offset)
        reached = (
            after is not None
            and after.epoch == present.epoch
            and present.offset - kept <= after.offset <= present.offset
        )
        assert subscription.recovered is reached
        assert subscription.position == (after if reached else present)

    @rule(target=listeners, topic=NAMES)
    def subscribe(self, topic: str) -> Listener:
        """From now on."""
        return self.listen(topic, None)

    @precondition(lambda self: self.known)
    @rule(target=listeners, topic=NAMES, data=st.data(), shift=st.sampled_from([0, 0, 0, -1, 1, 100, -100]))
    def resume(self, topic: str, data: st.DataObject, shift: int) -> Listener:
        """After any position that was ever seen, of any topic, or beside one."""
        known = data.draw(st.sampled_from(self.known))
        return self.listen(topic, Position(known.epoch, known.offset + shift))

    @rule(topic=NAMES)
    def reset(self, topic: str) -> None:
        """Whoever listens gets what they have and an error; no position known before is of the new epoch."""
        self.run(self.broker.reset(topic))
        for each in self.listening(topic):
            each.listening, each.lagging = False, True
        present = self.run(self.broker.position(topic))
        assert present.offset == 0
        assert all(present.epoch != known.epoch for known in self.known)

    async def next_of(self, listener: Listener) -> object:
        """Read one; a reader that finds nothing gives up."""
        reading: asyncio.Task[object] = asyncio.ensure_future(anext(listener.subscription))
        if not await started(reading):
            reading.cancel()
            await asyncio.wait([reading])
            return NOTHING
        try:
            return getattr(reading.result(), "data", None)
        except SubscriberLagging:
            return LAGGING
        except StopAsyncIteration:
            return OVER

    @rule(listener=listeners)
    def read(self, listener: Listener) -> None:
        """Exactly what is due, or nothing."""
        assert self.run(self.next_of(listener)) == listener.expects()

    @rule(listener=listeners, stay=st.booleans())
    def publish_to_a_waiting_reader(self, listener: Listener, *, stay: bool) -> None:
        """Somebody waits while something is said; and perhaps gives up in the same moment."""
        if listener.backlog or listener.live or not listener.listening:
            return

        async def wait() -> object:
            reading: asyncio.Task[object] = asyncio.ensure_future(anext(listener.subscription))
            assert not await started(reading)
            position = await self.broker.publish(listener.subscription.topic, self.count)
            if not stay:
                reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled() is not stay
            self.said[listener.subscription.topic].append((position, self.count))
            self.known.append(position)
            return NOTHING if reading.cancelled() else getattr(reading.result(), "data", None)

        self.count += 1
        others = self.listening(listener.subscription.topic)
        got = self.run(wait())
        for each in others:
            each.hears(self.count, buffer=self.buffer)
        assert got == (listener.expects() if stay else NOTHING)

    @rule(listener=listeners)
    def close(self, listener: Listener) -> None:
        """It is over, whatever was waiting, and may be closed again."""
        self.run(listener.subscription.aclose())
        listener.backlog.clear()
        listener.live.clear()
        listener.listening = listener.lagging = False

    @invariant()
    def counts_are_honest(self) -> None:
        """Nobody is listed who has gone, and idle topics stay within their bound."""
        if not hasattr(self, "broker"):
            return
        statistics = self.broker.statistics()
        listened = {each.subscription.topic for each in self.open if each.listening}
        assert statistics.subscriptions == sum(each.listening for each in self.open)
        assert statistics.publications == self.count
        assert len(listened) <= statistics.topics <= len(listened) + self.topics

    def teardown(self) -> None:
        """Closing the broker lets everybody read to the end, and no further."""
        if hasattr(self, "broker"):
            self.run(self.broker.aclose())
            for each in self.open:
                each.listening = False
                while (expected := each.expects()) != OVER:
                    assert self.run(self.next_of(each)) == expected
                assert self.run(self.next_of(each)) == OVER
        self.runner.close()


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
