"""`gqlink users`: the accounts of a server on this machine."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from gqlink.cli.options import Data, default_data_dir, read_password

__all__ = ("users",)

users = typer.Typer(help="Administer the accounts of a server on this machine.", no_args_is_help=True)


@users.callback()
def _users() -> None:
    """Administer the accounts of a server on this machine."""


@users.command()
def add(
    name: Annotated[str, typer.Argument(help="1 to 32 letters, digits, '.', '-' or '_'.")],
    data: Data = None,
    database: Annotated[
        str | None, typer.Option("--database", envvar="GQLINK_DATABASE", help="postgresql://… instead of SQLite.")
    ] = None,
) -> None:
    """Make an account; a running server notices at once."""
    from gqlink.chat import ChatSettings, open_administration

    settings = ChatSettings(data_dir=data or default_data_dir(), database_url=database)
    password = read_password(name, confirm=True)

    async def run() -> None:
        async with open_administration(settings) as administration:
            await administration.accounts.create(name, password=password)

    asyncio.run(run())
    print(f"{name} can log in now.")
