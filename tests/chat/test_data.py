from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from gqlink.chat.data import prepare_directory, prepare_file
from gqlink.errors import DataUnusable

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_data_directory_is_closed_to_others(tmp_path: Path) -> None:
    """It holds password hashes and signing keys."""
    prepare_directory(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_an_existing_data_directory_stays_as_it_is(tmp_path: Path) -> None:
    """Its mode is its owner's choice."""
    tmp_path.chmod(0o755)
    prepare_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_in_place_of_the_data_directory_is_an_error_that_names_it(tmp_path: Path) -> None:
    """The sentence tells where to look."""
    (tmp_path / "data").touch()
    with pytest.raises(DataUnusable, match=f"{tmp_path}/data: File exists"):
        prepare_directory(tmp_path / "data")


def test_a_file_is_made_private_and_never_emptied(tmp_path: Path) -> None:
    """Preparing twice changes nothing."""
    path = tmp_path / "file"
    prepare_file(path)
    path.write_text("kept")
    prepare_file(path)
    assert path.read_text() == "kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
