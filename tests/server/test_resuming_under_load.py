"""A subscriber is killed again and again while much is said: what it hears is whole, or it is told that it is not."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gqlink.protocol import Close
from gqlink.pubsub import Topic
from server.recorder import Scene
from server.world import World, WorldBroker

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from gqlink.server import GraphQLApp

HEARD = "subscription { whoAmI }"
LIVES = 200
HISTORY = 60
BUFFER = 40


class OneApplication(World):
    """A world in which all scenes play in one application, with a short history and a small buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = WorldBroker(history=HISTORY, buffer=BUFFER)
        self.messages = Topic(self.broker, "messages")
        self._app: GraphQLApp | None = None

    def app(self, **options: Any) -> GraphQLApp:
        """Make it once."""
        self._app = self._app or super().app(**options)
        return self._app


@dataclass
class Said:
    """What is said on the topic, by somebody who does not wait for anybody."""

    topic: Topic
    chance: random.Random
    count: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Say numbers in bursts, mostly small ones."""
        while not self.over.is_set():
            for _ in range(self.chance.choice([1, 1, 1, 2, 2, 3, 5, 50])):
                self.count += 1
                await self.topic.publish(str(self.count))
            for _ in range(self.chance.randrange(10, 90)):
                await asyncio.sleep(0)


@dataclass
class Subscriber:
    """A client that remembers one cursor, and what it has heard."""

    heard: list[int] = field(default_factory=list)
    cursor: str | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Before which events it was told that something may be missing: the last known before, and the first after."""
    resumed: int = 0
    lagged: int = 0
    _gap: bool = False

    def take(self, payload: dict[str, Any], *, name: str) -> None:
        """Take what a `next` says, which must have been made for whom the socket spoke for."""
        place = payload["extensions"]["gqlink"]
        if "recovered" in place:
            assert payload["data"] is None
            if place["recovered"]:
                self.resumed += 1
                assert place["cursor"] == self.cursor
            self._gap = self._gap or not place["recovered"]
        else:
            number, subject = payload["data"]["whoAmI"].split()
            assert subject == name
            self._hear(int(number))
        self.cursor = place["cursor"]

    def _hear(self, number: int) -> None:
        last = self.heard[-1] if self.heard else 0
        if self._gap:
            self.gaps.append((last, number))
            self._gap = False
            assert number > last
        else:
            assert number == last + 1
        self.heard.append(number)


async def live(scene: Scene, subscriber: Subscriber, chance: random.Random, *, name: str) -> None:
    """Spend one life: subscribe, hear for a while, and be killed; some of what was sent may never have arrived."""
    wish = {"cursor": True} if subscriber.cursor is None else {"after": subscriber.cursor}
    scene.start(HEARD, extensions={"gqlink": wish})
    for _ in range(chance.choice([0, 1, 3, 10, 40, 100])):
        if chance.random() < 0.1:
            scene.outlet.writable.clear()
        elif chance.random() < 0.3:
            scene.outlet.writable.set()
        await asyncio.sleep(0)
    scene.outlet.writable.set()
    messages = scene.said
    arrived = messages if chance.random() < 0.3 else messages[: chance.randint(0, len(messages))]
    scene.listener.on_lost(1006)
    for message in arrived:
        assert message["type"] == "next"
        subscriber.take(message["payload"], name=name)
    closes = [frame.code for frame in scene.outlet.frames if isinstance(frame, Close)]
    assert closes in ([], [4490])
    subscriber.lagged += len(closes)


async def test_a_subscriber_that_is_killed_200_times_hears_everything_or_is_told(dialect: Dialect) -> None:
    """Complete, in order and without doubles, but for what it was told may be missing: then more was missed than kept.

    It comes back as one person or another, and history is executed for whoever it is then.

    Where no more was missed than the history keeps, it recovers; a buffer that overflows ends it, and it resumes.
    """
    chance = random.Random(5)
    world = OneApplication()
    subscriber, said = Subscriber(), Said(world.messages, chance)
    speaking = asyncio.ensure_future(said.run())
    for _ in range(LIVES):
        name = chance.choice(["alice", "bob"])
        scene = await Scene(world, dialect).admitted(name)
        await live(scene, subscriber, chance, name=name)
        assert await scene.listener.wait_ended(seconds=5)
        scene.place.leave()
        for _ in range(chance.choice([0, 0, 0, 5, 50, 300])):
            await asyncio.sleep(0)
    said.over.set()
    await speaking
    await hear_the_rest(await Scene(world, dialect).admitted("alice"), subscriber, said)
    # Everything that was not heard is behind a gap, which is only where more was missed than the history keeps.
    missing = sum(after - before - 1 for before, after in subscriber.gaps)
    assert len(subscriber.heard) + missing == said.count
    assert all(after - before > HISTORY for before, after in subscriber.gaps[1:])
    assert subscriber.resumed > LIVES / 4
    assert subscriber.lagged
    assert len(subscriber.gaps) > 1
    assert world.broker.statistics().subscriptions == 0
    await world.app().aclose()
    await world.broker.aclose()


async def hear_the_rest(scene: Scene, subscriber: Subscriber, said: Said) -> None:
    """Live once more, to the end: nobody speaks any longer, but for one last word."""
    scene.start(HEARD, extensions={"gqlink": {"after": subscriber.cursor}})
    await scene.until_said(1)
    said.count += 1
    await said.topic.publish(str(said.count))
    await scene.settle()
    for message in scene.said:
        subscriber.take(message["payload"], name="alice")
    assert subscriber.heard[-1] == said.count
    scene.listener.on_lost(1001)
    assert await scene.listener.wait_ended(seconds=5)
