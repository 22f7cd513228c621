from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.errors import LimitExceeded
from gqlink.server import Limits
from gqlink.server.variable_limits import check_variables

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def exceeded(variables: dict[str, object], **bounds: int) -> LimitExceeded:
    """Check variables that must be over a limit."""
    with pytest.raises(LimitExceeded) as caught:
        check_variables(variables, dataclasses.replace(Limits(), **bounds))
    return caught.value


def count(value: object) -> int:
    """Count the values in one, by the definition: itself, and those in it."""
    inner: list[Any] = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + sum(map(count, inner))


@pytest.mark.parametrize("variables", [None, {}])
def test_a_request_without_variables_is_within_the_limits(variables: dict[str, object] | None) -> None:
    """Nothing is looked at."""
    check_variables(variables, Limits(variables_bytes=1, variables_values=1))


def test_variables_are_counted_in_bytes_of_compact_json() -> None:
    """However their sender has spaced them: {"a":"жж"} is twelve bytes of UTF-8."""
    check_variables({"a": "жж"}, Limits(variables_bytes=12))

    error = exceeded({"a": "жжж"}, variables_bytes=12)
    assert (error.limit, error.allowed, error.actual) == ("variables_bytes", 12, 14)


@pytest.mark.parametrize(
    ("variables", "number"),
    [
        ({"a": 1, "b": None}, 2),
        ({"a": [1, 2, 3]}, 4),
        ({"a": [[], {}]}, 3),
        ({"a": {"b": {"c": "x,[{:"}}}, 3),
        ({"a": [[[1]]]}, 4),
    ],
)
def test_each_value_in_a_list_or_an_object_counts(variables: dict[str, object], number: int) -> None:
    """And so does the list, or the object: each of them is coerced by itself. At the limit they pass."""
    check_variables(variables, Limits(variables_values=number))

    error = exceeded(variables, variables_values=number - 1)
    assert (error.limit, error.allowed, error.actual) == ("variables_values", number - 1, number)


def test_text_that_looks_like_json_is_one_value() -> None:
    """A message that somebody has typed is not counted by its commas."""
    check_variables({"text": "[,{" * 1_000}, Limits(variables_values=1))


def test_values_that_are_nested_deeply_are_counted_without_recursion() -> None:
    """Whatever could be read is counted."""
    variables: dict[str, object] = {"a": 1}
    for _ in range(400):
        variables = {"a": [variables]}

    assert exceeded(variables, variables_values=100).actual == 801


@given(st.dictionaries(st.text(max_size=4), JSON, min_size=1, max_size=4))
def test_nothing_is_missed_by_the_glance_that_saves_counting(variables: dict[str, object]) -> None:
    """Most variables are so short that they need not be counted; those that are too many always are."""
    number = count(variables) - 1
    check_variables(variables, Limits(variables_values=number))
    if number > 1:
        assert exceeded(variables, variables_values=number - 1).actual == number
