"""The public surface: every room has one door, and the door says what is public."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import gqlink

ROOMS = ("auth", "chat", "cli", "client", "errors", "protocol", "pubsub", "server", "testing")


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_lists_its_names_sorted_and_each_exists(room: str) -> None:
    """`__all__` is a sorted tuple without repetition, and nothing in it is missing."""
    door = importlib.import_module(f"gqlink.{room}")
    names = door.__all__

    assert isinstance(names, tuple)
    assert sorted(names, key=_ruff_order) == list(names)
    assert len(set(names)) == len(names)
    assert all(hasattr(door, name) for name in names)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_docstring(room: str) -> None:
    """A class or function that a user may import says what it is for."""
    door = importlib.import_module(f"gqlink.{room}")
    ours = [getattr(door, name) for name in door.__all__ if callable(getattr(door, name))]

    bare = [item for item in ours if getattr(item, "__module__", "").startswith("gqlink") and not item.__doc__]

    assert bare == []


def test_the_top_package_imports_no_room() -> None:
    """`import gqlink` costs nothing, and drags nothing in."""
    code = "import sys, gqlink; print([name for name in sys.modules if name.startswith('gqlink.')])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
    assert gqlink.__version__


def _ruff_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions: the order that ruff keeps."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name
