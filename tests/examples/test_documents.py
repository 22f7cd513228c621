"""What the tutorial, the how-to guides and the explanations ask to type, show and link to is there, and works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from examples.pages import HOWTO, PAGES, ROOT, TUTORIAL, blocks, prose, regions
from interop.node import find_toolchain

if TYPE_CHECKING:
    from pathlib import Path

HOWTO_SCRIPTS = sorted((ROOT / "examples" / "howto").glob("*.py"))
COMMANDS = sorted(
    {line for page in PAGES for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()}
    | {text for page in PAGES for text in re.findall(r"`((?:make|\.venv/)[^`]*)`", prose(page))}
)

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file or a folder of the repository."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose(page)):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_indexes_name_every_page() -> None:
    """Nobody needs to look into a directory."""
    for index in (TUTORIAL / "README.md", HOWTO / "README.md"):
        linked = set(re.findall(r"\]\((\w[^)/#]*\.md)\)", prose(index)))
        assert linked == {page.name for page in index.parent.glob("*.md")} - {"README.md"}


@by_page
def test_python_on_a_page_is_part_of_a_script(page: Path) -> None:
    """No snippet is only text: each is a region of a script that the tests run."""
    for block in blocks(page):
        if block.language == "python":
            assert block.quotation is not None
            script, region = block.quotation
            assert block.text == regions(script)[region]


def test_every_region_of_a_howto_script_is_shown() -> None:
    """What a region marks is on a page."""
    shown = {block.quotation for page in PAGES for block in blocks(page) if block.quotation}
    assert {(script, region) for script in HOWTO_SCRIPTS for region in regions(script)} <= shown


@pytest.mark.parametrize("script", HOWTO_SCRIPTS, ids=lambda script: script.stem)
def test_every_howto_script_is_run_by_a_test(script: Path) -> None:
    """A test loads it by its name, or runs it as its reader does; what a page quotes from it is no mere text."""
    tests = "".join(test.read_text("utf-8") for test in (ROOT / "tests" / "examples").glob("test_howto*.py"))
    assert f'load("{script.stem}")' in tests or f'FOLDER / "{script.name}"' in tests


@by_page
def test_javascript_on_a_page_can_be_read(page: Path, tmp_path: Path) -> None:
    """Node finds no mistake in the syntax."""
    for number, block in enumerate(block for block in blocks(page) if block.language == "js"):
        snippet = tmp_path / f"{number}.mjs"
        snippet.write_text(block.text, "utf-8")
        node = find_toolchain().node
        done = subprocess.run([node, "--check", snippet], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_a_page_exists(command: str) -> None:
    """A target of the Makefile, a script, an application, or a command of gqlink with options that it has."""
    match shlex.split(command):
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        case [".venv/bin/python", script]:
            assert (ROOT / script).is_file()
        case [".venv/bin/uvicorn", "--app-dir", directory, application]:
            module, _, name = application.partition(":")
            assert re.search(rf"^{name} = ", (ROOT / directory / f"{module}.py").read_text("utf-8"), re.MULTILINE)
        case ["echo", _, "|", ".venv/bin/gqlink", subcommand, *_]:
            assert _help_of(subcommand)
        case [".venv/bin/gqlink", subcommand, *arguments]:
            text = _help_of(subcommand)
            for option in (argument for argument in arguments if argument.startswith("--")):
                assert option in text
        case other:
            pytest.fail(f"this command is not known: {other}")


@cache
def _help_of(subcommand: str) -> str:
    arguments = [sys.executable, "-m", "gqlink", subcommand, "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout
