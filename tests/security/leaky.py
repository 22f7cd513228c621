"""An application that fails wherever an application can fail, each time with a secret in its words.

Its schema has names that nobody would guess, so that a test sees where one comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLScalarType, build_schema

from gqlink.auth import ANONYMOUS
from gqlink.server import GraphQLApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.auth import Credentials, Identity

SECRET = "hunter2"
SDL = """
    scalar Stamp
    directive @flavoured(strength: Int!) on FIELD
    enum Palette { CRIMSON TEAL }
    input NewNote { hiddenText: String! hue: Palette lockDays: Int }
    input Either @oneOf { leftHand: Int rightHand: Int }
    interface Thing { ident: ID! }
    type Note implements Thing { ident: ID! body(longForm: Boolean!): String owner: Person }
    type Person implements Thing { ident: ID! nick: String }
    union Found = Note | Person

    type Query {
        hello: String
        notes(firstOnes: Int!, hue: Palette): [Note!]!
        note(wanted: ID!): Note
        pick(hand: Either): Int
        atMoment(when: Stamp!): Int

        raises: Int
        awaits: Int
        figure: Int
        listed: [Int]
        colour: Palette
        stamped: Stamp
        mandatory: Int!
        thing: Thing
        discovery: Found
        person: Person
    }

    type Mutation { addNote(given: NewNote!): Note }

    type Subscription {
        noSource: Int
        startFails: Int
        sourceFails: Int
        eventFails: Int
        figures: Int
    }
"""
FAILING_QUERIES = (
    "{ raises }",
    "{ awaits }",
    "{ figure }",
    "{ listed }",
    "{ colour }",
    "{ stamped }",
    "{ mandatory }",
    "{ thing { ident } }",
    "{ discovery { __typename } }",
    "{ person { nick } }",
    '{ atMoment(when: "now") }',
)
FAILING_SUBSCRIPTIONS = (
    "subscription { noSource }",
    "subscription { startFails }",
    "subscription { sourceFails }",
    "subscription { eventFails }",
    "subscription { figures }",
)


class _Confidential:
    """Something whose representation tells too much, as those of many models do."""

    def __repr__(self) -> str:
        return f"<Row password={SECRET!r}>"


def _fail(*_arguments: object, **_more: object) -> Any:
    raise LookupError(f"db.internal says {SECRET}")


async def _fail_later(*_arguments: object, **_more: object) -> Any:
    _fail()


async def _one_event(*_arguments: object) -> AsyncIterator[object]:
    yield SECRET


async def _one_event_and_no_more(*_arguments: object) -> AsyncIterator[object]:
    yield 1
    _fail()


async def authenticate(_credentials: Credentials) -> Identity:
    """Know nobody."""
    return ANONYMOUS


def leaky_app(**options: Any) -> GraphQLApp:
    """Make the application; options are those of `GraphQLApp`."""
    schema = build_schema(SDL)
    stamp = schema.type_map["Stamp"]
    assert isinstance(stamp, GraphQLScalarType)
    stamp.parse_value = stamp.coerce_input_value = _fail  # type: ignore[method-assign]
    stamp.serialize = stamp.coerce_output_value = _fail  # type: ignore[method-assign]
    person = schema.type_map["Person"]
    person.is_type_of = lambda value, _info: value is None  # type: ignore[attr-defined]
    query, subscription = schema.query_type, schema.subscription_type
    assert query is not None
    assert subscription is not None
    returned: dict[str, object] = {
        "hello": "world",
        "figure": SECRET,
        "listed": 5,
        "colour": SECRET,
        "stamped": SECRET,
        "mandatory": None,
        "thing": _Confidential(),
        "discovery": _Confidential(),
        "person": _Confidential(),
    }
    for name, value in returned.items():
        query.fields[name].resolve = lambda *_, value=value: value
    query.fields["raises"].resolve = _fail
    query.fields["awaits"].resolve = _fail_later
    for name, subscribe, resolve in (
        ("noSource", lambda *_: _Confidential(), None),
        ("startFails", _fail_later, None),
        ("sourceFails", _one_event_and_no_more, lambda event, _info: event),
        ("eventFails", _one_event, _fail),
        ("figures", _one_event, lambda event, _info: event),
    ):
        subscription.fields[name].subscribe = subscribe
        subscription.fields[name].resolve = resolve
    return GraphQLApp(schema, **{"authenticate": authenticate, **options})


def names_of_the_schema() -> set[str]:
    """Return the names that nobody would guess."""
    schema = build_schema(SDL)
    names = {"flavoured", "strength"}
    for name, type_ in schema.type_map.items():
        if name.startswith("__") or name in {"Query", "Mutation", "Subscription", "Int", "String", "ID", "Boolean"}:
            continue
        names |= {name, *getattr(type_, "values", ()), *getattr(type_, "fields", ())}
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        assert root is not None
        for name, field in root.fields.items():
            names |= {name, *field.args}
    return names | {"longForm"}
