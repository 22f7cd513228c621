"""One node's ear and mouth, at a broker that fails when the test says so."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from gqlink.errors import AuthUnavailable
from gqlink.pubsub import MemoryBroker
from gqlink.server import control as control_module
from gqlink.server.control import CONTROL_TOPIC, Control
from gqlink.testing import FakeClock
from server.eventually import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.pubsub import Position, Subscription


class FlakyBroker(MemoryBroker):
    """A broker that does not let anybody listen while `fault` is set."""

    def __init__(self, *, buffer: int = 10) -> None:
        super().__init__(buffer=buffer)
        self.fault: BaseException | None = None
        self.asked = 0
        self.subscriptions: list[Subscription] = []

    async def subscribe(self, topic: str, *, after: Position | None = None) -> Subscription:  # type: ignore[override]
        """Count, and fail or listen."""
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        subscription = await super().subscribe(topic, after=after)
        self.subscriptions.append(subscription)
        return subscription


class Node:
    """A `Control`, with what it was told and how often it has loaded."""

    def __init__(self, broker: FlakyBroker) -> None:
        self.broker = broker
        self.clock = FakeClock()
        self.heard: list[object] = []
        self.loads = 0
        self.fault: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.control = Control(broker, clock=self.clock, obey=self.obey, load=self.load)

    def obey(self, order: object) -> None:
        """Remember it."""
        assert isinstance(order, dict)
        if order["word"] == "fail":
            raise RuntimeError("a mistake")
        self.heard.append(order["word"])

    async def say(self, word: object) -> None:
        """Tell all nodes a word."""
        await self.control.say({"word": word})

    async def load(self) -> None:
        """Wait for the gate, then fail or not."""
        self.loads += 1
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault

    async def refuses(self) -> str:
        """Say why it is not ready."""
        with pytest.raises(AuthUnavailable) as caught:
            await self.control.ready()
        return caught.value.detail


@asynccontextmanager
async def listening(*, buffer: int = 10) -> AsyncIterator[Node]:
    """One node; nothing of it is left afterwards."""
    node = Node(FlakyBroker(buffer=buffer))
    yield node
    await node.control.aclose()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("gqlink")]
    assert node.broker.statistics().subscriptions == 0
    assert node.clock.timers == 0


async def test_a_node_hears_what_is_said_once_it_is_ready() -> None:
    """Its own words too; to be ready twice is one subscription."""
    async with listening() as node:
        await node.control.ready()
        await node.control.ready()
        await node.say(1)
        await eventually(lambda: node.heard == [1])
        assert (node.broker.asked, node.loads) == (1, 1)


async def test_nothing_falls_between_loading_and_listening() -> None:
    """It listens before it loads, and obeys while it does; ready it is only after both."""
    async with listening() as node:
        node.gate.clear()
        ready = asyncio.create_task(node.control.ready())
        await eventually(lambda: node.loads == 1)
        await node.say("meanwhile")
        await eventually(lambda: node.heard == ["meanwhile"])
        assert not ready.done()
        node.gate.set()
        await ready


@pytest.mark.parametrize("fault", [RuntimeError("secret"), asyncio.CancelledError(), AuthUnavailable("secret")])
async def test_who_cannot_load_is_not_ready_and_tries_again(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call is answered by an attempt of its own, until one succeeds; what failed is for the log, by its kind."""
    async with listening() as node:
        node.fault = fault
        for _ in range(3):
            assert "secret" not in await node.refuses()
        kind = "AuthUnavailable" if isinstance(fault, asyncio.CancelledError) else type(fault).__name__
        assert f"nobody new is let in until they are: {kind}" in caplog.text
        assert "secret" not in caplog.text
        node.fault = None
        await node.control.ready()


@pytest.mark.parametrize("fault", [ConnectionRefusedError("secret"), asyncio.CancelledError()])
@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
async def test_who_cannot_listen_is_not_ready_and_tries_again(
    fault: BaseException, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Likewise; without listening nothing is loaded. What a broker says may hold a password: only DEBUG shows it."""
    caplog.set_level(level, "gqlink.server")
    async with listening() as node:
        node.broker.fault = fault
        assert "secret" not in await node.refuses()
        assert node.loads == 0
        node.broker.fault = None
        await node.control.ready()
    assert type(fault).__name__ in caplog.text
    assert ("secret" in caplog.text) == (level == logging.DEBUG and "secret" in str(fault))


async def test_a_store_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nobody would ever try again."""
    monkeypatch.setattr(control_module, "LOAD_SECONDS", 0.01)
    async with listening() as node:
        node.gate.clear()
        assert "TimeoutError" in await node.refuses()
        node.gate.set()
        await node.control.ready()


async def test_it_listens_for_nobody_in_particular() -> None:
    """What belongs to the request that happened to be first, a trace above all, does not stay with the node."""
    mine, seen = ContextVar("mine", default="nobody's"), list[str]()

    async def load() -> None:
        seen.append(mine.get())

    mine.set("the first one's")
    control = Control(FlakyBroker(), clock=FakeClock(), obey=seen.append, load=load)  # type: ignore[arg-type] # nothing is said
    await control.ready()
    await control.aclose()
    assert seen == ["nobody's"]


async def test_one_attempt_is_for_all_who_wait() -> None:
    """A hundred requests at a start ask the store once; one that leaves takes nothing with it."""
    async with listening() as node:
        node.gate.clear()
        waiting = [asyncio.create_task(node.control.ready()) for _ in range(100)]
        await eventually(lambda: node.loads == 1)
        waiting[0].cancel()
        await turns()
        node.gate.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] + [type(None)] * 99
        assert node.loads == 1


async def test_a_subscription_that_lags_is_made_again_and_everything_loaded_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was missed in between is in the store; what is said from then on is heard."""
    async with listening(buffer=2) as node:
        await node.control.ready()
        for number in range(4):
            await node.say(number)
        await eventually(lambda: node.loads == 2)
        await node.control.ready()
        await node.say("after")
        await eventually(lambda: node.heard[-1:] == ["after"])
        assert node.heard == [0, 1, "after"]
        assert "SubscriberLagging" in caplog.text


async def test_while_it_does_not_hear_nobody_is_let_in() -> None:
    """A node that was ready is not so any more when its subscription is gone and does not come back."""
    async with listening() as node:
        await node.control.ready()
        node.broker.fault = ConnectionResetError()
        await node.broker.subscriptions[0].aclose()
        await eventually(lambda: node.broker.asked == 2)
        await node.refuses()
        node.broker.fault = None
        await node.control.ready()
        assert node.loads == 2


async def test_repeated_failures_are_followed_by_longer_pauses() -> None:
    """At once, then after 1, 2, 4, … seconds, 30 at most; nothing happens before."""
    async with listening() as node:
        node.broker.fault = ConnectionRefusedError()
        node.control.start()
        await turns(50)
        assert node.broker.asked == 2
        for pause in (1, 2, 4, 8, 16, 30, 30):
            asked = node.broker.asked
            node.clock.advance(pause - 0.01)
            await turns(50)
            assert node.broker.asked == asked
            node.clock.advance(0.01)
            await turns(50)
            assert node.broker.asked == asked + 1


async def test_who_has_listened_for_long_begins_again_at_once() -> None:
    """Failures that lie far apart are not repeated ones."""
    async with listening() as node:
        for count in range(1, 6):
            await node.control.ready()
            assert len(node.broker.subscriptions) == count
            node.clock.advance(30)
            await node.broker.subscriptions[-1].aclose()
            await turns(50)
        assert len(node.broker.subscriptions) == 6


async def test_a_broker_that_drops_everybody_at_once_is_not_stormed() -> None:
    """A subscription that ends as soon as it has begun counts as a failure, though loading went well."""
    async with listening() as node:
        await node.control.ready()
        await node.broker.subscriptions[-1].aclose()
        await eventually(lambda: len(node.broker.subscriptions) == 2)
        await node.broker.subscriptions[-1].aclose()
        await turns(100)
        assert len(node.broker.subscriptions) == 2
        node.clock.advance(1)
        await eventually(lambda: len(node.broker.subscriptions) == 3)


async def test_an_order_that_fails_does_not_deafen(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next one is heard."""
    async with listening() as node:
        await node.control.ready()
        await node.say("fail")
        await node.say("next")
        await eventually(lambda: node.heard == ["next"])
        assert "an order of another node failed" in caplog.text


async def test_a_broker_that_is_closed_is_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Its owner wanted it so: nobody new is let in, and nothing is tried in the background."""
    async with listening() as node:
        await node.control.ready()
        await node.broker.aclose()
        await eventually(lambda: node.broker.asked == 2)
        assert "the broker is closed" in caplog.text
        node.clock.advance(100)
        await turns(50)
        assert node.broker.asked == 2
        assert await node.refuses() == "the broker is closed"


async def test_what_is_closed_stays_closed() -> None:
    """Closing is harmless to repeat, ends who waits, and nothing begins again."""
    async with listening() as node:
        node.gate.clear()
        waiting = asyncio.create_task(node.control.ready())
        await eventually(lambda: node.loads == 1)
        await node.control.aclose()
        await node.control.aclose()
        with pytest.raises(AuthUnavailable):
            await waiting
        assert await node.refuses() == "the application is closed"
        node.control.start()
        await turns()
        assert (node.broker.asked, node.loads) == (1, 1)


async def test_a_node_that_never_listened_has_nothing_to_close() -> None:
    """An application that was never asked anything starts nothing."""
    async with listening() as node:
        assert node.broker.asked == 0


async def test_a_broker_that_does_not_let_go_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop of the server has an end."""
    monkeypatch.setattr(control_module, "CLOSE_SECONDS", 0.01)
    gate = asyncio.Event()
    async with listening() as node:
        await node.control.ready()
        [subscription] = node.broker.subscriptions
        close = subscription.aclose

        async def close_slowly() -> None:
            await gate.wait()
            await close()

        monkeypatch.setattr(subscription, "aclose", close_slowly)
        await node.control.aclose()
        assert "abandoned" in caplog.text
        gate.set()


def test_the_topics_name_is_gqlinks_own() -> None:
    """Nodes of different versions meet there."""
    assert CONTROL_TOPIC == "gqlink:control"
