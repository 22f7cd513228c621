"""A source that is known beforehand is the one that graphql-core finds; what goes wrong is said in the same words."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from graphql import ExecutionResult, build_schema, create_source_event_stream, parse

from gqlink.pubsub import MemoryBroker, Stream, Topic
from gqlink.server.event_source import EventSource
from gqlink.server.executor import OperationExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import Executor, GraphQLSchema

SDL = """
    type Query { hello: String }
    input Where { room: String! = "lobby", tags: [String!] = ["a"] }
    type Subscription { said(where: Where = {}, last: Int = 3): String }
"""


def schema_of(subscribe: Callable[..., object] | None) -> GraphQLSchema:
    """Build one whose subscription is resolved so."""
    schema = build_schema(SDL)
    assert schema.subscription_type is not None
    schema.subscription_type.fields["said"].subscribe = subscribe
    return schema


def executor_of(schema: GraphQLSchema, query: str, context: object) -> Executor[Any]:
    """Build an executor."""
    executor = OperationExecutor.build(schema, parse(query), context_value=context, hide_suggestions=True)
    assert isinstance(executor, OperationExecutor)
    return executor


async def settled(value: Any) -> Any:
    """Await what has to be awaited."""
    return await value if inspect.isawaitable(value) else value


def described(found: object) -> object:
    """Say what can be compared."""
    if isinstance(found, ExecutionResult):
        assert found.errors is not None
        return [(error.formatted, type(error.original_error), error.nodes) for error in found.errors]
    return found


def refuse(*_args: object, **_options: object) -> object:
    raise PermissionError("not for you")


async def refuse_later(*_args: object, **_options: object) -> object:
    raise PermissionError("not for you, either")


async def give_later(_root: object, info: Any, **_options: object) -> object:
    return info.context


@pytest.mark.parametrize(
    "subscribe",
    [
        lambda _root, info, **_: info.context,
        give_later,
        refuse,
        refuse_later,
        lambda *_, **__: 5,
        lambda *_, **__: ValueError("returned, not raised"),
        lambda _root: None,
        None,
    ],
)
@pytest.mark.parametrize(
    "query",
    [
        "subscription { said }",
        "subscription Named { alias: said(last: 4) said: __typename @skip(if: true) }",
        'subscription { said(where: {room: "den"}) ...M } fragment M on Subscription { said(where: {room: "den"}) }',
    ],
)
async def test_it_is_the_same_as_graphql_cores(subscribe: Callable[..., object] | None, query: str) -> None:
    """Events, errors with their places, and what is to be awaited; for whoever asks."""
    schema = schema_of(subscribe)
    known = EventSource.of(executor_of(schema, query, None))
    assert known is not None
    for _ in range(2):
        events = Stream(Topic(MemoryBroker(), "said"))
        expected = await settled(create_source_event_stream(executor_of(schema, query, events)))
        found = await settled(known.open(events))
        assert described(found) == described(expected)


async def test_a_resolver_sees_all_that_it_would() -> None:
    """Its own context, and the arguments, which are its own to change."""
    seen: list[tuple[Any, dict[str, Any]]] = []

    def subscribe(_root: object, info: Any, **arguments: Any) -> object:
        seen.append((info, dict(arguments)))
        arguments.clear()
        return info.context

    schema = schema_of(subscribe)
    query = "subscription { said }"
    known = EventSource.of(executor_of(schema, query, None))
    assert known is not None
    contexts = [Stream(Topic(MemoryBroker(), "said")) for _ in range(2)]
    for context in contexts:
        assert known.open(context) is context
    create_source_event_stream(executor_of(schema, query, contexts[0]))
    (first, arguments), (second, others), (original, _) = seen
    assert [info.context for info in (first, second)] == contexts
    assert arguments == others == {"where": {"room": "lobby", "tags": ["a"]}, "last": 3}
    for name in ("field_name", "return_type", "parent_type", "path", "schema", "fragments", "root_value"):
        assert getattr(first, name) == getattr(original, name)


def test_what_graphql_core_would_complain_of_is_left_to_it() -> None:
    """A schema without subscriptions, and a field that is not there."""
    assert EventSource.of(executor_of(schema_of(None), "subscription { nothing }", None)) is None
    plain = build_schema("type Query { hello: String }")
    assert EventSource.of(executor_of(plain, "subscription { said }", None)) is None
