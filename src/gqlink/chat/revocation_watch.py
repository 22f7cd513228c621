"""Looks for revocations that came another way: from a command beside the server, or from another server.

Once a second it asks the database for larger numbers than the last one it saw. A database that does not answer is
asked more and more seldom, and said so in the log; whatever was revoked meanwhile is found afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gqlink.auth import Revocation
    from gqlink.chat.revocation_store import SqlRevocationStore

INTERVAL_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class RevocationWatch:
    """Tells a server what the database has learned from somebody else, and, harmlessly, from the server itself.

    Args:
        store: Where to look.
        apply: Called with each revocation that is new, such as `GraphQLApp.apply_revocation`.
        pause: Waits so many seconds between two looks.
    """

    def __init__(
        self,
        store: SqlRevocationStore,
        *,
        apply: Callable[[Revocation], None],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._apply = apply
        self._pause = pause
        self._last = 0
        self._failures = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch from now on until the block is left.

        What was revoked before is the server's to load, once this block has been entered: so nothing falls between.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        self._last = await self._store.newest()
        task = asyncio.create_task(self._run(), name="gqlink-revocation-watch")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def look(self) -> None:
        """Look once.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        for number, revocation in await self._store.later_than(self._last):
            self._apply(revocation)
            self._last = number

    async def _run(self) -> None:
        while True:
            await self._pause(min(INTERVAL_SECONDS * 2**self._failures, LONGEST_SECONDS))
            try:
                await self.look()
            except (Exception, asyncio.CancelledError) as exc:
                if isinstance(exc, asyncio.CancelledError) and _is_ending():
                    raise
                self._failures = min(self._failures + 1, 10)
                if self._failures == 1:  # once is enough until it is well again
                    text = "revocations cannot be looked for; sockets may outlive what revoked them"
                    log.exception(text, extra={"gqlink_event": "revocations_unheard"})
            else:
                if self._failures:
                    log.warning("revocations can be looked for again", extra={"gqlink_event": "revocations_heard"})
                self._failures = 0


def _is_ending() -> bool:
    """Tell whether the task was asked to end; otherwise it awaited something that somebody else has cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
