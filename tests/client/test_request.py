"""Which kind of operation a document asks for."""

from __future__ import annotations

import pytest

from gqlink.client import OperationKind, is_subscription
from gqlink.client.request import read_request
from gqlink.errors import BadUserInput, OperationFailed

TWO = "query A { a } subscription B { b }"


@pytest.mark.parametrize(
    ("query", "name", "kind"),
    [
        ("{ a }", None, OperationKind.QUERY),
        ("mutation { a }", None, OperationKind.MUTATION),
        ("fragment F on Query { a } subscription S { ...F }", None, OperationKind.SUBSCRIPTION),
        (TWO, "A", OperationKind.QUERY),
        (TWO, "B", OperationKind.SUBSCRIPTION),
    ],
)
def test_the_chosen_operation_decides(query: str, name: str | None, kind: OperationKind) -> None:
    """The kind is that of the only operation, or of the one that is named."""
    request = read_request(query, None, name)
    assert request.kind is kind
    assert is_subscription(request) is (kind is OperationKind.SUBSCRIPTION)


def test_the_only_operation_gives_its_name() -> None:
    """A single operation's own name is sent, so that the server's log has it."""
    message = read_request("query Mine($a: Int) { a }", {"a": 1}).message
    assert (message.operation_name, message.variables) == ("Mine", {"a": 1})
    assert read_request("{ a }").message.variables is None


def test_a_syntax_error_reads_as_a_server_would_put_it() -> None:
    """The code is `GRAPHQL_PARSE_FAILED`, with the place."""
    with pytest.raises(OperationFailed, match="Syntax Error") as caught:
        read_request("{ a ")
    assert caught.value.codes == ("GRAPHQL_PARSE_FAILED",)
    assert caught.value.errors[0]["locations"] == [{"line": 1, "column": 5}]


def test_a_document_nested_too_deeply_is_refused_without_a_traceback_of_the_parser() -> None:
    """A hundred thousand brackets are an error, not a crash."""
    with pytest.raises(OperationFailed, match="too deeply"):
        read_request("{a" * 100_000)


@pytest.mark.parametrize(("query", "name"), [(TWO, None), (TWO, "C"), ("fragment F on Query { a }", None)])
def test_no_choice_or_a_wrong_one_is_the_callers_fault(query: str, name: str | None) -> None:
    """Several operations need a name, and it must be one of theirs."""
    with pytest.raises(BadUserInput, match="operation"):
        read_request(query, None, name)
