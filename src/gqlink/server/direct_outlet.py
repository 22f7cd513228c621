"""What waits to be sent to one client of the direct path: frames as bytes, and no task.

The policy is that of send_queue.py: what one turn of the event loop says leaves in one write at its end. What the
transport cannot hand to the kernel waits here, a chunk of it in the transport, which is what is stuck. While more than
`send_buffer_bytes` wait, whoever could add to it has to wait; operations do so as soon as something is stuck and a
sixteenth of that waits. Both go on when no more than a sixteenth waits. A client that does not take what is stuck
within `stall_seconds` loses what waits, and is closed with 4490. From the moment a close is written everything that is
left has one second, the peer's answer included; then the transport is aborted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from gqlink.protocol import Close
from gqlink.server.frame_bytes import FINAL, TEXT, close_frame, text_frame
from gqlink.server.logbook import log_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.protocol import Frame
    from gqlink.server.broadcast import Lane
    from gqlink.server.limits import Limits
    from gqlink.server.loop_turn import LoopTurn
    from gqlink.server.statistics import Meter

__all__ = ("DirectOutlet", "OutletOwner")

_CLOSE_SECONDS: Final = 1.0
_STUCK_SHARE: Final = 1 / 16
# What the transport gets at once, and so what can be dropped no more: as much as an ASGI server buffers by default.
_CHUNK_BYTES: Final = 65_536
_WHOLE_TEXT: Final = FINAL | TEXT


class OutletOwner(Protocol):
    """Who is told how the outlet fares."""

    def stalled(self) -> None:
        """Close: the client has taken nothing for `stall_seconds`."""

    def room(self) -> None:
        """Go on reading: less waits than before, or a close was written."""


class DirectOutlet:
    """The outlet of a `SocketListener` on a transport; see `Outlet`.

    Args:
        transport: Where to; its write buffer is set to say at once when something stays in it.
        turn: When.
        limits: For `send_buffer_bytes` and `stall_seconds`.
        meter: Counts what is sent, what waits, and who has stalled.
    """

    __slots__ = (
        "_closing",
        "_dirty",
        "_frames",
        "_last",
        "_limits",
        "_meter",
        "_owner",
        "_size",
        "_stuck_size",
        "_timer",
        "_transport",
        "_turn",
        "_writable",
        "is_clear",
        "is_full",
        "is_stuck",
    )

    def __init__(self, transport: asyncio.Transport, turn: LoopTurn, *, limits: Limits, meter: Meter) -> None:
        self._transport = transport
        self._turn = turn
        self._limits = limits
        self._meter = meter
        self._owner: OutletOwner | None = None
        self._frames: list[bytes] = []
        self._size = 0
        """Of what waits here, in bytes, the last words included."""
        self._stuck_size = 0
        """Of what was in the transport when we looked last, in bytes."""
        self._last: tuple[bytes, int] | None = None
        """A close, what was written with it, and how many messages that is."""
        self._dirty = False
        self._closing = False
        self._writable: asyncio.Event | None = None
        """Set when those who wait may go on; there is one only while somebody waits."""
        self._timer: asyncio.TimerHandle | None = None
        self.is_clear = False
        """Whether nothing waits, nothing is stuck and nothing has ended; see broadcast.py."""
        self.is_full = False
        """Whether so much waits that no message of the client's should be answered."""
        self.is_stuck = False
        """Whether the transport holds what the client has not taken."""

    def own(self, owner: OutletOwner) -> None:
        """Tell `owner` from now on; the transport has to call `pause_writing` and `resume_writing` from now on."""
        self._owner = owner
        self.is_clear = not (self._frames or self.is_stuck or self._closing)
        # The least that means "not empty": a TLS transport takes 0 for "always".
        self._transport.set_write_buffer_limits(high=1, low=0)

    @property
    def is_closing(self) -> bool:
        """Whether a close was written, or nothing can be sent any more."""
        return self._closing

    def write(self, frames: Sequence[Frame]) -> None:
        """Take frames to send; see `Outlet`. They are dropped when nothing can be sent any more, or after a close."""
        if self._closing:
            return
        for number, frame in enumerate(frames):
            if isinstance(frame, Close):
                self._write_last(frames[: number + 1])
                return
        for frame in frames:
            self.write_text(frame.data)  # type: ignore[union-attr] # there is no close among them

    def write_text(self, data: bytes) -> None:
        """Take one text message to send, as `write` does.

        Args:
            data: UTF-8.
        """
        if not self._closing:
            self._put(text_frame(data))

    def write_texts(self, texts: Sequence[bytes]) -> None:
        """Take whole messages to send; see `Outlet`."""
        if self._closing:
            return
        for text in texts:
            self._put(text_frame(text))

    def write_now(self, data: bytes) -> None:
        """Write whole frames past what waits, because nothing does: only where it `is_clear`.

        To come back to each of thousands of sockets at the end of the turn costs more than to write to it now; whoever
        says so much to so many has collected what the turn had for them.
        """
        try:
            self._transport.write(data)
        except Exception as exc:  # noqa: BLE001 -- others are written to after it
            self._fail(exc)

    def as_lane(self) -> Lane | None:
        """Return what may be written to at once."""
        return self

    @property
    def is_writable(self) -> bool:
        """Whether `wait_writable` would return at once."""
        # As nearly always: nothing is stuck, and hardly anything waits.
        return (not self.is_stuck and self._size < _CHUNK_BYTES < self._limits.send_buffer_bytes) or (
            not self._should_wait()
        )

    def write_control(self, frame: bytes) -> None:
        """Take a ping or a pong to send, in its place among the messages."""
        if not self._closing:
            self._put(frame)

    def drop(self) -> None:
        """Drop what waits; see `Outlet`. What was written in this turn leaves now, if it leaves at once."""
        self.flush()
        self._drop()

    async def wait_writable(self) -> None:
        """Wait while there is no use in another event; see `Outlet`."""
        if not self._should_wait():
            return
        if self._writable is None:
            self._writable = asyncio.Event()
        await self._writable.wait()

    def flush(self) -> None:
        """Hand to the transport what waits, as far as it takes it."""
        self._dirty = False
        try:
            if len(self._frames) == 1 and not self.is_stuck and self._last is None and not self.is_full:
                self._write_one()  # as in a broadcast
            else:
                self._write_frames()
        except Exception as exc:  # noqa: BLE001 -- others are flushed after it
            self._fail(exc)
        self.is_clear = not (self._frames or self.is_stuck or self._closing or self._dirty or self._last)

    def pause_writing(self) -> None:
        """Take note that something stays in the transport."""
        self.is_stuck = True
        self.is_clear = False
        self._look_at_stuck()
        self._meter.most_waiting_bytes = max(self._meter.most_waiting_bytes, self._meter.waiting_bytes)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.stall_seconds, self._stall)
        self._judge()

    def resume_writing(self) -> None:
        """Take note that nothing stays in the transport, and go on."""
        self.is_stuck = False
        self._look_at_stuck()
        if self._timer is not None and not self._closing:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def finish(self, frame: bytes) -> None:
        """Answer a client that has closed or talks nonsense, as the last thing said; what waited goes before it.

        Where something is stuck, what waits is dropped. A close of our own that waits is the answer.
        """
        if self._closing:
            self.flush()
            return
        self.drop()
        self._hurry()
        self._transport.write(frame)

    def end(self) -> None:
        """Take note that the transport is gone; whoever waits goes on."""
        self._closing = True
        self.is_clear = False
        self._drop()
        self._meter.waiting_bytes -= self._size + self._stuck_size
        self._size = self._stuck_size = 0
        self._last = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._let_go_on()
        self._owner = None

    def _put(self, frame: bytes) -> None:
        size = len(frame)
        self.is_clear = False
        self._frames.append(frame)
        self._size += size
        self._meter.waiting_bytes += size
        if not self._dirty:
            self._dirty = True
            self._turn.add(self)
        if self.is_stuck or self._size > self._limits.send_buffer_bytes:
            self._judge()

    def _write_last(self, frames: Sequence[Frame]) -> None:
        said = [close_frame(f.code, f.reason) if isinstance(f, Close) else text_frame(f.data) for f in frames]
        last = b"".join(said)
        self.is_clear = False
        self._last = (last, len(frames) - 1)
        self._size += len(last)
        self._meter.waiting_bytes += len(last)
        if not self._dirty:
            self._dirty = True
            self._turn.add(self)
        self._hurry()

    def _hurry(self) -> None:
        """Give everything that is left a second from now."""
        self._closing = True
        self.is_clear = False
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._abort)
        self._let_go_on()

    def _fail(self, exc: Exception) -> None:
        self.is_clear = False
        log_event("sending_failed", "sending failed: %r", exc)
        self._transport.abort()

    def _write_one(self) -> None:
        frame, meter = self._frames.pop(), self._meter
        size = len(frame)
        meter.most_waiting_bytes = max(meter.most_waiting_bytes, meter.waiting_bytes)
        meter.waiting_bytes -= size
        meter.messages_sent += frame[0] == _WHOLE_TEXT
        self._size -= size
        self._transport.write(frame)
        if self._writable is not None:
            self._judge()

    def _write_frames(self) -> None:
        meter = self._meter
        meter.most_waiting_bytes = max(meter.most_waiting_bytes, meter.waiting_bytes)
        while self._frames and not self.is_stuck:
            self._write_chunk()
        if self._last is not None and not self.is_stuck and not self._frames:
            (last, messages), self._last = self._last, None
            self._hand_over(last, messages=messages)
        if self.is_full or self._writable is not None:
            self._judge()

    def _write_chunk(self) -> None:
        frames = self._frames
        if self._size <= _CHUNK_BYTES:
            self._frames = []
        else:
            frames = frames[: _frames_within(_CHUNK_BYTES, frames)]
            del self._frames[: len(frames)]
        self._hand_over(b"".join(frames), messages=sum(frame[0] == _WHOLE_TEXT for frame in frames))

    def _hand_over(self, data: bytes, *, messages: int) -> None:
        self._size -= len(data)
        self._meter.waiting_bytes -= len(data)
        self._meter.messages_sent += messages
        self._transport.write(data)

    def _drop(self) -> None:
        size = sum(map(len, self._frames))
        self._frames = []
        self._size -= size
        self._meter.waiting_bytes -= size

    def _look_at_stuck(self) -> None:
        size = self._transport.get_write_buffer_size() if self.is_stuck else 0
        self._meter.add_waiting(size - self._stuck_size)
        self._stuck_size = size

    def _should_wait(self) -> bool:
        waiting = self._size + self._stuck_size
        allowed = self._limits.send_buffer_bytes
        return not self._closing and waiting > (allowed * _STUCK_SHARE if self.is_stuck else allowed)

    def _judge(self) -> None:
        """Look whether somebody has to wait, or need not any more."""
        waiting = self._size + self._stuck_size
        allowed = self._limits.send_buffer_bytes
        if self._closing or waiting <= allowed * _STUCK_SHARE:
            self._let_go_on()
        elif waiting > allowed:
            self.is_full = True

    def _let_go_on(self) -> None:
        was_full, self.is_full = self.is_full, False
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if was_full and self._owner is not None:
            self._owner.room()

    def _stall(self) -> None:
        """Drop what waits, and close; nobody expects that the client reads the close."""
        self._timer = None
        waiting = self._size + self._stuck_size
        log_event("slow_consumer", "a client that does not read is closed: %d bytes were waiting", waiting)
        self._drop()
        if self._owner is not None:
            self._owner.stalled()
        if self._closing:
            self._meter.slow_consumers += 1
            self._meter.refuse("stall_seconds")
        else:  # the conversation is over already, and there is nothing to say
            self._transport.abort()

    def _abort(self) -> None:
        self._timer = None
        log_event("sending_failed", "a peer did not answer the close")
        self._transport.abort()


def _frames_within(size: int, frames: Sequence[bytes]) -> int:
    """Say how many frames fit into so many bytes, at least one."""
    for number, frame in enumerate(frames):
        size -= len(frame)
        if size < 0:
            return max(number, 1)
    return len(frames)
