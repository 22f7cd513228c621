import msgspec

from gqlink.protocol import Close, ExecutionResult, Request, Text


def test_a_request_is_written_without_the_members_that_it_has_not() -> None:
    """Old servers choke on members that are null."""
    assert msgspec.json.encode(Request("{ hello }")) == b'{"query":"{ hello }"}'


def test_a_request_is_written_with_the_names_of_the_specification() -> None:
    """graphql-ws PROTOCOL.md, "Subscribe"."""
    request = Request("query A { hello }", variables={"a": 1}, operation_name="A", extensions={"b": 2})

    assert msgspec.json.decode(msgspec.json.encode(request)) == {
        "query": "query A { hello }",
        "variables": {"a": 1},
        "operationName": "A",
        "extensions": {"b": 2},
    }


def test_a_result_may_hold_data_and_errors_at_once() -> None:
    """GraphQL specification, section 7.1: partial data comes with the errors that left the holes."""
    text = b'{"data": {"a": null}, "errors": [{"message": "no"}], "hasNext": false}'

    assert msgspec.json.decode(text, type=ExecutionResult) == ExecutionResult({"a": None}, [{"message": "no"}])


def test_frames_are_values() -> None:
    """Two frames with the same content are the same, and can be told apart from any other."""
    assert Text(b"{}") == Text(b"{}")
    assert Close(1000) == Close(1000, "")
    assert Close(1000) != Close(1001)
