"""Those who said that the credential changed, and wait until the link has followed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gqlink.client.operations import same_error

if TYPE_CHECKING:
    from gqlink.errors import GqlinkError

__all__ = ("Followers", "done")


class Followers:
    """The waiting, in two kinds: a user who called `credentials_changed`, and a token source that tells of itself."""

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Future[None], bool]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def has_sources(self) -> bool:
        """Whether a token source waits."""
        return any(source for _, source in self._waiting)

    def add(self, *, source: bool) -> asyncio.Future[None]:
        """Take one more; the future is done when the link has followed.

        Args:
            source: Whether a token source waits.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, source))
        return future

    def settle(self, error: GqlinkError | None = None) -> None:
        """Tell all of them that it is done, or why it cannot be."""
        self._settle(self._waiting, error)
        self._waiting = []

    def release_sources(self) -> None:
        """Let token sources go on: one that waits for us may not be able to answer us."""
        self._settle([each for each in self._waiting if each[1]], None)
        self._waiting = [each for each in self._waiting if not each[1]]

    def _settle(self, waiting: list[tuple[asyncio.Future[None], bool]], error: GqlinkError | None) -> None:
        for future, _ in waiting:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(same_error(error))


def done() -> asyncio.Future[None]:
    """Return a future that is done: there is nothing to wait for."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
