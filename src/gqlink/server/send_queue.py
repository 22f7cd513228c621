"""What waits to be sent to one client: a bounded buffer with one task that empties it into ASGI's `send`.

Policy: while more than `send_buffer_bytes` wait, whoever could add to it has to wait; operations do so as soon as a
frame is stuck and a sixteenth of that waits, so that nothing is executed for a client that does not read. Both go on
when no more than a sixteenth waits. A client that takes nothing for `stall_seconds` loses what waits, and is closed
with 4490. From the moment a close is written everything that is left has one second, however slowly the client reads.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from gqlink.protocol import Close, CloseCode, Text
from gqlink.server.logbook import log_event
from gqlink.server.statistics import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from starlette.types import Send

    from gqlink.protocol import Frame
    from gqlink.server.limits import Limits

__all__ = ("SendQueue",)

# How long what was said last, a close above all, may take to leave, with everything before it.
_CLOSE_SECONDS: Final = 1.0
# What ends a conversation in which all has been said.
_GOODBYE: Final = Close(CloseCode.NORMAL)
# The part of the buffer that operations may fill behind a frame that the server does not take. What is executed later
# is as good, and costs nothing until then; a server that hands each frame to another task still gets a few at once.
_STUCK_SHARE: Final = 1 / 16
# How long what waits may take to leave when it is to be dropped, but the client has kept up until then.
_DROP_SECONDS: Final = 0.1


class SendQueue:
    """The outlet of a `SocketListener` or an `EventStream`; see `Outlet`. Use it with `async with`.

    Args:
        send: The ASGI server's.
        limits: For `send_buffer_bytes` and `stall_seconds`.
        meter: Counts what is sent, what waits, and who has stalled.
        write: Writes a frame as a message of the ASGI server's; that of a WebSocket if not given.
    """

    def __init__(
        self,
        send: Send,
        *,
        limits: Limits,
        meter: Meter | None = None,
        write: Callable[[Frame], dict[str, Any]] | None = None,
    ) -> None:
        self._send = send
        self._message = write or _message
        self._limits = limits
        self._meter = meter or Meter()
        self._frames: deque[Frame] = deque()
        self._last: deque[Frame] = deque()  # a close, and what was written with it
        self._close_by = math.inf
        self._drop_at = math.inf
        self._patience: asyncio.Timeout | None = None  # with the frame that is being sent
        self._bytes = 0  # of what waits and of what is being sent
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._on_stalled: Callable[[], None] = _nothing
        self._on_ended: Callable[[], None] = _nothing

    def write(self, frames: Sequence[Frame]) -> None:
        """Take frames to send; see `Outlet`. They are dropped when nothing can be sent any more, or after a close."""
        if self._is_closing:
            return
        self._count(_size(frames))
        self._filled.set()
        if any(isinstance(frame, Close) for frame in frames):
            self._last.extend(frames)
            self._hurry()
            return
        self._frames.extend(frames)
        allowed = self._limits.send_buffer_bytes
        if self._bytes > allowed:
            self._room.clear()
            self._writable.clear()
        elif self._patience is not None and self._bytes > allowed * _STUCK_SHARE:
            self._writable.clear()

    def end(self) -> None:
        """Close when everything that waits has left, as slowly as a client may read; nothing but a close follows."""
        if not self._is_closing:
            self._count(_size([_GOODBYE]))
            self._frames.append(_GOODBYE)
            self._filled.set()

    def write_texts(self, texts: Sequence[bytes]) -> None:
        """Take whole messages to send; see `Outlet`."""
        self.write([Text(text) for text in texts])

    def as_lane(self) -> None:
        """Return nothing: a server's `send` has to be waited for."""

    @property
    def is_writable(self) -> bool:
        """Whether `wait_writable` would return at once."""
        return self._writable.is_set()

    def drop(self) -> None:
        """Drop what waits; see `Outlet`.

        Where no frame is stuck, what waits was written in this turn of the event loop, and leaves in the next.
        """
        if self._patience is None:
            self._drop_at = asyncio.get_running_loop().time() + _DROP_SECONDS
        else:
            self._drop()

    async def wait_writable(self) -> None:
        """Wait while there is no use in another event: too much waits, or something waits for a client that is stuck.

        See `Outlet`.
        """
        await self._writable.wait()

    async def wait_room(self) -> None:
        """Wait while too much waits for another message of the client's to be answered."""
        await self._room.wait()

    def when_stalled(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the client has taken nothing for `stall_seconds`; it should close."""
        self._on_stalled = callback

    @contextmanager
    def ending(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` once, if it happens in this block that a close is written or nothing can be sent any more.

        Also if that has happened before.
        """
        self._on_ended = callback
        try:
            if self._is_closing:
                self._tell_ended()
            yield
        finally:
            self._on_ended = _nothing

    async def __aenter__(self) -> Self:
        self._writer = asyncio.get_running_loop().create_task(self._run(), name="gqlink socket writer")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        try:
            if self._bytes:
                await asyncio.wait([self._writer], timeout=_CLOSE_SECONDS)
        finally:
            self._writer.cancel()
            await asyncio.wait([self._writer])

    def _drop(self) -> None:
        self._count(-_size(self._frames))
        self._frames.clear()

    def _count(self, size: int) -> None:
        self._bytes += size
        self._meter.add_waiting(size)

    @property
    def _is_closing(self) -> bool:
        return self._ended or self._close_by < math.inf

    def _hurry(self) -> None:
        """Give everything that is left, the frame that is being sent included, a second from now."""
        self._close_by = asyncio.get_running_loop().time() + _CLOSE_SECONDS
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(min(self._patience.when() or self._close_by, self._close_by))
        self._let_go_on()
        self._tell_ended()

    def _let_go_on(self) -> None:
        self._room.set()
        self._writable.set()

    def _tell_ended(self) -> None:
        callback, self._on_ended = self._on_ended, _nothing
        callback()

    async def _run(self) -> None:
        try:
            await self._empty()
        except TimeoutError:
            await self._give_up()
        except Exception as exc:  # noqa: BLE001 -- every ASGI server has its own for "the peer is gone"
            log_event("sending_failed", "sending failed: %r", exc)
        finally:
            self._end()

    async def _empty(self) -> None:
        """Send whatever comes, until a close has been sent.

        Raises:
            TimeoutError: One frame took more than `stall_seconds`, or the close and what was before it too long.
        """
        while True:
            while waiting := self._frames or self._last:
                frame = waiting.popleft()
                await self._send_one(frame)
                if isinstance(frame, Close):
                    return
                self._meter.messages_sent += 1
                self._count(-len(frame.data))
                if asyncio.get_running_loop().time() > self._drop_at:
                    self._drop()
                if self._bytes <= self._limits.send_buffer_bytes * _STUCK_SHARE:
                    # Not only when nothing is left: a client that asks as fast as it reads wants its events, too.
                    self._let_go_on()
            self._let_go_on()
            self._filled.clear()
            await self._filled.wait()

    async def _send_one(self, frame: Frame) -> None:
        stalled_at = asyncio.get_running_loop().time() + self._limits.stall_seconds
        try:
            async with asyncio.timeout_at(min(stalled_at, self._close_by)) as self._patience:
                await self._send(self._message(frame))
        finally:
            self._patience = None

    async def _give_up(self) -> None:
        """Drop what waits, and close; nobody expects that the client reads the close."""
        log_event("slow_consumer", "a client that does not read is closed: %d bytes were waiting", self._bytes)
        self._drop()
        was_closing = self._is_closing
        self._on_stalled()
        if self._is_closing and not was_closing:  # the conversation went on until now
            self._meter.slow_consumers += 1
            self._meter.refuse("stall_seconds")
        try:
            async with asyncio.timeout_at(min(self._close_by, asyncio.get_running_loop().time() + _CLOSE_SECONDS)):
                await self._empty()
        except Exception as exc:  # noqa: BLE001 -- as above, and TimeoutError
            log_event("sending_failed", "closing failed: %r", exc)

    def _end(self) -> None:
        self._ended = True
        self._frames.clear()
        self._last.clear()
        self._filled.clear()
        self._count(-self._bytes)
        self._let_go_on()
        self._tell_ended()


def _size(frames: Iterable[Frame]) -> int:
    """Count bytes; a close counts too, so that it is 0 only when nothing is left to be sent."""
    return sum(2 + len(frame.reason) if isinstance(frame, Close) else len(frame.data) for frame in frames)


def _nothing() -> None:
    """Stand in until somebody wants to know."""


def _message(frame: Frame) -> dict[str, Any]:
    if isinstance(frame, Close):
        return {"type": "websocket.close", "code": frame.code, "reason": frame.reason}
    return {"type": "websocket.send", "text": frame.data.decode()}
