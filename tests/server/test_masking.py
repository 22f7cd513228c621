from __future__ import annotations

import msgspec
import pytest
from graphql import (
    ExecutionResult,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFieldResolver,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    execute,
    located_error,
    parse,
)

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
from gqlink.server.schema_names import SchemaNames

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


@pytest.mark.parametrize("type_", [GraphQLInt, GraphQLList(GraphQLInt), GraphQLEnumType("Hue", {"RED": 1})])
def test_what_graphql_core_says_of_what_was_returned_is_masked(type_: GraphQLOutputType) -> None:
    """It repeats a value that the client was not given, because it is none of the type."""
    errors = errors_of(type_, lambda *_: "secret text")
    assert [error.message for error in errors] != ["Internal server error"]
    assert [error["message"] for error in QUIET.format_all(errors)] == ["Internal server error"]
    assert "secret text" in str(LOUD.format_all(errors)) or "Iterable" in str(LOUD.format_all(errors))


def test_a_graphql_error_is_meant_to_be_read_wherever_the_application_has_it_from() -> None:
    """Raised in a resolver, returned by one, raised by a scalar."""

    def cry(*_arguments: object) -> object:
        raise GraphQLError("The cat sleeps.")

    asleep = GraphQLScalarType("Asleep", serialize=cry)
    for type_, resolve in (
        (GraphQLInt, cry),
        (GraphQLInt, lambda *_: GraphQLError("The cat sleeps.")),
        (GraphQLList(GraphQLInt), lambda *_: [GraphQLError("The cat sleeps.")]),
        (asleep, lambda *_: 3),
    ):
        errors = errors_of(type_, resolve)
        assert [error["message"] for error in QUIET.format_all(errors)] == ["The cat sleeps."]


def test_what_graphql_core_says_of_an_argument_is_about_the_request() -> None:
    """A variable that is null where a default was expected is found out during the execution only."""
    field = GraphQLField(GraphQLInt, {"first": GraphQLArgument(GraphQLNonNull(GraphQLInt))})
    schema = GraphQLSchema(GraphQLObjectType("Query", {"it": field}))
    result = execute(schema, parse("query ($n: Int = 1) { it(first: $n) }"), variable_values={"n": None})
    assert isinstance(result, ExecutionResult)
    assert "Argument 'first'" in str(QUIET.format_all(result.errors or ()))


@pytest.mark.parametrize(
    ("error", "masked"),
    [
        (ValueError("no such day"), False),
        (TypeError("no text"), False),
        (BadUserInput("no such day"), False),
        (LookupError("secret text"), True),
        (RuntimeError("secret text"), True),
    ],
)
def test_a_scalar_that_fails_has_not_said_what_is_wrong_with_a_value(error: Exception, *, masked: bool) -> None:
    """What is about the value is in the exceptions that Python has for that, and in ours."""
    told = GraphQLError(f"Expected value of type 'Date': {error}", original_error=error)
    [formatted] = QUIET.format_all([told], code="BAD_USER_INPUT")
    assert (formatted["message"] == "Internal server error") is masked
    assert ("secret" in str(formatted)) is False


def test_names_of_the_schema_are_kept_from_whoever_has_not_sent_them() -> None:
    """In graphql-core's sentences, with those that came with the variables; in an application's never."""
    schema = GraphQLSchema(GraphQLObjectType("Query", {"cat": GraphQLField(GraphQLInt)}))
    discreet = ErrorFormatter(debug=False, names=SchemaNames(schema))
    error = GraphQLError("Unknown 'cat'. Did you mean 'cat'?", [NODE])
    assert discreet.format_all([error], code="X")[0]["message"] == "Unknown '…'."
    assert discreet.format_all([error], code="X", sent='{"cat": 1}')[0]["message"] == "Unknown 'cat'."
    assert discreet.format(error)["message"] == error.message
    assert LOUD.format_all([error], code="X")[0]["message"] == error.message


def errors_of(type_: GraphQLOutputType, resolve: GraphQLFieldResolver) -> list[GraphQLError]:
    """Execute one field."""
    schema = GraphQLSchema(GraphQLObjectType("Query", {"it": GraphQLField(type_, resolve=resolve)}))
    result = execute(schema, parse("{ it }"))
    assert isinstance(result, ExecutionResult)
    return result.errors or []


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
