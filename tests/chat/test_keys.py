from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gqlink.chat.keys import load_signing_keys
from gqlink.errors import DataUnusable

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"


def key(kid: str, **changed: str) -> dict[str, str]:
    return {"kty": "oct", "kid": kid, "alg": "HS256", "k": SECRET} | changed


def write(path: Path, *, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_first_start_makes_a_key_that_only_its_owner_may_read(tmp_path: Path) -> None:
    """The file has mode 0600, and nothing else is left beside it."""
    path = tmp_path / "keys.json"
    (made,) = load_signing_keys(path)
    assert len(made.secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_next_start_finds_the_same_key(tmp_path: Path) -> None:
    """A token outlives a restart."""
    assert load_signing_keys(tmp_path / "keys.json") == load_signing_keys(tmp_path / "keys.json")


def test_starting_many_times_at_once_gives_everybody_the_same_key(tmp_path: Path) -> None:
    """Whoever finishes first has made the key; the others read it."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(load_signing_keys, [tmp_path / "keys.json"] * 16))
    assert len(found) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_keys_can_be_added_and_the_newest_is_the_last(tmp_path: Path) -> None:
    """The order of the file is the order of the keys."""
    path = write(tmp_path / "keys.json", text=json.dumps({"keys": [key("old"), key("new")]}))
    assert [each.id for each in load_signing_keys(path)] == ["old", "new"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_keys_that_others_may_read_or_change_are_refused(tmp_path: Path, mode: int) -> None:
    """Whoever reads a signing key can be everybody, so a warning would not do; the error says how to mend it."""
    path = tmp_path / "keys.json"
    load_signing_keys(path)
    path.chmod(mode)
    with pytest.raises(DataUnusable, match=f"chmod 600 {path}"):
        load_signing_keys(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[" * 50_000,
        "{}",
        '{"keys": []}',
        '{"keys": {}}',
        json.dumps({"keys": [key("a", kty="RSA")]}),
        json.dumps({"keys": [key("a", alg="none")]}),
        json.dumps({"keys": [key("a", k="c2hvcnQ")]}),
        json.dumps({"keys": [key("a", k="ää")]}),
        json.dumps({"keys": [key("a"), key("a")]}),
    ],
)
def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    """It is never replaced by itself: that would log everybody out."""
    path = write(tmp_path / "keys.json", text=text)
    with pytest.raises(DataUnusable, match="damaged") as caught:
        load_signing_keys(path)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert path.read_text() == text


def test_a_directory_in_its_place_is_an_error_of_ours(tmp_path: Path) -> None:
    """What the operating system says is translated."""
    (tmp_path / "keys.json").mkdir(mode=0o700)
    with pytest.raises(DataUnusable, match=r"keys\.json"):
        load_signing_keys(tmp_path / "keys.json")
