from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from graphql import GraphQLField, GraphQLInt, GraphQLObjectType, GraphQLScalarType, GraphQLSchema, GraphQLString

from gqlink.auth import ANONYMOUS
from gqlink.errors import ConnectionClosed, LoginRequired, SubscriberLagging
from gqlink.protocol import Request
from gqlink.pubsub import MemoryBroker, Topic
from gqlink.server import Context, Limits, Transport
from gqlink.server.execution import Execution
from gqlink.server.masking import ErrorFormatter
from gqlink.server.results import EventResult, RequestError, encode_request_error
from server.eventually import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from server.world import World


def execution(world: World | GraphQLSchema, *, debug: bool = False, **limits: Any) -> Execution:
    """Make an execution of a world's schema."""
    schema = world if isinstance(world, GraphQLSchema) else world.schema
    return Execution(schema, limits=Limits(**limits), errors=ErrorFormatter(debug=debug), debug=debug)


def build_context() -> Context:
    """Build what the server builds by default."""
    return Context(ANONYMOUS, Transport("http"))


async def run(execution: Execution, query: str, context: Any = build_context, **members: Any) -> Any:
    """Run a query, and return the response."""
    operation = execution.prepare(Request(query, **members))
    return json.loads(await execution.run(operation, context))


def events(
    execution: Execution, query: str, context: Any = build_context, **members: Any
) -> AsyncGenerator[EventResult]:
    """Begin a subscription."""
    return execution.events(execution.prepare(Request(query, **members)), context)


async def test_a_query_is_answered(world: World) -> None:
    """With data and without errors."""
    assert await run(execution(world), "{ hello }") == {"data": {"hello": "world"}}


async def test_variables_and_the_operations_name_count(world: World) -> None:
    """The named operation runs, with its variables."""
    query = "query A($t: String) { echo(text: $t, number: 1.5) } query B { hello }"
    response = await run(execution(world), query, variables={"t": "hey"}, operation_name="A")
    assert response == {"data": {"echo": "hey 1.5"}}


@pytest.mark.parametrize(
    ("field", "message", "code"),
    [
        ("fail", "Internal server error", "INTERNAL_SERVER_ERROR"),
        ("gone", "Internal server error", "INTERNAL_SERVER_ERROR"),
        ("unwritable", "Internal server error", "INTERNAL_SERVER_ERROR"),
        ("required", "Internal server error", "INTERNAL_SERVER_ERROR"),
        ("denied", "You are not allowed to look at this.", "FORBIDDEN"),
        ("spoken", "The cat sleeps.", "CAT_ASLEEP"),
    ],
)
async def test_a_resolver_that_fails_is_an_answer(world: World, field: str, message: str, code: str) -> None:
    """With partial data where there can be some, and with an error that a client may read."""
    response = await run(execution(world), f"{{ hello {field} }}")
    [error] = response["errors"]
    assert (error["message"], error["extensions"]["code"]) == (message, code)
    if field not in {"gone", "required"}:
        assert response["data"] == {"hello": "world", field: None}
    assert "secret" not in json.dumps(response)


@pytest.mark.parametrize("value", [object(), "\ud83d", float])
async def test_a_result_that_json_has_no_form_for_is_masked(value: object) -> None:
    """A scalar may return anything; the client gets an answer nevertheless."""
    odd = GraphQLField(GraphQLScalarType("Odd", serialize=lambda _: value), resolve=lambda *_: "x")
    schema = GraphQLSchema(GraphQLObjectType("Query", {"odd": odd}))
    response = await run(execution(schema), "{ odd }")
    assert response["data"] is None
    assert response["errors"][0]["message"] == "Internal server error"


async def test_a_context_that_fails_is_an_answer_too(world: World) -> None:
    """Masked like a resolver, or in gqlink's words; sync or async."""

    async def refuse() -> object:
        raise LoginRequired

    def break_down() -> object:
        raise RuntimeError("secret text")

    response = await run(execution(world), "{ hello }", refuse)
    assert response == {
        "data": None,
        "errors": [{"message": "You must be logged in to do this.", "extensions": {"code": "UNAUTHENTICATED"}}],
    }
    response = await run(execution(world), "{ hello }", break_down)
    assert response["errors"][0]["message"] == "Internal server error"
    assert world.resolved == 0


async def test_a_context_may_be_built_asynchronously(world: World) -> None:
    """What it returns is what resolvers see."""

    async def build() -> object:
        await turns(1)
        return Context(ANONYMOUS, Transport("http"))

    assert await run(execution(world), "{ whoami }", build) == {"data": {"whoami": None}}


async def test_an_operation_takes_so_long_at_most(world: World) -> None:
    """Its resolvers are cancelled, and the limit is named."""
    response = await run(execution(world, execution_seconds=0.01), "{ slow }")
    [error] = response["errors"]
    assert error["message"] == "execution_seconds is limited to 0.01"
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert world.happened == ["slow begins", "slow cancelled"]


async def test_a_resolvers_own_timeout_is_its_own_failure() -> None:
    """It is not the operation's limit."""

    async def resolve(*_: object) -> str:
        raise TimeoutError

    schema = GraphQLSchema(GraphQLObjectType("Query", {"hello": GraphQLField(GraphQLString, resolve=resolve)}))
    response = await run(execution(schema), "{ hello }")
    assert response["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_an_operation_that_is_cancelled_ends(world: World) -> None:
    """It has nobody left to answer to."""
    task = asyncio.create_task(run(execution(world), "{ slow }"))
    await eventually(lambda: world.happened == ["slow begins"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.happened == ["slow begins", "slow cancelled"]


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("{ helo }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ even(value: 3) }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", None, "BAD_USER_INPUT"),
        ("query ($v: Even!) { even(value: $v) }", None, "BAD_USER_INPUT"),
        ("query ($v: Even!) { even(value: $v) }", {"v": 3}, "BAD_USER_INPUT"),
    ],
)
async def test_a_request_that_cannot_be_executed_calls_no_resolver(
    world: World, query: str, variables: dict[str, object] | None, code: str
) -> None:
    """It raises with what the client may read."""
    with pytest.raises(RequestError) as caught:
        await run(execution(world), query, variables=variables)
    assert [error["extensions"]["code"] for error in caught.value.errors] == [code]  # type: ignore[index]
    assert json.loads(encode_request_error(caught.value)) == {"errors": caught.value.errors}
    assert world.resolved == 0


async def test_a_type_that_fails_in_validation_is_masked() -> None:
    """graphql-core expects some exceptions there and not others; a socket survives all of them."""
    schema = GraphQLSchema(GraphQLObjectType("Query", {"hello": GraphQLField(GraphQLString)}))
    room = execution(schema)

    class Broken:
        def find(self, _: str) -> object:
            raise RuntimeError("secret text")

    room.documents = Broken()  # type: ignore[assignment]
    with pytest.raises(RequestError) as caught:
        room.prepare(Request("{ hello }"))
    assert caught.value.errors[0]["message"] == "Internal server error"


async def test_a_scalars_own_words_reach_the_client(world: World) -> None:
    """They are about what the client wrote."""
    with pytest.raises(RequestError) as caught:
        await run(execution(world), "query ($v: Even!) { even(value: $v) }", variables={"v": 3})
    assert "this is not even" in str(caught.value.errors)


async def test_a_subscription_yields_results(world: World) -> None:
    """Until its source ends."""
    results = [json.loads(result.payload) async for result in events(execution(world), "subscription { count(to: 3) }")]
    assert results == [{"data": {"count": number}} for number in (1, 2, 3)]


async def test_a_subscription_listens_from_its_beginning(world: World) -> None:
    """What is published between the start and the first event is not lost."""
    results = events(execution(world), "subscription { messages }")
    first = asyncio.ensure_future(anext(results))
    await eventually(lambda: world.broker.statistics().subscriptions == 1)
    await world.messages.publish("one")
    await world.messages.publish("two")
    assert json.loads((await first).payload) == {"data": {"messages": "one"}}
    assert json.loads((await anext(results)).payload) == {"data": {"messages": "two"}}
    await results.aclose()
    assert world.broker.statistics().subscriptions == 0


async def test_an_event_that_fails_is_a_result_with_errors(world: World) -> None:
    """The ones after it come as ever."""
    results = [json.loads(result.payload) async for result in events(execution(world), "subscription { flaky }")]
    assert [result["data"] for result in results] == [{"flaky": 1}, {"flaky": None}, {"flaky": 3}]
    assert results[1]["errors"][0]["message"] == "Internal server error"
    assert "errors" not in results[2]


async def test_an_event_takes_so_long_at_most(world: World) -> None:
    """One that does not end is a result with an error; the subscription goes on."""
    room = execution(world, execution_seconds=0.01)
    results = [json.loads(result.payload) async for result in events(room, "subscription { slowly }")]
    assert [result["data"] for result in results] == [{"slowly": 1}, None, {"slowly": 3}]
    assert results[1]["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_a_context_that_fails_for_an_event_ends_nothing(world: World) -> None:
    """It is that event's answer."""
    contexts = iter([build_context, build_context, RuntimeError("secret text"), build_context])

    def build() -> object:
        match next(contexts):
            case RuntimeError() as error:
                raise error
            case built:
                return built()  # type: ignore[operator]

    results = [
        json.loads(result.payload) async for result in events(execution(world), "subscription { count(to: 3) }", build)
    ]
    assert [result["data"] for result in results] == [{"count": 1}, None, {"count": 3}]


@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        ("subscription { nothing }", "Internal server error", "INTERNAL_SERVER_ERROR"),
        ("subscription { unreachable }", "You are not allowed to listen.", "FORBIDDEN"),
        ("subscription ($to: Int!) { count(to: $to) }", "Variable '$to'", "BAD_USER_INPUT"),
    ],
)
async def test_a_subscription_that_does_not_begin_has_no_result(
    world: World, query: str, message: str, code: str | None
) -> None:
    """It raises with what the client may read."""
    with pytest.raises(RequestError) as caught:
        await anext(events(execution(world), query))
    [error] = caught.value.errors
    assert message in str(error["message"])
    assert error.get("extensions", {}).get("code") == code  # type: ignore[attr-defined]


async def test_a_subscription_begins_in_time_or_not_at_all(world: World) -> None:
    """A resolver that never returns a stream is cancelled."""
    with pytest.raises(RequestError) as caught:
        await anext(events(execution(world, execution_seconds=0.01), "subscription { late }"))
    assert caught.value.errors[0]["extensions"] == {
        "code": "LIMIT_EXCEEDED",
        "limit": "execution_seconds",
        "allowed": 0.01,
        "actual": None,
    }
    assert world.happened == ["late begins", "late cancelled"]


async def test_a_broker_that_is_closed_is_a_failure(world: World) -> None:
    """Masked: it is no business of the client's."""
    await world.broker.aclose()
    with pytest.raises(RequestError) as caught:
        await anext(events(execution(world), "subscription { messages }"))
    assert caught.value.errors[0]["message"] == "Internal server error"
    assert isinstance(caught.value.__cause__, ConnectionClosed)


async def test_a_broker_that_does_not_answer_is_given_up(world: World) -> None:
    """Listening is part of the beginning."""

    class Silent(MemoryBroker):
        async def subscribe(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

    world.messages = Topic(Silent(), "messages")
    with pytest.raises(RequestError) as caught:
        await anext(events(execution(world, execution_seconds=0.01), "subscription { messages }"))
    assert caught.value.errors[0]["message"] == "execution_seconds is limited to 0.01"


@pytest.mark.parametrize("field", ["failing", "gone"])
async def test_a_source_that_fails_raises_after_its_results(world: World, field: str) -> None:
    """What it said before was delivered."""
    results = events(execution(world), f"subscription {{ {field} }}")
    assert json.loads((await anext(results)).payload) == {"data": {field: 1}}
    with pytest.raises(RequestError) as caught:
        await anext(results)
    assert caught.value.errors[0]["message"] == "Internal server error"


async def test_a_lagging_subscriber_is_told_apart(world: World) -> None:
    """The transport has an answer of its own to it."""
    world.messages = Topic(MemoryBroker(buffer=1), "messages")
    results = events(execution(world), "subscription { messages }")
    first = asyncio.ensure_future(anext(results))
    await turns()
    for text in ("one", "two", "three"):
        await world.messages.publish(text)
    assert json.loads((await first).payload) == {"data": {"messages": "one"}}
    with pytest.raises(SubscriberLagging):
        await anext(results)


async def test_a_subscription_that_is_cancelled_closes_its_source(world: World) -> None:
    """With the time that it needs for it."""

    async def listen() -> None:
        async for _ in events(execution(world), "subscription { forever }"):
            world.happened.append("event")

    task = asyncio.create_task(listen())
    await eventually(lambda: world.happened == ["event"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.happened == ["event", "closed"]


class Iterable:
    """A source that is iterated by a generator, and must be closed itself as well."""

    def __init__(self) -> None:
        self.happened: list[str] = []

    async def __aiter__(self) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            self.happened.append("the iterator was closed")

    async def aclose(self) -> None:
        """Be closed."""
        self.happened.append("the source was closed")


async def test_whatever_iterates_a_source_is_closed_with_it() -> None:
    """Before the source itself, and also where somebody stops listening in the middle."""
    source = Iterable()
    schema = GraphQLSchema(
        GraphQLObjectType("Query", {"hello": GraphQLField(GraphQLString)}),
        subscription=GraphQLObjectType(
            "Subscription",
            {"on": GraphQLField(GraphQLInt, subscribe=lambda *_: source, resolve=lambda event, _info: event)},
        ),
    )
    results = events(execution(schema), "subscription { on }")
    assert json.loads((await anext(results)).payload) == {"data": {"on": 1}}
    await results.aclose()
    assert source.happened == ["the iterator was closed", "the source was closed"]


async def test_debugging_shows_texts_and_names(world: World) -> None:
    """Of errors that would be masked, and of fields that were nearly asked for."""
    room = execution(world, debug=True)
    response = await run(room, "{ fail }")
    assert response["errors"][0]["message"] == "RuntimeError: secret text"
    with pytest.raises(RequestError, match="Did you mean"):
        room.prepare(Request("{ helo }"))
