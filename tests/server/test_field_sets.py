from __future__ import annotations

import pytest
from graphql import ExecutionResult, build_schema, parse

from gqlink.server.executor import OperationExecutor
from gqlink.server.field_sets import KnownFields, is_constant


@pytest.mark.parametrize(
    "text",
    ["{ thing { ... @include(if: true) { id } } }", "{ ...F } fragment F on Query { thing { id @skip(if: $a) } }"],
)
def test_a_condition_anywhere_is_found(text: str) -> None:
    """On a field, an inline fragment or a spread one, in whichever definition."""
    assert not is_constant(parse(text))
    assert is_constant(parse("{ ...F } fragment F on Query { thing { id @own } }"))


def test_what_is_known_of_an_operation_is_bounded() -> None:
    """However many types its objects turn out to be of, below each other."""
    names = [f"T{number}" for number in range(12)]
    schema = build_schema(
        "type Query { node: Node } interface Node { node: Node }"
        + "".join(f"type {name} implements Node {{ node: Node }}" for name in names)
    )
    document = parse("{ node { node { node { node { __typename } } } } }")
    known = KnownFields(shared=True)
    for first in names:
        for second in names:
            inner = {"__typename": second, "node": {"__typename": first, "node": None}}
            value = {"node": {"__typename": first, "node": inner}}
            executor = OperationExecutor[None].build(schema, document, value, known=known)
            assert isinstance(executor, OperationExecutor)
            result = executor.execute_operation()
            assert result == ExecutionResult({"node": {"node": {"node": {"node": None}}}}, None)
    assert 12 < len(known) <= 64
