from __future__ import annotations

import pytest
from graphql import DocumentNode, GraphQLSchema, build_schema

from gqlink.server.documents import Documents, InvalidDocument, find_operation, is_mutation, is_subscription

SCHEMA = build_schema(
    "type Query { hello(name: String): String again: Query } type Mutation { go: Int } type Subscription { on: Int }"
)


def documents(
    schema: GraphQLSchema = SCHEMA, *, size: int = 10, characters: int = 10_000, debug: bool = False
) -> Documents:
    """Make a store."""
    return Documents(schema, size=size, characters=characters, debug=debug)


def valid(store: Documents, query: str) -> DocumentNode:
    """Find a document that must be valid."""
    found = store.find(query)
    assert isinstance(found, DocumentNode)
    return found


def test_a_document_is_parsed_once() -> None:
    """The same text is the same document."""
    store = documents()
    assert valid(store, "{ hello }") is valid(store, "{ hello }")
    assert valid(store, "{ hello }") is not valid(store, "{ hello  }")


def test_the_longest_unused_is_forgotten_first() -> None:
    """Whatever is in use stays."""
    store = documents(size=2)
    first, _ = valid(store, "{ a: hello }"), valid(store, "{ b: hello }")
    assert valid(store, "{ a: hello }") is first
    valid(store, "{ c: hello }")
    assert len(store) == 2
    assert valid(store, "{ a: hello }") is first


def test_the_text_of_all_is_bounded() -> None:
    """However many documents are allowed: a large one takes the place of several."""
    store = documents(size=1_000, characters=3_200)
    queries = [f"{{ a{number:02}: hello }}".ljust(100) for number in range(40)]
    kept = [valid(store, query) for query in queries]
    assert len(store) == 32
    assert valid(store, queries[-1]) is kept[-1]
    assert valid(store, queries[0]) is not kept[0]


def test_a_document_that_is_too_long_is_not_kept() -> None:
    """It works like any other, and drives nobody out."""
    store = documents(characters=3_200)
    small = valid(store, "{ hello }")
    long = "{ hello }".ljust(101)
    assert valid(store, long) is not valid(store, long)
    assert valid(store, "{ hello }") is small
    assert len(store) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ again" * 5_000 + "}" * 5_000, "GRAPHQL_PARSE_FAILED"),
        ('{ hello(name: "\\uD83D") }', "GRAPHQL_PARSE_FAILED"),
        ("{ helo }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ hello(name: 5) }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { on a: on }", "GRAPHQL_VALIDATION_FAILED"),
        ("type Query { hello: Int }", "GRAPHQL_VALIDATION_FAILED"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_document_says_why_and_is_not_kept(query: str, code: str) -> None:
    """It has at least one error, and takes nobody's place."""
    store = documents()
    found = store.find(query)
    assert isinstance(found, InvalidDocument)
    assert found.code == code
    assert found.errors
    assert len(store) == 0


def test_a_document_nested_too_deeply_is_refused_with_a_sentence() -> None:
    """Whichever step gives up first."""
    for depth in (300, 1_000, 3_000, 9_000):
        found = documents().find("{ again " * depth + "{ hello }" + "}" * depth)
        if isinstance(found, InvalidDocument):
            assert "nested too deeply" in found.errors[0].message


@pytest.mark.parametrize("query", ["{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'])
def test_introspection_is_for_debugging(query: str) -> None:
    """Production does not describe itself; `__typename` is no introspection."""
    assert isinstance(documents().find(query), InvalidDocument)
    assert isinstance(documents(debug=True).find(query), DocumentNode)
    assert isinstance(documents().find("{ __typename }"), DocumentNode)


def test_suggestions_are_for_debugging() -> None:
    """A stranger learns no names from them."""
    quiet, helpful = documents().find("{ helo }"), documents(debug=True).find("{ helo }")
    assert isinstance(quiet, InvalidDocument)
    assert isinstance(helpful, InvalidDocument)
    assert "hello" not in str(quiet.errors)
    assert "Did you mean 'hello'?" in helpful.errors[0].message


def test_the_operation_is_the_one_that_is_meant() -> None:
    """By its name, or because there is no other."""
    document = valid(documents(), "query A { hello } mutation B { go } subscription C { on }")
    for name, kind in (("A", (False, False)), ("B", (True, False)), ("C", (False, True))):
        operation = find_operation(document, name)
        assert operation is not None
        assert (is_mutation(operation), is_subscription(operation)) == kind
    assert find_operation(document, None) is None
    assert find_operation(document, "D") is None
    assert find_operation(document, "") is None


def test_a_single_operation_needs_no_name() -> None:
    """And one with a name is found by it only."""
    document = valid(documents(), "query A { hello }")
    assert find_operation(document, None) is not None
    assert find_operation(document, "A") is not None
    assert find_operation(document, "B") is None
