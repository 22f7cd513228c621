from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

from gqlink.errors import LimitExceeded
from gqlink.server import COST_DIRECTIVES, Limits
from gqlink.server.cost import CostPlan, CostRules
from gqlink.server.documents import Document, Documents

SDL = (
    COST_DIRECTIVES
    + """
    interface Node { id: ID! items(first: Int = 3): [Node!]! heavy: Node }
    union Any = Book | Shelf
    scalar Weird
    type Book implements Node {
        id: ID!
        items(first: Int = 3): [Node!]! @listSize(slicingArguments: ["first"])
        heavy: Node @cost(weight: "7")
        title: String @cost(weight: "3")
    }
    type Shelf implements Node {
        id: ID!
        items(first: Int = 3, all: Boolean): [Node!]! @listSize(assumedSize: 11)
        heavy: Node @cost(weight: "9")
    }
    type Connection { edges: [Edge!]! nodes: [Book!]! total: Int page: Page }
    type Edge { node: Book cursor: String }
    type Page { edges: [Edge!]! }
    type Query {
        book: Book
        plain: [Book!]!
        assumed: [Book!]! @listSize(assumedSize: 20)
        dear: Book @cost(weight: "5")
        both: [Book!]! @cost(weight: "5") @listSize(assumedSize: 10)
        first(first: Int, last: Int): [Book!]! @listSize(slicingArguments: ["first", "last"])
        page(first: Int = 50): [Book!]! @listSize(slicingArguments: ["first"], assumedSize: 100)
        unsure(first: Int): [Book!]! @listSize(slicingArguments: ["first"], assumedSize: 100)
        floating(first: Float): [Book!]! @listSize(slicingArguments: ["first"], assumedSize: 100)
        weird(first: Weird): [Book!]! @listSize(slicingArguments: ["first"], assumedSize: 100)
        connection(first: Int = 4): Connection! @listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"])
        node: Node
        any: Any
    }
    type Mutation { add: Book @cost(weight: "50") }
    type Subscription { added: Book @cost(weight: "4") }
"""
)
SCHEMA = build_schema(SDL)
MANY = dataclasses.replace(Limits(), **dict.fromkeys(("cost", "document_tokens", "repeated_fields", "aliases"), 10**6))


def plan(query: str, schema: GraphQLSchema = SCHEMA) -> CostPlan:
    """Find out what a valid document with one operation costs."""
    found = Documents(schema, limits=MANY, debug=True, introspection=True).find(query)
    assert isinstance(found, Document), found.errors
    operation = found.operation(None)
    assert operation is not None
    return operation.cost


def cost(query: str, **variables: object) -> int:
    """Say what a document costs with variables."""
    return plan(query).total(variables)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ book { id } }", 2),
        ("{ plain { id } }", 2),
        ("{ __typename }", 1),
        ("{ dear { id } }", 6),
        ("{ assumed { id } }", 1 + 20),
        ("{ assumed { id title } }", 1 + 20 * 4),
        ("{ both { id } }", 5 + 10),
        ("{ book { id } ... on Query { dear { id } } ...F } fragment F on Query { assumed { id } }", 2 + 6 + 21),
        ("{ assumed { ...F } } fragment F on Book { id items { id } }", 1 + 20 * (1 + 1 + 3)),
        ("{ a: assumed { id } b: assumed { id } }", 42),
        ("{ assumed @skip(if: true) { id @include(if: false) } }", 21),
        ("mutation { add { id } }", 51),
        ("subscription { added { title } }", 7),
        ("{ __schema { types { name } } }", 3),
    ],
)
def test_a_field_costs_one_unless_it_says_otherwise(query: str, expected: int) -> None:
    """In a list as often as the list is long; whether it is skipped is not known before variables are."""
    assert cost(query) == expected


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ("first(first: 7)", 7),
        ("first(first: 7, last: 9)", 9),
        ("first(first: 0)", 0),
        ("first(first: null, last: 5)", 5),
        ("first", 1),
        ("first(first: null)", 1),
        ("first(first: -5)", 1),
        ("page", 50),
        ("page(first: 5)", 5),
        ("page(first: null)", 100),
        ("page(first: -1)", 100),
        ("unsure", 100),
        ("unsure(first: 3)", 3),
        ("floating(first: 1e2)", 100),
        ("floating(first: 2.9)", 2),
        ("floating(first: 1e300)", 2**53 - 1),
        (f"floating(first: {'9' * 5_000})", 2**53 - 1),
        ('weird(first: "many")', 100),
        ("weird(first: [1])", 100),
        ("weird(first: 12)", 12),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_list_is_as_long_as_its_slicing_arguments_say(arguments: str, size: int) -> None:
    """The largest; then their defaults; then what is assumed, or one. What is null or negative says nothing."""
    assert cost(f"{{ {arguments} {{ id }} }}") == 1 + size


@pytest.mark.parametrize(
    ("field", "sent", "size"),
    [
        ("page", {"n": 7}, 7),
        ("page", {"n": 7.0}, 7),
        ("page", {"n": 0}, 0),
        ("page", {}, 50),
        ("page", {"n": None}, 100),
        ("page", {"n": -3}, 100),
        ("page", {"n": "7"}, 100),
        ("page", {"n": True}, 100),
        ("page", {"n": [7]}, 100),
        ("page", {"n": float("inf")}, 2**53 - 1),
        ("page", {"n": float("nan")}, 100),
        ("page", {"n": 10**30}, 2**53 - 1),
        ("unsure", {}, 100),
        ("unsure", {"n": None}, 100),
        ("unsure", {"n": 4}, 4),
    ],
)
def test_a_variable_is_read_as_it_was_sent(field: str, sent: dict[str, object], size: int) -> None:
    """200.0 is as good as 200. Where it is missing the argument's default counts, where it is null what is assumed."""
    assert cost(f"query ($n: Int) {{ {field}(first: $n) {{ id }} }}", **sent) == 1 + size


@pytest.mark.parametrize(
    ("declared", "sent", "size"),
    [
        ("$n: Int = 8", {}, 8),
        ("$n: Int = 8", {"n": 3}, 3),
        ("$n: Int = 8", {"n": None}, 100),
        ("$n: Int = null", {}, 100),
        ("$n: Int! = 6", {}, 6),
    ],
)
def test_a_variables_default_stands_for_one_that_is_not_sent(declared: str, sent: dict[str, object], size: int) -> None:
    """And not for one that is null."""
    assert cost(f"query ({declared}) {{ page(first: $n) {{ id }} }}", **sent) == 1 + size


def test_the_larger_of_a_number_and_a_variable_counts() -> None:
    """And of two variables."""
    query = "query ($n: Int, $m: Int) { first(first: $n, last: 5) { id } b: first(first: $n, last: $m) { id } }"
    assert cost(query, n=2, m=3) == 1 + 5 + 1 + 3
    assert cost(query, n=9, m=3) == 1 + 9 + 1 + 9
    assert cost(query) == 1 + 5 + 1 + 1


@pytest.mark.parametrize(
    ("declared", "query", "expected"),
    [
        ("$n: Int, $m: Int", "page(first: $n) { items(first: $m) { id } }", 1 + 4 * (1 + 15)),
        ("$m: Int", "page(first: 3) { items(first: $m) { id } } x: book { id }", 1 + 3 * (1 + 15) + 2),
        ("$n: Int", "page(first: $n) { items(first: 3) { id } }", 1 + 4 * (1 + 3)),
        ("$m: Int", "assumed { items(first: $m) { items(first: 12) { id } } }", 1 + 20 * (1 + 15 * (1 + 12))),
        ("$m: Int", "book { page: items(first: $m) { id heavy { id } } }", 2 + 15 * (1 + 9 + 1)),
    ],
)
def test_lists_in_lists_multiply(declared: str, query: str, expected: int) -> None:
    """Whichever of them is given by a variable."""
    assert cost(f"query ({declared}) {{ {query} }}", n=4, m=15) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ connection { total } }", 2),
        ("{ connection { edges { cursor } } }", 1 + 1 + 4),
        ("{ connection(first: 10) { total edges { node { id } cursor } nodes { id } } }", 1 + 1 + 1 + 30 + 1 + 10),
        ("{ connection(first: 10) { ...F } } fragment F on Connection { nodes { id } }", 1 + 1 + 10),
        ("{ connection(first: 10) { page { edges { cursor } } } }", 4),
    ],
)
def test_sized_fields_are_the_list_of_the_field_above(query: str, expected: int) -> None:
    """Only directly below it, through fragments too; what else stands there is there once."""
    assert cost(query) == expected


def test_sized_fields_take_their_size_from_a_variable_too() -> None:
    """As the field above does."""
    query = "query ($n: Int) { connection(first: $n) { total edges { cursor } } }"
    assert cost(query, n=6) == 1 + 1 + 1 + 6
    assert cost(query) == 1 + 1 + 1 + 4


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ node { id } }", 2),
        ("{ node { heavy { id } } }", 1 + 9 + 1),
        ("{ node { ... on Book { heavy { id } } } }", 1 + 7 + 1),
        ("{ node { ... on Shelf { heavy { id } } } }", 1 + 9 + 1),
        ("{ node { items(first: 15) { id } } }", 1 + 1 + 15),
        ("{ node { items(first: 5) { id } } }", 1 + 1 + 11),
        ("{ node { ... on Book { items(first: 5) { id } } } }", 1 + 1 + 5),
        ("{ node { items(first: null) { id } } }", 1 + 1 + 11),
        ("{ any { ... on Book { title } ... on Shelf { id } } }", 1 + 3 + 1),
        ("{ any { ... on Node { heavy { id } } __typename } }", 1 + 9 + 1 + 1),
    ],
)
def test_a_field_of_an_interface_costs_what_the_dearest_of_its_objects_costs(query: str, expected: int) -> None:
    """Nobody knows yet whose it will be; a fragment on one of them says it."""
    assert cost(query) == expected


def test_a_schema_without_the_directives_costs_its_fields() -> None:
    """All of them, introspection's and those of fragments too."""
    schema = build_schema("type Query { a: Query b: Int }")
    assert plan("{ a { b ...F } b __typename } fragment F on Query { a { b } }", schema).total({}) == 6


def test_a_default_of_a_schema_that_was_made_in_python_counts() -> None:
    """As one in SDL does."""
    schema = build_schema(SDL)
    assert schema.query_type is not None
    schema.query_type.fields["page"].args["first"] = GraphQLArgument(GraphQLInt, default_value=30)
    assert plan("{ page { id } }", schema).total({}) == 31


def test_a_schema_made_in_python_has_no_directives() -> None:
    """It costs its fields."""
    book = GraphQLObjectType("Book", {"id": GraphQLField(GraphQLInt)})
    schema = GraphQLSchema(GraphQLObjectType("Query", {"books": GraphQLField(GraphQLList(book))}))
    assert plan("{ books { id } }", schema).total({}) == 2


def test_a_cost_at_the_limit_passes() -> None:
    """And one above is refused, with what is allowed and what it would be."""
    asked = plan("query ($n: Int) { page(first: $n) { id } }")
    asked.check({"n": 999}, Limits(cost=1_000))

    with pytest.raises(LimitExceeded) as caught:
        asked.check({"n": 1_000}, Limits(cost=1_000))
    assert (caught.value.limit, caught.value.allowed, caught.value.actual) == ("cost", 1_000, 1_001)


def test_a_cost_that_no_reader_of_json_can_read_is_told_as_the_largest_that_all_can() -> None:
    """Lists in lists of 2**31 are soon more than 2**53."""
    asked = plan("query ($n: Int) { page(first: $n) { items(first: $n) { items(first: $n) { id } } } }")
    with pytest.raises(LimitExceeded) as caught:
        asked.check({"n": 2**31 - 1}, Limits())
    assert caught.value.actual == 2**53 - 1


def test_a_directive_that_makes_no_sense_stops_the_server_from_starting() -> None:
    """Where it is read."""
    schema = build_schema(f'{COST_DIRECTIVES} type Query {{ a: Int @cost(weight: "free") }}')
    with pytest.raises(TypeError, match=r"Query\.a"):
        CostRules(schema)


def tree(*, depth: int) -> st.SearchStrategy[Any]:
    """Draw selections: (field, what `first` is, what is selected), where None is a variable."""
    leaf = st.tuples(st.just("id"), st.none(), st.just(()))
    if depth == 0:
        return st.lists(leaf, min_size=1, max_size=2)
    inner = st.tuples(st.just("items"), st.none() | st.integers(0, 4), tree(depth=depth - 1))
    return st.lists(leaf | inner, min_size=1, max_size=3)


def write(selected: Any) -> str:
    """Write selections; each with an alias of its own."""
    texts = []
    for number, (name, first, inner) in enumerate(selected):
        arguments = "" if name == "id" else f"(first: {'$n' if first is None else first})"
        texts.append(f"f{number}: {name}{arguments} {f'{{ ... on Book {{ {write(inner)} }} }}' if inner else ''}")
    return " ".join(texts)


def walk(selected: Any, n: int) -> int:
    """Count the fields that would be resolved, one by one."""
    return sum(1 + sum(walk(inner, n) for _ in range(n if first is None else first)) for _, first, inner in selected)


@given(tree(depth=3), st.integers(0, 4))
def test_the_cost_is_the_number_of_fields_that_are_resolved(selected: Any, n: int) -> None:
    """Where each costs one and each list is as long as it says: the plan comes to what counting one by one comes to."""
    document = parse(f"query ($n: Int) {{ page(first: $n) {{ {write(selected)} }} }}")
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert CostRules(SCHEMA).plan(document, operation).total({"n": n}) == 1 + n * walk(selected, n)


def test_what_the_reference_says_of_costs_is_so() -> None:
    """Its schema is built, and each of its documents costs what stands beside it."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "server.md").read_text()
    _, _, section = page.partition("### What a request costs")
    block = re.search(r'COST_DIRECTIVES\n    \+ """(.*?)"""', section, re.DOTALL)
    assert block is not None
    schema = build_schema(COST_DIRECTIVES + block[1])

    said = re.findall(r"`(\{ [^`]* \})`\s+(?:costs )?([^`,.]*[0-9])", section.partition("* `@cost")[0])
    assert len(said) == 4
    for query, sum_ in said:
        assert plan(query, schema).total({}) == int(sum_.rpartition("=")[2])
