"""`gqlink login`, `logout`, `whoami`: who the command line speaks for."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from gqlink.cli.options import Server, graphql_url, read_password
from gqlink.cli.token_store import StoredToken, TokenStore, server_key
from gqlink.client import Client, PasswordLogin

__all__ = ("login", "logout", "whoami")

DEFAULT_SERVER = "http://localhost:9000"


def login(
    name: Annotated[str, typer.Argument(help="The account.")],
    server: Server = DEFAULT_SERVER,
) -> None:
    """Log in, and keep the token for the commands that follow."""
    password = read_password(name)
    stored = asyncio.run(_log_in(name, password, server))
    TokenStore.default().put(server, stored)
    print(f"Logged in as {stored.name} at {server_key(server)}{_until(stored)}.")


async def _log_in(name: str, password: str, server: str) -> StoredToken:
    account = PasswordLogin(server_key(server))
    identity = await account.login(name, password)
    token = await account.token()
    seconds_left = identity.expires_at - asyncio.get_running_loop().time()
    return StoredToken(identity.subject, token or "", time.time() + seconds_left)


def logout(server: Server = DEFAULT_SERVER) -> None:
    """Forget the token."""
    stored = TokenStore.default().remove(server)
    print(f"Logged out {stored.name}." if stored else f"Nobody was logged in at {server_key(server)}.")


def whoami(server: Server = DEFAULT_SERVER) -> None:
    """Say who the server takes us for."""
    stored = TokenStore.default().get(server)
    if stored is None:
        print(f"Nobody is logged in at {server_key(server)}.")
        raise typer.Exit(1)
    viewer = asyncio.run(_ask(server, stored))
    print(f"{viewer or 'Nobody'} at {server_key(server)}{_until(stored)}.")


async def _ask(server: str, stored: StoredToken) -> str | None:
    async with Client(graphql_url(server), auth=lambda: stored.token) as client:
        data = await client.execute("{ viewer { name } }")
    match data:
        case {"viewer": {"name": str(name)}}:
            return name
        case _:
            return None


def _until(stored: StoredToken) -> str:
    if stored.expires_at is None:
        return ""
    return time.strftime(", token until %H:%M:%S", time.localtime(stored.expires_at))
