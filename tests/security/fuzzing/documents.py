"""Documents, variables and requests that a schema makes likely, right ones and nearly right ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

if TYPE_CHECKING:
    import random

    from graphql import GraphQLField, GraphQLSchema

TEXTS: Final = (
    "",
    "general",
    "a",
    "x" * 300,
    "é",
    "😀",
    "\x00",
    "\\",
    '"',
    "{",
    "null",
    "-1",
    "__proto__",
    "\u202e",
    "1e400",
)
NUMBERS: Final = (0, 1, 2, 50, -1, 200, 201, 2**31, -(2**31) - 1, 2**53 + 1, 10**30, 1.5, -0.0)
JSON: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    *NUMBERS,
    *TEXTS,
    [],
    {},
    [[]],
    {"a": None},
    [1, "a", None],
    {"": {"": 1}},
)
NOISE: Final = (
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "$",
    "!",
    ":",
    "=",
    "@",
    "|",
    "&",
    "...",
    "on",
    '"',
    '"""',
    "#",
    "\n",
    "0",
    "-",
    "é",
    "\ufeff",
)


class DocumentMaker:
    """Makes documents for one schema.

    Args:
        schema: Its fields, arguments and types are what documents are made of.
        dice: Decides.
    """

    def __init__(self, schema: GraphQLSchema, dice: random.Random) -> None:
        self._schema = schema
        self._dice = dice
        self._variables: dict[str, tuple[str, object]] = {}
        self._fragments: list[str] = []

    def request(self) -> dict[str, object]:
        """Make what the JSON of a request could be: most often right, sometimes with a member that is not."""
        request: dict[str, object] = {"query": self.document()}
        if self._variables:
            request["variables"] = {name: value for name, (_, value) in self._variables.items()}
        chance = self._dice.random()
        if chance < 0.1:
            request[self._dice.choice(("query", "variables", "operationName", "extensions", "other"))] = self.any_json()
        elif chance < 0.2:
            request["operationName"] = self._dice.choice(("O", "P", "", None))
        elif chance < 0.25:
            request["extensions"] = {"gqlink": self._dice.choice(({"cursor": True}, {"after": "x"}, {"after": 1}, 5))}
        return request

    def document(self) -> str:
        """Make one document, with what it defines; one in ten is broken afterwards."""
        self._variables, self._fragments = {}, []
        kind = self._dice.choices(("query", "subscription", "mutation"), (0.7, 0.25, 0.05))[0]
        root = {"query": self._schema.query_type, "mutation": self._schema.mutation_type}.get(
            kind, self._schema.subscription_type
        )
        assert root is not None
        fields = self._selection(root, 0)
        declared = ", ".join(f"${name}: {type_}" for name, (type_, _) in self._variables.items())
        name = f" O({declared})" if declared else self._dice.choice(("", "", " O"))
        text = f"{kind}{name}{self._directive()} {fields}"
        if self._dice.random() < 0.03:
            text += f" query P {fields}"
        text = " ".join([text, *self._fragments])
        return self.broken(text) if self._dice.random() < 0.1 else text

    def broken(self, text: str) -> str:
        """Cut something out, put something in, or say something twice."""
        at = self._dice.randint(0, len(text))
        end = at + self._dice.choice((0, 1, 3, 10))
        return text[:at] + self._dice.choice((*NOISE, text[at:end] * 2)) + text[end:]

    def any_json(self) -> Any:
        """Make any JSON; it is small."""
        value = self._dice.choice(JSON)
        if self._dice.random() < 0.2:
            return {self._dice.choice(TEXTS): value, "a": self._dice.choice(JSON)}
        return value

    def _selection(self, type_: GraphQLObjectType, depth: int) -> str:
        names = list(type_.fields)
        few = self._dice.choice((1, 1, 2, 3)) if depth else self._dice.choice((1, 1, 1, 2))
        parts = [self._field(name, type_.fields[name], depth) for name in self._dice.choices(names, k=few)]
        chance = self._dice.random()
        if chance < 0.05:
            parts.append(f"... on {type_.name}{self._directive()} {{ __typename }}")
        elif chance < 0.1:
            fragment = f"F{len(self._fragments)}"
            self._fragments.append("")
            self._fragments[int(fragment[1:])] = (
                f"fragment {fragment} on {type_.name} {self._selection(type_, depth + 1)}"
            )
            parts.append(f"...{fragment}")
        elif chance < 0.12:
            parts.append(
                self._dice.choice(("__schema { types { name } }", "nonesuch", "__typename @skip", "...Nobody", ""))
            )
        return "{ " + " ".join(parts) + " }"

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        alias = self._dice.choice(("", "", "", "a: ", "b: ", "messages: "))
        given = [
            f"{argument}: {self._value(each.type)}"
            for argument, each in field.args.items()
            if is_non_null_type(each.type) or self._dice.random() < 0.5
            if self._dice.random() < 0.97
        ]
        text = alias + name + (f"({', '.join(given)})" if given else "") + self._directive()
        inner = get_named_type(field.type)
        if isinstance(inner, GraphQLObjectType) and depth < self._dice.choice((2, 3, 3, 20)):
            text += " " + self._selection(inner, depth + 1)
        return text

    def _value(self, type_: GraphQLInputType) -> str:
        if self._dice.random() < 0.1:
            return self._dice.choice(("null", "RED", "[]", "{}", "1", '"x"', "$nobody", "9" * 40, '"\\ud83d"'))
        if self._dice.random() < 0.3:
            name = f"v{len(self._variables)}"
            value = self.any_json() if self._dice.random() < 0.2 else self._plain(type_)
            self._variables[name] = (str(type_), value)
            return f"${name}"
        return _literal(self._plain(type_))

    def _plain(self, type_: GraphQLInputType) -> object:
        if is_non_null_type(type_):
            return self._plain(type_.of_type)
        if is_list_type(type_):
            return [self._plain(type_.of_type) for _ in range(self._dice.choice((0, 1, 2)))]
        if isinstance(type_, GraphQLInputObjectType):
            return {name: self._plain(each.type) for name, each in type_.fields.items() if self._dice.random() < 0.8}
        assert is_leaf_type(type_)
        return self._dice.choice(NUMBERS if type_.name in {"Int", "Float"} else TEXTS)

    def _directive(self) -> str:
        if self._dice.random() > 0.05:
            return ""
        return self._dice.choice((" @skip(if: false)", " @include(if: true)", " @nobody", " @skip", " @deprecated"))


def _literal(value: object) -> str:
    """Write a value as GraphQL does; its strings are JSON's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_literal(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value)
