"""Those who are told when the credential changes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from gqlink.client.errands import Errands
from gqlink.errors import GqlinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gqlink.client.tokens import Change, Changed, Unsubscribe

__all__ = ("Audience",)

_log: Final = logging.getLogger("gqlink.client")


class Audience:
    """Tells all of them at the same time, and in the moment of the change.

    Who is told is called at once, before anybody can ask for the new token; what the call returns is awaited in a task
    of its own. So whoever causes a change may wait for those who follow it, and whoever is itself a follower, such as
    a link that waits for a refresh, need not.
    """

    def __init__(self) -> None:
        self._followers: list[Changed] = []
        self._errands = Errands("gqlink followers of a credential")

    def add(self, changed: Changed) -> Unsubscribe:
        """Tell somebody from now on; see `TokenSource.subscribe`."""
        self._followers.append(changed)
        return lambda: self._remove(changed)

    def notify(self, change: Change) -> asyncio.Task[None]:
        """Tell everybody now.

        Returns:
            What is done when all have followed; one that fails is logged, and keeps nobody from going on.
        """
        told = [_call(changed, change) for changed in tuple(self._followers)]
        return self._errands.start(_wait([each for each in told if each is not None]))

    async def aclose(self) -> None:
        """Let them go where they are."""
        await self._errands.aclose()

    def _remove(self, changed: Changed) -> None:
        if changed in self._followers:
            self._followers.remove(changed)


def _call(changed: Changed, change: Change) -> Awaitable[None] | None:
    try:
        return changed(change)
    except Exception as exc:  # noqa: BLE001 -- a follower's bug is not its neighbour's
        _report(exc)
        return None


async def _wait(told: list[Awaitable[None]]) -> None:
    for outcome in await asyncio.gather(*told, return_exceptions=True):
        if isinstance(outcome, Exception):
            _report(outcome)


def _report(error: Exception) -> None:
    if isinstance(error, GqlinkError):
        _log.warning("a connection could not follow the change of credential: %s", error)
    else:
        _log.error("a follower of the credential failed", exc_info=error)
