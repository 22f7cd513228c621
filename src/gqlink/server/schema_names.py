"""Keeping the names of a schema from whoever does not know them.

graphql-core's sentences about a request name what the schema has in that place: the type of a field, an argument that
is missing, the enum that a value is not of. With enough wrong requests that is the schema, whether or not it may be
asked for. So where introspection is off, a sentence keeps the names that the client has sent, and loses the others.

What stays is the answer to a guess: that there is something of a name cannot be hidden from those who may ask for it.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    is_introspection_type,
    is_specified_directive,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLSchema

__all__ = ("SchemaNames", "without_suggestion")

_WITHHELD: Final = "…"
_NAME: Final = re.compile(r"[_A-Za-z][_0-9A-Za-z]*+")
# A reference such as 'Query.notes(first:)', '[Note!]!' or '@skip(if:)'; graphql-core puts each into single quotes.
_QUOTED: Final = re.compile(r"'[^'\s]++'")
_SUGGESTION: Final = re.compile(r"\s+Did you mean [^?]*+\?")
# Named by the specification, so that everybody knows them.
_KNOWN_TO_ALL: Final = frozenset({"Boolean", "Float", "ID", "Int", "String", "Query", "Mutation", "Subscription"})


class SchemaNames:
    """The names that one schema gives to what is in it.

    Args:
        schema: It; looked at when a name is withheld for the first time.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema

    def withhold(self, message: str, *, sent: str) -> str:
        """Return a sentence without the names of the schema that its reader has not sent.

        Args:
            message: By graphql-core, about a request.
            sent: The text of that request.
        """

        def write(quoted: re.Match[str]) -> str:
            return _NAME.sub(lambda name: _WITHHELD if self._is_news(name[0], sent) else name[0], quoted[0])

        return _QUOTED.sub(write, message)

    def _is_news(self, name: str, sent: str) -> bool:
        return name in self._names and name not in _names_in(sent)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(_names_of(self._schema)) - _KNOWN_TO_ALL


def without_suggestion(message: str) -> str:
    """Return a sentence without a "Did you mean": one of graphql-core's rules has it whatever it is told."""
    return _SUGGESTION.sub("", message)


@lru_cache(maxsize=4)  # up to twenty errors speak of the same request
def _names_in(text: str) -> frozenset[str]:
    return frozenset(_NAME.findall(text))


def _names_of(schema: GraphQLSchema) -> Iterator[str]:
    for directive in schema.directives:
        if not is_specified_directive(directive):
            yield directive.name
            yield from directive.args
    for name, type_ in schema.type_map.items():
        if is_introspection_type(type_):
            continue
        yield name
        match type_:
            case GraphQLObjectType() | GraphQLInterfaceType():
                for field, definition in type_.fields.items():
                    yield field
                    yield from definition.args
            case GraphQLInputObjectType():
                yield from type_.fields
            case GraphQLEnumType():
                yield from type_.values
