import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.protocol.nesting import is_deeper, skim

NAMES = ("type", "id")


@pytest.mark.parametrize(
    "text", ["[" * 5, "[" * 5 + "]" * 5, '{"a":' * 5, '{"a": [{"b": [[', b"[[[[[", "[]" * 9 + "[" * 5]
)
def test_levels_are_counted_from_the_outside(text: bytes | str) -> None:
    """A message within a level more is not too deep."""
    assert is_deeper(text, 4)
    assert not is_deeper(text, 5)


@pytest.mark.parametrize(
    "text", ["[]" * 99, "]" * 99, '"' + "[" * 99, '"' + "[" * 99 + '"', '["\\"' + "[" * 99, "", "x" * 99]
)
def test_brackets_beside_each_other_or_within_a_text_are_no_levels(text: str) -> None:
    """Only those that are open at once count, and a text without an end reaches to the end."""
    assert not is_deeper(text, 4)


def test_members_are_found_wherever_they_stand() -> None:
    """Before and after what is too deep, but not within it."""
    deep = '[{"type": "inner", "id": "inner"}]'

    assert skim(f'{{"type": "a", "x": {deep}, "id": "b"}}', NAMES) == {"type": "a", "id": "b"}
    assert skim(f'{{"x": {deep}, "type": "a"', NAMES) == {"type": "a", "id": None}
    assert skim(b'{"type": "\\u0061", "id": "\xff"}', NAMES) == {"type": "a", "id": "\ufffd"}


def test_the_last_of_two_members_counts() -> None:
    """As every parser has it."""
    assert skim('{"type": "a", "type": "b"}', NAMES) == {"type": "b", "id": None}


@pytest.mark.parametrize("value", ["1", "null", "true", '["a"]', '{"type": "a"}', '"\\x"', '"', ""])
def test_a_member_that_is_no_text_is_not_found(value: str) -> None:
    """Nor one that is a broken text."""
    assert skim(f'{{"type": {value}', NAMES) == {"type": None, "id": None}


@pytest.mark.parametrize("text", ["", "x", "[", '["type":"a"]', '"{"', b"[{"])
def test_what_does_not_begin_as_an_object_has_no_members(text: bytes | str) -> None:
    """It is no message."""
    assert skim(text, NAMES) is None


@given(st.text(alphabet='[]{}:,"\\ type') | st.binary())
def test_no_text_makes_skimming_raise(text: bytes | str) -> None:
    """Whatever it is."""
    assert is_deeper(text, 3) in {True, False}
    assert isinstance(skim(text, NAMES), dict | None)
