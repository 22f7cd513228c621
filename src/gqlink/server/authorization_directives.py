"""The directives `@authenticated` and `@requiresScopes`, as they stand in a schema.

Names and meaning are those of Apollo Federation. They are read off the schema's syntax tree, extensions included,
whether or not the schema declares them. Whatever stands there that would not be enforced, or not as it reads, is an
error before anything is served.

Source: Apollo Federation 2.5 and later, "Federated directives", `@authenticated` and `@requiresScopes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from graphql import (
    DirectiveLocation,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    ListValueNode,
    StringValueNode,
)

from gqlink.server.requirements import Requirements, all_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import DirectiveNode, GraphQLDirective, GraphQLNamedType, GraphQLSchema, ValueNode

    from gqlink.server.requirements import Alternatives

__all__ = ("AUTHORIZATION_DIRECTIVES", "Element", "check_declarations", "check_places", "demanded_by")

AUTHORIZATION_DIRECTIVES: Final = """
"Only for somebody who has logged in."
directive @authenticated on OBJECT | FIELD_DEFINITION | INTERFACE | SCALAR | ENUM

"Only for somebody who has all the scopes of one of the inner lists."
directive @requiresScopes(scopes: [[String!]!]!) on OBJECT | FIELD_DEFINITION | INTERFACE | SCALAR | ENUM
"""
"""The definitions, for a schema in SDL that uses them."""

_AUTHENTICATED: Final = "authenticated"
_SCOPES: Final = "requiresScopes"
_NAMES: Final = frozenset({_AUTHENTICATED, _SCOPES})

_PLACES: Final = frozenset(
    {
        DirectiveLocation.OBJECT,
        DirectiveLocation.FIELD_DEFINITION,
        DirectiveLocation.INTERFACE,
        DirectiveLocation.SCALAR,
        DirectiveLocation.ENUM,
    }
)

# Federation has a scalar of its own for a scope, under its own name, as it was imported, or in a supergraph.
_SHAPES: Final = frozenset(
    f"[[{scalar}!]!]!" for scalar in ("String", "Scope", "federation__Scope", "requiresScopes__Scope")
)


class Element(Protocol):
    """Something in a schema that may carry directives."""

    @property
    def ast_node(self) -> object:
        """How it was written; None where it was not."""


def demanded_by(element: Element, *, name: str) -> Requirements:
    """Read what an element's own directives demand; several on one element all have to hold.

    Args:
        element: A type or a field of a type.
        name: What to call it in an error.

    Raises:
        TypeError: A directive is not used as it was defined.
    """
    return all_of([_demanded(directive, name=name) for directive in _directives(element)])


def check_declarations(schema: GraphQLSchema) -> None:
    """Look whether a schema declares the directives as they are meant; it need not declare them.

    Raises:
        TypeError: It declares another directive under such a name.
    """
    for directive in schema.directives:
        if directive.name not in _NAMES:
            continue
        shapes = {name: str(argument.type) for name, argument in directive.args.items()}
        if not _is_meant(directive, shapes):
            raise TypeError(f"the schema declares another @{directive.name} than:{AUTHORIZATION_DIRECTIVES}")


def check_places(schema: GraphQLSchema) -> None:
    """Look whether the directives stand where they have a meaning; graphql-core has not looked at all schemas.

    Raises:
        TypeError: One of them is on an argument, on something of an input, on a union, on a value, or on the schema.
    """
    for name, element in _others(schema):
        for directive in _directives(element):
            raise TypeError(f"@{directive.name.value} has no meaning on {name}")


def _is_meant(directive: GraphQLDirective, shapes: dict[str, str]) -> bool:
    if not frozenset(directive.locations) <= _PLACES:
        return False
    if directive.name == _AUTHENTICATED:
        return not shapes
    return shapes.keys() == {"scopes"} and shapes["scopes"] in _SHAPES


def _directives(element: Element) -> list[DirectiveNode]:
    nodes = (element.ast_node, *(getattr(element, "extension_ast_nodes", None) or ()))
    found = (directive for node in nodes for directive in getattr(node, "directives", None) or ())
    return [directive for directive in found if directive.name.value in _NAMES]


def _demanded(directive: DirectiveNode, *, name: str) -> Requirements:
    arguments = {argument.name.value: argument.value for argument in directive.arguments or ()}
    if directive.name.value == _AUTHENTICATED:
        if arguments:
            raise TypeError(f"@authenticated on {name} takes no arguments")
        return Requirements(authenticated=True)
    scopes = arguments.pop("scopes", None)
    if arguments:
        raise TypeError(f"@requiresScopes on {name} takes no argument but scopes")
    return Requirements(scopes=frozenset({_alternatives(scopes, name=name)}))


def _alternatives(value: ValueNode | None, *, name: str) -> Alternatives:
    """Read a list of lists. What GraphQL would make of a text, or of a list of texts, is not what its author means.

    An empty list is an error too: is it nothing that has to hold, or nothing that would do?
    """
    outer = _items(value)
    if outer and all(inner and all(map(_is_scope, inner)) for inner in map(_items, outer)):
        return _shortest(frozenset(frozenset(map(_text, _items(inner))) for inner in outer))
    raise TypeError(f"@requiresScopes on {name} needs scopes: a list of lists of texts, none of them empty")


def _items(value: ValueNode | None) -> tuple[ValueNode, ...]:
    return tuple(value.values) if isinstance(value, ListValueNode) else ()


def _is_scope(value: ValueNode) -> bool:
    return _text(value) != ""


def _text(value: ValueNode) -> str:
    return value.value if isinstance(value, StringValueNode) else ""


def _shortest(alternatives: Alternatives) -> Alternatives:
    """Leave out what demands more than another one of them does: it makes no difference."""
    return frozenset(each for each in alternatives if not any(other < each for other in alternatives))


def _others(schema: GraphQLSchema) -> Iterator[tuple[str, Element]]:
    """Name everything in a schema that may carry some directive, but not these."""
    yield "the schema", schema
    for directive in schema.directives:
        yield from _parts(f"@{directive.name}", directive.args)
    for name, kind in schema.type_map.items():
        if isinstance(kind, GraphQLUnionType | GraphQLInputObjectType):
            yield name, kind
        for part, element in _parts(name, _members(kind)):
            if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
                yield part, element
            yield from _parts(part, getattr(element, "args", {}))


def _members(kind: GraphQLNamedType) -> Mapping[str, Element]:
    members: Mapping[str, Element] = {}
    if isinstance(kind, GraphQLEnumType):
        members = kind.values
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        members = kind.fields
    return members


def _parts(name: str, parts: Mapping[str, Element]) -> list[tuple[str, Element]]:
    return [(f"{name}.{part}", element) for part, element in parts.items()]
