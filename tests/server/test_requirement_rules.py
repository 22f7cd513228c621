"""What an operation demands; the last test compares it with what comes of writing every fragment out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from graphql import build_schema, parse, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from gqlink.auth import Identity
from gqlink.errors import LoginRequired, PermissionDenied
from gqlink.server import AUTHORIZATION_DIRECTIVES
from gqlink.server.documents import find_operation
from gqlink.server.requirement_rules import RequirementRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.server.requirements import Requirements

SCHEMA = build_schema(
    AUTHORIZATION_DIRECTIVES
    + """
    type Query {
        open: String
        closed: String @authenticated
        account: Account
        accounts: [Account!]!
        nodes: [Node]
        posts: [Post]
        found: [Found!]
        mood: [Mood!]
        vault: Vault
        again: Query
    }

    type Mutation @requiresScopes(scopes: [["write"]]) { add: Int }
    type Subscription { news: String  secrets: String @requiresScopes(scopes: [["secrets"]]) }

    type Account @requiresScopes(scopes: [["account"]]) {
        name: String
        email: String @requiresScopes(scopes: [["email"], ["staff"]])
        friend: Account
    }

    interface Node { id: ID!  title: String }
    interface Post implements Node @requiresScopes(scopes: [["post"]]) {
        id: ID!
        title: String @requiresScopes(scopes: [["title"]])
    }
    type Note implements Node { id: ID!  title: String }
    type Blog implements Node & Post { id: ID!  title: String }
    type Diary implements Node & Post @requiresScopes(scopes: [["diary"]]) {
        id: ID!
        title: String @requiresScopes(scopes: [["diary title"]])
    }
    union Found = Note | Diary

    enum Mood @requiresScopes(scopes: [["mood"]]) { GOOD }
    scalar Vault @requiresScopes(scopes: [["vault"]])
    """
)
RULES = RequirementRules(SCHEMA)


def collected(query: str, name: str | None = None) -> Requirements:
    """Collect what a valid document's operation demands."""
    document = parse(query)
    assert not validate(SCHEMA, document)
    operation = find_operation(document, name)
    assert operation is not None
    return RULES.collect(document, operation)


def words(requirements: Requirements) -> set[str]:
    """Write down what is demanded: "login", and the scopes of each `@requiresScopes`."""
    scopes = {"|".join(sorted("+".join(sorted(one)) for one in each)) for each in requirements.scopes}
    return scopes | ({"login"} if requirements.authenticated else set())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ open }", set()),
        ("{ open closed }", {"login"}),
        ("{ account { name } }", {"account"}),
        ("{ accounts { email } }", {"account", "email|staff"}),
        ("{ account { friend { friend { email } } } }", {"account", "email|staff"}),
        ("{ again { again { closed } } }", {"login"}),
        ("{ mood }", {"mood"}),
        ("{ vault }", {"vault"}),
        ("mutation { add }", {"write"}),
        ("subscription { news }", set()),
        ("subscription { secrets }", {"secrets"}),
    ],
)
def test_a_field_demands_what_is_on_it_and_on_what_it_returns(query: str, expected: set[str]) -> None:
    """Objects, scalars and enums alike, at any depth, in lists or not, root types included."""
    assert words(collected(query)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ nodes { id } }", {"post", "diary"}),
        ("{ nodes { title } }", {"post", "title", "diary", "diary title"}),
        ("{ posts { __typename } }", {"post"}),
        ("{ posts { title } }", {"post", "title", "diary", "diary title"}),
        ("{ nodes { ... on Note { id title } } }", set()),
        ("{ nodes { ... on Blog { id } } }", {"post"}),
        ("{ nodes { ... on Blog { title } } }", {"post", "title"}),
        ("{ nodes { ... on Post { id } } }", {"post", "diary"}),
        ("{ found { ... on Note { title } } }", set()),
        ("{ found { __typename ... on Note { title } ... on Diary { id } } }", {"post", "diary"}),
        ("{ found { ... on Node { id } } }", {"post", "diary"}),
    ],
)
def test_through_an_interface_or_a_union_all_that_may_be_there_counts(query: str, expected: set[str]) -> None:
    """Also the directives of an interface for the objects behind it: no fragment leads around them."""
    assert words(collected(query)) == expected


def test_ghsa_mx7m_j9xf_62hw_an_object_does_not_lead_around_its_interface() -> None:
    """A lock on an interface, or on its field, holds for each object behind it, inline or in a named fragment."""
    for query in (
        "{ nodes { ... on Blog { title } } }",
        "{ nodes { ...B } } fragment B on Blog { title }",
        "{ nodes { ... on Post { ... on Blog { title } } } }",
    ):
        assert {"post", "title"} <= words(collected(query))


def test_ghsa_x33c_7c2v_mrj9_an_interface_does_not_lead_around_its_objects() -> None:
    """An interface without a lock opens none of the objects that have one, on themselves or on their fields."""
    assert "diary" in words(collected("{ nodes { id } }"))
    assert "diary title" in words(collected("{ nodes { title } }"))
    assert "diary" in words(collected("{ found { ... on Node { id } } }"))


@pytest.mark.parametrize(
    "query",
    [
        "{ ...A } fragment A on Query { closed }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { again { ... { closed } } }",
        "{ ... on Query { x: closed } }",
        "{ ... @include(if: false) { closed } }",
        "query ($no: Boolean = true) { closed @skip(if: $no) }",
    ],
)
def test_fragments_aliases_and_conditions_change_nothing(query: str) -> None:
    """What might be executed under some variables counts."""
    assert words(collected(query)) == {"login"}


@pytest.mark.parametrize(
    "query",
    [
        "{ __typename }",
        "{ __schema { types { name } } }",
        '{ __type(name: "Account") { fields { name } } }',
        "{ found { __typename } nodes { __typename } }",
    ],
)
def test_introspection_demands_nothing(query: str) -> None:
    """It has a rule of its own, and clients add `__typename` everywhere."""
    assert not collected(query)


def test_a_type_condition_demands_what_is_on_its_type() -> None:
    """To be told whether a thing is a diary is to be told of a diary."""
    assert words(collected("{ nodes { ... on Diary { __typename } } }")) == {"post", "diary"}


def test_only_the_operation_that_is_meant_counts() -> None:
    """With the fragments that it spreads."""
    query = """
        query Open { open ...O }
        query Closed { closed ...C }
        fragment O on Query { again { open } }
        fragment C on Query { vault }
    """
    assert words(collected(query, "Open")) == set()
    assert words(collected(query, "Closed")) == {"login", "vault"}


def test_fragments_that_fan_out_are_walked_once() -> None:
    """Two thousand of them, each of which spreads the next one twice: a walk along each path would not end."""
    count = 2000
    links = "".join(f"fragment F{n} on Query {{ ...F{n + 1} again {{ ...F{n + 1} }} }} " for n in range(count))
    document = parse(f"{{ ...F0 }} {links} fragment F{count} on Query {{ closed }}")
    operation = find_operation(document, None)
    assert operation is not None
    assert words(RULES.collect(document, operation)) == {"login"}


def test_a_schema_without_the_directives_is_not_walked() -> None:
    """An operation that its schema does not know would fail otherwise."""
    rules = RequirementRules(build_schema("type Query { a: Int }"))
    document = parse("mutation { unknown }")
    operation = find_operation(document, None)
    assert operation is not None
    assert not rules.collect(document, operation)


OBJECTS = {"Query": (), "A": ("I",), "B": ("I", "J"), "C": ("I", "J")}
INTERFACES: dict[str, tuple[str, ...]] = {"I": (), "J": ("I",)}
UNIONS = {"U": ("A", "B")}
LEAVES = ("S", "E")
FIELDS = {"leaf": "S", "mark": "E", "one": "I", "two": "J", "any": "U", "self": "A"}
COMPOSITES = {**OBJECTS, **INTERFACES}
POSSIBLE = {name: [name] for name in OBJECTS} | {
    interface: [name for name, its in OBJECTS.items() if interface in its] for interface in INTERFACES
}
POSSIBLE |= {name: list(members) for name, members in UNIONS.items()}
ELEMENTS = [*COMPOSITES, *LEAVES, *(f"{kind}.{name}" for kind in COMPOSITES for name in FIELDS)]
USES = [
    "@authenticated",
    *(f"@requiresScopes(scopes: {lists})" for lists in ('[["a"]]', '[["b", "c"], ["a"]]', '[["c"]]')),
]


def grants(use: str, identity: Identity) -> bool:
    """Tell whether one directive lets somebody through."""
    if use == "@authenticated":
        return identity.subject is not None
    enough = [{"a"}], [{"b", "c"}, {"a"}], [{"c"}]
    return any(each <= identity.scopes for each in enough[USES.index(use) - 1])


EVERYBODY = [
    Identity(subject=subject, scopes=frozenset(scopes))
    for subject in (None, "ann")
    for scopes in ("", "a", "b", "c", "bc", "ac", "abc")
]
marks = st.dictionaries(st.sampled_from(ELEMENTS), st.sampled_from(USES), max_size=8)


def written(marks: dict[str, str]) -> str:
    """Write a schema whose elements are marked so."""

    def fields(kind: str) -> str:
        return " ".join(f"{name}: {of} {marks.get(f'{kind}.{name}', '')}" for name, of in FIELDS.items())

    lines = [
        AUTHORIZATION_DIRECTIVES,
        f"scalar S {marks.get('S', '')} enum E {marks.get('E', '')} {{ V }} union U = A | B",
    ]
    for kind, interfaces in COMPOSITES.items():
        word = "interface" if kind in INTERFACES else "type"
        behind = f"implements {' & '.join(interfaces)}" if interfaces else ""
        lines.append(f"{word} {kind} {behind} {marks.get(kind, '')} {{ {fields(kind)} }}")
    return "\n".join(lines)


@dataclass
class Selection:
    """One selection: a field, or a fragment, inline or by name."""

    name: str = ""
    on: str = ""
    spread: str = ""
    below: Sequence[Selection] = ()

    def __str__(self) -> str:
        if self.spread:
            return f"...{self.spread}"
        below = " ".join(map(str, self.below))
        if self.name:
            return f"{self.name} {{ {below} }}" if below else self.name
        return f"... {f'on {self.on} ' if self.on else ''}{{ {below} }}"


@st.composite
def selections(draw: st.DrawFn, parent: str, depth: int, fragments: dict[str, str]) -> list[Selection]:
    """Select something on a type; fragments are those that may be spread, and their types."""
    return [draw(_selection(parent, depth, fragments)) for _ in range(draw(st.integers(1, 3)))]


@st.composite
def _selection(draw: st.DrawFn, parent: str, depth: int, fragments: dict[str, str]) -> Selection:
    fitting = [name for name, kind in fragments.items() if set(POSSIBLE[kind]) & set(POSSIBLE[parent])]
    kind = draw(st.sampled_from(["leaf", "field", "inline", "spread"]))
    if kind == "spread" and fitting:
        return Selection(spread=draw(st.sampled_from(fitting)))
    if kind == "inline" and depth:
        on = draw(st.sampled_from(["", *(name for name in POSSIBLE if set(POSSIBLE[name]) & set(POSSIBLE[parent]))]))
        return Selection(on=on, below=draw(selections(on or parent, depth - 1, fragments)))
    if kind == "field" and depth and parent not in UNIONS:
        name = draw(st.sampled_from([name for name, of in FIELDS.items() if of not in LEAVES]))
        return Selection(name, below=draw(selections(FIELDS[name], depth - 1, fragments)))
    return Selection("__typename" if parent in UNIONS else draw(st.sampled_from(["leaf", "mark", "__typename"])))


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[Selection], dict[str, tuple[str, Sequence[Selection]]]]:
    """Draw a query and its fragments; a fragment spreads only such as were drawn before it."""
    fragments: dict[str, tuple[str, Sequence[Selection]]] = {}
    for number in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(list(POSSIBLE)))
        known = {name: on for name, (on, _) in fragments.items()}
        fragments[f"F{number}"] = kind, draw(selections(kind, 2, known))
    return draw(selections("Query", 4, {name: on for name, (on, _) in fragments.items()})), fragments


def touched(
    parent: str, several: Sequence[Selection], fragments: dict[str, tuple[str, Sequence[Selection]]]
) -> set[str]:
    """Write every fragment out where it is spread, and say which elements of the schema that touches."""
    found: set[str] = set()
    for each in several:
        if each.spread or not each.name:
            on, below = fragments[each.spread] if each.spread else (each.on, each.below)
            found |= touched(on or parent, below, fragments) | _kinds(on)
        elif each.name != "__typename":
            for kind in {parent, *POSSIBLE[parent]}:
                found |= _kinds(kind) | {f"{one}.{each.name}" for one in _kinds(kind)}
            found |= _kinds(FIELDS[each.name]) | touched(FIELDS[each.name], each.below, fragments)
    return found


def _kinds(kind: str) -> set[str]:
    return {kind, *COMPOSITES.get(kind, ())}


@settings(max_examples=150, deadline=None)
@given(marks, documents())
def test_it_is_what_comes_of_writing_every_fragment_out(
    marks: dict[str, str], drawn: tuple[list[Selection], dict[str, tuple[str, Sequence[Selection]]]]
) -> None:
    """For any schema, any document and anybody: let through if and only if each element touched lets them through."""
    selected, fragments = drawn
    schema = build_schema(written(marks))
    text = f"{{ {' '.join(map(str, selected))} }}"
    text += "".join(f" fragment {name} on {on} {{ {' '.join(map(str, of))} }}" for name, (on, of) in fragments.items())
    document = parse(text)
    operation = find_operation(document, None)
    assert operation is not None
    demanded = RequirementRules(schema).collect(document, operation)
    uses = {marks[element] for element in touched("Query", selected, fragments) if element in marks}
    for identity in EVERYBODY:
        expected = all(grants(use, identity) for use in uses)
        assert passes(demanded, identity) == expected, (text, marks, identity)


def passes(demanded: Requirements, identity: Identity) -> bool:
    """Tell whether somebody is let through."""
    try:
        demanded.check(identity)
    except (LoginRequired, PermissionDenied):
        return False
    return True
