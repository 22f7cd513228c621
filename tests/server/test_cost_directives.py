from __future__ import annotations

import pytest
from graphql import GraphQLError, GraphQLField, GraphQLInt, build_schema

from gqlink.server import COST_DIRECTIVES
from gqlink.server.cost_directives import PLAIN, FieldCost, dearest, read_cost


def field(directives: str) -> GraphQLField:
    """Build a field with directives."""
    schema = build_schema(f"{COST_DIRECTIVES} type Query {{ a(first: Int, last: Int): [Int] {directives} }}")
    assert schema.query_type is not None
    found: GraphQLField = schema.query_type.fields["a"]
    return found


@pytest.mark.parametrize(
    ("directives", "cost"),
    [
        ("", PLAIN),
        ("@deprecated", PLAIN),
        ('@cost(weight: "5")', FieldCost(weight=5)),
        ("@listSize", PLAIN),
        ("@listSize(assumedSize: 20)", FieldCost(assumed=20)),
        ("@listSize(assumedSize: 0)", FieldCost(assumed=0)),
        ("@listSize(assumedSize: null, slicingArguments: null)", PLAIN),
        ('@listSize(slicingArguments: ["first", "last"])', FieldCost(slicing=("first", "last"))),
        ('@listSize(slicingArguments: "first")', FieldCost(slicing=("first",))),
        (
            '@cost(weight: "2") @listSize(assumedSize: 3, sizedFields: ["edges", "nodes"])',
            FieldCost(weight=2, assumed=3, sized=("edges", "nodes")),
        ),
    ],
)
def test_a_field_costs_what_its_directives_say(directives: str, cost: FieldCost) -> None:
    """What they leave out is as if they were not there."""
    assert read_cost("Query.a", field(directives)) == cost


def test_a_field_that_was_made_without_sdl_has_no_directives() -> None:
    """It costs one."""
    assert read_cost("Query.a", GraphQLField(GraphQLInt)) == PLAIN


@pytest.mark.parametrize(
    ("directives", "reason"),
    [
        ('@cost(weight: "0")', "a whole number of at least 1"),
        ('@cost(weight: "-1")', "a whole number of at least 1"),
        ('@cost(weight: "1.5")', "a whole number of at least 1"),
        ('@cost(weight: "")', "a whole number of at least 1"),
        ('@cost(weight: "much")', "a whole number of at least 1"),
        ("@listSize(assumedSize: -1)", "assumedSize must be a number of at least 0"),
        ('@listSize(slicingArguments: ["frist"])', "'frist', which is none of its arguments"),
        ('@listSize(slicingArguments: ["first.count"])', "'first.count', which is none of its arguments"),
    ],
)
def test_a_directive_that_makes_no_sense_is_refused_at_the_start(directives: str, reason: str) -> None:
    """With the name of the field: a limit that is not enforced as it reads protects nothing."""
    with pytest.raises(TypeError, match=reason) as caught:
        read_cost("Query.a", field(directives))
    assert "Query.a" in str(caught.value)


@pytest.mark.parametrize(
    "directives",
    ["@cost(weight: 5)", "@cost", '@listSize(assumedSize: "5")', "@listSize(sizedFields: [5])", "@cost(weight: null)"],
)
def test_a_directive_whose_arguments_are_of_another_kind_is_refused(directives: str) -> None:
    """By graphql-core, or here where a schema was built without its validation."""
    with pytest.raises((TypeError, GraphQLError)):
        read_cost("Query.a", field(directives))


def test_the_directives_can_be_declared_once_in_a_schema() -> None:
    """The text is SDL of its own."""
    schema = build_schema(f"{COST_DIRECTIVES} type Query {{ a: Int }}")
    assert {directive.name for directive in schema.directives} >= {"cost", "listSize"}


def test_the_dearest_of_several_fields_is_what_none_of_them_exceeds() -> None:
    """Each part by itself: who knows which of them it will be."""
    one, other = FieldCost(2, 10, ("first",), ("edges",)), FieldCost(5, None, ("last", "first"), ())
    assert dearest([one, other]) == FieldCost(5, 10, ("first", "last"), ("edges",), None)
    assert dearest([PLAIN]) == PLAIN


def test_a_list_that_takes_no_notice_of_an_argument_is_at_least_as_long_as_assumed() -> None:
    """An interface's field is asked for two items, and the object that answers has always eleven."""
    assert dearest([FieldCost(slicing=("first",)), FieldCost(assumed=11)]).least == 11
    assert dearest([FieldCost(slicing=("first",), assumed=11)]).least is None
