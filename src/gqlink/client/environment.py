"""A token source for a token that somebody has put into the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqlink.client.tokens import Changed, Unsubscribe

__all__ = ("EnvironmentToken",)


class EnvironmentToken:
    """Reads an environment variable; an empty one stands for nobody.

    Nobody can renew it: when it is refused, the variable is read once more, and that is all.

    Args:
        name: Of the variable.
    """

    def __init__(self, name: str = "GQLINK_TOKEN") -> None:
        self.name = name

    async def token(self) -> str | None:
        """Return what the variable says now."""
        return os.environ.get(self.name, "").strip() or None

    async def refresh(self, stale: str | None) -> str | None:
        """Return what the variable says now, be it stale."""
        del stale
        return await self.token()

    @property
    def expires_at(self) -> float | None:
        """Unknown."""
        return None

    def subscribe(self, changed: Changed) -> Unsubscribe:
        """Do nothing: an environment does not tell."""
        del changed
        return _nothing

    def __repr__(self) -> str:
        """Say where it looks, never what it finds."""
        return f"EnvironmentToken({self.name!r})"


def _nothing() -> None:
    """There is nothing to end."""
