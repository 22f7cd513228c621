"""What is executed once for many is what each of them would have got alone, and nobody else's."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gqlink.auth import Identity
from gqlink.server import Limits
from gqlink.server.following import Following
from gqlink.server.listener import SocketListener
from server.recorder import Recorder
from server.shared_world import CURSORS, Party, SharedWorld, no_secrets_for_bob

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.protocol import Dialect
    from server.recorder import Scene

HEAR = "subscription { said { text } }"


def texts(scene: Scene, *, id: str = "1") -> list[Any]:  # noqa: A002 -- the member's name
    """Return the texts of the events that somebody got."""
    found = (each["payload"]["data"] for each in scene.said if each["type"] == "next" and each["id"] == id)
    return [data["said"]["text"] for data in found if data is not None]


@pytest.fixture(params=[False, True], ids=["each by itself", "in lanes"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SharedWorld:
    """One test's application, on sockets that are handed each result, or to which all are broadcast."""
    monkeypatch.setattr(Recorder, "has_lane", request.param)
    return SharedWorld()


async def listening(scene: Scene, query: str = HEAR, **payload: Any) -> Scene:
    """Let somebody subscribe, and wait until that is so."""
    scene.start(query, **payload)
    await scene.settle()
    return scene


async def test_an_event_is_executed_once_for_all_who_get_the_same(world: SharedWorld, dialect: Dialect) -> None:
    """Three subscribers, two identities, one run; each frame has the subscriber's own id."""
    party = Party(world)
    guests = [await party.admit(name, dialect) for name in ("bob", "carol", "bob")]
    for number, guest in enumerate(guests):
        await listening(guest, id=f"op {number}")

    await world.say("one")
    await guests[0].settle()

    assert world.runs == 1
    for number, guest in enumerate(guests):
        [said] = guest.said
        assert (said["id"], said["payload"]) == (f"op {number}", {"data": {"said": {"text": "one"}}})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"variables": {"scale": 1}}, {"variables": {"scale": 1.0}}),
        ({"variables": {"scale": 1}}, {"variables": {"scale": 2}}),
        ({"variables": {"scale": 1}}, {}),
        ({"operationName": "A"}, {}),
    ],
)
async def test_who_asks_otherwise_is_executed_otherwise(
    world: SharedWorld, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Other variables, also of another kind, another operation: nobody proves that they are the same."""
    party = Party(world)
    query = "subscription A($scale: Float) { said(scale: $scale) { text } }"
    for name, payload in (("bob", one), ("carol", other)):
        await listening(await party.admit(name), query, **payload)

    await world.say("one")
    await party.first.settle()

    assert world.runs == 2
    assert len(party.host.sharing) == 2


async def test_variables_in_another_order_are_the_same(world: SharedWorld) -> None:
    """JSON objects have no order."""
    party = Party(world)
    query = "subscription A($scale: Float, $room: String!) { said(scale: $scale, room: $room) { text } }"
    for variables in ({"scale": 1.5, "room": "lobby"}, {"room": "lobby", "scale": 1.5}):
        await listening(await party.admit("bob"), query, variables=variables)

    await world.say("one")
    await party.first.settle()
    assert world.runs == 1


async def test_another_share_key_is_another_run(world: SharedWorld) -> None:
    """Who has another key never gets what was executed for this one."""
    party = Party(world)
    alice, bob = await party.admit("alice"), await party.admit("bob")
    for guest in (alice, bob):
        await listening(guest, "subscription { said { role } }")

    await world.say("one")
    await alice.settle()

    assert world.runs == 2
    assert alice.said[0]["payload"]["data"] == {"said": {"role": "admin"}}
    assert bob.said[0]["payload"]["data"] == {"said": {"role": "user"}}


async def test_without_a_shared_context_nothing_is_shared() -> None:
    """A key alone says that results are the same, not how to make them without knowing for whom."""
    world = SharedWorld(shared=False)
    party = Party(world)
    for name in ("bob", "carol"):
        await listening(await party.admit(name))

    await world.say("one")
    await party.first.settle()
    assert (world.runs, len(party.host.sharing)) == (2, 0)


secret: contextvars.ContextVar[str] = contextvars.ContextVar("secret", default="nothing")


async def test_a_shared_run_sees_no_identity(world: SharedWorld) -> None:
    """Neither in its context, nor in a context variable of who subscribed or who published, nor on the stack."""
    seen: list[object] = []

    def look(info: Any) -> None:
        seen.append(info.context)
        seen.append(secret.get())
        frame = sys._getframe()
        while frame is not None:
            found = [
                value for value in frame.f_locals.values() if isinstance(value, Identity | SocketListener | Following)
            ]
            seen.extend(found if "gqlink" in frame.f_code.co_filename else ())
            frame = frame.f_back  # type: ignore[assignment] # the last one has none

    world.look = look
    party = Party(world)
    secret.set("of the subscriber")
    await listening(await party.admit("bob"))
    secret.set("of the publisher")
    await world.say("one")
    await party.first.settle()

    assert seen == [{"role": "user"}, "nothing"]


async def test_the_last_one_to_leave_ends_the_run(world: SharedWorld, dialect: Dialect) -> None:
    """By `complete`, and by leaving; the topic has no listener then, and no task is left."""
    party = Party(world)
    bob, carol = await party.admit("bob", dialect), await party.admit("carol", dialect)
    for guest in (bob, carol):
        await listening(guest)
    assert party.host.statistics().operations == 2

    bob.stop()
    await world.say("one")
    await carol.settle()
    assert (texts(bob), texts(carol)) == ([], ["one"])
    assert party.host.statistics().operations == 1

    carol.listener.on_lost(1006)
    await carol.settle()
    assert (len(party.host.sharing), party.host.shared_runs.tasks) == (0, frozenset())
    assert world.broker.statistics().subscriptions == 0
    assert party.host.statistics().operations == 0
    assert party.host.meter.running.total() == 0
    assert party.host.meter.operations["subscription", "websocket", "cancelled"] == 2


async def test_who_follows_needs_no_task(world: SharedWorld) -> None:
    """The run has one, and that is all, however many they are."""
    party = Party(world)
    guests = [await listening(await party.admit("bob")) for _ in range(5)]
    assert [guest.listener.tasks for guest in guests] == [frozenset()] * 5
    assert [running.task for guest in guests for running in guest.listener._running.values()] == [None] * 5
    assert len(party.host.shared_runs.tasks) == 1


async def test_a_slow_subscriber_disturbs_nobody_and_misses_nothing(world: SharedWorld, dialect: Dialect) -> None:
    """What it has not read waits for it, executed once; then it goes on in order."""
    party = Party(world)
    quick = await listening(await party.admit("bob", dialect))
    late = await party.admit("carol", dialect)
    late.outlet.writable.clear()
    await listening(late)
    for number in range(40):
        await world.say(str(number))
        await quick.settle()

    assert texts(quick) == [str(number) for number in range(40)]
    assert texts(late) == []
    late.outlet.writable.set()
    await late.until(lambda: len(texts(late)) == 40)
    await world.say("last")
    await late.settle()
    assert texts(late) == texts(quick)
    assert world.runs == 41


async def test_who_is_too_slow_is_closed_by_name(world: SharedWorld, dialect: Dialect) -> None:
    """With 4490, counted; the others go on."""
    party = Party(world)
    slow, quick = await party.admit("bob", dialect), await party.admit("carol", dialect)
    for guest in (slow, quick):
        await listening(guest)
    slow.outlet.writable.clear()
    for number in range(1002):
        await world.say(str(number))
        if number % 100 == 0:
            await quick.settle()
    await quick.until(lambda: len(texts(quick)) == 1002)

    assert slow.close == (4490, "Slow consumer")
    assert quick.close is None
    assert party.host.statistics().slow_consumers == 1


async def test_an_expired_member_hears_nothing_more(world: SharedWorld, dialect: Dialect) -> None:
    """At the moment, whether or not its timer was on time; its siblings go on."""
    party = Party(world)
    clock = party.first.clock
    bob, carol = await party.admit(f"bob:{clock.wall() + 5}", dialect), await party.admit("carol", dialect)
    for guest in (bob, carol):
        await listening(guest)
    await world.say("before")
    await carol.settle()
    clock.advance(5)
    await world.say("after")
    await carol.settle()

    assert (texts(bob), texts(carol)) == (["before"], ["before", "after"])
    assert bob.close == (4403, "Token expired")


async def test_a_policy_is_asked_for_each_member_and_event(world: SharedWorld, dialect: Dialect) -> None:
    """A refused event ends the subscription of whom it is refused to, and nobody else's."""
    party = Party(world, policy=no_secrets_for_bob)
    bob, carol = await party.admit("bob", dialect), await party.admit("carol", dialect)
    for guest in (bob, carol):
        await listening(guest)
    for text in ("open", "secret", "open again"):
        await world.say(text)
    await carol.settle()

    assert (texts(bob), texts(carol)) == (["open"], ["open", "secret", "open again"])
    assert bob.types == ["next", "error"]
    assert party.host.meter.operations["subscription", "websocket", "error"] == 1


async def test_a_reset_of_the_topic_ends_all_members(world: SharedWorld, dialect: Dialect) -> None:
    """As it does for one who is executed alone: to go on would be a gap that nobody sees."""
    party = Party(world)
    guests = [await listening(await party.admit(name, dialect)) for name in ("bob", "carol")]
    await world.topic("lobby").reset()
    await guests[0].settle()
    assert [guest.close for guest in guests] == [(4490, "Slow consumer")] * 2
    assert len(party.host.sharing) == 0


async def test_a_broker_that_ends_completes_all_members(world: SharedWorld, dialect: Dialect) -> None:
    """After what it had brought."""
    party = Party(world)
    guests = [await listening(await party.admit(name, dialect)) for name in ("bob", "carol")]
    await world.say("last")
    await world.broker.aclose()
    await guests[0].settle()
    assert [guest.types for guest in guests] == [["next", "complete"]] * 2


async def test_a_closed_broker_fails_whoever_subscribes(world: SharedWorld, dialect: Dialect) -> None:
    """With an error of that operation; the socket stays."""
    party = Party(world)
    bob = await party.admit("bob", dialect)
    await world.broker.aclose()
    await listening(bob)
    assert bob.types == ["error"]
    assert bob.close is None


async def test_a_stop_of_the_application_leaves_nothing(world: SharedWorld) -> None:
    """Every task of every run has ended."""
    party = Party(world)
    guests = [await listening(await party.admit("bob")) for _ in range(3)]
    await party.first.app.aclose()
    assert [guest.close for guest in guests] == [(1012, "Service restart")] * 3
    assert party.host.shared_runs.tasks == frozenset()


async def test_who_comes_back_with_a_cursor_gets_what_it_missed(world: SharedWorld, dialect: Dialect) -> None:
    """Beside the others, once and in order, whatever is published while it does."""
    party = Party(world)
    bob = await listening(await party.admit("bob", dialect), extensions=CURSORS)
    await world.say("one")
    await bob.settle()
    live, one = bob.said
    assert live["payload"]["data"] is None
    assert live["payload"]["extensions"]["gqlink"]["recovered"] is False
    cursor = one["payload"]["extensions"]["gqlink"]["cursor"]
    for text in ("two", "three"):
        await world.say(text)

    carol = await party.admit("carol", dialect)
    carol.start(HEAR, extensions={"gqlink": {"after": cursor}})
    for text in ("four", "five", "six"):
        await world.say(text)
        await asyncio.sleep(0)
    await carol.settle()

    assert carol.said[0]["payload"]["extensions"]["gqlink"] == {"cursor": cursor, "recovered": True}
    assert texts(carol) == ["two", "three", "four", "five", "six"]
    assert texts(bob) == ["one", "two", "three", "four", "five", "six"]


async def test_a_bug_of_one_member_is_not_the_others_business(
    world: SharedWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and that member hears nothing more."""
    party = Party(world)
    bob, carol = await listening(await party.admit("bob")), await listening(await party.admit("carol"))

    def failing(method: Callable[..., object]) -> Callable[..., object]:
        def call(listener: SocketListener, *arguments: object, **options: object) -> object:
            if listener is bob.listener:
                raise RuntimeError("a bug")
            return method(listener, *arguments, **options)

        return call

    for method in (SocketListener.hand_on, SocketListener.lane_of):
        monkeypatch.setattr(SocketListener, method.__name__, failing(method))
    for text in ("one", "two"):
        await world.say(text)
        await carol.settle()
    assert texts(carol) == ["one", "two"]
    assert [record.getMessage() for record in caplog.records] == ["a subscriber of a shared run failed"]


async def test_a_thousand_members_have_their_turn_in_parts(world: SharedWorld) -> None:
    """Somebody else runs between two parts; nobody is left out, and the order is kept."""
    party = Party(world, limits=Limits(sockets_per_identity=2000))
    guests = [await listening(await party.admit("bob")) for _ in range(1100)]
    for text in ("one", "two", "three"):
        await world.say(text)
    await guests[0].until(lambda: all(len(guest.outlet.frames) == 3 for guest in guests))
    assert all(texts(guest) == ["one", "two", "three"] for guest in guests)


async def test_who_is_in_a_lane_hears_nothing_after_a_jump_of_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect
) -> None:
    """A machine that slept, or a clock that was set, between two results: it is seen before the next one is written."""
    monkeypatch.setattr(Recorder, "has_lane", True)
    world = SharedWorld()
    party = Party(world)
    clock = party.first.clock
    bob = await party.admit(f"bob:{clock.wall() + 100}", dialect)
    carol = await party.admit("carol", dialect)
    for guest in (bob, carol):
        await listening(guest)
    for text in ("one", "two"):
        await world.say(text)
        await carol.settle()
    assert party.host.is_calm()
    clock.set_wall(clock.wall() + 100)
    assert not party.host.is_calm()
    await world.say("three")
    await carol.settle()

    assert (texts(bob), texts(carol)) == (["one", "two"], ["one", "two", "three"])
    assert bob.close == (4403, "Token expired")
    assert party.host.meter.events_sent == 5


async def test_results_that_were_broadcast_are_counted(monkeypatch: pytest.MonkeyPatch, dialect: Dialect) -> None:
    """As those that were not: by the meter at once, for the operation in the end."""
    monkeypatch.setattr(Recorder, "has_lane", True)
    world = SharedWorld()
    party = Party(world)
    bob = await listening(await party.admit("bob", dialect))
    for text in ("one", "two", "three"):
        await world.say(text)
    await bob.settle()
    following = bob.listener._running["1"].following
    assert following is not None
    watch = following._watch
    bob.stop()
    assert (watch.events, party.host.meter.events_sent) == (3, 3)
