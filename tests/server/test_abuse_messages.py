"""A client that says more than one can listen to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gqlink.protocol import Close, Dialect, Kind
from gqlink.server import Limits
from server.peer import LEGACY, NEWER, codes_of, errors_of, member
from server.recorder import Scene
from serving import serving

if TYPE_CHECKING:
    from server.world import World

pytestmark = pytest.mark.usefixtures("road")

# The init counts too.
FIVE = Limits(messages_per_second=5)


async def test_a_client_that_comes_back_with_all_its_subscriptions_is_within_the_limit(
    world: World, dialect: Dialect
) -> None:
    """By default: as many as there may be, in one breath, ended and begun anew at once."""
    scene = await Scene(world, dialect).admitted()
    for number in range(100):
        scene.start("subscription { messages }", id=str(number))
    await scene.settle()
    assert (scene.said, scene.close) == ([], None)
    scene.clock.advance(0.5)
    for number in range(50):
        scene.stop(str(number))
        scene.start("subscription { messages }", id=f"again {number}")
    await scene.settle()
    assert scene.close is None
    assert "error" not in scene.types
    scene.listener.on_lost(1000)
    await scene.settle()


async def test_an_operation_beyond_the_rate_gets_an_error_of_its_own(world: World, dialect: Dialect) -> None:
    """With the limit, what it allows and what came; those before it are answered, and the socket stays."""
    scene = await Scene(world, dialect, limits=FIVE).admitted()
    for number in range(6):
        scene.start("{ hello }", id=str(number))
    await scene.settle()
    answered = [message["id"] for message in scene.said if message["type"] == "next"]
    errors = {message["id"]: errors_of(message)[0] for message in scene.said if message["type"] == "error"}
    assert answered == ["0", "1", "2", "3"]
    assert {id_: error["extensions"] for id_, error in errors.items()} == {
        str(number): {"code": "LIMIT_EXCEEDED", "limit": "messages_per_second", "allowed": 5, "actual": number + 2}
        for number in (4, 5)
    }
    assert scene.close is None
    assert scene.app.statistics().refusals == {"messages_per_second": 2}
    assert world.resolved == 4
    scene.clock.advance(1.0)
    scene.start("{ hello }", id="later")
    await scene.settle()
    assert scene.said[-1]["id"] == "later"
    scene.listener.on_lost(1000)


async def test_what_is_said_about_what_runs_counts_but_is_taken(world: World, dialect: Dialect) -> None:
    """Who is over the rate can still end an operation, and is told that it lives."""
    scene = await Scene(world, dialect, limits=FIVE).admitted()
    scene.start("subscription { forever }", id="runs")
    await scene.settle()
    for _ in range(5):
        scene.stop("another")
    if dialect is NEWER:
        scene.say(Kind.PING)
        assert scene.types[-1] == "pong"
    scene.stop("runs")
    await scene.settle()
    assert world.happened == ["closed"]
    assert scene.close is None
    scene.listener.on_lost(1000)


async def test_a_client_that_goes_on_is_closed(world: World, dialect: Dialect) -> None:
    """After as many again: 1008 in both dialects, without a `connection_error`, counted once; nothing is left of it."""
    scene = await Scene(world, dialect, limits=FIVE).admitted()
    scene.start("subscription { forever }", id="runs")
    await scene.settle()
    scene.outlet.frames.clear()
    for _ in range(8):
        scene.stop("another")
    assert scene.close is None
    for _ in range(20):
        scene.stop("another")
    assert scene.close == (1008, "Too many messages")
    assert scene.types == []
    assert scene.app.statistics().refusals == {"messages_per_second": 1}
    await scene.settle()
    assert not scene.listener.tasks


@pytest.mark.parametrize("kind", [Kind.PING, Kind.PONG])
async def test_before_the_ack_a_flood_is_closed_at_the_rate(world: World, kind: Kind) -> None:
    """Nobody may be sent an error yet, and nobody has a reason to say so much."""
    scene = Scene(world, NEWER, limits=FIVE)
    for _ in range(5):
        scene.say(kind)
    assert scene.close is None
    scene.say(kind)
    assert scene.close == (1008, "Too many messages")


async def test_operations_that_the_legacy_dialect_holds_are_counted_when_they_come(world: World) -> None:
    """None of them runs after the ack that would not have run before it."""
    scene = Scene(world, LEGACY, limits=FIVE)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    for number in range(5):
        scene.start("{ hello }", id=str(number))
    assert scene.close == (1008, "Too many messages")
    world.gate.set()
    await scene.settle()
    assert world.resolved == 0


async def test_a_second_init_ends_a_socket_in_both_dialects(world: World, dialect: Dialect) -> None:
    """4429 at once: no second identity, no second authentication, no second timer."""
    scene = Scene(world, dialect)
    for _ in range(50):
        scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    await scene.settle()
    assert scene.close == (4429, "Too many initialisation requests")
    assert world.most_authenticating <= 1
    assert world.authenticating == 0
    assert scene.clock.timers == 0


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"type":"soap"}', '{"type":1}', "\x00", '"x"'])
async def test_garbage_ends_a_socket_with_its_first_message(world: World, dialect: Dialect, text: str) -> None:
    """4400, whatever comes after it; what comes after it costs nothing and says nothing."""
    scene = Scene(world, dialect)
    for _ in range(1000):
        scene.listener.on_text(text)
    assert len(scene.outlet.frames) == 1
    [close] = scene.outlet.frames
    assert isinstance(close, Close)
    assert close.code == 4400
    assert scene.clock.timers == 0


async def test_counting_a_message_costs_less_than_reading_it(world: World) -> None:
    """No timer and no task is set for it, and no list grows."""
    scene = await Scene(world, NEWER).admitted()
    await scene.settle()
    before = scene.clock.timers
    for _ in range(150):
        scene.say(Kind.PING)
    assert scene.clock.timers == before
    assert not scene.listener.tasks
    scene.listener.on_lost(1000)


async def test_others_are_answered_while_one_floods(world: World, dialect: Dialect) -> None:
    """Over a real socket: whoever floods is closed, the other client notices nothing."""
    app = world.app(limits=Limits(messages_per_second=20))
    async with serving(app) as authority, member(authority, dialect) as good, member(authority, dialect) as bad:
        text = json.dumps({"type": bad.word(Kind.COMPLETE), "id": "none"})
        for _ in range(200):
            await bad.socket.send(text)
        assert await good.is_well()
        assert await bad.closed() == (1008, "Too many messages")
        assert await good.is_well()
    assert app.statistics().refusals == {"messages_per_second": 1}


async def test_a_flood_of_operations_is_answered_up_to_the_rate_and_then_closed(world: World, dialect: Dialect) -> None:
    """Each that is refused is counted, and the close once more."""
    app = world.app(limits=Limits(messages_per_second=10))
    async with serving(app) as authority, member(authority, dialect) as bad:
        for number in range(30):
            await bad.start("{ hello }", id=str(number))
        refused = []
        while (message := await bad.receive())["type"] != "error":
            pass
        refused.append(codes_of(message))
        assert await bad.closed() == (1008, "Too many messages")
    assert refused == [["LIMIT_EXCEEDED"]]
    assert world.resolved <= 10
    assert app.statistics().refusals["messages_per_second"] == 11
