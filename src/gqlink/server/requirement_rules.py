"""What an operation demands of whoever asks: collected from everything that it may touch, before anything runs.

What must stay true: nothing of a type or a field can be read, whatever way leads to it, by somebody whom a directive
on it keeps out. So

* a field demands what is on it, on its type's every interface that has it, on its type and that type's interfaces, and
  on the type that it returns;
* a field that is selected through an interface demands that of the interface, and of each object that may be there;
* a type condition demands what is on its type.

Variables play no part, and `@skip` and `@include` neither. Fields whose names begin with two underscores demand
nothing: clients add `__typename` everywhere, and introspection has a rule of its own.

Apollo's router takes out of a request what one may not have, and answers the rest. Here the whole operation is
refused, as the router does with `reject_unauthorized`, because a subscription that silently lacks half of its fields
helps nobody; and directives on an interface count for the objects that implement it, which Federation has not had
since GHSA-mx7m-j9xf-62hw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    InlineFragmentNode,
    get_named_type,
)

from gqlink.server.authorization_directives import check_declarations, check_places, demanded_by
from gqlink.server.requirements import NOTHING_REQUIRED, Requirements, all_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, SelectionNode, SelectionSetNode

__all__ = ("RequirementRules",)

_ByField = dict[str, Requirements]
_Below = tuple[str, "SelectionSetNode"]


class RequirementRules:
    """What one schema's directives demand, worked out once for each field of each type.

    Args:
        schema: Any; without the directives, collecting costs nothing.

    Raises:
        TypeError: A directive is declared or used in a way that would not be enforced as it reads.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        check_declarations(schema)
        check_places(schema)
        self._schema = schema
        self._of_type = _of_types(schema)
        self._of_selection = _of_selections(schema, _of_fields(schema, self._of_type))
        self._returned = {
            kind.name: {name: get_named_type(field.type).name for name, field in kind.fields.items()}
            for kind in _composites(schema)
        }
        self._any = any(self._of_type.values()) or any(any(each.values()) for each in self._of_selection.values())

    def collect(self, document: DocumentNode, operation: OperationDefinitionNode) -> Requirements:
        """Say what an operation of a valid document demands, in time proportional to the document."""
        return all_of(self._walk(document, operation)) if self._any else NOTHING_REQUIRED

    def _walk(self, document: DocumentNode, operation: OperationDefinitionNode) -> Iterator[Requirements]:
        """Visit every selection, each fragment once; with a stack, because documents may nest deeply."""
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        root = self._schema.get_root_type(operation.operation)
        assert root is not None, "a valid document has no operation that the schema lacks"
        waiting: list[_Below] = [(root.name, operation.selection_set)]
        while waiting:
            parent, selected = waiting.pop()
            for node in selected.selections:
                demanded, below = self._visit(parent, node, fragments)
                yield demanded
                if below is not None:
                    waiting.append(below)

    def _visit(
        self, parent: str, node: SelectionNode, fragments: dict[str, FragmentDefinitionNode]
    ) -> tuple[Requirements, _Below | None]:
        """Return what a selection demands by itself, and what is selected below it, on which type."""
        match node:
            case FieldNode() if node.name.value.startswith("__"):
                return NOTHING_REQUIRED, None
            case FieldNode():
                name = node.name.value
                below = (self._returned[parent][name], node.selection_set) if node.selection_set else None
                return self._of_selection[parent][name], below
            case FragmentSpreadNode():
                fragment = fragments.pop(node.name.value, None)
                return self._under(parent, fragment) if fragment else (NOTHING_REQUIRED, None)
            case InlineFragmentNode():
                return self._under(parent, node)
        raise TypeError(type(node))

    def _under(self, parent: str, fragment: FragmentDefinitionNode | InlineFragmentNode) -> tuple[Requirements, _Below]:
        if fragment.type_condition is None:
            return NOTHING_REQUIRED, (parent, fragment.selection_set)
        condition = fragment.type_condition.name.value
        return self._of_type[condition], (condition, fragment.selection_set)


def _composites(schema: GraphQLSchema) -> list[GraphQLObjectType | GraphQLInterfaceType]:
    return [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)]


def _of_types(schema: GraphQLSchema) -> dict[str, Requirements]:
    """Say what each type demands; an object is all the interfaces that it implements, too."""
    own = {name: demanded_by(kind, name=name) for name, kind in schema.type_map.items()}
    inherited = {kind.name: [own[each.name] for each in kind.interfaces] for kind in _composites(schema)}
    return {name: all_of([demanded, *inherited.get(name, ())]) for name, demanded in own.items()}


def _of_fields(schema: GraphQLSchema, types: Mapping[str, Requirements]) -> dict[str, _ByField]:
    """Say what each field of each type demands, by itself."""
    own = {
        kind.name: {name: demanded_by(field, name=f"{kind.name}.{name}") for name, field in kind.fields.items()}
        for kind in _composites(schema)
    }
    return {
        kind.name: {
            name: all_of(
                [
                    types[kind.name],
                    types[get_named_type(field.type).name],
                    own[kind.name][name],
                    *(own[each.name].get(name, NOTHING_REQUIRED) for each in kind.interfaces),
                ]
            )
            for name, field in kind.fields.items()
        }
        for kind in _composites(schema)
    }


def _of_selections(schema: GraphQLSchema, fields: Mapping[str, _ByField]) -> dict[str, _ByField]:
    """Say what each field of each type demands of who selects it there: that of all objects that may be there."""
    possible = {
        kind.name: [each.name for each in schema.get_possible_types(kind)]
        for kind in _composites(schema)
        if isinstance(kind, GraphQLInterfaceType)
    }
    return {
        kind: {
            name: all_of([demanded, *(fields[each][name] for each in possible.get(kind, ()))])
            for name, demanded in by_field.items()
        }
        for kind, by_field in fields.items()
    }
