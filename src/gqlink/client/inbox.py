"""What a socket has read and not acted on: no flood may keep the event loop, or outrun those who are there to consume.

One read can bring many thousands of events, and until all were acted on nobody else would run: no other socket, and
not the consumers of these events either, whose buffers would overflow although they are as fast as they can be. So a
socket acts on a slice of them, lets the loop go round, and goes on; meanwhile it reads nothing more. That is cheaper,
too: what is consumed while it is young is never seen by the garbage collector.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSMsgType, WSTransport

__all__ = ("Inbox",)

_SLICE: Final = 64


class Inbox:
    """The frames of one socket that wait for another turn of the event loop, in their order.

    Args:
        act: Acts on one frame: its kind, whether it is the last of its message, and its payload.

    Attributes:
        room: How many frames may be acted on before others have their turn; whoever acts on one counts it.
    """

    __slots__ = ("_act", "_lost", "_transport", "_waiting", "room")

    def __init__(self, act: Callable[[WSMsgType, bool, bytes], None]) -> None:
        self.room = _SLICE
        self._act = act
        self._lost: Callable[[], None] | None = None
        self._transport: WSTransport | None = None
        self._waiting: deque[tuple[WSMsgType, bool, bytes]] = deque()

    def keep(self, transport: WSTransport, kind: WSMsgType, payload: bytes, *, fin: bool) -> None:
        """Keep a frame for which there is no room."""
        if self._transport is None:
            self._transport = transport
            transport.underlying_transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)
        self._waiting.append((kind, fin, payload))

    def lose(self, lost: Callable[[], None]) -> None:
        """Call `lost`, now or after what waits: the connection is gone."""
        if self._transport is None:
            lost()
        else:
            self._lost = lost

    async def wait_empty(self) -> None:
        """Wait until nothing waits."""
        while self._transport is not None:  # noqa: ASYNC110 -- a few turns, seldom; an Event for each socket costs more
            await asyncio.sleep(0)

    def _go_on(self) -> None:
        self.room = _SLICE
        while self._waiting and self.room:
            self.room -= 1
            self._act(*self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        transport, self._transport = self._transport, None
        if self._lost is not None:
            self._lost()
        elif transport is not None:
            transport.underlying_transport.resume_reading()
