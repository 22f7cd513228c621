"""What the directives demand, on every way that leads to a resolver."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from graphql import GraphQLObjectType, extend_schema, parse

from gqlink.auth import ANONYMOUS, Identity
from gqlink.server import AUTHORIZATION_DIRECTIVES, Context, PolicyEvent, PolicyOperation
from server.living import living, outcomes, ping, renewed
from server.peer import NEWER, codes_of, errors_of, member
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.auth import Credentials
    from gqlink.protocol import Dialect
    from gqlink.pubsub import Stream
    from gqlink.server import Transport
    from server.recorder import Scene
    from server.world import World

MORE = """
    type Safe @requiresScopes(scopes: [["safe", "open"], ["admin"]]) { gold: String }

    extend type Query {
        account: String @authenticated
        safe: Safe
        slowSafe: Safe
    }

    extend type Mutation {
        spend: String @authenticated @requiresScopes(scopes: [["spend"]])
        slowSpend: String @requiresScopes(scopes: [["spend"]])
    }

    extend type Subscription {
        news: String @authenticated
        reports: String @requiresScopes(scopes: [["reports"], ["admin"]])
        slowReports: String @requiresScopes(scopes: [["reports"]])
    }
"""


@pytest.fixture
def locked(world: World) -> World:
    """The world, with fields that not everybody may have."""
    world.schema = extend_schema(world.schema, parse(AUTHORIZATION_DIRECTIVES + MORE))

    def field(kind: str, name: str) -> Any:
        found = world.schema.type_map[kind]
        assert isinstance(found, GraphQLObjectType)
        return found.fields[name]

    def said(_root: object, _info: object) -> str:
        world.resolved += 1
        return "gold"

    async def slowly(_root: object, _info: object) -> str:
        world.resolved += 1
        return await world._slowly("slow")

    def stream(_root: object, _info: object) -> Stream:
        world.resolved += 1
        return world.messages.stream()

    def heard(event: str, _info: object) -> str:
        world.resolved += 1
        return event

    async def heard_slowly(event: str, _info: object) -> str:
        await world.gate.wait()
        return event

    for kind, name in [("Query", "account"), ("Query", "safe"), ("Safe", "gold"), ("Mutation", "spend")]:
        field(kind, name).resolve = said
    field("Query", "slowSafe").resolve = slowly
    field("Mutation", "slowSpend").resolve = slowly
    for name in ("news", "reports", "slowReports"):
        field("Subscription", name).subscribe = stream
        field("Subscription", name).resolve = heard_slowly if name == "slowReports" else heard
    return world


async def with_scopes(credentials: Credentials) -> Identity:
    """Take "ann:a:b" for ann, who has the scopes a and b."""
    if not credentials.token:
        return ANONYMOUS
    name, *scopes = credentials.token.reveal().split(":")
    return Identity(subject=name, scopes=frozenset(scopes))


REFUSED = [
    ("{ account }", "", "UNAUTHENTICATED"),
    ("{ hello account }", "", "UNAUTHENTICATED"),
    ("{ again { ...F } } fragment F on Query { mine: account @include(if: false) }", "", "UNAUTHENTICATED"),
    ("{ safe { gold } }", "", "UNAUTHENTICATED"),
    ("{ safe { gold } }", "ann", "FORBIDDEN"),
    ("{ hello safe { __typename } }", "ann:safe", "FORBIDDEN"),
    ("mutation { spend }", "", "UNAUTHENTICATED"),
    ('mutation { add(text: "a") spend }', "ann:admin", "FORBIDDEN"),
    ("subscription { news }", "", "UNAUTHENTICATED"),
    ("subscription { reports }", "", "UNAUTHENTICATED"),
    ("subscription { ... on Subscription { reports } }", "ann:safe", "FORBIDDEN"),
]
ALLOWED = [
    ("{ hello }", ""),
    ("{ __typename }", ""),
    ("{ account }", "ann"),
    ("{ safe { gold } }", "ann:safe:open"),
    ("{ safe { gold } }", "ann:admin"),
    ("mutation { spend }", "ann:spend"),
]


async def posted(authority: str, query: str, token: str) -> httpx2.Response:
    """Ask over HTTP."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient() as client:
        return await client.post(f"http://{authority}/graphql", json={"query": query}, headers=headers)


@pytest.mark.parametrize(
    ("query", "token", "code"), [each for each in REFUSED if not each[0].startswith("subscription")]
)
async def test_over_http_nothing_of_what_is_refused_runs(locked: World, query: str, token: str, code: str) -> None:
    """A GraphQL answer without data, not of the other fields either; no resolver has run."""
    async with serving(locked.app(authenticate=with_scopes)) as authority:
        response = await posted(authority, query, token)
    assert response.status_code == 200
    assert response.json()["data"] is None
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == code
    assert (locked.resolved, locked.happened) == (0, [])


@pytest.mark.parametrize(("query", "token", "code"), REFUSED)
async def test_on_a_socket_nothing_of_what_is_refused_runs(
    locked: World, dialect: Dialect, query: str, token: str, code: str
) -> None:
    """An `error` for that operation; no resolver has run, and the socket stays."""
    async with (
        serving(locked.app(authenticate=with_scopes)) as authority,
        member(authority, dialect, token or None) as socket,
    ):
        [error] = await socket.ask(query)
        assert (error["type"], codes_of(error)) == ("error", [code])
        assert (locked.resolved, locked.happened) == (0, [])
        assert await socket.is_well()


@pytest.mark.parametrize(("query", "token"), ALLOWED)
async def test_whoever_has_what_is_demanded_gets_it(locked: World, dialect: Dialect, query: str, token: str) -> None:
    """Over HTTP and on a socket."""
    async with (
        serving(locked.app(authenticate=with_scopes)) as authority,
        member(authority, dialect, token or None) as socket,
    ):
        response = await posted(authority, query, token)
        assert "errors" not in response.json()
        said, complete = await socket.ask(query)
        assert (said["type"], complete["type"]) == ("next", "complete")
        assert said["payload"] == response.json()


async def test_who_has_logged_in_is_told_which_scopes_are_missing(locked: World, dialect: Dialect) -> None:
    """A stranger is only asked to log in."""
    async with serving(locked.app(authenticate=with_scopes)) as authority:
        async with member(authority, dialect, "ann:safe") as socket:
            [error] = await socket.ask("{ safe { gold } }")
            text = "You are not allowed to do this without the scopes admin or (open and safe)."
            assert errors_of(error)[0]["message"] == text
        async with member(authority, dialect) as socket:
            [error] = await socket.ask("{ safe { gold } }")
            assert errors_of(error)[0]["message"] == "You must be logged in to do this."


async def test_of_several_operations_only_the_one_that_is_meant_is_looked_at(locked: World, dialect: Dialect) -> None:
    """And what was found of one, which is kept with the document, is not taken for another's."""
    query = "query Open { hello } query Closed { account }"
    scene = await living(locked, dialect).admitted()
    for number, name in enumerate(["Open", "Closed", "Open", "Closed"]):
        scene.start(query, id=str(number), operationName=name)
    await scene.until(lambda: len(scene.said) == 6)
    ends = {message["id"]: message["type"] for message in scene.said if message["type"] != "next"}
    assert ends == {"0": "complete", "1": "error", "2": "complete", "3": "error"}
    scene.listener.on_lost(1001)


@asynccontextmanager
async def listening(world: World, dialect: Dialect, token: str, **options: Any) -> AsyncIterator[Scene]:
    """Let ann in, and have her listen to "news" and "reports", as "1" and "2"."""
    scene = await living(world, dialect, **options).admitted(token)
    scene.start("subscription { news }", id="1")
    scene.start("subscription { reports }", id="2")
    await scene.until(lambda: world.broker.statistics().subscriptions == 2)
    yield scene
    scene.listener.on_lost(1001)


async def test_a_fresh_token_with_fewer_scopes_ends_what_it_does_not_allow(locked: World) -> None:
    """In the step that takes it: not one frame later; what it still allows goes on."""
    async with listening(locked, NEWER, "ann:90:reports") as scene:
        await locked.messages.publish("one")
        await scene.until_said(2)
        scene.outlet.frames.clear()
        assert (await renewed(scene, "ann:90:admin"))["expiresIn"] == 90
        assert scene.said == []
        assert (await renewed(scene, "ann:90", seq=2))["expiresIn"] == 90
        [error] = scene.said
        assert (error["id"], error["type"], codes_of(error)) == ("2", "error", ["FORBIDDEN"])
        await locked.messages.publish("two")
        await scene.until_said(2)
        await scene.settle()
        [news] = scene.said[1:]
        assert (news["id"], news["payload"]) == ("1", {"data": {"news": "two"}})
        assert locked.broker.statistics().subscriptions == 1


async def test_a_renewal_ends_it_before_it_is_acknowledged(locked: World) -> None:
    """The `error` comes before the `pong` that says that the fresh token counts."""
    async with listening(locked, NEWER, "ann:90:reports") as scene:
        ping(scene, "ann:90")
        await scene.until(lambda: bool(outcomes(scene)))
        kinds = [message["type"] for message in scene.said]
        # The first pong is the answer that any ping gets, at once.
        assert kinds == ["pong", "error", "pong"]


async def test_an_event_that_is_being_resolved_is_not_sent_to_who_has_lost_the_scope(locked: World) -> None:
    """Who somebody was when it began makes no difference."""
    scene = await living(locked, NEWER).admitted("ann:90:reports")
    scene.start("subscription { slowReports }")
    await scene.until(lambda: locked.broker.statistics().subscriptions == 1)
    await locked.messages.publish("secret")
    await scene.settle()
    await renewed(scene, "ann:90")
    locked.gate.set()
    assert await scene.listener.wait_ended(seconds=5) or scene.said
    await scene.settle()
    [error] = scene.said
    assert codes_of(error) == ["FORBIDDEN"]
    assert "secret" not in str(scene.said)
    scene.listener.on_lost(1001)


async def test_a_mutation_that_runs_is_looked_at_again_when_it_is_done(locked: World) -> None:
    """It finishes whatever becomes of the scopes; its answer is for those who still have them."""
    scene = await living(locked, NEWER).admitted("ann:90:spend")
    scene.start("mutation { slowSpend }")
    await scene.until(lambda: locked.happened == ["slow begins"])
    await renewed(scene, "ann:90")
    assert scene.said == []
    locked.gate.set()
    [error] = await scene.until_said(1)
    assert locked.happened == ["slow begins", "slow ends"]
    assert codes_of(error) == ["FORBIDDEN"]
    scene.listener.on_lost(1001)


async def test_a_mutation_whose_scopes_went_before_it_began_does_not_begin(locked: World) -> None:
    """The token was renewed while its context was built."""

    async def build(identity: Identity, transport: Transport) -> Context:
        await locked.gate.wait()
        return Context(identity, transport)

    scene = await living(locked, NEWER, context=build).admitted("ann:90:spend")
    scene.start("mutation { slowSpend }")
    await scene.settle()
    await renewed(scene, "ann:90")
    locked.gate.set()
    await scene.until_said(1)
    assert (locked.happened, locked.resolved) == ([], 0)
    assert "FORBIDDEN" in str(scene.said)
    scene.listener.on_lost(1001)


async def test_a_query_that_runs_ends_with_its_scopes(locked: World) -> None:
    """At once, and what it found is not sent."""
    scene = await living(locked, NEWER).admitted("ann:90:admin")
    scene.start("{ slowSafe { gold } }")
    await scene.until(lambda: locked.happened == ["slow begins"])
    await renewed(scene, "ann:90")
    [error] = scene.said
    assert codes_of(error) == ["FORBIDDEN"]
    await scene.until(lambda: locked.happened == ["slow begins", "slow cancelled"])
    scene.listener.on_lost(1001)


async def test_rights_that_are_looked_at_again_leave_those_alone_who_have_them(locked: World, dialect: Dialect) -> None:
    """Without a policy there is nothing else to lose them by."""
    async with listening(locked, dialect, "ann::reports") as scene:
        await scene.app.recheck()
        assert scene.said == []


async def test_a_policy_is_told_what_is_demanded(locked: World, dialect: Dialect) -> None:
    """After it was met, at the start and with each event; a refusal of the schema's comes first."""
    asked: list[PolicyOperation | PolicyEvent] = []

    def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        asked.append(what)
        return True

    async with listening(locked, dialect, "ann::reports", policy=policy) as scene:
        scene.start("{ safe { gold } }", id="3")
        [error] = await scene.until_said(1)
        assert codes_of(error) == ["FORBIDDEN"]
        operations = [what for what in asked if isinstance(what, PolicyOperation)]
        assert [what.fields for what in operations] == [("news",), ("reports",)]
        assert operations[0].requirements.authenticated
        assert operations[1].requirements.scopes == {frozenset({frozenset({"reports"}), frozenset({"admin"})})}


async def test_where_nothing_is_demanded_and_there_is_no_policy_nobody_is_asked(
    locked: World, dialect: Dialect
) -> None:
    """Not at the start, nor with an event."""
    scene = await living(locked, dialect).admitted()
    scene.start("subscription { messages }")
    await scene.until(lambda: locked.broker.statistics().subscriptions == 1)
    [running] = scene.listener._running.values()
    assert running.asked is None
    assert running.event("one") is None
    scene.listener.on_lost(1001)
