"""uvicorn's HTTP and WebSocket protocols with the bounds for which it has no setting.

The application sees a request when its head is complete, and a message when its last frame is: what a peer does before
that is between it and the ASGI server. uvicorn waits for a head for ever and takes one of any length, reads as many
frames at once as a segment holds, keeps as many empty fragments as come, and answers each ping whether or not the
answers are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gqlink.server.message_rate import MessageRate

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle

    from uvicorn._types import ASGISendEvent
    from websockets.frames import Frame

    from gqlink.server import Limits

__all__ = ("BoundedHttp", "BoundedWebSocket", "bounded_protocols")

# The smallest masked frame has 6 bytes, so that so many bytes are parsed in a few milliseconds.
_SLICE_BYTES: Final = 4096
# What the fields of a head may take together, and how many they may be; a browser with all its cookies sends a few KB.
_FIELDS_BYTES: Final = 32_768
_MOST_FIELDS: Final = 100
# How often somebody may ask whether we live, who has not read the last answers.
_UNREAD_PINGS: Final = 100
# How long a peer that was sent a close may take to end the connection.
_CLOSE_SECONDS: Final = 1.0
_POLICY_VIOLATION: Final = 1008
_INVALID_DATA: Final = 1007
_UNREADABLE_HEAD: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class BoundedHttp(HttpToolsProtocol):
    """A connection whose head has to come in time, and one of not too many that still wait for theirs.

    The first byte may be late, too: a browser that connects ahead of time connects again. Where too many wait, the one
    that has waited longest goes: somebody honest waits for a moment.
    """

    head_seconds: ClassVar[float]
    head_bytes: ClassVar[int]
    most_waiting: ClassVar[int]
    waiting: ClassVar[dict[BoundedHttp, TimerHandle]]
    """Those whose head is not complete, the oldest first."""

    _upgraded = False
    _parsed_bytes = 0
    _unparsed_bytes = 0
    _fields = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection, and begin to wait for its head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; between two requests any byte ends uvicorn's own wait, so that ours begins."""
        waited = self in self.waiting
        super().data_received(data)
        if waited and self in self.waiting:
            # The parser keeps a field until its end has come, and says nothing of it before.
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > self.head_bytes:
                self.give_up()
        between = self.cycle is None or self.cycle.response_complete
        if between and self not in self.waiting and not self._upgraded and not self.transport.is_closing():
            self._wait()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._parsed_bytes = self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._parsed_bytes += len(url)
        self._require_small_head()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or of the trailer."""
        self._parsed_bytes += len(name) + len(value)
        self._fields += 1
        self._require_small_head()
        super().on_header(name, value)

    def _require_small_head(self) -> None:
        if self._parsed_bytes > self.head_bytes or self._fields > _MOST_FIELDS:
            raise ValueError("the head is too large")  # which the parser turns into uvicorn's 400

    def on_headers_complete(self) -> None:
        """Go on with a head that is complete."""
        self._wait_no_more()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket protocol, which reads the head again, and may find it too large.

        It takes lines of 8 KB. Nobody but us would notice that it has given up, and the connection would stay for ever.
        """
        self._upgraded = True
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        unread = isinstance(protocol, WebSocketsSansIOProtocol) and not protocol.handshake_initiated
        if unread and not self.transport.is_closing():
            self.send_400_response("The head of the handshake cannot be read.")

    def give_up(self) -> None:
        """End it; there is no request that an answer could belong to."""
        self._wait_no_more()
        self.transport.abort()

    def _wait(self) -> None:
        self._unparsed_bytes = 0
        self.waiting[self] = self.loop.call_later(self.head_seconds, self.give_up)
        if len(self.waiting) > self.most_waiting:
            next(iter(self.waiting)).give_up()

    def _wait_no_more(self) -> None:
        timer = self.waiting.pop(self, None)
        if timer is not None:
            timer.cancel()


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket on which not too many frames come, and which nobody can make hold what they do not read."""

    frames_per_second: ClassVar[int]

    _rate: MessageRate | None = None
    _unread_pings = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes, in slices: those of a flood that come too late are not even parsed."""
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE_BYTES])
            if self.conn.handshake_exc is not None:
                self._refuse_head()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment."""
        if self._may_come():
            super().handle_cont(event)

    def handle_text(self, event: Frame) -> None:
        """Take a text, or its first fragment."""
        if self._may_come():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take a binary message, or its first fragment."""
        if self._may_come():
            super().handle_bytes(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless the answers to others are not read."""
        if not self._may_come():
            return
        self._unread_pings = 0 if self.writable.is_set() else self._unread_pings + 1
        if self._unread_pings > _UNREAD_PINGS:
            self.transport.abort()
        else:
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take a pong."""
        if self._may_come():
            super().handle_pong(event)

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says.

        A handshake that was answered with a status is over, and so is one whose client has left: uvicorn takes both for
        one that the application has forgotten, and writes an error into the log for each.
        """
        if self.transport.is_closing() and not self.handshake_complete:
            self.handshake_complete = True
            raise ClientDisconnected
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True
        if self.close_timer is not None:
            # uvicorn waits ten seconds for the peer's close, and then for what it has not read.
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)

    def send_receive_event_to_app(self) -> None:
        """Hand a message on; text that is no UTF-8 ends the connection, and is nothing to be logged as an error."""
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            self.frames = []
            self._end(_INVALID_DATA, "Text that is not UTF-8")
        else:
            super().send_receive_event_to_app()

    def _refuse_head(self) -> None:
        """Answer a handshake that websockets cannot read, a header over 8 KiB say; uvicorn would wait for another."""
        if not self.transport.is_closing():
            self.transport.write(_UNREADABLE_HEAD)
            self.transport.close()

    def _may_come(self) -> bool:
        """Count a frame; one too many ends the connection, and what is left of the segment says nothing."""
        if self.transport.is_closing():
            return False
        now = self.loop.time()
        if self._rate is None:
            self._rate = MessageRate(self.frames_per_second, now=now)
        if self._rate.count(now) < self.frames_per_second + 1:
            return True
        self._end(_POLICY_VIOLATION, "Too many messages")
        return False

    def _end(self, code: int, reason: str) -> None:
        if not self.close_sent:
            # The mark tells our application that it was the server who closed, and nobody who only says so.
            disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason, "gqlink.by": "server"}
            self.queue.put_nowait(disconnect)  # type: ignore[arg-type] # as is said above
            self.close_sent = True
        self.conn.fail(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # nobody reads it
        else:
            self.transport.close()


def _is_utf8(fragments: list[bytes]) -> bool:
    try:
        b"".join(fragments).decode()
    except UnicodeDecodeError:
        return False
    return True


def bounded_protocols(limits: Limits) -> tuple[type[BoundedHttp], type[BoundedWebSocket]]:
    """Return what `uvicorn.Config` takes as `http` and `ws`, for one server.

    Args:
        limits: A head has `init_seconds`, a query string of `message_bytes` fits into it, and `requests` may wait for
            theirs; a socket may send four frames for each of `messages_per_second`, so that the application's own
            bound comes first where there is a message.
    """

    class Http(BoundedHttp):
        head_seconds = limits.init_seconds
        head_bytes = limits.message_bytes + _FIELDS_BYTES
        most_waiting = limits.requests
        waiting: ClassVar[dict[BoundedHttp, TimerHandle]] = {}

    class WebSocket(BoundedWebSocket):
        frames_per_second = 4 * limits.messages_per_second

    return Http, WebSocket
