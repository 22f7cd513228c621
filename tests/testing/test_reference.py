"""The reference of the room."""

from __future__ import annotations

from pathlib import Path

import gqlink.testing
from gqlink.testing import pytest_plugin

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "testing.md"


def test_every_public_name_is_in_the_reference() -> None:
    """Those of the door, and the fixtures."""
    text = PAGE.read_text("utf-8")
    names = [*gqlink.testing.__all__, *pytest_plugin.__all__]
    assert [
        name for name in names if f"`{name}`" not in text and f"`{name}(" not in text and f" {name}(" not in text
    ] == []
