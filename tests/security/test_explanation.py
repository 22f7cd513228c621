"""The page that claims: every test that it names is there, and every report has one that is named for it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
REPORTS = (
    *("CVE-2026-35523", "CVE-2026-35526", "CVE-2026-47707", "CVE-2026-30241", "CVE-2023-22477", "CVE-2025-64166"),
    *("CVE-2026-41700", "CVE-2026-40324", "CVE-2023-28867", "CVE-2026-34573", "CVE-2025-62727", "CVE-2026-32597"),
    *("CVE-2025-59420", "CVE-2026-48523", "CVE-2026-27962", "CVE-2022-29217", "CVE-2024-33663", "CVE-2024-33664"),
    *("CVE-2021-32640", "CVE-2024-37890", "GHSA-f53g-frr2-jhpf"),
)
"""Of flaws in servers and libraries like ours; what applies to no part of gqlink is left out."""


def rows(title: str) -> list[list[str]]:
    """Return the cells of the tables under a heading, without the head of each."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for number, row in enumerate(cells) if "---" not in lines[number] and number > 0]


def names_in(path: str) -> set[str]:
    """Return the names of the tests of a file, which is read and not run."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions) and node.name.startswith("test_")}


def test_every_test_that_is_named_is_there() -> None:
    """A claim whose test was renamed or removed is a claim no more."""
    assert len(NAMED) > 80
    assert [f"{path}::{name}" for path, name in NAMED if name not in names_in(path)] == []


def test_every_report_has_a_row_and_a_test_that_is_named_for_it() -> None:
    """So that whoever looks for one finds both."""
    told = rows("Reported elsewhere")
    for report in REPORTS:
        name = report.lower().replace("-", "_")
        [row] = [row for row in told if report in row[0]]
        assert re.search(rf"::test_\w*{name}", row[-1]), report


def test_every_attack_says_what_happens_and_which_test_shows_it() -> None:
    """There is no row without one."""
    attacks = rows("Reported elsewhere") + rows("Known by no number")
    assert len(attacks) > 40
    for row in attacks:
        assert all(row)
        assert re.fullmatch(r"`tests/[^`]+::test_\w+`(, `tests/[^`]+::test_\w+`)*", row[-1]), row


def test_every_promise_is_the_one_of_the_front_door_and_has_a_test() -> None:
    """What SECURITY.md promises stands here in the same words, each by its first sentence."""
    section = (ROOT / "SECURITY.md").read_text().partition("## What gqlink promises\n")[2].partition("\n[")[0]
    promises = [" ".join(item.split()) for item in section.split("\n* ")[1:]]
    told = rows("What SECURITY.md promises")
    assert len(promises) > 10
    assert [row[0] for row in told] == [re.match(r".*?\.(?= [A-Z]|$)", promise)[0] for promise in promises]  # type: ignore[index]
    assert all(re.search(r"`tests/\S+::test_\w+`", row[1]) for row in told)
