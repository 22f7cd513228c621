"""Documents that are expensive to look at: the two schemas that they are for, and those that were written by hand."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from graphql import build_schema

if TYPE_CHECKING:
    from graphql import GraphQLSchema

KINDS: Final = "ABCD"
_LEAVES: Final = " ".join(f"field{number}: String" for number in range(20))
_FIELDS: Final = f"id: ID! self: Node nodes(first: Int, filter: Filter): [Node!]! any: Any a: A {_LEAVES}"
_VALUES: Final = "x(filter: Filter, ids: [ID!], color: Color, n: Int, deep: [[[Int]]])"
_INTRICATE: Final = "\n".join(
    [
        f"interface Node {{ {_FIELDS} }}",
        f"union Any = {' | '.join(KINDS)}",
        *(f"type {kind} implements Node {{ {_FIELDS} only{kind}: Int {_VALUES}: {kind} }}" for kind in KINDS),
        "enum Color { RED GREEN BLUE }",
        "input Filter { and: [Filter!] or: [Filter!] not: Filter id: ID text: String n: Int color: Color }",
        f"type Query {{ node(id: ID): Node nodes(first: Int, filter: Filter): [Node!]! any: Any a: A {_VALUES}: Int }}",
    ]
)

_WIDE: Final = (
    f"type Query {{ thing(id: ID): Thing }} "
    f"type Thing {{ id: ID! thing: Thing related(first: Int): [Thing!]! {_LEAVES} }}"
)
CHAT, INTRICATE, WIDE = "chat", "intricate", "wide"


def schemas() -> dict[str, GraphQLSchema]:
    """Return the chat's schema, one with all that makes validation slow, and one with many fields."""
    chat = resources.files("gqlink.chat").joinpath("schema.graphql").read_text()
    return {CHAT: build_schema(chat), INTRICATE: build_schema(_INTRICATE), WIDE: build_schema(_WIDE)}


def refused() -> dict[str, str]:
    """Return bombs for the chat's schema that are over a limit, by what they are."""
    spreads = "".join(f"...F{number} " for number in range(190))
    singles = "".join(f"fragment F{number} on Query{{viewer{{name}}}}" for number in range(190))
    same = "".join(f"fragment S{number} on Message{{id text from room{{id}}}}" for number in range(1_000))
    return {
        "480 times the same field": "{messages{" + "room{id}" * 480 + "}}",
        "190 fragments of one field": f"{{{spreads}}}{singles}",
        "1,000 fragments with the same fields": "{messages{" + "".join(f"...S{n} " for n in range(1_000)) + "}}" + same,
        "5,000 aliases": "{" + "".join(f"a{number:04}:viewer" for number in range(5_000)) + "}",
        "6,500 times the same alias": "{" + "a:viewer " * 6_500 + "}",
        "300 conflicting arguments": "{" + "".join(f"messages(last:{number}){{id}}" for number in range(300)) + "}",
        "fragments that double 22 times": "{...F0}"
        + "".join(f"fragment F{n} on Query{{...F{n + 1} ...F{n + 1}}}" for n in range(22))
        + "fragment F22 on Query{viewer{name}}",
        "16 KB of comments": "#\n" * 8_000 + "{viewer{name}}",
    }


def allowed() -> dict[str, tuple[str, str]]:
    """Return what is within the limits and as bad as we could think of, by what it is: schema and document."""
    wide = "node{id self{id self{id nodes{id}} nodes{id}} nodes{id self{id}}}"
    crossed = "".join(f"fragment F{n} on Node{{id self{{...G{n % 5}}}}}" for n in range(10))
    crossed += "".join(f"fragment G{n} on Node{{id self{{id}} nodes{{id}}}}" for n in range(5))
    variables, used = "".join(f"$v{n}:Int " for n in range(38)), "".join(f"{{n:$v{n}}}" for n in range(38))
    documents = {
        "a list": "{x(ids:[" + "1 " * 385 + "])}",
        "a list of objects": "{x(filter:{and:[" + "{id:1}" * 76 + "]})}",
        "a list of wrong enums": "{x(filter:{or:[" + "{color:RDE}" * 76 + "]})}",
        "lists in lists": "{x(deep:[" + "[[1]]" * 76 + "])}",
        "objects in objects": "{x(filter:{and:[" + ("{not:" * 18 + "{}" + "}" * 18 + " ") * 5 + "]})}",
        "ten fields with ten arguments": "{" + ("x(filter:{and:[" + "{id:1}" * 5 + "]})") * 10 + "}",
        "ten fields that are merged": "{" + wide * 10 + "}",
        "fragments that cross": "{" + "".join(f"node{{...F{n}}} " for n in range(10)) + "}" + crossed,
        "variables": f"query({variables}){{x(filter:{{and:[{used}]}})}}",
        "variables that nobody uses": "query(" + "".join(f"$v{n}:Int " for n in range(90)) + "){a{id}}",
        "a fragment that nobody spreads": "{a{id}}fragment F on Node{" + "self{id}" * 95 + "}",
        "a fragment in itself": "{node{...F}}fragment F on Node{...F " + "self{id}" * 92 + "}",
        "fragments of one name": "{node{...F}}" + "fragment F on Node{self{id}self{id}}" * 26,
        "unknown fields": "{" + " ".join(f"node{{u{n}}}" for n in range(10)) + "}",
        "unknown directives": "{a{id}}" + "".join(f"query Q{n}{{a{{id @no{n}(a:1)}}}}" for n in range(9)),
        "types": "type Q{a:Int}" * 56,
        "a block string": '{node(id:"""' + "\n" * 8_100 + '"""){id}}',
        "an indented block string": '{node(id:"""' + "\n  a" * 2_020 + '"""){id}}',
        "escapes": '{node(id:"' + "\\n" * 4_050 + '"){id}}',
        "a list, and escapes": '{node(id:"' + "\\n" * 3_500 + '"){id}x(ids:[' + "1 " * 375 + "])}",
        "commas": "," * 8_100 + "{a{id}}",
        "lines, and errors": "\n" * 5_000 + "{" + "".join(f"a{{b{n}}}" for n in range(10)) + "}",
        "a long name": "{" + "a" * 8_100 + "}",
        "what is not closed": "{x(deep:" + "[" * 390,
    }
    return {name: (INTRICATE, text) for name, text in documents.items()} | {
        "every field of every message": (
            CHAT,
            "{messages(last:1){" + "id clientId from text createdAt room{id title}" * 10 + "}}",
        )
    }


def variables() -> dict[str, tuple[str, dict[str, object]]]:
    """Return what is expensive to coerce, for the intricate schema, by what it is: document and variables."""
    ids, filters = "query($v:[ID!]){x(ids:$v)}", "query($v:Filter){x(filter:$v)}"
    deep = "query($v:[[[Int]]]){x(deep:$v)}"
    return {
        "a list in variables": (ids, {"v": [1] * 998}),
        "empty objects in variables": (filters, {"v": {"and": [{}] * 997}}),
        "wrong enums in variables": (filters, {"v": {"and": [{"color": "RDE"}] * 498}}),
        "unknown members in variables": (filters, {"v": {f"z{number}": 1 for number in range(998)}}),
        "a list that becomes three": (deep, {"v": [1] * 998}),
        "a long text in variables": (filters, {"v": {"text": "a" * 32_000}}),
    }
