"""The pages' own check: generated types are fresh, everything type-checks, the unit tests pass."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from interop.node import find_toolchain

WEB = Path(__file__).parent.parent / "web"


@pytest.mark.timeout(300)
def test_the_pages_check_themselves() -> None:
    """`npm run check` in `web/`."""
    assert (WEB / "node_modules").is_dir(), "the pages are not built: make setup"
    toolchain = find_toolchain()
    environment = {**os.environ, "PATH": f"{toolchain.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    answer = subprocess.run(
        [*toolchain.npm, "run", "check"],
        cwd=WEB,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr
