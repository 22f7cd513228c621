"""Options that several commands have in common."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import typer

from gqlink.errors import BadUserInput

__all__ = ("Data", "Server", "default_data_dir", "graphql_url", "read_password")

Server = Annotated[
    str,
    typer.Option("--server", "-s", envvar="GQLINK_SERVER", help="Address of the server, or of its /graphql."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Directory of the database and the signing key.", show_default="in your home"),
]


def default_data_dir(*, demo: bool = False) -> Path:
    """Return where a server keeps its data unless told otherwise (`$XDG_DATA_HOME`, else `~/.local/share`)."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "gqlink" / ("demo" if demo else "chat")


def graphql_url(server: str) -> str:
    """Return the GraphQL endpoint of a server: `/graphql` where the address has no path of its own."""
    parts = urlsplit(server)
    return urlunsplit(parts._replace(path=parts.path if parts.path.strip("/") else "/graphql"))


def read_password(name: str, *, confirm: bool = False) -> str:
    """Ask for a password without showing it; take the first line of standard input where that is no terminal.

    Raises:
        BadUserInput: The two entries differ, or there is none.
    """
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass(f"Password of {name}: ")
        if confirm and getpass.getpass("Once more: ") != password:
            raise BadUserInput("the two passwords differ")
    if not password:
        raise BadUserInput("no password was given")
    return password
