"""The guide about testing: its tests pass in a run of their own, as its reader runs them."""

from __future__ import annotations

import subprocess
import sys

from examples.howto_scripts import FOLDER


def test_the_tests_of_the_guide_pass() -> None:
    """Each of them, with warnings as errors."""
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    scope = ["-o", "asyncio_default_fixture_loop_scope=function", "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", *options, *scope, str(FOLDER / "application_tests.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "5 passed" in run.stdout
