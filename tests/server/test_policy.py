from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from graphql import parse

from gqlink.auth import ANONYMOUS, Identity, Revocation
from gqlink.errors import AuthUnavailable, LoginRequired, PermissionDenied
from gqlink.protocol import Request
from gqlink.server import Context, Limits
from gqlink.server.documents import find_operation
from gqlink.server.execution import Execution
from gqlink.server.masking import ErrorFormatter
from gqlink.server.operation import Operation
from gqlink.server.policy import PolicyEvent, PolicyOperation, authorize, check_policy, describe
from server.living import living, renewed
from server.peer import NEWER, codes_of, errors_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.protocol import Dialect
    from gqlink.server import Transport
    from gqlink.server.policy import Policy
    from server.recorder import Scene
    from server.world import World

ALICE = Identity(subject="alice")
HELLO = PolicyOperation(kind="query", fields=("hello",))


def prepared(world: World, query: str, **members: Any) -> Operation:
    """Find and validate what a request asks for."""
    execution = Execution(world.schema, limits=Limits(), errors=ErrorFormatter(debug=False), debug=False)
    return execution.prepare(Request(query, **members))


def fields(world: World, query: str, **members: Any) -> tuple[str, ...]:
    """Return the root fields that a policy is told of."""
    return describe(prepared(world, query, **members)).fields


def test_an_operation_is_described_as_it_was_sent(world: World) -> None:
    """Kind, name, root fields, the text, and the variables without their defaults."""
    query = "subscription Count($to: Int = 5) { count(to: $to) }"
    described = describe(prepared(world, query, variables={"other": [1]}))
    assert (described.kind, described.name, described.fields) == ("subscription", "Count", ("count",))
    assert (described.query, dict(described.variables)) == (query, {"other": [1]})


def test_what_a_policy_is_told_cannot_be_changed_by_it(world: World) -> None:
    """Its variables are those that are executed."""
    described = describe(prepared(world, "{ hello }"))
    assert (described.name, dict(described.variables)) == (None, {})
    with pytest.raises(TypeError):
        described.variables["to"] = 1  # type: ignore[index]


def test_a_description_shows_no_texts_and_no_values(world: World) -> None:
    """A log line of it holds no secret that a client put into its query."""
    query = 'query A($text: String) { echo(text: $text) again { echo(text: "secret") } }'
    described = describe(prepared(world, query, variables={"text": "secret"}))
    assert "secret" not in repr(described)
    assert "secret" not in repr(PolicyEvent(described, data="secret"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ hello whoami hello }", ("hello", "whoami")),
        ("{ whoami: hello }", ("hello",)),
        ("{ ... { hello } ... on Query { whoami } }", ("hello", "whoami")),
        (
            "{ ...A whoami } fragment A on Query { hello ...B } fragment B on Query { slow }",
            ("hello", "slow", "whoami"),
        ),
        ("{ hello @skip(if: true) whoami @include(if: false) }", ("hello", "whoami")),
        ("{ again { whoami } }", ("again",)),
        ("{ __typename }", ("__typename",)),
        ('mutation { add(text: "a") slowAdd(text: "b") }', ("add", "slowAdd")),
    ],
)
def test_root_fields_are_found_wherever_they_stand(world: World, query: str, expected: tuple[str, ...]) -> None:
    """Through fragments, under aliases, each once, whatever `@skip` and `@include` say."""
    assert fields(world, query) == expected


def test_of_several_operations_the_one_that_is_meant_counts(world: World) -> None:
    """The others of the document are not executed."""
    query = 'query A { hello } mutation B { slowAdd(text: "b") }'
    assert describe(prepared(world, query, operation_name="B")) == PolicyOperation(
        kind="mutation", name="B", fields=("slowAdd",), query=query
    )


def test_fragments_that_fan_out_are_walked_once() -> None:
    """Thirty of them, each of which spreads the next one twice, have a thousand million paths; limits left aside."""
    links = "".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }} " for n in range(30))
    query = f"{{ ...F0 }} {links} fragment F30 on Query {{ hello }}"
    document = parse(query)
    node = find_operation(document, None)
    assert node is not None
    assert describe(Operation(Request(query), document, node)).fields == ("hello",)


def test_without_a_policy_everything_is_allowed() -> None:
    """What resolvers say counts as ever."""
    check_policy(None, ANONYMOUS, HELLO)


def test_a_plain_yes_allows() -> None:
    """The hook sees who asks, and what for."""
    seen: list[object] = []

    def policy(identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        seen.append((identity, what))
        return True

    check_policy(policy, ALICE, HELLO)
    assert seen == [(ALICE, HELLO)]


@pytest.mark.parametrize("answer", [None, 0, 1, "yes", [True], object()])
def test_whatever_is_not_a_plain_yes_refuses(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    """A hook that forgets its `return` lets nobody through, and the log says why."""
    with pytest.raises(PermissionDenied):
        check_policy(lambda *_: answer, ALICE, HELLO)  # type: ignore[arg-type] # the mistake
    assert "not a bool" in caplog.text


def test_a_plain_no_refuses_silently(caplog: pytest.LogCaptureFixture) -> None:
    """It is no mistake."""
    with pytest.raises(PermissionDenied):
        check_policy(lambda *_: False, ALICE, HELLO)
    assert caplog.text == ""


def test_a_hook_that_would_wait_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """A coroutine would pass for true; it is closed, and refused."""

    async def policy(*_: object) -> bool:
        raise AssertionError

    with pytest.raises(PermissionDenied):
        check_policy(policy, ALICE, HELLO)  # type: ignore[arg-type] # the mistake
    assert "coroutine" in caplog.text


@pytest.mark.parametrize("refusal", [PermissionDenied("look at this"), LoginRequired()])
def test_a_refusal_may_be_raised(refusal: Exception) -> None:
    """Its words and its code are the client's."""

    def policy(*_: object) -> bool:
        raise refusal

    with pytest.raises(type(refusal)) as caught:
        check_policy(policy, ALICE, HELLO)
    assert caught.value is refusal


@pytest.mark.parametrize("crash", [RuntimeError("secret text"), AuthUnavailable(), asyncio.CancelledError()])
def test_a_hook_that_crashes_refuses(crash: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """What it says is for the log."""

    def policy(*_: object) -> bool:
        raise crash

    with pytest.raises(PermissionDenied) as caught:
        check_policy(policy, ALICE, HELLO)
    assert "secret text" not in str(caught.value)
    assert "the policy failed" in caplog.text


def test_an_operation_that_was_prepared_is_asked_about(world: World) -> None:
    """As every transport does before it executes it."""
    operation = prepared(world, "{ hello }")
    authorize(None, ALICE, operation)
    authorize(lambda _, what: what == describe(operation), ALICE, operation)
    with pytest.raises(PermissionDenied):
        authorize(lambda *_: False, ALICE, operation)


class Rights:
    """A policy whose mind a test can change."""

    def __init__(self) -> None:
        self.forbidden: set[str] = set()
        """Root fields."""
        self.secrets: set[object] = set()
        """Events that nobody may get."""
        self.asked: list[object] = []

    def __call__(self, identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        """Allow or refuse; "admin" may do everything."""
        self.asked.append(what)
        if "admin" in identity.scopes:
            return True
        if isinstance(what, PolicyEvent):
            return what.data not in self.secrets
        return not self.forbidden & set(what.fields)


@pytest.fixture
def rights() -> Rights:
    """Everything is allowed at first."""
    return Rights()


async def listening(world: World, dialect: Dialect, policy: Policy, *, token: str = "alice:") -> Scene:
    """Let alice in, and have her listen twice, as "1" and "2"."""
    scene = await living(world, dialect, policy=policy).admitted(token)
    scene.start("subscription { messages }", id="1")
    scene.start("subscription { whoAmI }", id="2")
    await scene.until(lambda: world.broker.statistics().subscriptions == 2)
    return scene


@pytest.mark.parametrize("query", ["{ hello }", 'mutation { add(text: "a") }', "subscription { messages }"])
async def test_what_is_refused_is_not_executed(world: World, dialect: Dialect, rights: Rights, query: str) -> None:
    """An `error` with FORBIDDEN; no resolver has run, and the socket stays."""
    rights.forbidden = {"hello", "add", "messages"}
    scene = await living(world, dialect, policy=rights).admitted("alice:")
    scene.start(query)
    [error] = await scene.until_said(1)
    assert (error["type"], codes_of(error)) == ("error", ["FORBIDDEN"])
    assert errors_of(error)[0]["message"] == "You are not allowed to do this."
    scene.start("{ whoami }", id="2")
    await scene.until(lambda: scene.types == ["error", "next", "complete"])
    assert world.resolved == 1
    scene.listener.on_lost(1001)


async def test_a_policy_may_ask_for_a_login(world: World, dialect: Dialect) -> None:
    """`LoginRequired` is UNAUTHENTICATED."""

    def policy(identity: Identity, _: object) -> bool:
        if identity.is_anonymous:
            raise LoginRequired
        return True

    scene = await living(world, dialect, policy=policy).admitted()
    scene.start("{ hello }")
    [error] = await scene.until_said(1)
    assert codes_of(error) == ["UNAUTHENTICATED"]
    scene.listener.on_lost(1001)


async def test_a_policy_sees_each_event_as_it_was_published(world: World, dialect: Dialect, rights: Rights) -> None:
    """Together with the operation, when it is about to be resolved, and when it is about to be sent."""
    scene = await listening(world, dialect, rights)
    rights.asked.clear()
    await world.messages.publish("one")
    await scene.until_said(2)
    operation = PolicyOperation("subscription", fields=("messages",), query="subscription { messages }")
    assert rights.asked.count(PolicyEvent(operation, data="one")) == 2
    assert len(rights.asked) == 4
    scene.listener.on_lost(1001)


async def test_an_event_that_is_refused_ends_its_subscription(world: World, dialect: Dialect, rights: Rights) -> None:
    """With FORBIDDEN, and without a word of the event; its siblings, and other operations, live."""
    rights.secrets = {"secret"}

    def policy(identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        about_messages = isinstance(what, PolicyEvent) and what.operation.fields == ("messages",)
        return rights(identity, what) if about_messages else True

    scene = await listening(world, dialect, policy)
    for text in ("one", "secret", "two"):
        await world.messages.publish(text)
    await scene.until(lambda: scene.types.count("next") == 4)
    first = [message for message in scene.said if message["id"] == "1"]
    assert [message["type"] for message in first] == ["next", "error"]
    assert first[0]["payload"] == {"data": {"messages": "one"}}
    assert codes_of(first[1]) == ["FORBIDDEN"]
    assert "secret" not in str(first)
    second = [message["payload"]["data"]["whoAmI"] for message in scene.said if message["id"] == "2"]
    assert second == ["one alice", "secret alice", "two alice"]
    await scene.until(lambda: world.broker.statistics().subscriptions == 1)
    scene.listener.on_lost(1001)


async def test_an_event_that_is_refused_is_not_resolved(world: World, dialect: Dialect, rights: Rights) -> None:
    """The context may be built, but no resolver of a field runs for somebody who may not know."""
    rights.secrets = {"secret"}
    scene = await listening(world, dialect, rights)
    resolved: list[object] = []
    for name in ("messages", "whoAmI"):
        field = world.schema.type_map["Subscription"].fields[name]  # type: ignore[attr-defined]
        field.resolve = lambda event, _info: resolved.append(event)
    await world.messages.publish("secret")
    first, second = await scene.until_said(2)
    assert codes_of(first) == codes_of(second) == ["FORBIDDEN"]
    await scene.until(lambda: world.broker.statistics().subscriptions == 0)
    assert resolved == []
    scene.listener.on_lost(1001)


async def test_a_right_that_is_lost_between_two_events_counts_at_once(
    world: World, dialect: Dialect, rights: Rights
) -> None:
    """Also for an event that is being resolved: what counts is the step that sends it."""
    scene = await living(world, dialect, policy=rights).admitted("alice:")
    scene.start("subscription { slowly }")
    await scene.until_said(1)
    await scene.settle()
    rights.secrets = {2}
    world.gate.set()
    _, error = await scene.until_said(2)
    assert codes_of(error) == ["FORBIDDEN"]
    await scene.listener.wait_ended()
    assert len(scene.said) == 2
    scene.listener.on_lost(1001)


async def test_rights_that_are_looked_at_again_end_what_they_no_longer_allow(
    world: World, dialect: Dialect, rights: Rights
) -> None:
    """Subscriptions and queries in flight, each with FORBIDDEN; what is still allowed goes on."""
    scene = await listening(world, dialect, rights)
    scene.start("{ slow }", id="3")
    await scene.until(lambda: world.happened == ["slow begins"])
    scene.listener.recheck()
    assert scene.said == []
    rights.forbidden = {"messages", "slow"}
    await scene.app.recheck("bob")
    assert scene.said == []
    await scene.app.recheck("alice")
    assert [(message["id"], codes_of(message)) for message in scene.said] == [
        ("1", ["FORBIDDEN"]),
        ("3", ["FORBIDDEN"]),
    ]
    await scene.until(lambda: world.happened == ["slow begins", "slow cancelled"])
    await world.messages.publish("one")
    await scene.until_said(3)
    assert scene.said[2]["id"] == "2"
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_mutation_that_runs_is_asked_about_again_when_it_is_done(
    world: World, dialect: Dialect, rights: Rights, *, allowed: bool
) -> None:
    """It finishes whatever becomes of the rights, and its answer is sent only if it still may be."""
    scene = await living(world, dialect, policy=rights).admitted("alice:")
    scene.start('mutation { slowAdd(text: "a") }')
    await scene.until(lambda: world.happened == ["slowAdd begins"])
    rights.forbidden = {"slowAdd"}
    scene.listener.recheck()
    await scene.settle()
    assert scene.said == []
    if allowed:
        rights.forbidden.clear()
    world.gate.set()
    await scene.until_said(1)
    assert world.happened[-1] == "add a"
    await scene.settle()
    assert scene.types == (["next", "complete"] if allowed else ["error"])
    scene.listener.on_lost(1001)


async def test_a_fresh_token_with_fewer_rights_ends_what_it_does_not_allow(world: World, rights: Rights) -> None:
    """In the step that takes it: not one event later."""
    scene = await listening(world, NEWER, rights, token="alice:90:admin")
    rights.forbidden = {"messages"}
    scene.listener.recheck()
    assert scene.said == []
    assert await renewed(scene, "alice:90:reader") == {"seq": 1, "expiresIn": 90}
    [error] = scene.said
    assert (error["id"], codes_of(error)) == ("1", ["FORBIDDEN"])
    await world.messages.publish("one")
    await scene.until_said(2)
    assert scene.said[1]["payload"] == {"data": {"whoAmI": "one alice"}}
    scene.listener.on_lost(1001)


@pytest.mark.parametrize("query", ["{ hello }", "subscription { messages }"])
@pytest.mark.parametrize("then", [True, False])
async def test_a_hook_may_close_the_socket_that_asks(
    world: World, dialect: Dialect, query: str, *, then: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is executed and nothing follows the close, whatever the hook says then."""

    def policy(_identity: Identity, _what: object) -> bool:
        scene.listener.refuse(4403, "Session revoked")
        return then

    scene = await living(world, dialect, policy=policy).admitted("alice:")
    scene.start(query)
    assert scene.close == (4403, "Session revoked")
    await scene.settle()
    assert (world.resolved, caplog.text) == (0, "")


@pytest.mark.parametrize("then", [True, False])
async def test_a_hook_may_close_the_socket_that_is_to_be_told(
    world: World, dialect: Dialect, *, then: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The event is not sent."""
    scene: Scene

    def policy(_identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        if isinstance(what, PolicyEvent):
            scene.listener.refuse(4403, "Session revoked")
            return then
        return True

    scene = await listening(world, dialect, policy)
    await world.messages.publish("one")
    assert await scene.listener.wait_ended(seconds=5)
    assert scene.close == (4403, "Session revoked")
    assert "next" not in scene.types
    assert caplog.text == ""


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("then", [True, False])
async def test_a_hook_during_which_the_credential_ends_sends_nothing(
    world: World, dialect: Dialect, at: int, *, then: bool
) -> None:
    """The clock is looked at after it as well: the event would leave after the moment, or be resolved after it."""
    scene: Scene
    asked = 0

    def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        nonlocal asked
        asked += isinstance(what, PolicyEvent)
        if isinstance(what, PolicyEvent) and asked == at:
            scene.clock._now += 5  # no timer is on time
            return then
        return True

    scene = await listening(world, dialect, policy, token="alice:3")
    await world.messages.publish("late")
    assert await scene.listener.wait_ended(seconds=5)
    assert scene.close == (4403, "Token expired")
    assert not {"next", "error"} & set(scene.types)


@pytest.mark.parametrize("how", ["expired", "revoked"])
async def test_a_hook_during_which_the_credential_ends_begins_no_mutation(world: World, how: str) -> None:
    """It is asked about a mutation whose context was being built when rights changed."""

    async def build(identity: Identity, transport: Transport) -> Context:
        await world.gate.wait()
        return Context(identity, transport)

    def policy(_: Identity, __: object) -> bool:
        if world.gate.is_set() and how == "expired":
            scene.clock._now += 5  # no timer is on time
        elif world.gate.is_set():
            scene.app.apply_revocation(Revocation(subject="alice", revoked_at=scene.clock.wall()))
        return True

    scene = await living(world, NEWER, policy=policy, context=build).admitted("alice:3")
    scene.start('mutation { add(text: "a") }')
    await scene.settle()
    scene.listener.recheck()
    world.gate.set()
    assert await scene.listener.wait_ended(seconds=5)
    assert (world.happened, world.resolved) == ([], 0)


def test_the_hook_is_called_as_its_type_says() -> None:
    """A plain function is one."""

    def policy(identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        return identity.is_anonymous or isinstance(what, PolicyEvent)

    hook: Callable[[Identity, PolicyOperation | PolicyEvent], bool] = policy
    assert hook(ANONYMOUS, HELLO)
