"""The commands, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gqlink import __version__
from gqlink.cli.account import login, logout, whoami
from gqlink.cli.display import visible
from gqlink.cli.operations import query, subscribe
from gqlink.cli.serve import serve
from gqlink.cli.users import users
from gqlink.errors import GqlinkError

__all__ = ("app", "main")

app = typer.Typer(
    name="gqlink",
    help="A GraphQL connection that stays authenticated: a chat server, and a client for any GraphQL server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main() -> None:
    """Run one command; an error of ours is one line on standard error and exit code 1."""
    try:
        app(prog_name="gqlink")
    except GqlinkError as exc:
        sys.exit(f"gqlink: {visible(str(exc))}")
    except BrokenPipeError:
        # Whoever read our output has heard enough.
        sys.stderr.close()
        sys.exit(141)


def _version(*, wanted: bool) -> None:
    if wanted:
        print(f"gqlink {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version_wanted: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Print the version.", callback=lambda v: _version(wanted=v), is_eager=True
        ),
    ] = False,
) -> None:
    """Keep a GraphQL connection authenticated."""


app.command()(serve)
app.add_typer(users, name="users")
app.command()(login)
app.command()(logout)
app.command()(whoami)
app.command()(query)
app.command()(subscribe)
