from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.auth import Identity, Revocation
from gqlink.errors import AuthUnavailable
from gqlink.protocol import Kind
from gqlink.server import Context, Limits, SystemClock
from gqlink.server.expiry import Expiry, ExpiryWatch, checked_expiry
from gqlink.testing import FakeClock
from server.living import living
from server.peer import LEGACY
from server.recorder import Scene

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from gqlink.server import Transport
    from server.world import World

EXPIRED = (4403, "Token expired")
YEAR_9999 = 253_402_300_799.0


def expiring(world: World, dialect: Dialect, expires_at: Any, **members: Any) -> Scene:
    """Set a scene in which everybody's credential ends at one moment of the wall clock, whatever a hook calls that."""

    async def authenticate(_: object) -> Identity:
        return Identity(subject="alice", expires_at=expires_at, **members)

    return Scene(world, dialect, authenticate=authenticate)


def test_a_moment_is_past_when_it_has_come() -> None:
    """RFC 7519: "on or after"."""
    clock = FakeClock()
    expiry = Expiry.anchored(clock.wall() + 90, clock)
    assert (expiry.passed(clock), expiry.seconds_left(clock)) == (False, 90)
    clock.advance(89.9)
    assert (expiry.passed(clock), expiry.seconds_left(clock)) == (False, 0.1)
    clock.advance(0.2)
    assert (expiry.passed(clock), expiry.seconds_left(clock)) == (True, 0)


def test_a_wall_clock_that_is_put_back_prolongs_nothing() -> None:
    """The monotonic clock has counted since the admission."""
    clock = FakeClock()
    expiry = Expiry.anchored(clock.wall() + 90, clock)
    clock.set_wall(clock.wall() - 1000)
    assert expiry.seconds_left(clock) == 90
    clock.advance(90)
    assert expiry.passed(clock)


def test_a_wall_clock_that_runs_ahead_counts() -> None:
    """It was put forward, or the machine slept while its monotonic clock stood still."""
    clock = FakeClock()
    expiry = Expiry.anchored(clock.wall() + 90, clock)
    clock.set_wall(clock.wall() + 60)
    assert (expiry.passed(clock), expiry.seconds_left(clock)) == (False, 30)
    clock.set_wall(clock.wall() + 30)
    assert expiry.passed(clock)


@pytest.mark.parametrize("moment", [None, 0, -5, -1e308, 1e308, 10**300, 1.5, YEAR_9999])
def test_a_finite_number_is_a_moment(moment: float | None) -> None:
    """However far away; and None is never."""
    assert checked_expiry(Identity(expires_at=moment)) == (None if moment is None else float(moment))


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf, True, False, "1700000000", b"1", [], 1j, 10**400])
@pytest.mark.parametrize("name", ["expires_at", "issued_at"])
def test_what_is_no_finite_number_is_the_hooks_mistake(name: str, moment: Any) -> None:
    """Who cannot say when a credential ends cannot say that it counts; the credential itself is not refused."""
    with pytest.raises(AuthUnavailable, match=name):
        checked_expiry(Identity(**{name: moment}))


@given(
    moment=st.one_of(
        st.none(),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.text(max_size=5),
        st.integers(min_value=2**1030, max_value=2**1040),
    )
)
def test_no_moment_makes_a_socket_live_for_ever_or_an_ack_unreadable(moment: Any) -> None:
    """It is refused, or it ends at that moment, and how long that is can be told in JSON."""
    clock = FakeClock()
    try:
        expires_at = checked_expiry(Identity(expires_at=moment))
    except AuthUnavailable:
        return
    assert (expires_at is None) == (moment is None)
    if expires_at is not None:
        expiry = Expiry.anchored(expires_at, clock)
        left = expiry.seconds_left(clock)
        assert json.loads(json.dumps(left, allow_nan=False)) >= 0
        clock.set_wall(max(expires_at, 0.0))
        assert expiry.passed(clock) or abs(expires_at) > 1e15  # of which a float cannot tell the seconds


class Checks:
    """Counts how often somebody was looked at."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        """Be looked at."""
        self.count += 1


def test_nobody_is_looked_at_while_both_clocks_agree() -> None:
    """One timer turns, for all of them."""
    clock, checks = FakeClock(), Checks()
    watch = ExpiryWatch(clock)
    others = [Checks() for _ in range(5)]
    for check in (checks, *others):
        watch.add(check)
        watch.add(check)
    assert (len(watch), clock.timers) == (6, 1)
    clock.advance(1000)
    assert (checks.count, clock.timers) == (0, 1)


def test_everybody_is_looked_at_after_a_jump_ahead() -> None:
    """Once, within a second."""
    clock, checks = FakeClock(), Checks()
    watch = ExpiryWatch(clock)
    watch.add(checks)
    clock.advance(10)
    clock.set_wall(clock.wall() + 60)
    clock.advance(1)
    assert checks.count == 1
    clock.advance(100)
    assert checks.count == 1


def test_a_jump_back_and_forth_is_seen_by_those_who_came_in_between() -> None:
    """For them the wall clock has gone ahead, though it only is where it was."""
    clock, checks = FakeClock(), Checks()
    watch = ExpiryWatch(clock)
    watch.add(Checks())
    right = clock.wall()
    clock.set_wall(right - 1000)
    watch.add(checks)
    clock.set_wall(right)
    clock.advance(1)
    assert checks.count == 1


def test_a_clock_that_is_put_back_is_watched_from_there() -> None:
    """The way back is a jump ahead."""
    clock, checks = FakeClock(), Checks()
    watch = ExpiryWatch(clock)
    watch.add(checks)
    clock.set_wall(clock.wall() - 1000)
    clock.advance(5)
    assert checks.count == 0
    clock.set_wall(clock.wall() + 1000)
    clock.advance(1)
    assert checks.count == 1


def test_a_clock_that_is_slewed_is_a_jump_in_the_end() -> None:
    """A little every second adds up."""
    clock, checks = FakeClock(), Checks()
    watch = ExpiryWatch(clock)
    watch.add(checks)
    for _ in range(10):
        clock.set_wall(clock.wall() + 0.025)
        clock.advance(1)
    assert checks.count == 2


def test_the_timer_stops_with_the_last_one() -> None:
    """And starts with the next, whose clock it measures anew."""
    clock, checks = FakeClock(), Checks()
    watch = ExpiryWatch(clock)
    watch.discard(checks)
    watch.add(checks)
    watch.discard(checks)
    watch.discard(checks)
    assert (len(watch), clock.timers) == (0, 0)
    clock.set_wall(clock.wall() + 1000)
    watch.add(checks)
    clock.advance(1)
    assert (checks.count, clock.timers) == (0, 1)


def test_one_who_leaves_while_all_are_looked_at_harms_nobody() -> None:
    """As sockets do that have expired."""
    clock, checks = FakeClock(), Checks()
    watch = ExpiryWatch(clock)

    def leave() -> None:
        checks()
        watch.discard(leave)

    def leave_too() -> None:
        checks()
        watch.discard(leave_too)

    watch.add(leave)
    watch.add(leave_too)
    clock.set_wall(clock.wall() + 1000)
    clock.advance(1)
    assert (checks.count, clock.timers) == (2, 0)


async def test_a_socket_ends_with_its_credential(world: World, dialect: Dialect) -> None:
    """4403 "Token expired", in the legacy dialect after a `connection_error`; everything that ran ends."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.start("subscription { messages }", id="1")
    scene.start("{ slow }", id="2")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1 and world.happened == ["slow begins"])
    scene.clock.advance(89.999)
    assert scene.close is None
    scene.clock.advance(0.001)
    assert scene.close == EXPIRED
    told = [{"type": "connection_error", "payload": {"message": "Token expired"}}] if dialect is LEGACY else []
    assert scene.said == told
    assert scene.kinds == ["opened", "acknowledged", "refused", "closed"]
    assert await scene.listener.wait_ended(seconds=5)
    assert "slow cancelled" in world.happened
    assert (world.broker.statistics().subscriptions, scene.clock.timers) == (0, 0)


async def test_a_socket_whose_credential_never_ends_needs_no_timer(world: World, dialect: Dialect) -> None:
    """Nor does it end."""
    scene = await living(world, dialect).admitted("alice:")
    assert (scene.clock.timers, len(scene.host.expiries)) == (0, 0)
    scene.clock.advance(1e9)
    assert scene.close is None
    scene.listener.on_lost(1001)


async def test_the_last_event_before_the_moment_is_delivered_and_none_after(world: World, dialect: Dialect) -> None:
    """Though the timer comes late: an event that is there first finds the socket's time up."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.start("subscription { messages }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    late(scene, 89.999)
    await world.messages.publish("in time")
    await scene.until_said(1)
    late(scene, 0.001)
    await world.messages.publish("too late")
    await scene.until(lambda: scene.close is not None)
    assert scene.close == EXPIRED
    assert [message["payload"] for message in scene.said if message["type"] == "next"] == [
        {"data": {"messages": "in time"}}
    ]
    assert await scene.listener.wait_ended(seconds=5)


def late(scene: Scene, seconds: float) -> None:
    """Let time pass without a timer, as on an event loop that is busy."""
    scene.clock._now += seconds


async def test_an_event_that_is_resolved_too_slowly_is_not_delivered(world: World, dialect: Dialect) -> None:
    """What counts is the moment at which it would be sent."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.start("subscription { slowly }")
    await scene.until_said(1)
    await scene.settle()
    late(scene, 90)
    world.gate.set()
    await scene.until(lambda: scene.close is not None)
    assert scene.close == EXPIRED
    assert scene.types.count("next") == 1
    assert await scene.listener.wait_ended(seconds=5)


@pytest.mark.parametrize("query", ["{ slow }", "subscription { late }"])
async def test_an_end_that_comes_too_late_is_not_told(world: World, dialect: Dialect, query: str) -> None:
    """Neither an answer nor a `complete`: the close says it all."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.start(query)
    await scene.settle()
    late(scene, 90)
    world.gate.set()
    await scene.until(lambda: scene.close is not None)
    assert scene.close == EXPIRED
    assert set(scene.types) <= {"connection_error"}
    assert await scene.listener.wait_ended(seconds=5)


async def test_nothing_that_is_asked_for_too_late_is_executed(world: World, dialect: Dialect) -> None:
    """What the client sends at the moment, or after it, finds the socket closed."""
    scene = await living(world, dialect).admitted("alice:90")
    late(scene, 90)
    scene.start('mutation { add(text: "a") }')
    assert scene.close == EXPIRED
    await scene.settle()
    assert (world.resolved, world.happened) == (0, [])


async def test_a_binary_message_that_comes_too_late_finds_the_socket_closed(world: World, dialect: Dialect) -> None:
    """For the first reason there was."""
    scene = await living(world, dialect).admitted("alice:90")
    late(scene, 90)
    scene.listener.on_binary()
    assert scene.close == EXPIRED


async def test_held_operations_that_take_their_time_do_not_start_too_late(world: World) -> None:
    """Those that the legacy dialect held start in one step, and the moment may come in the midst of it."""
    asked: list[object] = []

    def policy(_identity: Identity, what: Any) -> bool:
        asked.extend(what.fields)
        if what.fields == ("whoami",):
            late(scene, 90)
        return True

    scene = living(world, LEGACY, policy=policy)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice:90"})
    for number, field in enumerate(("hello", "whoami", "slow")):
        scene.start(f"{{ {field} }}", id=str(number))
    await scene.until(lambda: scene.close is not None)
    assert scene.close == EXPIRED
    assert await scene.listener.wait_ended(seconds=5)
    assert (world.resolved, asked) == (0, ["hello", "whoami"])


async def test_a_mutation_that_runs_at_the_moment_finishes(world: World, dialect: Dialect) -> None:
    """Its answer is discarded."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.start('mutation { slowAdd(text: "a") }')
    await scene.until(lambda: world.happened == ["slowAdd begins"])
    scene.clock.advance(90)
    assert scene.close == EXPIRED
    frames = list(scene.outlet.frames)
    world.gate.set()
    assert await scene.listener.wait_ended(seconds=5)
    assert world.happened == ["slowAdd begins", "slowAdd ends", "add a"]
    assert scene.outlet.frames == frames


@pytest.mark.parametrize("how", ["expiry", "revocation"])
@pytest.mark.parametrize("slowly", [True, False])
async def test_a_mutation_that_has_not_begun_at_the_moment_does_not(
    world: World, dialect: Dialect, how: str, *, slowly: bool
) -> None:
    """It was asked for in time, but nothing of it has happened: its context is not there, or not even asked for."""

    async def build(identity: Identity, transport: Transport) -> object:
        world.happened.append("context")
        await world.gate.wait()
        return Context(identity, transport)

    scene = await living(world, dialect, **({"context": build} if slowly else {})).admitted("alice:90")
    scene.start('mutation { add(text: "a") }')
    if slowly:
        await scene.until(lambda: world.happened == ["context"])
    if how == "expiry":
        scene.clock.advance(90)
    else:
        await scene.app.revoke(subject="alice") if slowly else scene.app.apply_revocation(
            Revocation(subject="alice", revoked_at=scene.clock.wall())
        )
    assert scene.close == ((4403, "Token expired") if how == "expiry" else (4403, "Session revoked"))
    frames = list(scene.outlet.frames)
    world.gate.set()
    assert await scene.listener.wait_ended(seconds=5)
    assert (world.resolved, scene.outlet.frames) == (0, frames)


async def test_a_mutation_whose_client_has_left_begins(world: World, dialect: Dialect) -> None:
    """That is no reason not to: who asked for it could do so, and does not take it back."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.start('mutation { add(text: "a") }')
    scene.listener.on_lost(1006)
    assert await scene.listener.wait_ended(seconds=5)
    assert world.happened == ["add a"]


async def test_a_timer_that_comes_early_is_set_again(world: World, dialect: Dialect) -> None:
    """Event loops round."""
    scene = await living(world, dialect).admitted("alice:90")
    timers = scene.clock.timers
    for timer in tuple(scene.clock._pending()):
        timer.cancel()
        timer.callback()
    assert (scene.close, scene.clock.timers) == (None, timers)
    scene.clock.advance(90)
    assert scene.close == EXPIRED


async def test_an_idle_socket_ends_when_the_wall_clock_is_put_forward(world: World, dialect: Dialect) -> None:
    """Within a second, though nothing happens on it; and so it does when the machine slept."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.clock.advance(5)
    scene.clock.set_wall(scene.clock.wall() + 85)
    assert scene.close is None
    scene.clock.advance(1)
    assert scene.close == EXPIRED
    assert scene.clock.timers == 0


async def test_a_busy_socket_ends_at_once_when_the_wall_clock_is_put_forward(world: World, dialect: Dialect) -> None:
    """No event gets through before anybody has looked."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.start("subscription { messages }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    scene.clock.set_wall(scene.clock.wall() + 90)
    await world.messages.publish("too late")
    await scene.until(lambda: scene.close is not None)
    assert scene.close == EXPIRED
    assert "next" not in scene.types
    assert await scene.listener.wait_ended(seconds=5)


async def test_a_wall_clock_that_is_put_back_does_not_keep_a_socket(world: World, dialect: Dialect) -> None:
    """It ends when it would have."""
    scene = await living(world, dialect).admitted("alice:90")
    scene.clock.set_wall(scene.clock.wall() - 10_000)
    scene.clock.advance(89)
    assert scene.close is None
    scene.clock.advance(1)
    assert scene.close == EXPIRED


@pytest.mark.parametrize("how", ["lost", "close", "aclose"])
async def test_no_timer_outlives_its_socket(world: World, dialect: Dialect, how: str) -> None:
    """However it ends."""
    scene = await living(world, dialect).admitted("alice:90")
    match how:
        case "lost":
            scene.listener.on_lost(1006)
        case "close":
            scene.listener.close(1012, "Service restart")
        case _:
            await scene.app.aclose()
    assert (scene.clock.timers, len(scene.host.expiries)) == (0, 0)


@pytest.mark.parametrize("expires_at", [0, -5, -1e308, 1_699_999_999.999, 1_700_000_000])
async def test_a_credential_that_is_past_is_refused(world: World, dialect: Dialect, expires_at: float) -> None:
    """A hook may not look at the clock; the socket does, when it would let the client in."""
    scene = expiring(world, dialect, expires_at)
    scene.say(Kind.CONNECTION_INIT)
    await scene.until(lambda: scene.close is not None)
    assert scene.close == EXPIRED
    assert "connection_ack" not in scene.types
    assert scene.clock.timers == 0


@pytest.mark.parametrize("expires_at", [math.nan, math.inf, True, "soon", 10**400])
@pytest.mark.parametrize("name", ["expires_at", "issued_at"])
async def test_a_hook_that_cannot_say_when_is_a_failure_of_ours(
    world: World, dialect: Dialect, name: str, expires_at: Any
) -> None:
    """1013: the credential is not refused, and nobody is let in."""
    moments = {"expires_at": None, name: expires_at}
    scene = expiring(world, dialect, moments.pop("expires_at"), **moments)
    scene.say(Kind.CONNECTION_INIT)
    await scene.until(lambda: scene.close is not None)
    assert scene.close == (1013, "Try again later")


@pytest.mark.parametrize("expires_at", [YEAR_9999, 1e308, 10**300])
async def test_a_moment_far_away_is_a_moment(world: World, dialect: Dialect, expires_at: float) -> None:
    """The ack says it in JSON, and no timer is set further than an event loop can count."""
    scene = expiring(world, dialect, expires_at)
    scene.say(Kind.CONNECTION_INIT)
    [ack] = await scene.until_said(1)
    assert ack["payload"]["gqlink"]["expiresIn"] == pytest.approx(expires_at - 1_700_000_000.0)
    assert all(timer.when <= scene.clock.now() + 86_400 for timer in scene.clock._pending())
    scene.clock.advance(90_000)
    assert (scene.close, scene.clock.timers) == (None, 2)
    scene.listener.on_lost(1001)


async def test_a_moment_far_away_comes_too(world: World, dialect: Dialect) -> None:
    """After many a timer that came early."""
    scene = expiring(world, dialect, 1_700_000_000.0 + 1.5 * 86_400)
    scene.say(Kind.CONNECTION_INIT)
    await scene.until_said(1)
    scene.clock.advance(1.5 * 86_400 - 1)
    assert scene.close is None
    scene.clock.advance(1)
    assert scene.close == EXPIRED


async def test_a_fraction_of_a_second_counts(world: World, dialect: Dialect) -> None:
    """In the ack to the millisecond, on the server to the last bit."""
    scene = expiring(world, dialect, 1_700_000_000.25)
    scene.say(Kind.CONNECTION_INIT)
    [ack] = await scene.until_said(1)
    assert ack["payload"]["gqlink"]["expiresIn"] == 0.25
    scene.clock.advance(0.25)
    assert scene.close == EXPIRED


async def test_the_systems_clock_takes_every_moment(world: World, dialect: Dialect) -> None:
    """So does a real event loop."""
    scene = expiring(world, dialect, 1e308)
    scene.host.clock = SystemClock()
    scene.listener._lease.set(Expiry.anchored(1e308, SystemClock()))
    assert scene.close is None
    scene.listener.on_lost(1001)


async def test_a_credential_that_was_revoked_while_it_was_verified_does_not_get_in(
    world: World, dialect: Dialect
) -> None:
    """It is verified before the revocation and admitted after it: the last look finds it denied."""
    verified: list[Identity] = []

    async def authenticate(_: object) -> Identity:
        identity = Identity(subject="alice", session="s", token_id="t", issued_at=1_699_999_999)
        verified.append(identity)
        await world.gate.wait()
        return identity

    scene = Scene(world, dialect, authenticate=authenticate, limits=Limits(init_seconds=1000))
    scene.host.listeners.add(scene.listener)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "anything"})
    await scene.until(lambda: bool(verified))
    await scene.app.revoke(session="s")
    assert scene.close is None
    world.gate.set()
    await scene.until(lambda: scene.close is not None)
    assert scene.close == (4403, "Session revoked")
    assert "connection_ack" not in scene.types


async def test_a_revocation_between_the_verification_and_the_admission_counts(world: World, dialect: Dialect) -> None:
    """In the very last step before it, too."""
    scene = Scene(world, dialect)
    scene.host.listeners.add(scene.listener)

    async def authenticate(_: object) -> Identity:
        await scene.app.revoke(subject="alice")
        return Identity(subject="alice", issued_at=scene.clock.wall())

    scene.host.authentication._authenticate = authenticate
    scene.say(Kind.CONNECTION_INIT)
    await scene.until(lambda: scene.close is not None)
    assert scene.close == (4403, "Session revoked")


async def test_a_revocation_right_after_the_admission_closes(world: World, dialect: Dialect) -> None:
    """There is no moment at which neither of the two sees the other."""
    scene = await living(world, dialect).admitted("alice:90")
    await scene.app.revoke(subject="bob")
    assert scene.close is None
    await scene.app.revoke(session="session of alice")
    assert scene.close == (4403, "Session revoked")
    assert scene.clock.timers == 0
