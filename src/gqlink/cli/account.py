"""`gqlink login`, `logout`, `whoami`: who the command line speaks for."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

from gqlink.cli.credential import VARIABLE, credential, has_variable
from gqlink.cli.display import print_note
from gqlink.cli.options import Server, graphql_url, read_password
from gqlink.client import Client, LoginIdentity, TokenFile

if TYPE_CHECKING:
    from gqlink.client import TokenSource

__all__ = ("login", "logout", "whoami")

DEFAULT_SERVER = "http://localhost:9000"


def login(
    name: Annotated[str, typer.Argument(help="The account.")],
    server: Server = DEFAULT_SERVER,
) -> None:
    """Log in, and stay so for the commands that follow."""
    password = read_password(name)

    async def run() -> str:
        async with TokenFile(server) as logins:
            identity = await logins.login(name, password)
            return f"Logged in as {identity.subject} at {logins.server}{_until(identity)}."

    print(asyncio.run(run()))
    if has_variable():
        print_note(f"{VARIABLE} is set, so the commands go on using that")


def logout(server: Server = DEFAULT_SERVER) -> None:
    """End the session, here and at the server."""

    async def run() -> str | None:
        async with TokenFile(server) as logins:
            forgotten = await logins.logout()
            return None if forgotten is None else forgotten.name

    name = asyncio.run(run())
    print(f"Nobody was logged in at {TokenFile(server).server}." if name is None else f"Logged out {name}.")
    if has_variable():
        print_note(f"{VARIABLE} is set, so the commands go on using that")


def whoami(server: Server = DEFAULT_SERVER) -> None:
    """Say who the server takes us for."""

    async def run() -> str | None:
        async with credential(server) as source:
            if await source.token() is None:
                return None
            viewer = await _ask(server, source)
            return f"{viewer or 'Nobody'} at {TokenFile(server).server}{_origin(source)}."

    sentence = asyncio.run(run())
    print(sentence or f"Nobody is logged in at {TokenFile(server).server}.")
    if sentence is None:
        raise typer.Exit(1)


async def _ask(server: str, source: TokenSource) -> str | None:
    async with Client(graphql_url(server), auth=source) as client:
        data = await client.execute("{ viewer { name } }")
    match data:
        case {"viewer": {"name": str(name)}}:
            return name
        case _:
            return None


def _origin(source: TokenSource) -> str:
    """Say where the token comes from, or until when it lasts."""
    return _until(source.identity) if isinstance(source, TokenFile) else f", by the token in {VARIABLE}"


def _until(identity: LoginIdentity | None) -> str:
    if identity is None or not math.isfinite(identity.expires_at):
        return ""
    seconds_left = identity.expires_at - asyncio.get_running_loop().time()
    return time.strftime(", token until %H:%M:%S", time.localtime(time.time() + seconds_left))
