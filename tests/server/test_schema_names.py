from __future__ import annotations

import re

import pytest
from graphql import build_schema
from hypothesis import given
from hypothesis import strategies as st

from gqlink.server.schema_names import SchemaNames, without_suggestion

SDL = """
    directive @flavoured(strength: Int) on FIELD
    enum Palette { CRIMSON }
    input NewNote { hidden: String }
    interface Thing { ident(deep: Boolean): ID }
    type Note implements Thing { ident(deep: Boolean): ID }
    union Found = Note
    scalar Stamp
    type Query { note(wanted: ID): Note at(when: Stamp): Found pick(given: NewNote, hue: Palette): Thing }
"""
NAMES = SchemaNames(build_schema(SDL))
WITHHELD = (
    *("flavoured", "strength", "Palette", "CRIMSON", "NewNote", "hidden", "Thing", "ident", "deep", "Note", "Found"),
    *("Stamp", "note", "wanted", "at", "when", "pick", "given", "hue"),
)


@pytest.mark.parametrize("name", WITHHELD)
def test_whatever_a_schema_names_is_withheld_unless_it_was_sent(name: str) -> None:
    """Types, fields, arguments, members of inputs, values of enums, directives and theirs."""
    assert NAMES.withhold(f"Look at '{name}'.", sent="{ x }") == "Look at '…'."
    assert NAMES.withhold(f"Look at '{name}'.", sent=f"{{ x {name} }}") == f"Look at '{name}'."


@pytest.mark.parametrize("name", ["Query", "Mutation", "Subscription", "Int", "String", "ID", "Boolean", "Float"])
def test_what_the_specification_names_is_no_secret(name: str) -> None:
    """Everybody has read it."""
    assert NAMES.withhold(f"Look at '{name}'.", sent="") == f"Look at '{name}'."


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("Argument 'Query.note(wanted:)' of type '[Note!]!'.", "Argument 'Query.note(…:)' of type '[…!]!'."),
        ("Argument '@flavoured(strength:)'.", "Argument '@…(…:)'."),
        ("Variable '$note' at .hidden: it's when I note that.", "Variable '$note' at .hidden: it's when I note that."),
        ("Value 'it's a' does not exist in 'Palette' enum.", "Value 'it's a' does not exist in '…' enum."),
    ],
)
def test_only_the_names_in_a_sentence_are_replaced(message: str, written: str) -> None:
    """graphql-core puts references into quotes; words that happen to be names too stay."""
    assert NAMES.withhold(message, sent="{ note }") == written


@given(st.text(st.sampled_from("ab' .\"Note")), st.text(st.sampled_from("ab' .\"Note")))
def test_no_value_of_a_client_hides_a_reference(before: str, after: str) -> None:
    """Whatever quotes it holds: between it and the next reference stands a word of graphql-core's."""
    message = f"Value '{before}' does not exist in 'Palette' enum, found: '{after}'."
    assert "Palette" not in NAMES.withhold(message, sent=f"{before} {after}")


def test_a_long_sentence_takes_one_look_at_each_character() -> None:
    """Quotes that belong to nothing cost no more than others."""
    message = "'" * 50_000 + "Note" * 10_000
    assert NAMES.withhold(message, sent="") == message


def test_a_suggestion_is_left_out() -> None:
    """The rest of the sentence stays."""
    assert without_suggestion("Field 'a' must. Did you mean 'a { ... }'?") == "Field 'a' must."
    assert re.search("Did", without_suggestion("Did you mean that?"))
