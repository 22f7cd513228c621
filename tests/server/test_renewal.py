from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gqlink.auth import ANONYMOUS, Credentials, Identity
from gqlink.errors import AuthUnavailable, InvalidCredentials, PermissionDenied, SubjectChanged
from gqlink.protocol import Close, Kind
from gqlink.server import Context, Limits
from server.eventually import eventually
from server.living import living, outcomes, ping, renewed
from server.peer import LEGACY, NEWER, codes_of
from server.recorder import Recorder, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.protocol import Frame
    from gqlink.server import Transport
    from server.world import World

EXPIRED = (4403, "Token expired")
LATER = "Try again later"


async def test_a_fresh_token_prolongs_a_socket(world: World) -> None:
    """The pong comes at once and says nothing; what came of it follows, and the new end counts."""
    scene = await living(world, NEWER).admitted("alice:90")
    scene.clock.advance(80)
    ping(scene, "alice:60", seq=7)
    assert scene.said == [{"type": "pong"}]
    await scene.until_said(2)
    assert scene.said[1] == {"type": "pong", "payload": {"gqlink": {"seq": 7, "expiresIn": 60}}}
    assert scene.kinds == ["opened", "acknowledged", "renewed"]
    assert scene.events[-1].identity == scene.listener.identity
    scene.clock.advance(59.999)
    assert scene.close is None
    scene.clock.advance(0.001)
    assert scene.close == EXPIRED
    assert scene.clock.timers == 0


async def test_a_fresh_token_may_end_sooner(world: World) -> None:
    """Rights follow the new one, and so does the end."""
    scene = await living(world, NEWER).admitted("alice:90")
    assert await renewed(scene, "alice:5") == {"seq": 1, "expiresIn": 5}
    scene.clock.advance(5)
    assert scene.close == EXPIRED


async def test_a_fresh_token_may_never_end(world: World) -> None:
    """Then there is no timer any more, and one that ends may follow it."""
    scene = await living(world, NEWER).admitted("alice:90")
    assert await renewed(scene, "alice:") == {"seq": 1, "expiresIn": None}
    await scene.settle()
    assert scene.clock.timers == 0
    scene.clock.advance(1000)
    assert scene.close is None
    assert await renewed(scene, "alice:90", seq=2) == {"seq": 2, "expiresIn": 90}
    scene.clock.advance(90)
    assert scene.close == EXPIRED


@pytest.mark.parametrize("token", ["Bearer alice:60", "  bearer alice:60"])
async def test_a_token_is_read_as_everywhere(world: World, token: str) -> None:
    """With or without `Bearer`."""
    scene = await living(world, NEWER).admitted("alice:90")
    assert await renewed(scene, token) == {"seq": 1, "expiresIn": 60}
    scene.listener.on_lost(1001)


async def test_the_handshakes_credential_has_no_say_in_a_renewal(world: World) -> None:
    """It is the old one, and need not agree."""
    scene = await living(world, NEWER, token="alice:90").admitted("alice:90")
    assert await renewed(scene, "alice:60") == {"seq": 1, "expiresIn": 60}
    scene.listener.on_lost(1001)


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ("bad", "Token invalid"),
        ("", "Token invalid"),
        (" ", "Token invalid"),
        ("Bearer", "Token invalid"),
        ("Basic YTpi", "Token invalid"),
        ("x" * 10_000, "Token invalid"),
        ("expired", "Token expired"),
        ("alice:0", "Token expired"),
        ("alice:-5", "Token expired"),
        ("revoked", "Session revoked"),
        ("unavailable", LATER),
        ("crash", LATER),
        ("confused", LATER),
        ("cancelled", LATER),
        ("alice:nan", LATER),
        ("alice:inf", LATER),
    ],
)
async def test_a_renewal_that_fails_changes_nothing(world: World, token: str, error: str) -> None:
    """The client is told why; subscriptions go on, and the old end stands."""
    scene = await living(world, NEWER).admitted("alice:90:reader")
    identity = scene.listener.identity
    scene.start("subscription { messages }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    scene.clock.advance(10)
    assert await renewed(scene, token) == {"seq": 1, "error": error}
    assert scene.listener.identity is identity
    assert scene.kinds == ["opened", "acknowledged"]
    await world.messages.publish("still here")
    await scene.until_said(1)
    assert scene.said[0]["payload"] == {"data": {"messages": "still here"}}
    scene.clock.advance(79.999)
    assert scene.close is None
    scene.clock.advance(0.001)
    assert scene.close == EXPIRED


async def test_a_refusal_of_the_hooks_own_is_told_in_its_words(world: World) -> None:
    """Whatever `AuthError` it raises."""

    async def authenticate(credentials: Credentials) -> Identity:
        if credentials.token:
            raise InvalidCredentials
        return ANONYMOUS

    scene = await Scene(world, NEWER, authenticate=authenticate).admitted()
    assert await renewed(scene, "anything") == {"seq": 1, "error": "Wrong name or password"}
    scene.listener.on_lost(1001)


async def test_a_token_that_was_revoked_is_refused(world: World) -> None:
    """Also when that happened while it was verified."""
    scene = await living(world, NEWER).admitted("alice:90")
    old = scene.listener.identity

    async def authenticate(_: Credentials) -> Identity:
        await scene.app.revoke(token_id="fresh")
        return Identity(subject="alice", token_id="fresh")

    scene.host.authentication._authenticate = authenticate
    assert await renewed(scene, "anything") == {"seq": 1, "error": "Session revoked"}
    assert (scene.listener.identity, scene.close) == (old, None)
    scene.listener.on_lost(1001)


@pytest.mark.parametrize(
    ("before", "after"), [("alice:90", "bob:90"), (None, "alice:90"), ("alice:90", ":90"), ("alice:", "Alice:")]
)
async def test_a_token_of_somebody_else_ends_the_socket(world: World, before: str | None, after: str) -> None:
    """4403 "Subject changed"; anonymous counts as somebody else, in both directions. Nobody's events reach another."""
    scene = await living(world, NEWER).admitted(before)
    identity = scene.listener.identity
    scene.start("subscription { whoAmI }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    await renewed(scene, after)
    assert scene.close == (4403, "Subject changed")
    assert scene.listener.identity is identity
    assert scene.kinds == ["opened", "acknowledged", "refused", "closed"]
    assert scene.said == []
    assert await scene.listener.wait_ended(seconds=5)
    assert scene.clock.timers == 0


async def test_a_hook_may_find_another_subject_itself(world: World) -> None:
    """Its `SubjectChanged` means the same."""

    async def authenticate(credentials: Credentials) -> Identity:
        if credentials.token:
            raise SubjectChanged
        return ANONYMOUS

    scene = await Scene(world, NEWER, authenticate=authenticate).admitted()
    await renewed(scene, "anything")
    assert scene.close == (4403, "Subject changed")


async def test_somebody_elses_token_that_is_revoked_as_well_ends_the_socket(world: World) -> None:
    """Whoever sends it is no longer who they were."""
    scene = await living(world, NEWER).admitted("alice:90")
    await scene.app.revoke(session="session of bob")
    await renewed(scene, "bob:90")
    assert scene.close == (4403, "Subject changed")


async def test_one_renewal_at_a_time(world: World) -> None:
    """Others are put off meanwhile, and cost nothing: pings with tokens cannot keep the authentication busy."""
    world.gate.set()
    scene = await living(world, NEWER).admitted("slow")
    world.gate.clear()
    ping(scene, "slow", seq=1)
    await scene.until(lambda: world.authenticating == 1)
    for seq in range(2, 50):
        ping(scene, "slow", seq=seq)
    await scene.settle()
    assert outcomes(scene) == [{"seq": seq, "error": LATER} for seq in range(2, 50)]
    assert (world.authenticating, world.most_authenticating) == (1, 1)
    world.gate.set()
    await scene.until(lambda: outcomes(scene)[-1] == {"seq": 1, "expiresIn": None})
    scene.outlet.frames.clear()
    assert await renewed(scene, "slow", seq=50) == {"seq": 50, "expiresIn": None}
    scene.listener.on_lost(1001)


async def test_a_renewal_that_takes_too_long_is_given_up(world: World) -> None:
    """After `init_seconds`; its late answer changes nothing, and another one may follow."""
    scene = await living(world, NEWER, limits=Limits(init_seconds=3)).admitted("alice:90")
    ping(scene, "slow", seq=1)
    await scene.until(lambda: world.authenticating == 1)
    scene.clock.advance(2.9)
    assert outcomes(scene) == []
    scene.clock.advance(0.1)
    assert outcomes(scene) == [{"seq": 1, "error": LATER}]
    await scene.until(lambda: world.authenticating == 0)
    world.gate.set()
    await scene.settle()
    assert len(outcomes(scene)) == 1
    scene.outlet.frames.clear()
    assert await renewed(scene, "alice:60", seq=2) == {"seq": 2, "expiresIn": 60}
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("ending", ["returns", "raises", "is unavailable"])
async def test_a_hook_that_takes_no_notice_of_the_time_changes_nothing(world: World, ending: str) -> None:
    """What it says in the end is not heard; until then other renewals are put off."""

    async def authenticate(credentials: Credentials) -> Identity:
        if credentials.token is None:
            return ANONYMOUS
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await world.gate.wait()
        match ending:
            case "returns":
                return Identity(scopes=frozenset({"admin"}))
            case "raises":
                raise InvalidCredentials
            case _:
                raise AuthUnavailable

    scene = await Scene(world, NEWER, authenticate=authenticate, limits=Limits(init_seconds=3)).admitted()
    ping(scene, "anything", seq=1)
    await scene.settle()
    scene.clock.advance(3)
    await scene.settle()
    ping(scene, "anything", seq=2)
    assert outcomes(scene) == [{"seq": 1, "error": LATER}, {"seq": 2, "error": LATER}]
    world.gate.set()
    await scene.listener.wait_ended(seconds=5)
    assert len(outcomes(scene)) == 2
    assert scene.listener.identity is ANONYMOUS
    assert scene.clock.timers == 0
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("end", ["lost", "close", "expiry"])
async def test_a_renewal_of_a_socket_that_ended_meanwhile_says_nothing(world: World, end: str) -> None:
    """It is ended with it."""
    scene = await living(world, NEWER).admitted("slow:90")
    ping(scene, "slow")
    await scene.until(lambda: world.authenticating == 1)
    scene.outlet.frames.clear()
    match end:
        case "lost":
            scene.listener.on_lost(1006)
        case "close":
            scene.listener.close(1012, "Service restart")
        case _:
            scene.host.limits = Limits(init_seconds=1000)
            scene.clock._now += 90
            scene.listener.on_text("{}")
            assert scene.close == EXPIRED
    world.gate.set()
    assert await scene.listener.wait_ended(seconds=5)
    assert (world.authenticating, scene.said, scene.clock.timers) == (0, [], 0)
    assert "renewed" not in scene.kinds


async def test_a_renewal_that_comes_too_late_does_not_revive_a_socket(world: World) -> None:
    """Its old credential's end has come, though no timer has: the socket ends."""
    scene = await living(world, NEWER).admitted("slow:90")
    ping(scene, "slow")
    await scene.until(lambda: world.authenticating == 1)
    scene.clock._now += 90
    world.gate.set()
    await scene.until(lambda: scene.close is not None)
    assert scene.close == EXPIRED
    assert outcomes(scene) == []
    assert "renewed" not in scene.kinds


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"gqlink": None},
        {"gqlink": 5},
        {"gqlink": {}},
        {"gqlink": {"seq": 1}},
        {"gqlink": {"accessToken": "alice:60"}},
        {"gqlink": {"accessToken": None, "seq": 1}},
        {"gqlink": {"accessToken": 5, "seq": 1}},
        {"gqlink": {"accessToken": "alice:60", "seq": "1"}},
        {"gqlink": {"accessToken": "alice:60", "seq": 1.5}},
        {"gqlink": [{"accessToken": "alice:60", "seq": 1}]},
    ],
)
async def test_a_ping_without_a_renewal_that_can_be_read_is_just_a_ping(world: World, payload: Any) -> None:
    """There is nobody to tell."""
    scene = await living(world, NEWER).admitted("alice:90")
    scene.say(Kind.PING, payload=payload)
    await scene.settle()
    assert scene.types == ["pong"]
    assert scene.clock.timers == 2
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("seq", [0, -1, 2**64, -(2**70), 10**300])
async def test_any_whole_number_may_count_renewals(world: World, seq: int) -> None:
    """It comes back as it was sent."""
    scene = await living(world, NEWER).admitted("alice:90")
    outcome = await renewed(scene, "alice:60", seq=seq)
    assert outcome in ({"seq": seq, "expiresIn": 60}, {})
    assert scene.close is None
    scene.listener.on_lost(1001)


async def test_a_ping_before_the_ack_renews_nothing(world: World) -> None:
    """There is nothing yet that it could renew; nobody is asked who that is."""
    scene = living(world, NEWER)
    ping(scene, "alice:90")
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    await scene.until(lambda: world.authenticating == 1)
    ping(scene, "bob")
    await scene.settle()
    assert (scene.types, world.most_authenticating) == (["pong", "pong"], 1)
    world.gate.set()
    await scene.until(lambda: scene.types[-1] == "connection_ack")
    assert scene.listener.identity.subject == "slow"
    scene.listener.on_lost(1001)


async def test_the_legacy_dialect_has_no_renewal(world: World) -> None:
    """It has no ping, and its ack offers none."""
    scene = await living(world, LEGACY).admitted("alice:90")
    scene.listener.on_text(b'{"type": "ping", "payload": {"gqlink": {"accessToken": "alice:60", "seq": 1}}}')
    assert scene.close is not None
    assert scene.close[0] == 4400
    await scene.settle()
    assert scene.said == []


async def test_a_renewal_appears_in_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither one that counts nor one that fails."""
    caplog.set_level("DEBUG")
    scene = await living(world, NEWER).admitted("alice:90")
    await renewed(scene, "alice:60:very-secret")
    await renewed(scene, "alice:-60:very-secret", seq=2)
    await renewed(scene, "very secret", seq=3)
    assert "renewal failed" in caplog.text
    assert "secret" not in caplog.text
    scene.listener.on_lost(1001)


async def test_an_event_that_is_being_executed_is_executed_again(world: World) -> None:
    """With who the client is by then: what leaves is never older than the token."""
    built: list[frozenset[str]] = []

    async def build(identity: Identity, transport: Transport) -> object:
        built.append(identity.scopes)
        await world.gate.wait()
        return Context(identity, transport)

    scene = await living(world, NEWER, context=build).admitted("alice:90:old")
    world.gate.set()
    scene.start("subscription { whoAmI }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    world.gate.clear()
    await world.messages.publish("one")
    await scene.until(lambda: len(built) == 2)
    await renewed(scene, "alice:90:new")
    world.gate.set()
    await scene.until_said(1)
    await world.messages.publish("two")
    await scene.until_said(2)
    assert [message["payload"]["data"]["whoAmI"] for message in scene.said] == ["one alice", "two alice"]
    assert built == [{"old"}, {"old"}, {"new"}, {"new"}]
    scene.listener.on_lost(1001)


async def test_a_query_that_is_being_executed_is_executed_again_and_a_mutation_is_not(world: World) -> None:
    """What changes something happens once."""
    built: list[frozenset[str]] = []

    def build(identity: Identity, _transport: Transport) -> object:
        built.append(identity.scopes)
        return None

    scene = await living(world, NEWER, context=build).admitted("alice:90:old")
    scene.start("{ slow }", id="1")
    scene.start('mutation { slowAdd(text: "a") }', id="2")
    await scene.until(lambda: len(world.happened) == 2)
    await renewed(scene, "alice:90:new")
    world.gate.set()
    await scene.until_said(4)
    assert sorted(scene.types) == ["complete", "complete", "next", "next"]
    assert (built.count(frozenset({"old"})), built.count(frozenset({"new"}))) == (2, 1)
    assert world.happened.count("slow begins") == 2
    assert world.happened.count("slowAdd begins") == 1
    scene.listener.on_lost(1001)


async def test_a_mutation_that_has_not_begun_begins_as_who_the_client_is_then(world: World) -> None:
    """Its context is built again when the token has changed meanwhile; and the policy is asked again."""
    built: list[frozenset[str]] = []
    asked: list[frozenset[str]] = []

    async def build(identity: Identity, transport: Transport) -> object:
        built.append(identity.scopes)
        await world.gate.wait()
        return Context(identity, transport)

    def policy(identity: Identity, _what: object) -> bool:
        asked.append(identity.scopes)
        return "old" in identity.scopes

    scene = await living(world, NEWER, context=build, policy=policy).admitted("alice:90:old")
    scene.start('mutation { add(text: "a") }')
    await scene.until(lambda: len(built) == 1)
    await renewed(scene, "alice:90:new")
    world.gate.set()
    await scene.until_said(1)
    assert (scene.types, codes_of(scene.said[0])) == (["error"], ["FORBIDDEN"])
    assert built == [{"old"}, {"new"}]
    assert asked[:2] == built
    assert (world.resolved, world.happened) == (0, [])
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("slow", ["context", "source"])
async def test_a_subscription_begins_as_who_the_client_is_then(world: World, slow: str) -> None:
    """Its beginning is executed again when the token has changed meanwhile; what was begun before is closed."""
    begun: list[frozenset[str]] = []
    closed: list[frozenset[str]] = []

    async def build(identity: Identity, transport: Transport) -> object:
        if slow == "context":
            await world.gate.wait()
        return Context(identity, transport)

    class Source:
        """Events of nobody, which knows whom it was opened for."""

        def __init__(self, scopes: frozenset[str]) -> None:
            self.scopes = scopes

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> str:
            await asyncio.Event().wait()
            raise AssertionError

        async def aclose(self) -> None:
            closed.append(self.scopes)

    async def subscribe(_root: object, info: Any) -> Source:
        scopes = info.context.identity.scopes
        begun.append(scopes)
        if slow == "source":
            await world.gate.wait()
        if "new" in scopes:
            raise PermissionDenied("listen")
        return Source(scopes)

    world.schema.type_map["Subscription"].fields["messages"].subscribe = subscribe  # type: ignore[attr-defined]
    scene = await living(world, NEWER, context=build).admitted("alice:90:old")
    scene.start("subscription { messages }")
    await scene.settle()
    await renewed(scene, "alice:90:new")
    world.gate.set()
    [error] = await scene.until_said(1)
    assert (error["type"], codes_of(error)) == ("error", ["FORBIDDEN"])
    assert begun == ([{"new"}] if slow == "context" else [{"old"}, {"new"}])
    assert closed == ([] if slow == "context" else [{"old"}])
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("named", [{"subject": "alice"}, {"session": "session of alice"}])
async def test_who_is_revoked_while_a_renewal_is_verified_is_out(world: World, named: dict[str, str]) -> None:
    """The socket ends at once, and the fresh token neither saves it nor says a word."""

    async def authenticate(credentials: Credentials) -> Identity:
        assert credentials.token is not None
        if credentials.token.reveal() == "fresh":
            world.happened.append("verifying")
            await world.gate.wait()
        return Identity("alice", session="session of alice", issued_at=scene.clock.wall() - 1)

    scene = living(world, NEWER, authenticate=authenticate)
    await scene.admitted("stale")
    scene.start("subscription { messages }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    ping(scene, "fresh")
    await scene.until(lambda: world.happened == ["verifying"])
    identity = scene.listener.identity
    await scene.app.revoke(**named)
    assert scene.close == (4403, "Session revoked")
    world.gate.set()
    await scene.settle()
    assert (scene.types, scene.kinds[-2:]) == (["pong"], ["refused", "closed"])
    assert scene.listener.identity is identity
    assert await scene.listener.wait_ended(seconds=5)


async def test_a_fresh_token_whose_session_is_revoked_while_it_is_verified_is_refused(world: World) -> None:
    """It belongs to another session: the socket stays as it is, until its own end."""

    async def authenticate(credentials: Credentials) -> Identity:
        assert credentials.token is not None
        session = credentials.token.reveal()
        if session == "s2":
            world.happened.append("verifying")
            await world.gate.wait()
        return Identity("alice", session=session, expires_at=scene.clock.wall() + 90)

    scene = living(world, NEWER, authenticate=authenticate)
    await scene.admitted("s1")
    ping(scene, "s2")
    await scene.until(lambda: world.happened == ["verifying"])
    await scene.app.revoke(session="s2")
    world.gate.set()
    await scene.until(lambda: bool(outcomes(scene)))
    assert outcomes(scene) == [{"seq": 1, "error": "Session revoked"}]
    assert (scene.listener.identity.session, scene.close) == ("s1", None)
    scene.clock.advance(90)
    assert scene.close == EXPIRED


async def test_a_failure_of_somebody_as_they_were_is_not_told(world: World) -> None:
    """The context failed for the old token: the event is executed with the new one."""

    async def build(identity: Identity, transport: Transport) -> object:
        await world.gate.wait()
        if "old" in identity.scopes and world.resolved:
            raise RuntimeError("secret text")
        return Context(identity, transport)

    scene = await living(world, NEWER, context=build).admitted("alice:90:old")
    world.gate.set()
    scene.start("subscription { whoAmI }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    world.gate.clear()
    await world.messages.publish("one")
    await scene.settle()
    await renewed(scene, "alice:90:new")
    world.gate.set()
    await scene.until_said(1)
    assert scene.said[0]["payload"] == {"data": {"whoAmI": "one alice"}}
    scene.listener.on_lost(1001)


class Tally(Recorder):
    """An outlet that keeps what each operation was told, and the outcomes of renewals."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, list[str]] = {}
        self.outcomes: list[dict[str, Any]] = []
        self.others: list[object] = []
        self.count = 0
        self.news = asyncio.Event()

    def write(self, frames: Sequence[Frame]) -> None:
        """Read frames at once: there are too many to keep."""
        for frame in frames:
            self._take(frame)
        self.news.set()

    def _take(self, frame: Frame) -> None:
        message: dict[str, Any] = {"type": "close"} if isinstance(frame, Close) else msgspec.json.decode(frame.data)
        match message["type"]:
            case "next":
                self.told.setdefault(message["id"], []).append(message["payload"]["data"]["whoAmI"])
                self.count += 1
            case "pong":
                self.outcomes += [message["payload"]["gqlink"]] if "payload" in message else []
            case _:
                self.others.append(message)

    async def until(self, condition: Any) -> None:
        """Wait for frames until a condition holds."""
        async with asyncio.timeout(170):
            while not condition():
                self.news.clear()
                await self.news.wait()


@pytest.mark.timeout(180)
async def test_a_thousand_subscriptions_survive_fifty_renewals(world: World) -> None:
    """No event is missed, doubled or out of order, though one is published while each renewal is on its way."""
    subscriptions, renewals = 1000, 50

    async def build(identity: Identity, transport: Transport) -> object:
        await asyncio.sleep(0)  # so that renewals come in between
        return Context(identity, transport)

    limits = Limits(operations_per_socket=subscriptions, messages_per_second=2 * subscriptions)
    scene = await living(world, NEWER, limits=limits, context=build).admitted("alice:90")
    tally = scene.listener._outlet = Tally()
    for number in range(subscriptions):
        scene.start("subscription { whoAmI }", id=str(number))
    await eventually(lambda: world.broker.statistics().subscriptions == subscriptions)
    for seq in range(renewals):
        scene.clock.advance(60)
        ping(scene, "alice:90", seq=seq)
        await world.messages.publish(str(seq))
        await tally.until(lambda seq=seq: len(tally.outcomes) > seq)
    await tally.until(lambda: tally.count == subscriptions * renewals)
    assert tally.outcomes == [{"seq": seq, "expiresIn": 90} for seq in range(renewals)]
    expected = [f"{seq} alice" for seq in range(renewals)]
    assert all(told == expected for told in tally.told.values())
    assert (len(tally.told), tally.others, scene.kinds.count("renewed")) == (subscriptions, [], renewals)
    scene.clock.advance(90)
    assert tally.others == [{"type": "close"}]
    assert await scene.listener.wait_ended(seconds=20)
