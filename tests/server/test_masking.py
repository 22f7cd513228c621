from __future__ import annotations

import msgspec
import pytest
from graphql import GraphQLError, located_error, parse

from gqlink.errors import (
    AuthUnavailable,
    BadUserInput,
    ConnectionLost,
    GqlinkError,
    InvalidToken,
    LimitExceeded,
    LoginRequired,
    OperationFailed,
    PermissionDenied,
    SubscriberLagging,
    TokenExpired,
)
from gqlink.server.masking import ErrorFormatter

QUIET, LOUD = ErrorFormatter(debug=False), ErrorFormatter(debug=True)
NODE = parse("{ hello }").definitions[0]


@pytest.mark.parametrize(
    ("error", "extensions"),
    [
        (LoginRequired(), {"code": "UNAUTHENTICATED"}),
        (PermissionDenied("look at this"), {"code": "FORBIDDEN"}),
        (BadUserInput("The text is empty."), {"code": "BAD_USER_INPUT"}),
        (
            LimitExceeded("depth", allowed=5, actual=7),
            {"code": "LIMIT_EXCEEDED", "limit": "depth", "allowed": 5, "actual": 7},
        ),
    ],
)
def test_gqlinks_own_words_pass(error: GqlinkError, extensions: dict[str, object]) -> None:
    """With their text and code, and with where they came from."""
    located = located_error(error, [NODE], ["hello", 0])
    assert QUIET.format(located) == {
        "message": str(error),
        "locations": [{"line": 1, "column": 1}],
        "path": ["hello", 0],
        "extensions": extensions,
    }


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (InvalidToken("the key k1 is unknown"), "Token invalid", "UNAUTHENTICATED"),
        (TokenExpired("at noon"), "Token expired", "TOKEN_EXPIRED"),
        (AuthUnavailable("db.internal refused"), "Authentication unavailable", "INTERNAL_SERVER_ERROR"),
    ],
)
def test_the_details_of_authentication_are_for_the_log(error: GqlinkError, message: str, code: str) -> None:
    """A client reads the fixed reason."""
    assert QUIET.format(error) == {"message": message, "extensions": {"code": code}}


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret text"),
        KeyError("secret text"),
        ConnectionLost(1006, "secret text"),
        OperationFailed([{"message": "secret text"}]),
        SubscriberLagging("secret text", buffered=5),
        TypeError("Cannot return null for non-nullable field Secret.text"),
    ],
)
def test_everything_else_is_masked_with_an_id(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the id with the traceback; the client has the id."""
    try:
        raise error
    except type(error) as exc:
        formatted = QUIET.format(located_error(exc, [NODE], ["hello"]))
    assert formatted["message"] == "Internal server error"
    assert formatted["path"] == ["hello"]
    extensions = formatted["extensions"]
    assert isinstance(extensions, dict)
    assert extensions["code"] == "INTERNAL_SERVER_ERROR"
    [record] = caplog.records
    assert extensions["id"] in record.getMessage()
    assert "Traceback" in caplog.text
    assert "secret" not in str(formatted)


def test_every_masked_error_has_an_id_of_its_own() -> None:
    """So that one line of the log belongs to one answer."""
    ids = {str(QUIET.format(ValueError())["extensions"]) for _ in range(20)}
    assert len(ids) == 20


def test_a_debugger_sees_the_text() -> None:
    """And the same id."""
    formatted = LOUD.format(RuntimeError("secret text"))
    assert formatted["message"] == "RuntimeError: secret text"
    assert "id" in str(formatted["extensions"])


def test_a_resolvers_graphql_error_is_meant_to_be_read() -> None:
    """As it is, with the application's own extensions."""
    error = located_error(GraphQLError("The cat sleeps.", extensions={"code": "CAT_ASLEEP"}), [NODE], ["cat"])
    assert QUIET.format(error)["message"] == "The cat sleeps."
    assert QUIET.format(error)["extensions"] == {"code": "CAT_ASLEEP"}


def test_an_error_wrapped_twice_is_judged_by_what_is_inside() -> None:
    """graphql-core may wrap more than once."""
    inside = located_error(RuntimeError("secret text"), [NODE])
    assert QUIET.format(GraphQLError("secret text", original_error=inside))["message"] == "Internal server error"


def test_errors_of_a_request_have_a_code_and_keep_their_text(caplog: pytest.LogCaptureFixture) -> None:
    """They speak of what the client wrote, also where a scalar of the application said it."""
    by_core = GraphQLError("Cannot query field 'x'.", positions=None)
    by_scalar = GraphQLError("Expected value of type 'Date': no such day", original_error=ValueError("no such day"))
    coded = GraphQLError("Own.", extensions={"code": "OWN"})
    formatted = QUIET.format_all([by_core, by_scalar, coded], code="GRAPHQL_VALIDATION_FAILED")
    assert [error["message"] for error in formatted] == [by_core.message, by_scalar.message, "Own."]
    assert [error["extensions"] for error in formatted] == [
        {"code": "GRAPHQL_VALIDATION_FAILED"},
        {"code": "GRAPHQL_VALIDATION_FAILED"},
        {"code": "OWN"},
    ]
    assert not caplog.records


@pytest.mark.parametrize("extensions", [{"it": object()}, {"it": "\ud83d"}])
def test_what_json_has_no_form_for_is_masked(extensions: dict[str, object]) -> None:
    """An answer that cannot be written would be none; the place is still told."""
    formatted = QUIET.format(located_error(GraphQLError("Look.", extensions=extensions), [NODE], ["hello"]))
    assert formatted["message"] == "Internal server error"
    assert formatted["path"] == ["hello"]
    assert msgspec.json.decode(msgspec.json.encode(formatted))["locations"] == [{"line": 1, "column": 1}]
