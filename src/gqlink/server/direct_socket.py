"""The direct path: one WebSocket after its handshake, as a protocol on the transport, without a task or a queue.

uvicorn_socket.py does the handshake through ASGI, so that routing, mounting and middleware see it; then the transport
is handed over to a `DirectSocket`, and what the handshake needed is let go of. Bytes become calls of the listener,
frames become writes. Only when the client has gone, and something that it began has to finish, does a task wait for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from gqlink.protocol import CloseCode
from gqlink.server.clock import SystemClock
from gqlink.server.direct_outlet import DirectOutlet
from gqlink.server.frame_bounds import FrameBounds
from gqlink.server.keep_alive import KeepAlive
from gqlink.server.listener import TURN_COST, TURN_SECONDS
from gqlink.server.logbook import log_event
from gqlink.server.loop_turn import LoopTurn

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSet

    from gqlink.server.admission import Place
    from gqlink.server.frame_reader import FrameReader
    from gqlink.server.host import Host
    from gqlink.server.listener import Outlet, SocketListener

__all__ = ("DirectServer", "DirectSocket")


@dataclass(frozen=True, slots=True, eq=False)
class DirectServer:
    """What the direct sockets of one uvicorn server share.

    Args:
        connections: Those that uvicorn shuts down when it stops, and waits for.
        tasks: Those that it waits for after that.
        turn: When frames leave.
        keep_alive: Who pings; None for nobody.
    """

    connections: MutableSet[Any]
    tasks: set[asyncio.Task[None]]
    turn: LoopTurn
    keep_alive: KeepAlive | None

    @classmethod
    def begin(
        cls,
        connections: MutableSet[Any],
        tasks: set[asyncio.Task[None]],
        *,
        ping_interval: float | None,
        ping_timeout: float | None,
    ) -> Self:
        """Prepare for the first socket of a server, in its event loop."""
        pings = KeepAlive(SystemClock(), interval=ping_interval, timeout=ping_timeout) if ping_interval else None
        return cls(connections, tasks, LoopTurn(asyncio.get_running_loop()), pings)


class DirectSocket(asyncio.Protocol):
    """One client's socket, from the end of its handshake to its own.

    Args:
        server: What it shares with others.
        host: The application.
        transport: Its connection.
        reader: Reads what it says.
        listen: Makes the listener, given the outlet; what it raises is raised here, and nothing was begun.
        place: What it holds; it is left when everything has ended.
    """

    __slots__ = (
        "_bounds",
        "_context",
        "_host",
        "_listener",
        "_outlet",
        "_place",
        "_reader",
        "_server",
        "_transport",
        "awaited",
        "is_deaf",
        "is_gone",
    )

    def __init__(
        self,
        server: DirectServer,
        host: Host,
        *,
        transport: asyncio.Transport,
        reader: FrameReader,
        listen: Callable[[Outlet], SocketListener],
        place: Place,
    ) -> None:
        self._server = server
        self._host = host
        # That of the handshake, in which a task would have waited: what middleware has put there, resolvers find.
        self._context = contextvars.copy_context()
        self._transport = transport
        self._reader = reader
        self._place = place
        self._outlet = DirectOutlet(transport, server.turn, limits=host.limits, meter=host.meter)
        self._bounds = FrameBounds(host.limits.messages_per_second, now=time.monotonic())
        self._listener = listen(self._outlet)
        self.awaited: bytes | None = None
        self.is_deaf = False
        self.is_gone = False

    def begin(self) -> None:
        """Take the transport over, and hear what has been said already."""
        self._transport.set_protocol(self)
        self._server.connections.add(self)
        self._host.listeners.add(self._listener)
        self._outlet.own(self)
        if self._server.keep_alive is not None:
            self._server.keep_alive.add(self)
        if self._host.closing:
            self.shutdown()
        self.is_deaf = True  # for whoever handed it over may have paused it
        self._go_on()

    def hear(self, message: str | None) -> None:
        """Take a message that came before the transport was handed over; None for a binary one."""
        if message is None:
            self.hear_binary()
        else:
            self.hear_text(message)

    def data_received(self, data: bytes) -> None:
        """Take bytes; while it is deaf they wait."""
        self._reader.feed(data)
        if not self.is_deaf:
            self._context.run(self._read)

    def pause_writing(self) -> None:
        """Take note that the client does not take what was written."""
        self._outlet.pause_writing()

    def resume_writing(self) -> None:
        """Take note that it has."""
        self._outlet.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it has gone; a mutation that it asked for holds its place until it has finished."""
        del exc
        self.is_gone = True
        self._server.connections.discard(self)
        self._outlet.end()
        self._reader.close()
        self._listener.on_lost(CloseCode.ABNORMAL)
        if self._listener.tasks:
            self._linger()
        else:
            self._leave()

    def shutdown(self) -> None:
        """End the conversation because the server stops; uvicorn calls it."""
        if not self.is_gone:
            self._listener.close(CloseCode.SERVICE_RESTART, "Service restart")

    def stalled(self) -> None:
        """End the conversation with a client that does not read."""
        self._listener.close(CloseCode.SLOW_CONSUMER, "Slow consumer")

    def room(self) -> None:
        """Go on reading, in the next turn of the event loop."""
        asyncio.get_running_loop().call_soon(self._go_on)

    def ping(self, frame: bytes) -> None:
        """Send a ping."""
        self._outlet.write_control(frame)

    def give_up(self) -> None:
        """End the conversation with a client that has not answered a ping."""
        self._listener.close(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")

    def hear_text(self, text: str) -> None:
        """Pass a message on; after a close nobody listens."""
        if self._may_come() and not self._outlet.is_closing:
            self._listener.on_text(text)

    def hear_binary(self) -> None:
        """Pass on that there was one."""
        if self._may_come() and not self._outlet.is_closing:
            self._listener.on_binary()

    def hear_fragment(self) -> None:
        """Count it."""
        self._may_come()

    def hear_ping(self, pong: bytes) -> None:
        """Answer, unless the answers to others are not read."""
        if not self._may_come():
            return
        if self._bounds.may_answer(stuck=self._outlet.is_stuck):
            self._outlet.write_control(pong)
        else:
            self._transport.abort()

    def hear_pong(self, payload: bytes) -> None:
        """Take note that the client lives; an answer that was not asked for means nothing."""
        if self._may_come() and payload == self.awaited and self._server.keep_alive is not None:
            self._server.keep_alive.answered(self)

    def hear_close(self, code: int, reason: str, echo: bytes) -> None:
        """End the conversation; the side that was asked closes the connection (RFC 6455, section 7.1.1)."""
        self._listener.on_lost(code, reason)
        self._outlet.finish(echo)
        self._transport.close()

    def hear_nonsense(self, code: int, reason: str, close: bytes) -> None:
        """End the conversation; the connection stays for a moment, so that the close is not lost in a reset."""
        if code == CloseCode.MESSAGE_TOO_BIG:
            self._listener.close(code, "Message too big")
        else:
            self._listener.on_lost(code, reason)
            self._outlet.finish(close)

    def _read(self) -> None:
        """Let everything be heard that has come, as long as there is room for answers, and others need not wait."""
        began_at = time.perf_counter()
        try:
            while self._reader.read(self):
                busy = time.perf_counter() - began_at > TURN_SECONDS or self._listener.pending_cost > TURN_COST
                if busy or self._outlet.is_full:
                    self._listener.pending_cost = 0
                    self._rest()
                    return
        except Exception:  # noqa: BLE001 -- a bug of ours; the client gets a close that says so
            log_event("failed", "a direct socket failed", exc_info=True)
            self._reader.close()
            self._listener.close(CloseCode.INTERNAL_ERROR, "Internal error")
        if self.is_deaf:
            self.is_deaf = False
            self._transport.resume_reading()

    def _rest(self) -> None:
        """Hear nothing more for now."""
        if not self.is_deaf:
            self.is_deaf = True
            self._transport.pause_reading()
        if not self._outlet.is_full:
            self.room()

    def _go_on(self) -> None:
        """Hear again, what has waited first."""
        if self.is_deaf and not self.is_gone and not self._outlet.is_full:
            self._context.run(self._read)

    def _may_come(self) -> bool:
        """Count a frame; one too many ends the connection, and what is left of the segment says nothing."""
        if self._transport.is_closing():
            return False
        if self._bounds.may_come(time.monotonic()):
            return True
        self._reader.close()
        self._listener.close(CloseCode.POLICY_VIOLATION, "Too many messages")
        self._outlet.flush()
        if self._outlet.is_stuck:
            self._transport.abort()  # nobody reads it
        else:
            self._transport.close()
        return False

    def _linger(self) -> None:
        task = asyncio.get_running_loop().create_task(self._wait_ended(), name="gqlink socket lingering")
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _wait_ended(self) -> None:
        try:
            await self._listener.wait_ended(seconds=self._host.limits.execution_seconds)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._host.listeners.discard(self._listener)
        self._place.leave()
        del self._listener, self._outlet, self._reader  # whoever was to ping it may remember it for a while
