from __future__ import annotations

import dataclasses

import pytest
from graphql import GraphQLSchema, build_schema

from gqlink.errors import LimitExceeded
from gqlink.server import COST_DIRECTIVES, Limits
from gqlink.server.documents import Document, Documents, InvalidDocument, is_mutation, is_subscription

SCHEMA = build_schema(
    COST_DIRECTIVES
    + "type Query { hello(name: String): String again(first: Int = 2): Query "
    + '@listSize(slicingArguments: ["first"]) } type Mutation { go: Int } type Subscription { on: Int }'
)
DEEP = dataclasses.replace(Limits(), document_tokens=100_000, document_bytes=100_000, depth=10_000)


def documents(
    schema: GraphQLSchema = SCHEMA, *, debug: bool = False, introspection: bool = False, limits: Limits | None = None
) -> Documents:
    """Make a store."""
    return Documents(schema, limits=limits or Limits(), debug=debug, introspection=introspection)


def valid(store: Documents, query: str) -> Document:
    """Find a document that must be valid."""
    found = store.find(query)
    assert isinstance(found, Document)
    return found


def messages(query: str, store: Documents | None = None) -> list[str]:
    """Return the messages of a document that must be invalid."""
    found = (store or documents()).find(query)
    assert isinstance(found, InvalidDocument)
    return [error.message for error in found.errors]


def test_a_document_is_parsed_once() -> None:
    """The same text is the same document."""
    store = documents()
    assert valid(store, "{ hello }") is valid(store, "{ hello }")
    assert valid(store, "{ hello }") is not valid(store, "{ hello  }")


def test_the_longest_unused_is_forgotten_first() -> None:
    """Whatever is in use stays."""
    store = documents(limits=Limits(documents=2))
    first, _ = valid(store, "{ a: hello }"), valid(store, "{ b: hello }")
    assert valid(store, "{ a: hello }") is first
    valid(store, "{ c: hello }")
    assert len(store) == 2
    assert valid(store, "{ a: hello }") is first


def test_the_text_of_all_is_bounded() -> None:
    """However many documents are allowed: a large one takes the place of several."""
    store = documents(limits=Limits(documents_characters=3_200))
    queries = [f"{{ a{number:02}: hello }}".ljust(100) for number in range(40)]
    kept = [valid(store, query) for query in queries]
    assert len(store) == 32
    assert valid(store, queries[-1]) is kept[-1]
    assert valid(store, queries[0]) is not kept[0]


def test_a_document_that_is_too_long_is_not_kept() -> None:
    """It works like any other, and drives nobody out."""
    store = documents(limits=Limits(documents_characters=3_200))
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
        ("{ hello } fragment F on Query { hello }", "GRAPHQL_VALIDATION_FAILED"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_invalid_document_says_why_and_is_not_kept(query: str, code: str) -> None:
    """It has at least one error, and takes nobody's place."""
    store = documents(limits=DEEP)
    found = store.find(query)
    assert isinstance(found, InvalidDocument)
    assert found.code == code
    assert found.errors
    assert len(store) == 0


def test_a_document_nested_too_deeply_is_refused_with_a_sentence() -> None:
    """Whichever step gives up first."""
    for depth in (300, 1_000, 3_000, 9_000):
        found = documents(limits=DEEP).find("{ again " * depth + "{ hello }" + "}" * depth)
        if isinstance(found, InvalidDocument):
            assert "nested too deeply" in found.errors[0].message


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("{ hello }".ljust(8_193), "document_bytes"),
        ("{ " + "hello " * 399 + "}", "document_tokens"),
        ("{ " + "again { " * 16 + "hello" + " }" * 17, "depth"),
        ("{ helo " + "again { " * 16 + "hello" + " }" * 17, "depth"),
    ],
    ids=lambda value: str(value)[-20:],
)
def test_a_document_over_a_limit_is_refused_before_it_is_validated(query: str, limit: str) -> None:
    """Nothing of it is looked at further, kept, or answered with anything but the limit."""
    store = documents()
    with pytest.raises(LimitExceeded) as caught:
        store.find(query)
    assert caught.value.limit == limit
    assert len(store) == 0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ ...F } fragment F on Query { ...F nothing }", "Cannot spread fragment 'F' within itself."),
        ("{ hello nothing } fragment F on Query { hello nothing }", "Fragment 'F' is never used."),
        (
            "{ ...F } fragment F on Query { hello } fragment F on Query { nothing }",
            "There can be only one fragment named 'F'.",
        ),
    ],
)
def test_fragments_that_cannot_be_counted_are_all_that_is_spoken_of(query: str, message: str) -> None:
    """What could not be counted is not validated any further: it might take as long as it likes."""
    assert messages(query) == [message]


def test_few_errors_are_enough() -> None:
    """An attacker's document may be wrong everywhere, and each error takes longer than a field that is right."""
    errors = messages("{ " + " ".join(f"no{number}" for number in range(15)) + " }")
    assert len(errors) == 4
    assert "aborted" in errors[-1]


@pytest.mark.parametrize("times", [1, 8])
def test_what_an_operation_costs_is_found_out_once(times: int) -> None:
    """With its document; only what variables say is different each time."""
    document = valid(documents(), "query A($first: Int) { again(first: $first) { hello } } query B { again { hello } }")
    first, second = document.operation("A"), document.operation("B")

    assert first is not None
    assert second is not None
    assert document.operation("A") is first
    assert first.cost.total({"first": times}) == 1 + times
    assert second.cost.total({}) == 3


@pytest.mark.parametrize(("debug", "introspection"), [(True, False), (False, True), (True, True)])
def test_introspection_may_be_asked_for_without_debugging(*, debug: bool, introspection: bool) -> None:
    """A playground needs it, and no suggestions."""
    store = documents(debug=debug, introspection=introspection)
    assert isinstance(store.find("{ __schema { types { name } } }"), Document)
    assert any("Did you mean" in message for message in messages("{ helo }", store)) == debug


@pytest.mark.parametrize("query", ["{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'])
def test_introspection_is_for_debugging(query: str) -> None:
    """Production does not describe itself; `__typename` is no introspection."""
    assert isinstance(documents().find(query), InvalidDocument)
    assert isinstance(documents(debug=True).find(query), Document)
    assert isinstance(documents().find("{ __typename }"), Document)


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
        operation = document.operation(name)
        assert operation is not None
        assert (is_mutation(operation.node), is_subscription(operation.node)) == kind
    assert document.operation(None) is None
    assert document.operation("D") is None
    assert document.operation("") is None


def test_a_single_operation_needs_no_name() -> None:
    """And one with a name is found by it only."""
    document = valid(documents(), "query A { hello }")
    assert document.operation(None) is not None
    assert document.operation("A") is not None
    assert document.operation("B") is None
