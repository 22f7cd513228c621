"""What an operation costs: its fields, and in a list as often as the list is long.

What the directives on each field say is in `cost_directives`; here everything costs 1 that does not say otherwise,
because a field that is a number has to be resolved and written like any other. As far as it can, that is found out once
for an operation; only the lists that are as long as a variable says are multiplied for each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graphql import (
    FieldNode,
    FloatValueNode,
    IntValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    is_interface_type,
    is_object_type,
)

from gqlink.errors import LimitExceeded
from gqlink.server.cost_directives import PLAIN, FieldCost, dearest, read_cost
from gqlink.server.document_limits import fields_of, fragments_of

if TYPE_CHECKING:
    from collections.abc import Mapping

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

__all__ = ("CostPlan", "CostRules")

# The largest whole number that every reader of JSON reads as it is.
_LARGEST_NUMBER: Final = 2**53 - 1
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
        return self.fixed + sum(each.sizing.size(variables) * each.content.total(variables) for each in self.lists)

    def check(self, variables: Mapping[str, object], limits: Limits) -> int:
        """Check what it costs, and return that.

        Raises:
            LimitExceeded: `cost`.
        """
        actual = self.total(variables)
        if actual > limits.cost:
            raise LimitExceeded("cost", allowed=limits.cost, actual=min(actual, _LARGEST_NUMBER))
        return actual


@dataclass(frozen=True, slots=True)
class _SlicedList:
    """A list whose length depends on variables, or that has such a list in it, and what is selected in it."""

    sizing: _Sizing
    content: CostPlan


@dataclass(frozen=True, slots=True)
class _Sizing:
    """How long a list will be.

    Args:
        known: What its slicing arguments say as far as is known without variables; None where that is nothing.
        names: The variables that the others are given by, with what stands for one that is not sent.
        assumed: What counts where nobody says a number.
        fields: Those below it that are the list; empty where it is one itself.
    """

    known: int | None
    names: tuple[tuple[str, int | None], ...]
    assumed: int
    fields: tuple[str, ...]

    def size(self, variables: Mapping[str, object]) -> int:
        """Return how long it is; a value that is no number will be refused later, or is nothing that we can read."""
        given = (_number(variables[name]) if name in variables else default for name, default in self.names)
        said = [number for number in (self.known, *given) if number is not None]
        return max(said, default=self.assumed)


class CostRules:
    """What the fields of one schema cost.

    Args:
        schema: Whose SDL may hold the directives.

    Raises:
        TypeError: One of them makes no sense, such as a weight that is not a number of at least 1.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._costs: dict[tuple[str, str], FieldCost] = {}
        for type_name, named_type in schema.type_map.items():
            if is_object_type(named_type) or is_interface_type(named_type):
                for name, definition in named_type.fields.items():
                    cost = read_cost(f"{type_name}.{name}", definition)
                    if cost != PLAIN:
                        self._costs[type_name, name] = cost
        self._spread_to_interfaces()

    def plan(self, document: DocumentNode, operation: OperationDefinitionNode) -> CostPlan:
        """Find out what an operation of a valid document costs."""
        fragments = fragments_of(document)
        if not self._costs:
            return CostPlan(_count(operation.selection_set, fragments))
        root = getattr(self._schema, _OPERATION_TYPES[operation.operation.value])
        defaults = {
            each.variable.name.value: _literal(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value is not None
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
                    self._costs[type_name, name] = dearest(costs)


@dataclass(frozen=True, slots=True)
class _Planner:
    """Walks one operation.

    Args:
        schema: The schema.
        costs: By type and field, where a directive stands.
        fragments: Of the document.
        defaults: What stands for a variable that is not sent, where it has a default; None for what is no number.
    """

    schema: GraphQLSchema
    costs: Mapping[tuple[str, str], FieldCost]
    fragments: Mapping[str, FragmentDefinitionNode]
    defaults: Mapping[str, int | None]

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
            definition = self._definition(owner, node)
            cost = PLAIN if owner is None else self.costs.get((owner.name, node.name.value), PLAIN)
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

    def _definition(self, owner: GraphQLNamedType | None, node: FieldNode) -> GraphQLField | None:
        """Find a field, one of introspection too."""
        return self.schema.get_field(owner, node.name.value) if is_composite_type(owner) else None

    def _sizing(self, cost: FieldCost, node: FieldNode, definition: GraphQLField) -> _Sizing:
        """Say how long a list will be."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        known = [] if cost.least is None else [cost.least]
        names: list[tuple[str, int | None]] = []
        for name in cost.slicing:
            value = given.get(name)
            default = _default(definition, name)
            if isinstance(value, VariableNode):
                names.append((value.name.value, self.defaults.get(value.name.value, default)))
            else:
                number = default if value is None else _literal(value)
                known += [] if number is None else [number]
        assumed = 1 if cost.assumed is None else cost.assumed
        return _Sizing(max(known, default=None), tuple(names), assumed, cost.sized)


def _put(content: CostPlan, sizing: _Sizing | None, lists: list[_SlicedList]) -> int:
    """Add what stands in a field to the lists round it, and return what it costs in any case."""
    if sizing is None:
        lists += content.lists
        return content.fixed
    if sizing.names:
        lists.append(_SlicedList(sizing, content))
        return 0
    lists += [_SlicedList(sizing, CostPlan(0, (each,))) for each in content.lists]
    return sizing.size({}) * content.fixed


def _count(selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> int:
    number, waiting = 0, [selected]
    while waiting:
        for node, _ in fields_of([waiting.pop()], fragments):
            number += 1
            if node.selection_set is not None:
                waiting.append(node.selection_set)
    return number


def _default(definition: GraphQLField, name: str) -> int | None:
    """Say what an argument is where it is not given; SDL has it as written, a schema made in Python as a value."""
    argument = definition.args.get(name)
    if argument is None:
        return None  # of an interface, of which only some implementations slice by it
    if argument.default is None:
        return _number(argument.default_value)
    literal = argument.default.literal
    return _number(argument.default.value) if literal is None else _literal(literal)


def _literal(value: ValueNode) -> int | None:
    """Read a number in a document; as a float, because Python refuses to read thousands of digits as anything else."""
    return _number(float(value.value)) if isinstance(value, IntValueNode | FloatValueNode) else None


def _number(value: object) -> int | None:
    """Take a number of at least 0; JSON has only one kind, and 200.0 is as good as 200 for an `Int`.

    A negative one is no length: what a resolver makes of it nobody knows, so it counts as none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return None
    return int(min(value, _LARGEST_NUMBER))
