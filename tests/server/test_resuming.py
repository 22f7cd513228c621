"""A client that was away says where it left off, and hears the rest, or that it cannot."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from graphql import GraphQLObjectType

from gqlink.auth import ANONYMOUS, Revocation
from gqlink.pubsub import Position, Publication, Topic
from gqlink.server import Context, Limits
from gqlink.server.cursors import CursorCodec
from gqlink.server.policy import PolicyEvent, PolicyOperation
from gqlink.server.results import SharedResult
from server.eventually import eventually
from server.living import living, renewed
from server.peer import NEWER, codes_of
from server.raw import let_in, starting
from server.recorder import Scene
from server.world import World, WorldBroker
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gqlink.auth import Identity
    from gqlink.protocol import Dialect
    from gqlink.pubsub import Stream, Subscription
    from gqlink.server import SocketEvent, Transport

HEARD = "subscription { messages }"
CODEC = CursorCodec("messages")


def wanting(after: object = None) -> dict[str, Any]:
    """Ask for cursors."""
    return {"gqlink": {"cursor": True} if after is None else {"after": after}}


def start(scene: Scene, after: object = None, *, query: str = HEARD, id: str = "1") -> None:  # noqa: A002 -- the member's name
    """Subscribe with cursors."""
    scene.start(query, id=id, extensions=wanting(after))


def cursor_of(message: dict[str, Any]) -> str:
    """Return where a `next` stands."""
    cursor: str = message["payload"]["extensions"]["gqlink"]["cursor"]
    return cursor


def events_of(messages: list[dict[str, Any]], *, field: str = "messages") -> list[object]:
    """Return what the events say, without the start."""
    payloads = [message["payload"] for message in messages if message["type"] == "next"]
    return [payload["data"][field] for payload in payloads if payload["data"] is not None]


@asynccontextmanager
async def admitted(world: World, dialect: Dialect, **options: Any) -> AsyncIterator[Scene]:
    """A client that was let in, and leaves in the end."""
    scene = await Scene(world, dialect, **options).admitted()
    yield scene
    scene.listener.on_lost(1001)
    assert await scene.listener.wait_ended(seconds=5)
    assert world.broker.statistics().subscriptions == 0


def subscribing(world: World, source: Callable[[], object]) -> None:
    """Let the subscription `messages` have another source."""
    subscription = world.schema.type_map["Subscription"]
    assert isinstance(subscription, GraphQLObjectType)
    subscription.fields["messages"].subscribe = lambda _root, _info: source()


def counting_events(world: World) -> list[object]:
    """Let the subscription `messages` list the events that its resolver has seen."""
    subscription = world.schema.type_map["Subscription"]
    assert isinstance(subscription, GraphQLObjectType)
    executed: list[object] = []

    def resolve(event: object, _info: object) -> object:
        executed.append(event)
        return event

    subscription.fields["messages"].resolve = resolve
    return executed


# Opting in


async def test_a_subscriber_who_asks_is_told_where_it_starts_and_where_each_event_stands(
    world: World, dialect: Dialect
) -> None:
    """The first result is no event; it comes before any, as soon as nothing later can be missed."""
    async with admitted(world, dialect) as scene:
        await world.messages.publish("too early")
        start(scene)
        [live] = await scene.until_said(1)
        assert live == {
            "id": "1",
            "type": "next",
            "payload": {"data": None, "extensions": {"gqlink": {"cursor": cursor_of(live), "recovered": False}}},
        }
        await world.messages.publish("one")
        await world.messages.publish("two")
        _, one, two = await scene.until_said(3)
    assert one["payload"] == {"data": {"messages": "one"}, "extensions": {"gqlink": {"cursor": cursor_of(one)}}}
    assert events_of([one, two]) == ["one", "two"]
    assert len({cursor_of(live), cursor_of(one), cursor_of(two)}) == 3


@pytest.mark.parametrize("extensions", [None, {}, {"gqlink": None}, {"gqlink": {}}, {"gqlink": {"cursor": False}}])
async def test_nobody_else_notices(world: World, dialect: Dialect, extensions: object) -> None:
    """Stock clients get what they always got."""
    async with admitted(world, dialect) as scene:
        scene.start(HEARD, extensions=extensions)
        await scene.until(lambda: world.broker.statistics().subscriptions == 1)
        await world.messages.publish("one")
        assert [message["payload"] for message in await scene.until_said(1)] == [{"data": {"messages": "one"}}]


@pytest.mark.parametrize("gqlink", [{"cursor": "yes"}, {"after": 5}, {"after": ["x"]}, [], "x"])
async def test_a_wish_that_cannot_be_read_is_none(world: World, dialect: Dialect, gqlink: object) -> None:
    """It is no error either."""
    async with admitted(world, dialect) as scene:
        scene.start(HEARD, extensions={"gqlink": gqlink})
        await scene.until(lambda: world.broker.statistics().subscriptions == 1)
        await world.messages.publish("one")
        assert [message["payload"] for message in await scene.until_said(1)] == [{"data": {"messages": "one"}}]


@pytest.mark.parametrize("after", [None, "any"])
async def test_a_source_that_is_no_stream_has_no_cursors(world: World, dialect: Dialect, after: str | None) -> None:
    """That there is no start tells the client that it cannot resume here."""
    async with admitted(world, dialect) as scene:
        start(scene, after, query="subscription { count(to: 1) }")
        first, second = await scene.until_said(2)
        assert first["payload"] == {"data": {"count": 1}}
        assert second["type"] == "complete"


async def test_a_stream_in_somebody_elses_hands_has_none_either(world: World, dialect: Dialect) -> None:
    """A resolver that filters or changes events knows alone what they have to do with the topic."""

    async def loudly() -> AsyncIterator[str]:
        async with world.messages.stream() as stream:
            async for text in stream:
                yield f"{text}!"

    subscribing(world, loudly)
    async with admitted(world, dialect) as scene:
        start(scene)
        await scene.until(lambda: world.broker.statistics().subscriptions == 1)
        await world.messages.publish("one")
        assert [message["payload"] for message in await scene.until_said(1)] == [{"data": {"messages": "one!"}}]


# Resuming


async def test_who_was_away_hears_what_was_said_meanwhile(world: World, dialect: Dialect) -> None:
    """Everything after its cursor, then what is new; the start repeats the cursor."""
    async with admitted(world, dialect) as scene:
        start(scene)
        await scene.until_said(1)
        for text in ("one", "two", "three"):
            await world.messages.publish(text)
        one = (await scene.until_said(4))[1]
    async with admitted(world, dialect) as scene:
        start(scene, cursor_of(one))
        await scene.until_said(3)
        await world.messages.publish("four")
        live, *events = await scene.until_said(4)
        assert live["payload"]["extensions"]["gqlink"] == {"cursor": cursor_of(one), "recovered": True}
        assert events_of(events) == ["two", "three", "four"]


async def test_who_missed_nothing_has_recovered_too(world: World, dialect: Dialect) -> None:
    """The cursor of a start counts like that of an event, also of a topic in which nothing was ever said."""
    async with admitted(world, dialect) as scene:
        start(scene)
        [first] = await scene.until_said(1)
        start(scene, cursor_of(first), id="2")
        _, second = await scene.until_said(2)
        assert second["payload"]["extensions"]["gqlink"] == {"cursor": cursor_of(first), "recovered": True}


async def elsewhere(world: World) -> str:
    """A cursor of another topic, which has the same epoch by accident."""
    return CursorCodec("elsewhere").write(await world.broker.position("messages"))


async def before_a_reset(world: World) -> str:
    """A cursor of an epoch that has passed."""
    cursor = CODEC.write(await world.broker.position("messages"))
    await world.broker.reset("messages")
    return cursor


async def in_the_future(world: World) -> str:
    """A cursor that was never given out."""
    position = await world.broker.position("messages")
    return CODEC.write(Position(position.epoch, position.offset + 1))


async def too_old(world: World) -> str:
    """A cursor of which the history no longer knows."""
    cursor = CODEC.write(await world.broker.position("messages"))
    for number in range(4):
        await world.messages.publish(str(number))
    return cursor


async def unreadable(_: World) -> str:
    """Just a text."""
    return "nonsense"


async def empty(_: World) -> str:
    """Not even that."""
    return ""


async def too_long(world: World) -> str:
    """More than anybody would ever give out."""
    return CODEC.write(await world.broker.position("messages")) + "x" * 10_000


@pytest.mark.parametrize("useless", [elsewhere, before_a_reset, in_the_future, too_old, unreadable, empty, too_long])
async def test_a_cursor_of_no_use_is_no_error(
    world: World, dialect: Dialect, caplog: pytest.LogCaptureFixture, useless: Callable[[World], Any]
) -> None:
    """The client is told, and hears what is new; the start says where the topic is now. No line in any log."""
    caplog.set_level(logging.DEBUG, logger="gqlink")
    world.broker = WorldBroker(history=3)
    world.messages = Topic(world.broker, "messages")
    await world.messages.publish("missed")
    cursor = await useless(world)
    async with admitted(world, dialect) as scene:
        caplog.clear()
        start(scene, cursor)
        [live] = await scene.until_said(1)
        assert live["payload"] == {
            "data": None,
            "extensions": {
                "gqlink": {"cursor": CODEC.write(await world.broker.position("messages")), "recovered": False}
            },
        }
        await world.messages.publish("new")
        assert events_of(await scene.until_said(2)) == ["new"]
        assert not caplog.records


async def test_the_clients_cursor_counts_more_than_what_the_resolver_says(world: World, dialect: Dialect) -> None:
    """Also one of no use: to begin where the resolver says would repeat what the client has."""
    positions = [await world.messages.publish(text) for text in ("one", "two", "three")]
    subscribing(world, lambda: world.messages.stream(after=positions[0]))
    async with admitted(world, dialect) as scene:
        for number, (after, recovered, heard) in enumerate(
            [
                (None, False, ["two", "three"]),
                (CODEC.write(positions[1]), True, ["three"]),
                ("nonsense", False, []),
            ]
        ):
            start(scene, after, id=str(number))
            await scene.settle()
            live, *events = [message for message in scene.said if message["id"] == str(number)]
            assert live["payload"]["extensions"]["gqlink"]["recovered"] is recovered
            assert events_of(events) == heard


@pytest.mark.parametrize("known", [0, 1])
async def test_a_stream_that_was_opened_already_is_only_where_it_is(world: World, dialect: Dialect, known: int) -> None:
    """It resumes nothing more; but who missed nothing has lost nothing."""
    positions = [await world.messages.publish(text) for text in ("one", "two")]

    async def opened() -> Stream:
        stream = world.messages.stream()
        await stream.open()
        return stream

    subscribing(world, opened)
    async with admitted(world, dialect) as scene:
        start(scene, CODEC.write(positions[known]))
        [live] = await scene.until_said(1)
        assert live["payload"]["extensions"]["gqlink"] == {
            "cursor": CODEC.write(positions[1]),
            "recovered": known == 1,
        }


async def test_a_subscriber_whose_topic_was_reset_learns_of_it(world: World, dialect: Dialect) -> None:
    """Its socket ends with 4490, so it comes back with its cursor, and is told that this is of no use."""
    async with admitted(world, dialect) as scene:
        start(scene)
        await scene.until_said(1)
        await world.messages.publish("one")
        _, one = await scene.until_said(2)
        await world.messages.reset()
        await scene.until(lambda: scene.close is not None)
        assert scene.close == (4490, "Slow consumer")
    async with admitted(world, dialect) as scene:
        start(scene, cursor_of(one))
        [live] = await scene.until_said(1)
        assert live["payload"]["extensions"]["gqlink"]["recovered"] is False


# What an event says, and to whom


async def test_an_event_with_errors_has_its_cursor(world: World, dialect: Dialect) -> None:
    """It is delivered with its errors, and need not be asked for again."""
    subscription = world.schema.type_map["Subscription"]
    assert isinstance(subscription, GraphQLObjectType)

    def fail(event: object, _info: object) -> object:
        raise RuntimeError(event)

    subscription.fields["messages"].resolve = fail
    async with admitted(world, dialect) as scene:
        start(scene)
        await scene.until_said(1)
        position = await world.messages.publish("one")
        _, one = await scene.until_said(2)
        assert one["payload"]["data"] == {"messages": None}
        assert [error["message"] for error in one["payload"]["errors"]] == ["Internal server error"]
        assert cursor_of(one) == CODEC.write(position)


async def test_an_event_whose_context_fails_has_its_cursor(world: World, dialect: Dialect) -> None:
    """Not even resolvers were asked."""
    contexts = iter([Context(ANONYMOUS, None)])  # type: ignore[arg-type] # nobody looks at it

    def build(_identity: Identity, _transport: Transport) -> object:
        return next(contexts)

    async with admitted(world, dialect, context=build) as scene:
        start(scene)
        await scene.until_said(1)
        position = await world.messages.publish("one")
        _, one = await scene.until_said(2)
        assert one["payload"]["data"] is None
        assert one["payload"]["errors"]
        assert cursor_of(one) == CODEC.write(position)


def test_an_events_own_extensions_are_kept() -> None:
    """Ours stand beside them, and under our own key nobody else's."""
    position = Position("epoch", 7)
    shared = SharedResult(Publication("messages", position, "one"), "one", None, {"cost": 1, "gqlink": "another's"})
    assert json.loads(shared.payload)["extensions"] == {"cost": 1, "gqlink": "another's"}
    assert shared.placed_tail(CODEC) is shared.placed_tail(CODEC)
    assert json.loads(shared.placed_tail(CODEC)[:-1]) == {
        "data": "one",
        "extensions": {"cost": 1, "gqlink": {"cursor": CODEC.write(position)}},
    }


async def test_an_event_that_is_executed_again_comes_once_with_its_cursor(world: World) -> None:
    """For whoever the client is by then."""
    built: list[frozenset[str]] = []

    async def build(identity: Identity, transport: Transport) -> object:
        built.append(identity.scopes)
        await world.gate.wait()
        return Context(identity, transport)

    scene = await living(world, NEWER, context=build).admitted("alice:90:old")
    world.gate.set()
    start(scene, query="subscription { whoAmI }")
    await scene.until_said(1)
    world.gate.clear()
    position = await world.messages.publish("one")
    await scene.until(lambda: len(built) == 2)
    await renewed(scene, "alice:90:new")
    world.gate.set()
    _, one = await scene.until_said(2)
    await scene.settle()
    assert one["payload"] == {
        "data": {"whoAmI": "one alice"},
        "extensions": {"gqlink": {"cursor": CODEC.write(position)}},
    }
    assert built == [{"old"}, {"old"}, {"new"}]
    assert len(scene.said) == 2
    scene.listener.on_lost(1001)


async def test_history_is_filtered_by_present_rights(world: World, dialect: Dialect) -> None:
    """The policy is asked about each event as if it happened now, and not about the start, which tells nothing."""
    asked: list[object] = []

    def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        if isinstance(what, PolicyOperation):
            return True
        asked.append(what.data)
        return what.data != "secret"

    known = await world.broker.position("messages")
    for text in ("one", "secret", "three"):
        await world.messages.publish(text)
    async with admitted(world, dialect, policy=policy) as scene:
        start(scene, CODEC.write(known))
        live, one, refused = await scene.until_said(3)
        await scene.settle()
        assert live["payload"]["extensions"]["gqlink"]["recovered"] is True
        assert events_of([one]) == ["one"]
        assert codes_of(refused) == ["FORBIDDEN"]
        assert len(scene.said) == 3
        assert asked == ["one", "one", "secret"]


class SlowBroker(WorldBroker):
    """A broker whose `subscribe` takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def subscribe(self, topic: str, *, after: Position | None = None) -> Subscription:  # type: ignore[override]
        """Wait, where an operation asks."""
        if topic == "messages":
            self.reached.set()
            await self.gate.wait()
        return await super().subscribe(topic, after=after)


@pytest.mark.parametrize("end", ["expired", "revoked", "stopped", "left"])
async def test_whose_time_is_over_is_not_even_told_where_it_starts(world: World, dialect: Dialect, end: str) -> None:
    """The start goes through the same gates as any result, but for the policy."""
    world.broker = broker = SlowBroker()
    world.messages = Topic(broker, "messages")
    known = await world.broker.position("messages")
    await world.messages.publish("one")
    scene = await living(world, dialect).admitted("alice:90")
    start(scene, CODEC.write(known))
    await broker.reached.wait()
    match end:
        case "expired":
            scene.clock.advance(90)
        case "revoked":
            scene.app.apply_revocation(Revocation(subject="alice", revoked_at=scene.clock.wall() + 1))
        case "stopped":
            scene.stop()
        case _:
            scene.listener.on_lost(1006)
    broker.gate.set()
    await scene.settle()
    assert "next" not in scene.types
    scene.listener.on_lost(1001)
    assert await scene.listener.wait_ended(seconds=5)
    assert broker.statistics().subscriptions == 0


# Much at once


async def test_a_backlog_waits_for_room_like_anything_else(world: World, dialect: Dialect) -> None:
    """However much somebody has missed, no more is executed than leaves; what is new waits behind it."""
    executed = counting_events(world)
    known = await world.broker.position("messages")
    for number in range(100):
        await world.messages.publish(str(number))
    async with admitted(world, dialect) as scene:
        scene.outlet.writable.clear()
        start(scene, CODEC.write(known))
        await scene.settle()
        assert (len(scene.said), executed) == (1, [])
        await world.messages.publish("100")
        await scene.settle()
        assert not executed
        scene.outlet.writable.set()
        assert events_of(await scene.until_said(102)) == [str(number) for number in range(101)]


async def test_a_backlog_keeps_nobody_waiting(world: World, dialect: Dialect) -> None:
    """Others have their turn after a few events, although none of them needs to wait for anything."""
    known = await world.broker.position("messages")
    for number in range(500):
        await world.messages.publish(str(number))
    async with admitted(world, dialect) as scene:
        start(scene, CODEC.write(known), id="much")
        scene.start("{ slow }", id="little")
        world.gate.set()
        await scene.until(lambda: "little" in [message["id"] for message in scene.said])
        assert len(scene.said) < 250
        await scene.until_said(503)


@pytest.mark.usefixtures("road")
async def test_a_resumed_subscriber_that_does_not_read_is_closed(world: World, dialect: Dialect) -> None:
    """A backlog of many megabytes goes through the same bounded buffer: the client is closed by name in the end."""
    executed = counting_events(world)
    known = await world.broker.position("messages")
    for _ in range(900):
        await world.messages.publish("x" * 20_000)
    events: list[SocketEvent] = []
    app = world.app(limits=Limits(stall_seconds=0.2, send_buffer_bytes=100_000), on_socket_event=events.append)
    async with serving(app) as authority, let_in(authority, dialect, receive_bytes=4096) as slow:
        message = starting(dialect, HEARD)
        slow.send({**message, "payload": {"query": HEARD, "extensions": wanting(CODEC.write(known))}})
        await eventually(lambda: not app._host.listeners)
        assert (events[-1].code, events[-1].reason) == (4490, "Slow consumer")
        assert len(executed) * 20_000 < 8_000_000  # the kernel's buffers, uvicorn's, and ours
        slow.reset()
    assert world.broker.statistics().subscriptions == 0
