"""Where a client's token comes from."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from gqlink.errors import BadUserInput

__all__ = (
    "Auth",
    "CredentialsChanged",
    "FunctionSource",
    "TokenFunction",
    "TokenSource",
    "Unsubscribe",
    "as_token_source",
)

CredentialsChanged: TypeAlias = Callable[[], Awaitable[None]]
Unsubscribe: TypeAlias = Callable[[], None]
TokenFunction: TypeAlias = Callable[[], str | None] | Callable[[], Awaitable[str | None]]


@runtime_checkable
class TokenSource(Protocol):
    """Knows the present token and says when it becomes another one."""

    async def token(self) -> str | None:
        """Return the token to present now, or None when nobody is logged in."""

    def subscribe(self, changed: CredentialsChanged) -> Unsubscribe:
        """Ask to be told of every change of the credential.

        Args:
            changed: Awaited after each change and before whoever caused it (`login`, `logout`) goes on.

        Returns:
            A function that ends it.
        """


Auth: TypeAlias = TokenSource | TokenFunction


class FunctionSource:
    """A bare function as a token source: it is asked each time and cannot say when its answer changes.

    Args:
        function: Returns the token or None; it may be a coroutine function.
    """

    def __init__(self, function: TokenFunction) -> None:
        self._function = function

    async def token(self) -> str | None:
        """Ask the function."""
        token = self._function()
        return await token if inspect.isawaitable(token) else token

    def subscribe(self, changed: CredentialsChanged) -> Unsubscribe:
        """Do nothing: with a bare function, `await client.credentials_changed()` says it."""
        del changed
        return _nothing


def as_token_source(auth: Auth) -> TokenSource:
    """Take a token source as it is, and make one of a function.

    Raises:
        BadUserInput: It is neither.
    """
    if isinstance(auth, TokenSource):
        return auth
    if callable(auth):
        return FunctionSource(auth)
    raise BadUserInput("auth must be a token source, or a function that returns a token or None")


def _nothing() -> None:
    """There is nothing to end."""
