"""The reference of servers says what the tests show."""

from __future__ import annotations

import re

import pytest

from client.dialects.dialect import DIALECTS
from client.dialects.page import CONNECTING, PAGE, ROOT, ROWS, STAYING, Row, cell, refreshed
from gqlink.client import presets


def test_the_tables_are_those_of_the_fixtures() -> None:
    """`PYTHONPATH=tests python tests/client/dialects/page.py` brings them up to date."""
    page = PAGE.read_text("utf-8")

    assert refreshed(page) == page


@pytest.mark.parametrize("row", list(ROWS.values()), ids=list(ROWS))
def test_every_cell_is_marked_and_has_its_evidence(row: Row) -> None:
    """Live and fixture name a test that exists; what no test shows says so."""
    for feature in (*CONNECTING, *STAYING):
        known = cell(row, feature)
        path, _, function = known.evidence.partition("::")
        if known.mark == "not tested":
            assert not known.evidence
        else:
            assert f"def {function}(" in (ROOT / path).read_text("utf-8"), (feature, known.evidence)
        assert (known.mark == "fixture") <= bool(row.fixtures)


def test_every_fixture_stands_for_a_server() -> None:
    """But for the one that is loose on purpose."""
    assert {name for row in ROWS.values() for name in row.fixtures} == set(DIALECTS) - {"loose"}


def test_every_preset_is_on_the_page() -> None:
    """And no other."""
    named = set(re.findall(r"presets\.(\w+)\(", PAGE.read_text("utf-8")))

    assert named == set(presets.__all__) - {"Preset"}
