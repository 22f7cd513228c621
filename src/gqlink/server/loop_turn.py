"""What one turn of the event loop says to many sockets leaves at its end: one callback for all of them.

A broadcast to a thousand sockets schedules one call, not a thousand, and each socket gets one write, however many
messages the turn had for it.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ("LoopTurn",)


class Flushable(Protocol):
    """Somebody who has something to write at the end of the turn."""

    def flush(self) -> None:
        """Write it; what goes wrong concerns nobody else, and is not raised."""


class LoopTurn:
    """Who has something to write at the end of the present turn of an event loop.

    Args:
        loop: Whose turns.
    """

    __slots__ = ("_context", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Nobody's: otherwise all would be written in the context of whoever happened to be first.
        self._context = contextvars.Context()
        self._waiting: list[Flushable] = []

    def add(self, outlet: Flushable) -> None:
        """Have `outlet` flushed at the end of the turn; once for each time that this is called."""
        if not self._waiting:
            self._loop.call_soon(self._flush, context=self._context)
        self._waiting.append(outlet)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for outlet in waiting:
            outlet.flush()
