from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from graphql import ExecutionResult, build_schema, parse

from gqlink.server.executor import OperationExecutor

if TYPE_CHECKING:
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
