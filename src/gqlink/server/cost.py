"""What an operation costs: its fields, and in a list as often as the list is long.

The directives are those of the cost specification that others use too, by name and meaning; here everything costs 1
that does not say otherwise, because a field that is a number has to be resolved and written like any other:

* `@cost(weight: "5")` on a field: one such field costs that much, at least 1.
* `@listSize(assumedSize: 20)` on a field: what is selected in it counts that often.
* `@listSize(slicingArguments: ["first", "last"])`: as often as the larger of these arguments says; where none is given,
  as its default says, or as `assumedSize` does.
* `@listSize(…, sizedFields: ["edges"])`: that is so only for what is selected in these fields of it.

Source: GraphQL Cost Directives specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graphql import (
    DirectiveNode,
    FieldNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    StringValueNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)

from gqlink.errors import LimitExceeded
from gqlink.server.document_limits import fields_of, fragments_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import (
        DocumentNode,
        FragmentDefinitionNode,
        GraphQLField,
        GraphQLNamedType,
        GraphQLSchema,
        OperationDefinitionNode,
        SelectionSetNode,
        ValueNode,
    )

    from gqlink.server.limits import Limits

__all__ = ("COST_DIRECTIVES", "CostPlan", "CostRules")

COST_DIRECTIVES: Final = """\
directive @cost(weight: String!) on FIELD_DEFINITION
directive @listSize(
  assumedSize: Int
  slicingArguments: [String!]
  sizedFields: [String!]
) on FIELD_DEFINITION
"""
"""The definitions, for a schema to begin with."""

_OPERATION_TYPES: Final = {"query": "query_type", "mutation": "mutation_type", "subscription": "subscription_type"}


@dataclass(frozen=True, slots=True)
class CostPlan:
    """What an operation costs: a number, and what depends on its variables.

    Args:
        fixed: What it costs in any case.
        lists: What is in lists whose length depends on variables.
    """

    fixed: int
    lists: tuple[_SlicedList, ...] = ()

    def total(self, variables: Mapping[str, object]) -> int:
        """Return what it costs with these variables, as they were sent."""
        return self.fixed + sum(each.size(variables) * each.content.total(variables) for each in self.lists)

    def check(self, variables: Mapping[str, object], limits: Limits) -> None:
        """Check what it costs.

        Raises:
            LimitExceeded: `cost`.
        """
        actual = self.total(variables)
        if actual > limits.cost:
            raise LimitExceeded("cost", allowed=limits.cost, actual=actual)


@dataclass(frozen=True, slots=True)
class _SlicedList:
    """A list that is as long as the largest of its slicing arguments.

    Args:
        least: The largest of those that are known without variables.
        names: The variables that the others are given by, with what stands for one that is not sent.
        content: What is selected in it.
    """

    least: int
    names: tuple[tuple[str, int], ...]
    content: CostPlan

    def size(self, variables: Mapping[str, object]) -> int:
        """Return how long it is; a value that is no number will be refused later, and counts nothing."""
        given = [_number(variables.get(name, default)) for name, default in self.names]
        return max(self.least, *given)


@dataclass(frozen=True, slots=True)
class _FieldCost:
    """What the directives on a field say; for a field of an interface, the most of what its implementations say."""

    weight: int = 1
    assumed: int | None = None
    slicing: tuple[str, ...] = ()
    sized: tuple[str, ...] = ()

    @property
    def is_list(self) -> bool:
        return self.assumed is not None or bool(self.slicing)


_PLAIN: Final = _FieldCost()


class CostRules:
    """What the fields of one schema cost.

    Args:
        schema: Whose SDL may hold the directives.

    Raises:
        TypeError: One of them makes no sense, such as a weight that is not a number of at least 1.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._costs: dict[tuple[str, str], _FieldCost] = {}
        for type_name, named_type in schema.type_map.items():
            if is_object_type(named_type) or is_interface_type(named_type):
                for name, definition in named_type.fields.items():
                    cost = _read(f"{type_name}.{name}", definition)
                    if cost != _PLAIN:
                        self._costs[type_name, name] = cost
        self._spread_to_interfaces()

    def plan(self, document: DocumentNode, operation: OperationDefinitionNode) -> CostPlan:
        """Find out what an operation of a valid document costs."""
        fragments = fragments_of(document)
        if not self._costs:
            return CostPlan(_count(operation.selection_set, fragments))
        root = getattr(self._schema, _OPERATION_TYPES[operation.operation.value])
        defaults = {
            each.variable.name.value: 0 if each.default_value is None else _literal(each.default_value)
            for each in operation.variable_definitions or ()
        }
        return _Planner(self._schema, self._costs, fragments, defaults).plan(operation.selection_set, root)

    def _spread_to_interfaces(self) -> None:
        """Let a field of an interface cost the most that it costs anywhere: nobody knows yet whose it will be."""
        for type_name, named_type in self._schema.type_map.items():
            if not is_interface_type(named_type):
                continue
            for name in named_type.fields:
                owners = [type_name, *(each.name for each in self._schema.get_possible_types(named_type))]
                costs = [self._costs[owner, name] for owner in owners if (owner, name) in self._costs]
                if costs:
                    self._costs[type_name, name] = _dearest(costs)


@dataclass(frozen=True, slots=True)
class _Planner:
    """Walks one operation.

    Args:
        schema: The schema.
        costs: By type and field, where a directive stands.
        fragments: Of the document.
        defaults: What stands for each variable that is not sent.
    """

    schema: GraphQLSchema
    costs: Mapping[tuple[str, str], _FieldCost]
    fragments: Mapping[str, FragmentDefinitionNode]
    defaults: Mapping[str, int]

    def plan(
        self, selected: SelectionSetNode, parent: GraphQLNamedType | None, *, sized: _Sizing | None = None
    ) -> CostPlan:
        """Plan a selection set; as deep as `depth` allows.

        Args:
            selected: What is selected.
            parent: On which type.
            sized: How long the lists in some of its fields are, where the field above says so.
        """
        fixed, lists = 0, list[_SlicedList]()
        for node, on in fields_of([selected], self.fragments):
            owner = parent if on is None else self.schema.get_type(on)
            definition = _definition(owner, node)
            cost = _PLAIN if owner is None else self.costs.get((owner.name, node.name.value), _PLAIN)
            fixed += cost.weight
            if node.selection_set is None or definition is None:
                continue
            sizing = self._sizing(cost, node, definition) if cost.is_list else None
            inner_type = get_named_type(definition.type)
            content = self.plan(node.selection_set, inner_type, sized=sizing if cost.sized else None)
            if sized is not None and node.name.value in sized.fields:
                sizing = sized
            elif cost.sized:
                sizing = None
            fixed += _put(content, sizing, lists)
        return CostPlan(fixed, tuple(lists))

    def _sizing(self, cost: _FieldCost, node: FieldNode, definition: GraphQLField) -> _Sizing:
        """Say how long a list will be."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        numbers: list[int] = []
        names: list[tuple[str, int]] = []
        for name in cost.slicing:
            value = given.get(name)
            declared = definition.args.get(name)
            default = _number(declared.default_value) if declared is not None else 0
            if isinstance(value, VariableNode):
                names.append((value.name.value, self.defaults.get(value.name.value, 0) or default))
            elif value is not None:
                numbers.append(_literal(value))
            else:
                numbers.append(default)
        if not names and not any(numbers):
            numbers.append(1 if cost.assumed is None else cost.assumed)
        return _Sizing(max(numbers, default=0), tuple(names), cost.sized)


@dataclass(frozen=True, slots=True)
class _Sizing:
    """How long a list will be, and in which fields below it."""

    least: int
    names: tuple[tuple[str, int], ...]
    fields: tuple[str, ...]


def _put(content: CostPlan, sizing: _Sizing | None, lists: list[_SlicedList]) -> int:
    """Add what stands in a field to the lists round it, and return what it costs in any case."""
    if sizing is None:
        lists += content.lists
        return content.fixed
    if sizing.names:
        lists.append(_SlicedList(sizing.least, sizing.names, content))
        return 0
    lists += [_SlicedList(sizing.least, (), CostPlan(0, (each,))) for each in content.lists]
    return sizing.least * content.fixed


def _count(selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> int:
    number, waiting = 0, [selected]
    while waiting:
        for node, _ in fields_of([waiting.pop()], fragments):
            number += 1
            if node.selection_set is not None:
                waiting.append(node.selection_set)
    return number


def _definition(owner: GraphQLNamedType | None, node: FieldNode) -> GraphQLField | None:
    fields = owner.fields if is_object_type(owner) or is_interface_type(owner) else {}
    return fields.get(node.name.value)


def _read(where: str, definition: GraphQLField) -> _FieldCost:
    weight, assumed = 1, None
    slicing: tuple[str, ...] = ()
    sized: tuple[str, ...] = ()
    for directive in () if definition.ast_node is None else definition.ast_node.directives or ():
        arguments = dict(_arguments(directive))
        if directive.name.value == "cost":
            weight = _weight(where, arguments.get("weight"))
        elif directive.name.value == "listSize":
            assumed = _assumed(where, arguments.get("assumedSize"))
            slicing = _names(where, arguments.get("slicingArguments"))
            sized = _names(where, arguments.get("sizedFields"))
            for name in slicing:
                if name not in definition.args:
                    raise TypeError(f"@listSize on {where} names {name!r}, which is none of its arguments")
    return _FieldCost(weight, assumed, slicing, sized)


def _arguments(directive: DirectiveNode) -> Iterator[tuple[str, ValueNode]]:
    for argument in directive.arguments or ():
        if not isinstance(argument.value, NullValueNode):
            yield argument.name.value, argument.value


def _weight(where: str, value: ValueNode | None) -> int:
    if isinstance(value, StringValueNode) and value.value.isdecimal() and int(value.value) >= 1:
        return int(value.value)
    raise TypeError(f'@cost on {where} needs a weight, a whole number of at least 1 as a string, such as "5"')


def _assumed(where: str, value: ValueNode | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, IntValueNode) and int(value.value) >= 0:
        return int(value.value)
    raise TypeError(f"@listSize on {where}: assumedSize must be a number of at least 0")


def _names(where: str, value: ValueNode | None) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value.values if isinstance(value, ListValueNode) else (value,)
    names = tuple(each.value for each in values if isinstance(each, StringValueNode))
    if len(names) != len(values):
        raise TypeError(f"@listSize on {where}: slicingArguments and sizedFields are lists of names")
    return names


def _dearest(costs: list[_FieldCost]) -> _FieldCost:
    """Put together what several fields say, so that none of them costs more."""
    assumed = [each.assumed for each in costs if each.assumed is not None]
    return _FieldCost(
        weight=max(each.weight for each in costs),
        assumed=max(assumed, default=None),
        slicing=tuple(dict.fromkeys(name for each in costs for name in each.slicing)),
        sized=tuple(dict.fromkeys(name for each in costs for name in each.sized)),
    )


def _literal(value: ValueNode) -> int:
    return max(0, int(value.value)) if isinstance(value, IntValueNode) else 0


def _number(value: object) -> int:
    return max(0, value) if isinstance(value, int) else 0
