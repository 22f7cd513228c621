"""What is known of the fields of an operation before anybody asks for it: found out once, whoever asks.

Nothing in it depends on a request: only the document and the schema say which fields a selection comes to, unless
`@skip`, `@include` or `@defer` leave it to a variable. Then each execution finds out for itself.

Most fields of most answers are an attribute, or an item of a dict, that is of the right type already. A field set says
of each whether that is all there may be to it; what its value must be for that is said here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
    OperationDefinitionNode,
    get_nullable_type,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql import DocumentNode, GraphQLSchema, SelectionNode
    from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet

    from gqlink.server.event_source import EventSource

__all__ = ("FieldSet", "KnownFields", "is_constant")

_MOST_FIELD_SETS: Final = 64
"""So many of one operation are kept: below an interface there may be any number, one for each type that is met."""
_CONDITIONS: Final = frozenset({"skip", "include", "defer"})
# What leaves a value of exactly this class as it is: a number only if it is of 32 bits, which executor.py looks at.
_UNCHANGED: Final = {
    GraphQLBoolean.coerce_output_value: bool,
    GraphQLFloat.coerce_output_value: float,
    GraphQLID.coerce_output_value: str,
    GraphQLInt.coerce_output_value: int,
    GraphQLString.coerce_output_value: str,
}


class Field(NamedTuple):
    """One field of a set.

    Args:
        response_name: What it is called in the answer.
        details: Where it stands in the document, in graphql-core's terms.
        name: What it is called in the schema.
        plain: The class of a value that is written as it is; None where a resolver or a type of its own has a say.
        nullable: Whether None is written as it is too.
    """

    response_name: str
    details: FieldDetailsList
    name: str
    plain: type | None
    nullable: bool


class FieldSet:
    """The fields that are executed on an object of one type.

    Args:
        schema: The schema.
        parent_type: The type.
        grouped: Them, as graphql-core has collected them.
    """

    __slots__ = ("fields", "grouped", "is_plain", "parent_type")

    def __init__(self, schema: GraphQLSchema, parent_type: GraphQLObjectType, grouped: GroupedFieldSet) -> None:
        self.parent_type = parent_type
        self.grouped = grouped
        self.fields = tuple(_field(schema, parent_type, *each) for each in grouped.items())
        self.is_plain = all(field.plain is not None for field in self.fields)
        """Whether nothing is asked for but values that may be written as they are."""


class KnownFields:
    """The field sets of one operation.

    Args:
        shared: Whether they are the same for every execution.
    """

    __slots__ = ("_below", "_root", "event_source", "shared")

    def __init__(self, *, shared: bool) -> None:
        self.shared = shared
        self.event_source: EventSource | None = None
        """Of a subscription, where nobody sends variables; None until somebody has asked for it."""
        self._root: FieldSet | None = None
        self._below: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, FieldSet]] = {}

    def __len__(self) -> int:
        return len(self._below)

    @property
    def found_root(self) -> FieldSet | None:
        """That of the operation itself, where somebody has asked for it before."""
        return self._root

    def root(self, schema: GraphQLSchema, root_type: GraphQLObjectType, grouped: GroupedFieldSet) -> FieldSet:
        """Return that of the operation itself: the first one that was collected."""
        if self._root is None:
            self._root = FieldSet(schema, root_type, grouped)
        return self._root

    def below(self, parent_type: GraphQLObjectType, details: FieldDetailsList) -> FieldSet | None:
        """Return that of what is selected in a field, where it is known."""
        known = self._below.get((parent_type, id(details)))
        return None if known is None else known[1]

    def add(self, fields: FieldSet, details: FieldDetailsList) -> FieldSet:
        """Keep one, if there is room; with the list, because its identity is what it is found by."""
        if not self.shared or len(self._below) < _MOST_FIELD_SETS:
            self._below[fields.parent_type, id(details)] = details, fields
        return fields


def is_constant(document: DocumentNode) -> bool:
    """Tell whether its operations come to the same fields each time, whatever their variables are."""
    return not any(
        directive.name.value in _CONDITIONS for node in _selections(document) for directive in node.directives or ()
    )


def _selections(document: DocumentNode) -> Iterable[SelectionNode]:
    """Walk the selections of all definitions; with a stack, because they may nest deeply."""
    definitions = document.definitions
    waiting = [
        each.selection_set for each in definitions if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while waiting:
        for node in waiting.pop().selections:
            yield node
            if not isinstance(node, FragmentSpreadNode) and node.selection_set is not None:  # type: ignore[attr-defined]
                waiting.append(node.selection_set)  # type: ignore[attr-defined]


def _field(
    schema: GraphQLSchema, parent_type: GraphQLObjectType, response_name: str, details: FieldDetailsList
) -> Field:
    node: FieldNode = details[0].node
    name = node.name.value
    definition = schema.get_field(parent_type, name)
    if definition is None or definition.resolve is not None or definition.args or node.arguments:
        return Field(response_name, details, name, None, nullable=False)
    inner = get_nullable_type(definition.type)
    plain = _UNCHANGED.get(inner.coerce_output_value) if isinstance(inner, GraphQLScalarType) else None
    return Field(response_name, details, name, plain, nullable=inner is definition.type)
