"""Rooms in which something may have been stored that nobody heard, until their listeners were told.

To tell them is to begin a new epoch of the room's topic: everybody who listens is ended, comes back, and learns that it
did not recover. That waits until the database says that nothing is being written in the room any more: until then what
is doubted may still be about to be stored, and nobody could read what they missed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ("Doubts",)

log = logging.getLogger(__name__)


class Doubts:
    """Settles doubts about rooms: at once if that is possible, otherwise by trying again until it is.

    Args:
        locks: By room. Whoever calls `raise_doubt` and `settle` holds the room's; a later attempt takes it.
        check: Asks the database whether everything in a room is written; raises where it cannot say so.
        reset: Begins a new epoch of a room's topic.
        retry_seconds: Between two attempts.
    """

    def __init__(
        self,
        *,
        locks: Mapping[str, asyncio.Lock],
        check: Callable[[str], Awaitable[None]],
        reset: Callable[[str], Awaitable[None]],
        retry_seconds: float,
    ) -> None:
        self._locks = locks
        self._check = check
        self._reset = reset
        self._retry_seconds = retry_seconds
        self._rooms: set[str] = set()
        self._retrying: dict[str, asyncio.Task[None]] = {}

    async def raise_doubt(self, room_id: str) -> None:
        """Note that a room's listeners may have missed something."""
        self._rooms.add(room_id)
        if not await self.settle(room_id) and room_id not in self._retrying:
            text = "listeners of the room %r may have missed something, and cannot be told yet"
            log.error(text, room_id, extra={"gqlink_event": "room_in_doubt", "room": room_id})
            self._retrying[room_id] = asyncio.create_task(self._retry(room_id))

    async def settle(self, room_id: str) -> bool:
        """Tell a room's listeners, if there is any doubt.

        Returns:
            Whether there is no doubt any more: otherwise nothing may be said there, for it would pass for the next.
        """
        if room_id not in self._rooms:
            return True
        try:
            await self._check(room_id)
            await self._reset(room_id)
        except Exception:
            extra = {"gqlink_event": "room_in_doubt", "room": room_id}
            log.debug("the doubt about the room %r stays", room_id, exc_info=True, extra=extra)
            return False
        self._rooms.discard(room_id)
        text = "listeners of the room %r were told that they may have missed something"
        log.warning(text, room_id, extra={"gqlink_event": "room_reset", "room": room_id})
        return True

    async def aclose(self) -> None:
        """Try a last time."""
        retrying = list(self._retrying.values())
        for task in retrying:
            task.cancel()
        if retrying:
            await asyncio.wait(retrying)
        for room_id in tuple(self._rooms):
            async with self._locks[room_id]:
                if not await self.settle(room_id):
                    text = "listeners of the room %r may have missed something, and were not told"
                    log.error(text, room_id, extra={"gqlink_event": "room_in_doubt", "room": room_id})

    async def _retry(self, room_id: str) -> None:
        try:
            settled = False
            while not settled:
                await asyncio.sleep(self._retry_seconds)
                async with self._locks[room_id]:
                    settled = await self.settle(room_id)
        finally:
            del self._retrying[room_id]
