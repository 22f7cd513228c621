"""The directives by which a schema says what its fields cost.

They are those of the cost specification that others use too, by name and meaning:

* `@cost(weight: "5")` on a field: one such field costs that much, at least 1.
* `@listSize(assumedSize: 20)` on a field: what is selected in it counts that often.
* `@listSize(slicingArguments: ["first", "last"])`: as often as the larger of these arguments says, or the default of
  one that is not given. Where none of them says a number of at least 0, as `assumedSize` does, or once.
* `@listSize(…, sizedFields: ["edges"])`: that is so only for what is selected in these fields of it.

Source: GraphQL Cost Directives specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graphql import IntValueNode, ListValueNode, NullValueNode, StringValueNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DirectiveNode, GraphQLField, ValueNode

__all__ = ("COST_DIRECTIVES", "PLAIN", "FieldCost", "dearest", "read_cost")

COST_DIRECTIVES: Final = """\
directive @cost(weight: String!) on FIELD_DEFINITION
directive @listSize(
  assumedSize: Int
  slicingArguments: [String!]
  sizedFields: [String!]
) on FIELD_DEFINITION
"""
"""The definitions, for a schema to begin with."""


@dataclass(frozen=True, slots=True)
class FieldCost:
    """What the directives on a field say.

    Args:
        weight: What the field itself costs.
        assumed: How long its list is where no argument says so.
        slicing: The arguments that do.
        sized: The fields below it that are the list; none where it is one itself.
        least: How long its list is whatever the arguments say: of an interface, where they mean nothing to an object.
    """

    weight: int = 1
    assumed: int | None = None
    slicing: tuple[str, ...] = ()
    sized: tuple[str, ...] = ()
    least: int | None = None

    @property
    def is_list(self) -> bool:
        """Whether it, or something below it, is a list that somebody said a length of."""
        return self.assumed is not None or bool(self.slicing)


PLAIN: Final = FieldCost()
"""A field without a directive."""


def read_cost(where: str, definition: GraphQLField) -> FieldCost:
    """Read the directives on a field.

    Args:
        where: Its name, such as "Query.messages".
        definition: From a schema that was built of SDL; without it there are none.

    Raises:
        TypeError: One of them makes no sense.
    """
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
            _check_names(where, definition, slicing=slicing)
    return FieldCost(weight, assumed, slicing, sized)


def dearest(costs: list[FieldCost]) -> FieldCost:
    """Put together what several fields say, so that none of them costs more."""
    assumed = [each.assumed for each in costs if each.assumed is not None]
    unsliced = [each.assumed for each in costs if each.assumed is not None and not each.slicing]
    return FieldCost(
        weight=max(each.weight for each in costs),
        assumed=max(assumed, default=None),
        slicing=tuple(dict.fromkeys(name for each in costs for name in each.slicing)),
        sized=tuple(dict.fromkeys(name for each in costs for name in each.sized)),
        least=max(unsliced, default=None),
    )


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


def _check_names(where: str, definition: GraphQLField, *, slicing: tuple[str, ...]) -> None:
    for name in slicing:
        if name not in definition.args:
            raise TypeError(f"@listSize on {where} names {name!r}, which is none of its arguments")
