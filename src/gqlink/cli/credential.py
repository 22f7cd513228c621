"""Whom a command speaks for: the token in the environment, or else whoever is logged in."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from gqlink.client import EnvironmentToken, TokenFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.client import TokenSource

__all__ = ("VARIABLE", "credential", "has_variable", "login_hint")

VARIABLE: Final = "GQLINK_TOKEN"


def has_variable() -> bool:
    """Say whether the environment has a token."""
    return bool(os.environ.get(VARIABLE, "").strip())


@asynccontextmanager
async def credential(server: str) -> AsyncIterator[TokenSource]:
    """Find out whom to speak for at a server.

    Raises:
        BadUserInput: `server` is no address.
        DataUnusable: The file of logins cannot be used.
    """
    async with TokenFile(server) as logins:
        if has_variable():
            yield EnvironmentToken(VARIABLE)
        else:
            await logins.token()  # a damaged file is said now
            yield logins


def login_hint(name: str | None) -> str:
    """Say how to get a credential that is accepted.

    Args:
        name: Who was logged in.
    """
    return (
        f"put another token into {VARIABLE}" if has_variable() else f"log in again with: gqlink login {name or 'NAME'}"
    )
