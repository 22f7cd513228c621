from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from gqlink.errors import AuthUnavailable
from security.leaky import FAILING_QUERIES, FAILING_SUBSCRIPTIONS, SECRET, leaky_app, names_of_the_schema
from security.served import ROADS, road_to
from server.peer import BOTH
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from security.roads import Answer

SOCKETS = tuple(dialect.subprotocol for dialect in BOTH)

WRONG: tuple[tuple[str, dict[str, object] | None], ...] = (
    ("{ x }", None),
    ("{ notes }", None),
    ("{ notes { x } }", None),
    ("{ notes(q: 1, firstOnes: 1) { ident } }", None),
    ("{ notes(firstOnes: 1, hue: PINK) { ident } }", None),
    ('{ notes(firstOnes: 1, hue: "PINK") { ident } }', None),
    ('{ notes(firstOnes: "x") { ident } }', None),
    ("{ note(wanted: 1) { body } }", None),
    ("{ note(wanted: 1) { owner } }", None),
    ("{ note(wanted: 1) { ... on Person { nick } } }", None),
    ("{ discovery { x } }", None),
    ("{ person { nik } }", None),
    ("{ hello { x } }", None),
    ("{ pick(hand: {}) }", None),
    ("query($h: Int) { note(wanted: $h) { ident } pick(hand: $h) }", {"h": 1}),
    ("{ hello @flavoured }", None),
    ("{ hello @flavored(strength: 1) }", None),
    ("mutation { addNote { ident } }", None),
    ("mutation { addNote(given: {}) { ident } }", None),
    ("mutation { addNote(given: {hiddenText: 1, z: 1, hue: PINK}) { ident } }", None),
    ("mutation($g: NewNote!) { addNote(given: $g) { ident } }", None),
    ("mutation($g: NewNote!) { addNote(given: $g) { ident } }", {"g": {}}),
    ("mutation($g: NewNote!) { addNote(given: $g) { ident } }", {"g": 5}),
    ("mutation($g: NewNote!) { addNote(given: $g) { ident } }", {"g": {"hiddenText": "a", "hue": "it's a' X", "z": 1}}),
    ("query($n: Int = 1) { notes(firstOnes: $n) { ident } }", {"n": None}),
    ("subscription { figures noSource }", None),
    ("subscription { x }", None),
    ("{ __schema { types { name } } }", None),
    ('{ __type(name: "Query") { name } }', None),
)


@pytest_asyncio.fixture
async def leaky() -> AsyncIterator[str]:
    """One application that fails everywhere."""
    async with serving(leaky_app()) as authority:
        yield authority


def news(answer: Answer, query: str, variables: object) -> set[str]:
    """Return the schema's names that an answer tells, and that its reader has not sent."""
    told = set(re.findall(r"\w+", " ".join(answer.messages)))
    return told & names_of_the_schema() - set(re.findall(r"\w+", f"{query} {variables}"))


def assert_masked(text: str, errors: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    """One error that says nothing, and one line of the log that says all."""
    assert SECRET not in text
    [error] = errors
    assert error["message"] == "Internal server error"
    assert error["extensions"].keys() == {"code", "id"}
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    [record] = [record for record in caplog.records if error["extensions"]["id"] in record.getMessage()]
    assert record.exc_info


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("query", FAILING_QUERIES)
async def test_whatever_fails_in_a_query_is_an_id_that_the_log_knows(
    leaky: str, query: str, road: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A resolver, what it returned, a scalar on its way in or out: the client gets an id, the log the traceback."""
    answer = await road_to(leaky, road).ask({"query": query})

    assert_masked(answer.text, answer.errors, caplog)


@pytest.mark.parametrize("road", SOCKETS)
@pytest.mark.parametrize("query", FAILING_SUBSCRIPTIONS)
async def test_whatever_fails_in_a_subscription_is_an_id_that_the_log_knows(
    leaky: str, query: str, road: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its beginning, its source, an event."""
    answer = await road_to(leaky, road).ask({"query": query})

    assert_masked(answer.text, answer.errors, caplog)


@pytest.mark.parametrize("road", ROADS)
async def test_a_context_that_fails_is_an_id_that_the_log_knows(road: str, caplog: pytest.LogCaptureFixture) -> None:
    """What builds it is the application's too."""

    def build(*_arguments: object) -> object:
        raise LookupError(SECRET)

    async with serving(leaky_app(context=build)) as authority:
        answer = await road_to(authority, road).ask({"query": "{ hello }"})

    assert_masked(answer.text, answer.errors, caplog)


@pytest.mark.parametrize("road", ROADS)
async def test_a_policy_that_fails_refuses_and_says_no_more(road: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log says why."""

    def policy(*_arguments: object) -> bool:
        raise LookupError(SECRET)

    async with serving(leaky_app(policy=policy)) as authority:
        answer = await road_to(authority, road).ask({"query": "{ hello }"})

    assert answer.refusal["code"] == "FORBIDDEN"
    assert SECRET not in answer.text
    assert SECRET in caplog.text


@pytest.mark.parametrize("failure", [LookupError(SECRET), AuthUnavailable(SECRET)], ids=lambda exc: type(exc).__name__)
@pytest.mark.parametrize("road", ROADS)
async def test_an_authentication_that_fails_asks_to_come_again_and_says_no_more(road: str, failure: Exception) -> None:
    """Neither the status nor the close tells what is behind."""

    async def authenticate(_credentials: object) -> object:
        raise failure

    async with serving(leaky_app(authenticate=authenticate)) as authority:
        answer = await road_to(authority, road).ask({"query": "{ hello }"})

    assert SECRET not in answer.text
    assert (answer.status, answer.closed) in {(503, None), (None, (1013, "Try again later"))}


@pytest.mark.parametrize("road", ROADS)
async def test_no_error_names_what_the_client_has_not_named(leaky: str, road: str) -> None:
    """Types, fields, arguments, members of inputs, values of enums, directives: none is learnt from a wrong request."""
    for query, variables in WRONG:
        answer = await road_to(leaky, road).ask({"query": query, "variables": variables})

        assert answer.errors, query
        assert news(answer, query, variables) == set(), query
        assert "Did you mean" not in answer.text, query


async def test_where_the_schema_may_be_read_errors_say_all() -> None:
    """With `debug` a developer reads graphql-core's own words: what is withheld above is withheld, not absent."""
    told: set[str] = set()
    async with serving(leaky_app(debug=True)) as authority:
        for query, variables in WRONG:
            answer = await road_to(authority, "http").ask({"query": query, "variables": variables})
            told |= news(answer, query, variables)

    assert told == {
        *("Note", "NewNote", "Palette", "Person", "Found", "Either"),
        *("firstOnes", "longForm", "given", "hiddenText", "strength", "nick"),
    }
