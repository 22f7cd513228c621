"""The documentation is true: what exists is in it, and what it shows runs."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gqlink import errors
from gqlink.chat import ChatSettings, create_app
from gqlink.client import (
    Client,
    EnvironmentToken,
    HttpLink,
    PasswordLogin,
    RefreshTokenLogin,
    TokenFile,
    WebSocketLink,
)
from gqlink.protocol import CloseCode
from gqlink.server import GraphQLApp, Limits
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_error_is_in_the_reference() -> None:
    """A user who meets an error finds it."""
    text = (REFERENCE / "errors.md").read_text()

    assert [name for name in errors.__all__ if f"`{name}`" not in text] == []


def test_every_error_code_is_in_the_reference() -> None:
    """So does one who meets its code in a response."""
    text = (REFERENCE / "errors.md").read_text()
    codes = {getattr(errors, name).extension_code for name in errors.__all__} - {None}
    codes |= {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "INTERNAL_SERVER_ERROR"}

    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []


def test_every_close_code_is_in_the_reference() -> None:
    """Every code that we send or understand stands in the page of the wire."""
    text = (REFERENCE / "wire.md").read_text()

    assert [code.value for code in CloseCode if str(code.value) not in text] == []


def test_every_limit_is_in_the_reference_with_its_default() -> None:
    """A default that changes is changed in the reference as well."""
    text = (REFERENCE / "server.md").read_text()
    missing = [
        field.name
        for field in dataclasses.fields(Limits)
        if not re.search(rf"\| `{field.name}` \| {re.escape(f'{field.default:,}')} ", text)
    ]

    assert missing == []


def test_the_tables_of_limits_hold_nothing_else() -> None:
    """A limit that is gone is gone from the reference, and none stands in both tables."""
    text = (REFERENCE / "server.md").read_text()
    tables = re.findall(r"<!-- table: (?:request|connection) limits -->\n(.*?)<!-- end of table -->", text, re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \|", "".join(tables), re.MULTILINE)

    assert len(tables) == 2
    assert sorted(rows) == sorted(field.name for field in dataclasses.fields(Limits))


@pytest.mark.parametrize(
    ("page", "item"),
    [
        ("server.md", GraphQLApp.__init__),
        ("client.md", Client.__init__),
        ("client.md", HttpLink.__init__),
        ("client.md", WebSocketLink.__init__),
        ("client.md", Client.subscribe),
        ("client.md", PasswordLogin.__init__),
        ("client.md", RefreshTokenLogin.__init__),
        ("client.md", TokenFile.__init__),
        ("client.md", EnvironmentToken.__init__),
    ],
)
def test_every_option_is_in_the_reference(page: str, item: Callable[..., object]) -> None:
    """What a user can pass stands in the page."""
    text = (REFERENCE / page).read_text()
    names = [name for name in inspect.signature(item).parameters if name != "self" and not name.startswith("_")]

    assert [name for name in names if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", text)] == []


@pytest.mark.parametrize(
    "command",
    ["serve", "users add", "users sessions", "users revoke", "login", "logout", "whoami", "query", "subscribe"],
)
def test_every_option_of_a_command_is_in_the_reference(command: str) -> None:
    """What `--help` lists, the page explains."""
    answer = subprocess.run(
        [sys.executable, "-m", "gqlink", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "", "TERM": "dumb"},
    )
    text = (REFERENCE / "cli.md").read_text()
    options = set(re.findall(r"(?<!\w)--[a-z-]+", answer.stdout)) - {"--help"}

    assert f"gqlink {command}" in text
    assert [option for option in sorted(options) if f"`{option}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to a file of ours leads to a file that exists."""
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target and "mailto:" not in target]

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_readme_is_short() -> None:
    """Under 600 words."""
    assert len((ROOT / "README.md").read_text().split()) < 600


async def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    """It is copied out of the page, pointed at a server, and prints what the page says."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example is not None
    async with serving(create_app(ChatSettings(data_dir=tmp_path, demo=True))) as authority:
        script = tmp_path / "example.py"
        script.write_text(example[1].replace("localhost:9000", authority))
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, output.decode().splitlines()) == (0, ["alice: Hello"])
