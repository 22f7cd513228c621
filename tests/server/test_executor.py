from __future__ import annotations

import asyncio
import gc
import inspect
import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from graphql import ExecutionResult, GraphQLError, build_schema, parse

from gqlink.server.executor import OperationExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from graphql import Executor

SCHEMA = build_schema(
    """
    type Query { ready: Boolean }
    type Subscription { said: Message }
    type Message { text: String from: Account }
    type Account { name: String }
    """
)
DOCUMENT = parse("subscription { said { text from { name } } }")
EVENT = {"said": {"text": "hello", "from": {"name": "alice"}}}


def built() -> Executor[object]:
    executor = OperationExecutor[object].build(SCHEMA, DOCUMENT)
    assert isinstance(executor, OperationExecutor)
    return executor


def execute(executor: Executor[object]) -> object:
    return executor.build_per_event_executor(EVENT).execute_operation(False)  # noqa: FBT003 -- graphql-core's own call


def test_each_event_is_executed_with_its_own_root_value() -> None:
    """As graphql-core does."""
    assert execute(built()) == ExecutionResult(EVENT, None)


def test_a_subscription_does_not_grow_with_its_events() -> None:
    """However long it goes on: what an event's execution remembers goes with the event."""
    executor = built()
    for _ in range(100):
        execute(executor)
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(1000):
            execute(executor)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000


@pytest.mark.parametrize("turns", range(1, 7))
async def test_what_is_cancelled_before_it_began_is_closed(turns: int) -> None:
    """A client that asks and leaves at once makes Python complain of nothing, whatever it asked for."""
    schema = build_schema("type Query { a: [Query!] b: Query c: Int }")
    for name, value in {"a": [{}, {}], "b": {}, "c": 1}.items():
        schema.type_map["Query"].fields[name].resolve = resolver(value)  # type: ignore[attr-defined]
    document = parse("{ a { c b { c d: c } } b { a { c d: c } c } c }")
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        executor = OperationExecutor[object].build(schema, document)
        assert isinstance(executor, OperationExecutor)
        result = executor.execute_operation(False)  # noqa: FBT003 -- graphql-core's own call
        assert inspect.isawaitable(result)
        executing = asyncio.ensure_future(result)
        for _ in range(turns):
            await asyncio.sleep(0)
        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
        del executing, result, executor
        gc.collect()
    assert [str(complaint.message) for complaint in complaints] == []


async def test_fields_that_are_awaited_come_together() -> None:
    """However many there are; what one of them raises is its own answer."""
    schema = build_schema("type Query { a: Int b: Int }")
    query = schema.type_map["Query"].fields  # type: ignore[attr-defined]
    query["a"].resolve, query["b"].resolve = resolver(1), resolver(GraphQLError("no"))
    executor = OperationExecutor[object].build(schema, parse("{ a b c: a }"))
    assert isinstance(executor, OperationExecutor)
    result = executor.execute_operation(False)  # noqa: FBT003 -- graphql-core's own call
    assert inspect.isawaitable(result)
    answer = await result
    assert isinstance(answer, ExecutionResult)
    assert answer.data == {"a": 1, "b": None, "c": 1}
    assert [error.message for error in answer.errors or ()] == ["no"]


def resolver(value: object) -> Callable[..., Coroutine[Any, Any, object]]:
    """Return a resolver that takes its time."""

    async def resolve(*_: object) -> object:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        return value

    return resolve
