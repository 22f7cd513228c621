"""`--limit NAME=VALUE` is read strictly, and a mistake is answered with what would be right."""

from __future__ import annotations

import dataclasses

import pytest

from gqlink.cli.limits import parse_limits
from gqlink.errors import BadUserInput
from gqlink.server import Limits


def test_what_is_not_named_keeps_its_default() -> None:
    """Nothing given is `Limits()`."""
    assert parse_limits([]) == Limits()
    assert parse_limits(["depth=20", "init_seconds=2.5"]) == dataclasses.replace(Limits(), depth=20, init_seconds=2.5)


@pytest.mark.parametrize("field", dataclasses.fields(Limits), ids=lambda field: field.name)
def test_every_limit_can_be_given(field: dataclasses.Field[int | float]) -> None:
    """An integer where the default is one, and a float elsewhere, also written without a point."""
    value = getattr(parse_limits([f"{field.name}=7"]), field.name)
    assert value == 7
    assert type(value) is type(field.default)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """And with a near one first, where there is one."""
    with pytest.raises(BadUserInput) as told:
        parse_limits(["dept=3"])
    assert str(told.value).startswith("there is no limit 'dept'; did you mean depth? the limits are message_bytes, ")
    assert "documents_characters" in str(told.value)
    with pytest.raises(BadUserInput, match=r"there is no limit 'zzz'; the limits are "):
        parse_limits(["zzz=3"])


@pytest.mark.parametrize(
    "given",
    ["0", "-1", "1.5", "1e3", "64k", "1_000", "", " ", "٣", "9" * 16],
)
def test_a_whole_number_is_one(given: str) -> None:
    """Digits, and greater than 0."""
    with pytest.raises(BadUserInput, match=r"--limit depth takes a whole number greater than 0, such as depth=16, not"):
        parse_limits([f"depth={given}"])


@pytest.mark.parametrize("value", ["0", "0.0", "nan", "inf", "-1", "1e3", "1,5", ".5", "5."])
def test_a_number_of_seconds_is_one(value: str) -> None:
    """Digits, with a point if need be, and greater than 0."""
    with pytest.raises(BadUserInput, match=r"--limit init_seconds takes a number.* such as init_seconds=10\.0, not"):
        parse_limits([f"init_seconds={value}"])


@pytest.mark.parametrize("given", ["depth", "", "depth:3"])
def test_a_limit_has_a_value(given: str) -> None:
    """The form is told."""
    with pytest.raises(BadUserInput, match=r"--limit is NAME=VALUE, such as depth=16, not"):
        parse_limits([given])


def test_a_limit_given_twice_is_a_mistake() -> None:
    """Nobody has to know which one would count."""
    with pytest.raises(BadUserInput, match="--limit depth was given twice"):
        parse_limits(["depth=3", "depth=4"])
