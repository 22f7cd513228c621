"""uvicorn's HTTP protocol with a bound for which it has no setting, and the WebSocket protocol of the direct path.

The application sees a request when its head is complete: what a peer does before that is between it and the ASGI
server. uvicorn waits for a head for ever, and takes one of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gqlink.server.uvicorn_socket import DirectWebSocket

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle

    from gqlink.server import Limits

__all__ = ("BoundedHttp", "bounded_protocols")

# What the fields of a head may take together, and how many they may be; a browser with all its cookies sends a few KB.
_FIELDS_BYTES: Final = 32_768
_MOST_FIELDS: Final = 100


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


def bounded_protocols(limits: Limits) -> tuple[type[BoundedHttp], type[DirectWebSocket]]:
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

    class WebSocket(DirectWebSocket):
        messages_per_second = limits.messages_per_second

    return Http, WebSocket
