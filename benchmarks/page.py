"""The page that the figures are written to, and what is said beside all of them: versions and machine."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "reference" / "benchmarks.md"
PICTURES: Final = ROOT / "docs" / "pictures"


def write(program: str, text: str) -> None:
    """Put what a program found between its two marks in the page."""
    begin, end = f"<!-- {program} writes from here -->", f"<!-- {program} writes to here -->"
    place = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    page, count = place.subn(lambda _: f"{begin}\n\n{text}\n\n{end}", PAGE.read_text())
    assert count == 1, f"{PAGE} has no place for {program}"
    PAGE.write_text(page)


def versions(python: Sequence[str], *, npm: Sequence[str], packages: Path, node: Path) -> str:
    """Say which versions were measured.

    Args:
        python: Names of distributions.
        npm: Names of packages of npm.
        packages: The folder that these are installed in.
        node: The program.
    """
    ours = [f"{name} {version(name)}" for name in python]
    theirs = [
        f"{name} {json.loads((packages / 'node_modules' / name / 'package.json').read_text())['version']}"
        for name in npm
    ]
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    return f"Python {platform.python_version()}: {', '.join(ours)}. Node {said.lstrip('v')}: {', '.join(theirs)}."


def machine() -> str:
    """Say what it was measured on."""
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    return f"{system} on {platform.machine()}, {_processor()}, {os.cpu_count()} cores."


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else "an unknown processor"
