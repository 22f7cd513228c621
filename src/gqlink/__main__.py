"""The command `gqlink`; `gqlink --version` needs no extra."""

from __future__ import annotations

import sys

from gqlink import __version__
from gqlink.errors import MissingExtra


def main() -> None:
    """Run the command line, or say which extra is missing."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"gqlink {__version__}")  # noqa: T201 -- it is what was asked for
        return
    try:
        from gqlink.cli import main as run
    except MissingExtra as exc:
        sys.exit(f"gqlink: {exc}")
    run()


if __name__ == "__main__":
    main()
