"""The scripts of the how-to guides, imported as `uvicorn --app-dir` imports them."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from examples.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

FOLDER = ROOT / "examples" / "howto"


@contextmanager
def on_the_path() -> Iterator[None]:
    """Do what `uvicorn --app-dir` does."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("starlette_app", None)


def load(name: str) -> ModuleType:
    """Import a script by its name."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
