"""A token source that a test holds in its hands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqlink.client import Change
    from gqlink.client.tokens import Changed, Unsubscribe


class Source:
    """Says "alice-1" until the test says otherwise; each refresh takes the next of `coming`.

    Args:
        token: The first.
        coming: What refreshing brings, one after the other: a token, None for a login that is over, or an exception;
            with nothing left, the token stays.
    """

    def __init__(self, token: str | None = "alice-1", *coming: str | Exception | None) -> None:
        self.present = token
        self.coming = list(coming)
        self.stale: list[str | None] = []
        self.expires_at: float | None = None
        self.gate: asyncio.Event | None = None
        self.followers: list[Changed] = []

    async def token(self) -> str | None:
        """Say what holds."""
        return self.present

    async def refresh(self, stale: str | None) -> str | None:
        """Take the next one, unless another one holds already; tell of it, and wait for nobody."""
        if self.present != stale:
            return self.present
        self.stale.append(stale)
        if self.gate is not None:
            await self.gate.wait()
        if self.coming:
            following = self.coming.pop(0)
            if isinstance(following, Exception):
                raise following
            self.present = following
            self.tell("changed" if following is None else "renewed")
        return self.present

    def subscribe(self, changed: Changed) -> Unsubscribe:
        """Take a follower."""
        self.followers.append(changed)
        return lambda: self.followers.remove(changed)

    def tell(self, change: Change) -> asyncio.Future[list[None]]:
        """Tell all followers."""
        return asyncio.gather(*(follower(change) for follower in self.followers))

    async def become(self, token: str | None) -> None:
        """Log in, out, or in as somebody else, and wait for the followers."""
        self.present = token
        await self.tell("changed")
