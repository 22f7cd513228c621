from __future__ import annotations

import pytest
from ariadne import make_executable_schema
from graphql import GraphQLObjectType, GraphQLSchema, build_schema, extend_schema, parse

from gqlink.auth import ANONYMOUS, Identity
from gqlink.server import AUTHORIZATION_DIRECTIVES, GraphQLApp
from gqlink.server.authorization_directives import check_declarations, check_places, demanded_by
from gqlink.server.requirements import NOTHING_REQUIRED, Requirements

LOGIN = Requirements(authenticated=True)


def demand(*scopes: list[list[str]], authenticated: bool = False) -> Requirements:
    """Demand what some `@requiresScopes` demand."""
    alternatives = frozenset(frozenset(frozenset(one) for one in each) for each in scopes)
    return Requirements(authenticated=authenticated, scopes=alternatives)


def demanded(schema: GraphQLSchema, name: str) -> Requirements:
    """Read what a type or a field, named "Type.field", demands by itself."""
    kind, _, field = name.partition(".")
    element = schema.type_map[kind]
    return demanded_by(element.fields[field] if field else element, name=name)  # type: ignore[attr-defined]


SDL = """
    type Query @authenticated {
        open: String
        closed: String @authenticated
        scoped: String @requiresScopes(scopes: [["a", "b"], ["c"]])
        both: Even @authenticated @requiresScopes(scopes: [["a"]])
        node: Node
    }
    interface Node @requiresScopes(scopes: [["node"]]) { id: ID! @authenticated }
    scalar Even @requiresScopes(scopes: [["even"]])
    enum Colour @authenticated { RED }
    extend type Query @requiresScopes(scopes: [["more"]]) { later: Colour @authenticated }
"""


@pytest.mark.parametrize("build", [build_schema, make_executable_schema])
@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("Query", demand([["more"]], authenticated=True)),
        ("Query.open", NOTHING_REQUIRED),
        ("Query.closed", LOGIN),
        ("Query.scoped", demand([["a", "b"], ["c"]])),
        ("Query.both", demand([["a"]], authenticated=True)),
        ("Query.later", LOGIN),
        ("Node", demand([["node"]])),
        ("Node.id", LOGIN),
        ("Even", demand([["even"]])),
        ("Colour", LOGIN),
    ],
)
def test_directives_are_read_wherever_they_may_stand(build: object, element: str, expected: Requirements) -> None:
    """On types, on their extensions, and on fields, with graphql-core and with Ariadne."""
    schema = build(AUTHORIZATION_DIRECTIVES + SDL)  # type: ignore[operator]
    check_declarations(schema)
    check_places(schema)
    assert demanded(schema, element) == expected


def test_an_extended_schema_keeps_its_directives() -> None:
    """Those of the extension count as well."""
    base = build_schema(AUTHORIZATION_DIRECTIVES + "type Query { a: String @authenticated }")
    more = 'extend type Query @requiresScopes(scopes: [["m"]]) { b: String @authenticated }'
    schema = extend_schema(base, parse(more))
    assert demanded(schema, "Query") == demand([["m"]])
    assert demanded(schema, "Query.a") == demanded(schema, "Query.b") == LOGIN


def test_what_is_used_counts_even_where_it_is_not_declared() -> None:
    """graphql-core may be told to believe an SDL; a directive that is not enforced would be worse than none."""
    schema = build_schema("type Query { a: String @authenticated }", assume_valid_sdl=True)
    assert demanded(schema, "Query.a") == LOGIN


def test_a_schema_without_an_sdl_demands_nothing() -> None:
    """One that is built by hand has no directives."""
    schema = GraphQLSchema(GraphQLObjectType("Query", {}))
    assert demanded(schema, "Query") == NOTHING_REQUIRED


def test_an_alternative_that_demands_more_than_another_is_none() -> None:
    """Whoever has it has the other."""
    schema = build_schema(
        AUTHORIZATION_DIRECTIVES + 'type Query { a: Int @requiresScopes(scopes: [["a", "b"], ["a"], ["a", "a"]]) }'
    )
    assert demanded(schema, "Query.a") == demand([["a"]])


@pytest.mark.parametrize(
    "use",
    [
        "@requiresScopes",
        "@requiresScopes(scopes: [])",
        "@requiresScopes(scopes: [[]])",
        '@requiresScopes(scopes: [["a"], []])',
        '@requiresScopes(scopes: "a")',
        '@requiresScopes(scopes: ["a"])',
        '@requiresScopes(scopes: [["a"], "b"])',
        '@requiresScopes(scopes: [[""]])',
        "@requiresScopes(scopes: [[a]])",
        "@requiresScopes(scopes: [[1]])",
        "@requiresScopes(scopes: [[null]])",
        "@requiresScopes(scopes: null)",
        '@requiresScopes(scopes: [[["a"]]])',
        '@requiresScopes(scopes: [["a"]], all: true)',
        '@requiresScopes(scope: [["a"]])',
        "@authenticated(really: true)",
    ],
)
def test_a_use_that_cannot_be_read_is_an_error(use: str) -> None:
    """Before anything is served: what GraphQL would coerce, or others ignore, is not guessed at."""
    schema = build_schema(f"type Query {{ a: String {use} }}", assume_valid_sdl=True)
    with pytest.raises(TypeError, match=r"on Query\.a"):
        GraphQLApp(schema, authenticate=nobody)


@pytest.mark.parametrize("scalar", ["String", "Scope", "federation__Scope", "requiresScopes__Scope"])
def test_federations_own_declaration_is_taken(scalar: str) -> None:
    """It has a scalar for a scope; to repeat a directive, or to allow it in fewer places, does no harm."""
    declared = "" if scalar == "String" else f"scalar {scalar}"
    schema = build_schema(
        f"""
        {declared}
        directive @authenticated repeatable on FIELD_DEFINITION
        directive @requiresScopes(scopes: [[{scalar}!]!]!) repeatable on OBJECT | FIELD_DEFINITION
        type Query {{ a: Int @requiresScopes(scopes: [["a"]]) @requiresScopes(scopes: [["b"]]) @authenticated }}
        """
    )
    check_declarations(schema)
    assert demanded(schema, "Query.a") == demand([["a"]], [["b"]], authenticated=True)


@pytest.mark.parametrize(
    "declaration",
    [
        "@authenticated(role: String) on OBJECT",
        "@authenticated on OBJECT | UNION",
        "@authenticated on ARGUMENT_DEFINITION",
        "@authenticated on QUERY",
        "@requiresScopes on OBJECT",
        "@requiresScopes(scopes: [String!]!) on OBJECT",
        "@requiresScopes(scopes: [[String]]) on OBJECT",
        "@requiresScopes(scopes: [[Int!]!]!) on OBJECT",
        "@requiresScopes(scope: [[String!]!]!) on OBJECT",
        "@requiresScopes(scopes: [[String!]!]!, all: Boolean) on OBJECT",
        "@requiresScopes(scopes: [[String!]!]!) on INPUT_FIELD_DEFINITION",
    ],
)
def test_another_directive_of_that_name_is_an_error(declaration: str) -> None:
    """Its author means something that would not be done."""
    schema = build_schema(f"directive {declaration} type Query {{ a: Int }}")
    with pytest.raises(TypeError, match="the schema declares another @"):
        GraphQLApp(schema, authenticate=nobody)


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        ("union U @authenticated = Query", "U"),
        ("union U = Query extend union U @authenticated", "U"),
        ("input I @authenticated { a: Int }", "I"),
        ("input I { a: Int @authenticated }", "I.a"),
        ("enum E { A @authenticated }", "E.A"),
        ("extend type Query { b(c: Int @authenticated): Int }", "Query.b.c"),
        ("interface N { b(c: Int @authenticated): Int }", "N.b.c"),
        ("directive @d(a: Int @authenticated) on OBJECT", "@d.a"),
        ("schema @authenticated { query: Query }", "the schema"),
        ("extend schema @authenticated", "the schema"),
    ],
)
def test_a_directive_where_it_has_no_meaning_is_an_error(definition: str, name: str) -> None:
    """Else its author would believe in a lock that is none."""
    schema = build_schema(f"type Query {{ a: Int }} {definition}", assume_valid_sdl=True)
    with pytest.raises(TypeError, match=f"@authenticated has no meaning on {name}$"):
        GraphQLApp(schema, authenticate=nobody)


async def nobody(_: object) -> Identity:
    """Know nobody."""
    return ANONYMOUS
