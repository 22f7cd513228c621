from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from gqlink.auth import Identity
from gqlink.protocol import Dialect, Kind
from gqlink.pubsub import Topic
from gqlink.server import Limits
from gqlink.server.execution import Execution
from server.peer import LEGACY, NEWER, codes_of, errors_of
from server.recorder import Scene
from server.world import WorldBroker

if TYPE_CHECKING:
    from gqlink.protocol import Request
    from gqlink.server import Transport
    from gqlink.server.operation import Operation
    from server.world import World


async def test_a_client_is_let_in_with_who_it_is(world: World, dialect: Dialect) -> None:
    """The ack says whom the socket speaks for."""
    scene = Scene(world, dialect)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice"})
    [ack] = await scene.until_said(1)
    assert ack["type"] == "connection_ack"
    renewal = "ping" if dialect is NEWER else None
    assert ack["payload"]["gqlink"] == {"version": 1, "subject": "alice", "expiresIn": None, "renewal": renewal}
    assert scene.listener.identity == Identity(subject="alice")
    assert scene.kinds == ["opened", "acknowledged"]
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("payload", [None, {}, {"accessToken": None}, {"accessToken": ""}])
async def test_absent_credentials_are_anonymous(world: World, dialect: Dialect, payload: object) -> None:
    """Missing, null and empty say nothing, and nobody is refused for it."""
    scene = Scene(world, dialect)
    scene.say(Kind.CONNECTION_INIT, payload=payload)
    [ack] = await scene.until_said(1)
    assert ack["payload"]["gqlink"]["subject"] is None
    scene.listener.on_lost(1001)


async def test_the_handshakes_credential_counts_where_the_init_has_none(world: World, dialect: Dialect) -> None:
    """Who sent a header with the handshake need not say it again."""
    scene = Scene(world, dialect, token="alice")
    scene.say(Kind.CONNECTION_INIT)
    [ack] = await scene.until_said(1)
    assert ack["payload"]["gqlink"]["subject"] == "alice"
    scene.listener.on_lost(1001)


async def test_two_credentials_that_disagree_are_refused(world: World, dialect: Dialect) -> None:
    """Whichever was chosen might be somebody else than the client means."""
    scene = Scene(world, dialect, token="alice")
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "bob"})
    await scene.until(lambda: scene.close is not None)
    assert scene.close == (4403, "Token invalid")


async def test_the_time_left_is_a_duration(world: World, dialect: Dialect) -> None:
    """The ack says how many seconds the credential has left, by the server's clock."""

    async def authenticate(_: object) -> Identity:
        return Identity(subject="alice", expires_at=scene.clock.wall() + 90)

    scene = Scene(world, dialect, authenticate=authenticate)
    scene.say(Kind.CONNECTION_INIT)
    [ack] = await scene.until_said(1)
    assert ack["payload"]["gqlink"]["expiresIn"] == 90
    scene.listener.on_lost(1001)


@pytest.mark.parametrize(
    ("token", "close"),
    [
        ("bad", (4403, "Token invalid")),
        ("expired", (4403, "Token expired")),
        ("revoked", (4403, "Session revoked")),
        ("unavailable", (1013, "Try again later")),
        ("crash", (1013, "Try again later")),
        ("confused", (1013, "Try again later")),
        ("cancelled", (1013, "Try again later")),
        (5, (4403, "Token invalid")),
        (["alice"], (4403, "Token invalid")),
        ("Basic YTpi", (4403, "Token invalid")),
    ],
)
async def test_a_refusal_says_which(
    world: World, dialect: Dialect, token: object, close: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A bad credential is 4403 with its reason; a failure of ours is 1013; the legacy dialect is told before."""
    caplog.set_level("INFO", "gqlink.server")
    scene = Scene(world, dialect)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": token})
    await scene.until(lambda: scene.close is not None)
    assert scene.close == close
    told = [{"type": "connection_error", "payload": {"message": close[1]}}] if dialect is LEGACY else []
    assert scene.said == told
    assert scene.kinds == ["opened", "refused", "closed"]
    assert (scene.events[-1].code, scene.events[-1].reason) == close
    assert caplog.records


async def test_nothing_reaches_a_resolver_before_an_init(world: World, dialect: Dialect) -> None:
    """An operation before any init is 4401 in both dialects."""
    scene = Scene(world, dialect)
    scene.start("{ hello }")
    await scene.settle()
    assert scene.close == (4401, "Unauthorized")
    assert world.resolved == 0


async def test_the_newer_dialect_refuses_operations_while_it_authenticates(world: World) -> None:
    """The init alone does not let anybody in: 4401, and no resolver has run."""
    scene = Scene(world, NEWER)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    scene.start("{ hello }")
    assert scene.close == (4401, "Unauthorized")
    world.gate.set()
    await scene.settle()
    assert world.resolved == 0
    assert scene.said == []


async def test_the_legacy_dialect_holds_operations_while_it_authenticates(world: World) -> None:
    """They run after the ack, as who the client turned out to be."""
    scene = Scene(world, LEGACY)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    scene.start("{ whoami }")
    await scene.settle()
    assert (scene.said, world.resolved) == ([], 0)
    world.gate.set()
    ack, answer, complete = await scene.until_said(3)
    assert ack["payload"]["gqlink"]["subject"] == "slow"
    assert answer["payload"] == {"data": {"whoami": "slow"}}
    assert complete["type"] == "complete"
    scene.listener.on_lost(1001)


async def test_held_operations_are_dropped_on_a_refusal(world: World) -> None:
    """Nothing of a client that was not let in is ever executed."""
    scene = Scene(world, LEGACY)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "bad"})
    scene.start("{ hello }")
    await scene.until(lambda: scene.close is not None)
    await scene.settle()
    assert world.resolved == 0


async def test_a_silent_client_is_closed_in_time(world: World, dialect: Dialect) -> None:
    """Without an init within `init_seconds` the socket is closed with 4408."""
    scene = Scene(world, dialect, limits=Limits(init_seconds=3))
    scene.clock.advance(2.9)
    assert scene.close is None
    scene.clock.advance(0.1)
    assert scene.close == (4408, "Connection initialisation timeout")
    scene.clock.advance(1.0)  # what keeps floods out of the log
    assert scene.clock.timers == 0


async def test_a_slow_authentication_is_closed_in_time(world: World, dialect: Dialect) -> None:
    """The hook's own time counts; it is ended, and its late answer changes nothing."""
    scene = Scene(world, dialect, limits=Limits(init_seconds=3))
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    await scene.until(lambda: world.authenticating == 1)
    scene.clock.advance(3)
    assert scene.close == (4408, "Connection initialisation timeout")
    world.gate.set()
    await scene.listener.wait_ended()
    assert world.authenticating == 0
    assert "connection_ack" not in scene.types


async def test_a_timer_that_comes_early_is_set_again(world: World, dialect: Dialect) -> None:
    """A hair's breadth before the deadline nobody is closed, and nobody is forgotten."""
    scene = Scene(world, dialect, limits=Limits(init_seconds=3))
    scene.listener._on_timer()
    assert scene.close is None
    assert scene.clock.timers == 1
    scene.clock.advance(3)
    assert scene.close is not None


async def test_an_acknowledged_client_may_be_silent(world: World, dialect: Dialect) -> None:
    """The deadline ends with the ack."""
    scene = await Scene(world, dialect).admitted()
    assert scene.clock.timers == 0
    scene.clock.advance(1_000_000)
    assert scene.close is None
    scene.listener.on_lost(1001)


async def test_an_ack_that_comes_too_late_changes_nothing(world: World, dialect: Dialect) -> None:
    """A client that left while we made up our mind is not let in."""
    scene = Scene(world, dialect)
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    await scene.until(lambda: world.authenticating == 1)
    scene.listener.on_lost(1001)
    world.gate.set()
    await scene.listener.wait_ended()
    scene.listener._admit(Identity(subject="alice"))
    assert scene.said == []
    assert scene.kinds == ["opened", "closed"]


async def test_a_second_init_does_not_change_who_speaks(world: World, dialect: Dialect) -> None:
    """It is 4429, and no second authentication runs."""
    scene = await Scene(world, dialect).admitted("alice")
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "bob"})
    await scene.settle()
    assert scene.close == (4429, "Too many initialisation requests")
    assert scene.listener.identity.subject == "alice"


async def test_a_query_is_answered_once(world: World, dialect: Dialect) -> None:
    """One result, then its end."""
    scene = await Scene(world, dialect).admitted()
    scene.start("{ hello }")
    answer, complete = await scene.until_said(2)
    assert answer == {"id": "1", "type": "next", "payload": {"data": {"hello": "world"}}}
    assert complete == {"id": "1", "type": "complete"}
    await scene.settle()
    assert not scene.listener.tasks
    scene.listener.on_lost(1001)


async def test_operations_run_side_by_side(world: World, dialect: Dialect) -> None:
    """A query that takes its time does not hold up another, nor a ping."""
    scene = await Scene(world, dialect).admitted()
    scene.start("{ slow }", id="slow")
    scene.start("{ hello }", id="quick")
    messages = await scene.until_said(2)
    assert [message["id"] for message in messages] == ["quick", "quick"]
    if dialect is NEWER:
        scene.say(Kind.PING)
        assert scene.types[-1] == "pong"
    world.gate.set()
    messages = await scene.until_said(len(scene.said) + 2)
    assert messages[-2]["payload"] == {"data": {"slow": "at last"}}
    scene.listener.on_lost(1001)


async def test_a_client_can_end_a_query_that_runs(world: World, dialect: Dialect) -> None:
    """It is cancelled at once and says nothing; in the legacy dialect the end is confirmed."""
    scene = await Scene(world, dialect).admitted()
    scene.start("{ slow }")
    await scene.until(lambda: world.happened == ["slow begins"])
    scene.stop()
    await scene.until(lambda: world.happened == ["slow begins", "slow cancelled"])
    await scene.settle()
    assert scene.types == (["complete"] if dialect is LEGACY else [])
    scene.listener.on_lost(1001)


async def test_a_client_can_end_a_subscription(world: World, dialect: Dialect) -> None:
    """The generator is closed and the broker's subscription ends."""
    scene = await Scene(world, dialect).admitted()
    scene.start("subscription { forever }", id="generator")
    scene.start("subscription { messages }", id="broker")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1 and world.open_generators == 1)
    scene.stop("generator")
    scene.stop("broker")
    await scene.listener.wait_ended()
    assert (world.open_generators, world.broker.statistics().subscriptions) == (0, 0)
    scene.listener.on_lost(1001)


async def test_an_id_can_be_used_again_after_its_end(world: World, dialect: Dialect) -> None:
    """What the first operation with it still does says nothing any more."""
    scene = await Scene(world, dialect).admitted()
    scene.start('mutation { slowAdd(text: "a") }')
    await scene.until(lambda: world.happened == ["slowAdd begins"])
    scene.stop()
    scene.outlet.frames.clear()
    scene.start("{ hello }")
    assert (await scene.until_said(2))[0]["payload"] == {"data": {"hello": "world"}}
    world.gate.set()
    await scene.listener.wait_ended()
    assert len(scene.said) == 2
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("end", ["stop", "lost", "close"])
async def test_a_mutation_is_never_cancelled(world: World, dialect: Dialect, end: str) -> None:
    """The client may end it, leave, or be closed: it finishes, and its answer is discarded."""
    scene = await Scene(world, dialect).admitted()
    scene.start('mutation { slowAdd(text: "a") }')
    await scene.until(lambda: world.happened == ["slowAdd begins"])
    match end:
        case "stop":
            scene.stop()
        case "lost":
            scene.listener.on_lost(1006)
        case "close":
            scene.listener.close(1012, "Service restart")
    assert len(scene.listener.tasks) == 1
    scene.outlet.frames.clear()
    world.gate.set()
    assert await scene.listener.wait_ended(seconds=5)
    assert world.happened == ["slowAdd begins", "slowAdd ends", "add a"]
    assert scene.said == []
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006])
async def test_a_client_that_leaves_ends_everything_but_mutations(world: World, dialect: Dialect, code: int) -> None:
    """Queries, subscriptions, generators and broker subscriptions end, however it left."""
    scene = await Scene(world, dialect).admitted()
    scene.start("{ slow }", id="1")
    scene.start("subscription { forever }", id="2")
    scene.start("subscription { messages }", id="3")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1 and world.open_generators == 1)
    scene.listener.on_lost(code, "bye")
    assert await scene.listener.wait_ended(seconds=5)
    assert (world.open_generators, world.broker.statistics().subscriptions) == (0, 0)
    assert "slow cancelled" in world.happened
    assert (scene.events[-1].code, scene.events[-1].reason) == (code, "bye")
    scene.listener.on_lost(code)
    assert scene.kinds == ["opened", "acknowledged", "closed"]


async def test_cleaning_up_is_not_cancelled_a_second_time(world: World, dialect: Dialect) -> None:
    """A client that ends its subscription and leaves at once does not break into what the generator closes."""
    scene = await Scene(world, dialect).admitted()
    scene.start("subscription { forever }")
    await scene.until_said(1)
    scene.stop()
    await asyncio.sleep(0)
    scene.listener.on_lost(1000)
    await scene.listener.wait_ended(seconds=5)
    assert world.happened == ["closed"]
    assert world.open_generators == 0


async def test_a_generator_that_ignores_its_cancellation_is_closed(world: World, dialect: Dialect) -> None:
    """Its next event is dropped, and then it ends."""
    scene = await Scene(world, dialect).admitted()
    scene.start("subscription { stubborn }")
    await scene.until_said(1)
    await scene.settle()
    scene.listener.on_lost(1000)
    assert await scene.listener.wait_ended(seconds=5)
    assert world.happened == ["ignored"]
    assert world.open_generators == 0


async def test_a_subscription_delivers_and_ends(world: World, dialect: Dialect) -> None:
    """Each event is one result; the end of the source is the end of the operation."""
    scene = await Scene(world, dialect).admitted()
    scene.start("subscription { count(to: 2) }")
    first, second, complete = await scene.until_said(3)
    assert [first["payload"], second["payload"]] == [{"data": {"count": 1}}, {"data": {"count": 2}}]
    assert complete["type"] == "complete"
    scene.listener.on_lost(1001)


async def test_events_come_in_the_order_in_which_they_were_published(world: World, dialect: Dialect) -> None:
    """And each exactly once."""
    scene = await Scene(world, dialect).admitted()
    scene.start("subscription { messages }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    for number in range(20):
        await world.messages.publish(str(number))
    messages = await scene.until_said(20)
    assert [message["payload"]["data"]["messages"] for message in messages] == [str(number) for number in range(20)]
    scene.listener.on_lost(1001)


async def test_each_event_has_a_context_of_its_own(world: World, dialect: Dialect) -> None:
    """It is built anew, with whoever the socket speaks for at that moment."""
    built: list[object] = []

    def build(identity: Identity, transport: Transport) -> object:
        built.append(identity.subject)
        return type("Mine", (), {"identity": identity, "transport": transport})

    scene = await Scene(world, dialect, context=build).admitted("alice")
    scene.start("subscription { whoAmI }")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    await world.messages.publish("one")
    await scene.until_said(1)
    scene.listener._identity = Identity(subject="bob")
    await world.messages.publish("two")
    first, second = await scene.until_said(2)
    assert first["payload"]["data"] == {"whoAmI": "one alice"}
    assert second["payload"]["data"] == {"whoAmI": "two bob"}
    assert built == ["alice", "alice", "bob"]
    scene.listener.on_lost(1001)


async def test_one_operation_more_than_allowed_fails_alone(world: World, dialect: Dialect) -> None:
    """It gets LIMIT_EXCEEDED with the bound and the number; the socket stays, and so do the others."""
    scene = await Scene(world, dialect).admitted()
    for number in range(101):
        scene.start("subscription { messages }", id=str(number))
    await scene.until(lambda: world.broker.statistics().subscriptions == 100)
    [error] = scene.said
    assert error["id"] == "100"
    exceeded = {"code": "LIMIT_EXCEEDED", "limit": "operations_per_socket", "allowed": 100, "actual": 101}
    assert errors_of(error) == [{"message": "operations_per_socket is limited to 100, got 101", "extensions": exceeded}]
    scene.stop("0")
    scene.start("{ hello }", id="another")
    await scene.until(lambda: {"data": {"hello": "world"}} in [message.get("payload") for message in scene.said])
    scene.listener.on_lost(1001)
    await scene.listener.wait_ended()


async def test_mutations_that_nobody_waits_for_are_bounded_too(world: World, dialect: Dialect) -> None:
    """Who starts and ends them in turn cannot have more running than twice the bound."""
    scene = await Scene(world, dialect, limits=Limits(operations_per_socket=3)).admitted()
    for number in range(10):
        scene.start('mutation { slowAdd(text: "a") }', id=str(number))
        scene.stop(str(number))
    await scene.settle()
    assert world.happened == ["slowAdd begins"] * 6
    errors = [message for message in scene.said if message["type"] == "error"]
    assert len(errors) == 4
    assert errors_of(errors[0])[0]["extensions"] == {
        "code": "LIMIT_EXCEEDED",
        "limit": "operations_per_socket",
        "allowed": 6,
        "actual": 7,
    }
    world.gate.set()
    await scene.listener.wait_ended()
    scene.start("{ hello }", id="again")
    await scene.until(lambda: scene.types[-1] == "complete")
    scene.listener.on_lost(1001)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ hello", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{ helo }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ __schema { types { name } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", "BAD_USER_INPUT"),
        ("query ($v: Even!) { even(value: $v) }", "BAD_USER_INPUT"),
        ("{ even(value: 3) }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription ($to: Int!) { count(to: $to) }", "BAD_USER_INPUT"),
        ("subscription { unreachable }", "FORBIDDEN"),
    ],
)
async def test_an_operation_that_cannot_begin_fails_alone(
    world: World, dialect: Dialect, query: str, code: str
) -> None:
    """It gets an `error` with a code, and the socket stays."""
    scene = await Scene(world, dialect).admitted()
    scene.start(query)
    [error] = await scene.until_said(1)
    assert error["type"] == "error"
    assert set(codes_of(error)) == {code}
    scene.outlet.frames.clear()
    scene.start("{ hello }")
    assert (await scene.until_said(2))[0]["payload"] == {"data": {"hello": "world"}}
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("field", ["failing", "gone"])
async def test_a_source_that_fails_ends_its_operation_with_a_masked_error(
    world: World, dialect: Dialect, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What came before was delivered; the text stays in the log, under the id that the client is told."""
    scene = await Scene(world, dialect).admitted()
    scene.start(f"subscription {{ {field} }}")
    event, error = await scene.until_said(2)
    assert event["payload"] == {"data": {field: 1}}
    assert error["type"] == "error"
    [formatted] = errors_of(error)
    assert formatted["message"] == "Internal server error"
    assert formatted["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert formatted["extensions"]["id"] in caplog.text
    assert "secret text" not in json.dumps(scene.said)
    scene.listener.on_lost(1001)


async def test_a_subscriber_that_cannot_keep_up_is_closed_by_name(world: World, dialect: Dialect) -> None:
    """Rather than go on with a gap, the socket ends with 4490: the client connects again and resumes."""
    broker = WorldBroker(buffer=3)
    world.messages = Topic(broker, "messages")
    scene = await Scene(world, dialect, broker=broker).admitted()
    scene.start("subscription { messages }")
    await scene.until(lambda: broker.statistics().subscriptions == 1)
    scene.outlet.writable.clear()
    for number in range(5):
        await world.messages.publish(str(number))
        await scene.settle()
    scene.outlet.writable.set()
    await scene.until(lambda: scene.close is not None)
    assert scene.close == (4490, "Slow consumer")
    await scene.listener.wait_ended()
    assert broker.statistics().subscriptions == 0
    await broker.aclose()


async def test_a_subscription_waits_while_the_outlet_is_full(world: World, dialect: Dialect) -> None:
    """Nothing piles up: the source is asked for the next event only when there is room."""
    scene = await Scene(world, dialect).admitted()
    scene.outlet.writable.clear()
    scene.start("subscription { flood(bytes: 10) }")
    await scene.settle()
    assert len(scene.said) == 1
    scene.listener.on_lost(1006)
    assert await scene.listener.wait_ended(seconds=5)


async def test_a_mistake_of_ours_closes_with_a_code(
    world: World, dialect: Dialect, caplog: pytest.LogCaptureFixture
) -> None:
    """The client reads 1011 rather than 1006, and the log has the rest."""

    class Broken(Execution):
        def prepare(self, request: Request) -> Operation:
            raise RuntimeError(f"secret text {request}")

    scene = await Scene(world, dialect).admitted()
    scene.host.execution = Broken(world.schema, limits=Limits(), errors=scene.host.errors, debug=False)
    scene.start("{ hello }")
    assert scene.close == (1011, "Internal error")
    assert "secret text" in caplog.text


async def test_a_binary_message_closes(world: World, dialect: Dialect) -> None:
    """Neither subprotocol knows one."""
    scene = await Scene(world, dialect).admitted()
    scene.listener.on_binary()
    assert scene.close is not None
    assert scene.close[0] == 4400


async def test_nothing_follows_a_close(world: World, dialect: Dialect) -> None:
    """Whatever the client still sends, and whatever still runs, the close was the last frame."""
    scene = await Scene(world, dialect).admitted()
    scene.start("{ slow }", id="1")
    scene.start('mutation { slowAdd(text: "a") }', id="2")
    scene.start("subscription { messages }", id="3")
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    scene.listener.close(1012, "Service restart")
    world.gate.set()
    scene.start("{ hello }", id="4")
    scene.listener.on_binary()
    scene.listener.close(4400, "again")
    await world.messages.publish("late")
    await scene.listener.wait_ended(seconds=5)
    assert scene.close == (1012, "Service restart")
    assert scene.said == []


async def test_a_hook_that_fails_harms_no_socket(
    world: World, dialect: Dialect, caplog: pytest.LogCaptureFixture
) -> None:
    """`on_socket_event` is the application's: its failure is logged, and the client let in."""

    def fail(_: object) -> None:
        raise RuntimeError("the terminal is gone")

    scene = Scene(world, dialect)
    scene.host._on_socket_event = fail
    scene.say(Kind.CONNECTION_INIT)
    assert (await scene.until_said(1))[0]["type"] == "connection_ack"
    assert "the terminal is gone" in caplog.text
    scene.listener.on_lost(1001)
