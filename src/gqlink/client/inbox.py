"""What a socket has read and not acted on: no flood may keep the event loop, or outrun those who are there to consume.

One read can bring many thousands of events, and until all were acted on nobody else would run: no other socket, and
not the consumers of these events either, whose buffers would overflow although they are as fast as they can be. So a
socket acts on a slice of them, lets the loop go round, and goes on; meanwhile it reads nothing more. That is cheaper,
too: what is consumed while it is young is never seen by the garbage collector.

The frames of one read are kept until its last, and then acted on in one go, in the same step of the loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSMsgType, WSTransport

__all__ = ("SLICE", "Inbox", "Kept")

SLICE: Final = 64

Kept: TypeAlias = "bytes | tuple[WSMsgType, bool, bytes]"
"""A whole text message, or else a frame: its kind, whether it is the last of its message, and its payload."""


class Inbox:
    """The frames of one socket that wait to be acted on, in their order.

    Args:
        turn: Acts on the oldest `SLICE` of what waits, and takes them out.

    Attributes:
        arrived: What was read last, oldest first; whoever reads adds to it.
    """

    __slots__ = ("_lost", "_transport", "_turn", "_waiting", "arrived")

    def __init__(self, turn: Callable[[], None]) -> None:
        self.arrived: list[Kept] = []
        # What came before that, the oldest last: a read may bring many thousands, and from there it costs little.
        self._waiting: list[Kept] = []
        self._turn = turn
        self._lost: Callable[[], None] | None = None
        # While there is another turn to come: then it is the one that goes on, and reads nothing.
        self._transport: WSTransport | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting or self.arrived)

    def oldest(self, number: int) -> list[Kept]:
        """Return the oldest that wait, at most so many, and at least one if there is one; they stay."""
        if not self._waiting:
            self._waiting = self.arrived[::-1]
            self.arrived.clear()
        return self._waiting[: -number - 1 : -1]

    def take_out(self, number: int) -> None:
        """Take out so many of those that `oldest` has returned, from the first on."""
        del self._waiting[-number:]

    def act(self, transport: WSTransport) -> None:
        """Act on what waits, as far as others need not have their turn first."""
        if self._transport is None:
            self._go_on(transport)

    def lose(self, transport: WSTransport, lost: Callable[[], None]) -> None:
        """Call `lost`, now or after what waits: the connection is gone."""
        self._lost = lost
        self.act(transport)

    async def wait_empty(self) -> None:
        """Wait until nothing waits."""
        while self._transport is not None:  # noqa: ASYNC110 -- a few turns, seldom; an Event for each socket costs more
            await asyncio.sleep(0)

    def _go_on(self, transport: WSTransport) -> None:
        try:
            self._turn()
        finally:
            if self:
                self._transport = transport
                transport.underlying_transport.pause_reading()
                asyncio.get_running_loop().call_soon(self._go_on, transport)
            else:
                self._finish()

    def _finish(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.underlying_transport.resume_reading()
        lost, self._lost = self._lost, None
        if lost is not None:
            lost()
