"""The pings of RFC 6455 for all sockets of a server, with one timer.

Every socket waits equally long, so whoever began first is due first: two queues, one of those who will be pinged, one
of those who have been. A socket that has gone stays in its queue until its turn, and holds little by then.

Source: RFC 6455, section 5.5.2; `ws_ping_interval` and `ws_ping_timeout` of uvicorn.
"""

from __future__ import annotations

import contextvars
import math
import secrets
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from gqlink.server.frame_bytes import PING, control_frame

if TYPE_CHECKING:
    from gqlink.server.clock import Clock, Timer

__all__ = ("KeepAlive", "PingedSocket")

_PAYLOAD_BYTES: Final = 4


class PingedSocket(Protocol):
    """A socket as `KeepAlive` sees it."""

    awaited: bytes | None
    """The payload of the ping that it has not answered; it says `KeepAlive.answered` when it has."""

    @property
    def is_gone(self) -> bool:
        """Whether it needs no more pings."""

    @property
    def is_deaf(self) -> bool:
        """Whether we do not read what it sends, so that its silence says nothing."""

    def ping(self, frame: bytes) -> None:
        """Send a ping."""

    def give_up(self) -> None:
        """End it: the ping was not answered."""


class KeepAlive:
    """Pings sockets, and gives up those that do not answer.

    Args:
        clock: The time.
        interval: Seconds from the handshake, or from an answer, to the next ping.
        timeout: Seconds that an answer may take; None for as long as it likes.
    """

    def __init__(self, clock: Clock, *, interval: float, timeout: float | None) -> None:
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        self._due: deque[tuple[float, PingedSocket]] = deque()
        self._pinged: deque[tuple[float, bytes, PingedSocket]] = deque()
        self._timer: Timer | None = None
        self._timer_at = math.inf
        # Nobody's: otherwise all would be ended in the context of whoever happened to be first.
        self._context = contextvars.Context()

    def add(self, socket: PingedSocket) -> None:
        """Ping a socket from now on, until it is gone."""
        due_at = self._clock.now() + self._interval
        self._due.append((due_at, socket))
        if due_at < self._timer_at:
            self._set_timer()

    def answered(self, socket: PingedSocket) -> None:
        """Take note that a ping was answered."""
        socket.awaited = None
        if self._timeout is not None:  # otherwise the next one is on its way already
            self.add(socket)

    def _on_timer(self) -> None:
        self._timer_at = -math.inf  # it is set below, once
        now = self._clock.now()
        self._give_up(now)
        self._ping(now)
        self._set_timer()

    def _ping(self, now: float) -> None:
        payload = secrets.token_bytes(_PAYLOAD_BYTES)
        frame = control_frame(PING, payload)
        for _ in range(len(self._due)):
            due_at, socket = self._due[0]
            if due_at > now:
                return
            self._due.popleft()
            if socket.is_gone:
                continue
            socket.awaited = payload
            if self._timeout is None:
                self.add(socket)
            else:
                self._pinged.append((now + self._timeout, payload, socket))
            socket.ping(frame)

    def _give_up(self, now: float) -> None:
        while self._pinged and self._pinged[0][0] <= now:
            _, payload, socket = self._pinged.popleft()
            if socket.is_gone or socket.awaited is not payload:
                continue
            if socket.is_deaf:
                self.answered(socket)
            else:
                socket.awaited = None
                socket.give_up()

    def _set_timer(self) -> None:
        """Wait for whoever is next; those that have gone meanwhile need nothing, and are waited for no more."""
        while self._due and self._due[0][1].is_gone:
            self._due.popleft()
        while self._pinged and (self._pinged[0][2].is_gone or self._pinged[0][2].awaited is not self._pinged[0][1]):
            self._pinged.popleft()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = min((queue[0][0] for queue in (self._due, self._pinged) if queue), default=math.inf)
        if self._timer_at < math.inf:
            self._timer = self._context.run(self._clock.call_at, self._timer_at, self._on_timer)
