"""`gqlink users`: the accounts and sessions of a server on this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gqlink.cli.display import print_table, visible
from gqlink.cli.options import Data, default_data_dir, read_password

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from gqlink.chat import Administration

__all__ = ("users",)

T = TypeVar("T")

# Of 22, enough to tell the sessions of a person apart; whoever needs more is told so.
_SHORT_ID = 8

users = typer.Typer(help="Administer the accounts and sessions of a server on this machine.", no_args_is_help=True)

Database = Annotated[
    str | None, typer.Option("--database", envvar="GQLINK_DATABASE", help="postgresql://… instead of SQLite.")
]
Demo = Annotated[bool, typer.Option("--demo", help="Of a server that was started with --demo.")]


@users.callback()
def _users() -> None:
    """Administer the accounts and sessions of a server on this machine."""


@users.command()
def add(
    name: Annotated[str, typer.Argument(help="1 to 32 letters, digits, '.', '-' or '_'.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Make an account; a running server notices at once."""
    password = read_password(name, confirm=True)
    _administer(lambda chat: chat.accounts.create(name, password=password), data=data, database=database)
    print(f"{visible(name)} can log in now.")


@users.command()
def sessions(
    name: Annotated[str | None, typer.Argument(help="Only of this account.")] = None,
    data: Data = None,
    database: Database = None,
    demo: Demo = False,
) -> None:
    """List who is logged in, since when and until when; a session is a login that has not been ended."""
    found = _administer(lambda chat: chat.sessions(name), data=data, database=database, demo=demo)
    if not found:
        print("Nobody is logged in." if name is None else f"{visible(name)} is not logged in.")
        return
    rows = [
        (
            session.account.name,
            session.id[:_SHORT_ID],
            _moment(session.created_at),
            _moment(session.rotated_at or session.created_at),
            _moment(session.expires_at),
        )
        for session in found
    ]
    print_table(("account", "session", "since", "last refreshed", "until"), rows)


@users.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The account.")],
    session: Annotated[
        str | None, typer.Option("--session", help="Only this one: its id, or enough of its beginning.")
    ] = None,
    data: Data = None,
    database: Database = None,
    demo: Demo = False,
) -> None:
    """Log an account out everywhere: its sessions, tokens and sockets end; a running server notices within a second."""
    count = _administer(lambda chat: chat.revoke(name, session=session), data=data, database=database, demo=demo)
    print(f"Ended {count} {'session' if count == 1 else 'sessions'} of {visible(name)}.")


def _administer(
    work: Callable[[Administration], Awaitable[T]], *, data: Path | None, database: str | None, demo: bool = False
) -> T:
    from gqlink.chat import ChatSettings, open_administration

    settings = ChatSettings(data_dir=data or default_data_dir(demo=demo), database_url=database)

    async def run() -> T:
        async with open_administration(settings) as administration:
            return await work(administration)

    return asyncio.run(run())


def _moment(moment: datetime) -> str:
    """Write a moment as the clock on the wall shows it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
