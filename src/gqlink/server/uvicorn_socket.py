"""The direct path under uvicorn: `uvicorn --ws gqlink.server.uvicorn_socket:DirectWebSocket app:app`.

The class is uvicorn's own for the sans-I/O layer of `websockets`, with two things added. To the application it offers
an ASGI extension, `gqlink.direct`: after it has accepted as usual it may take the connection over and return, and no
task and no queue stay behind. And it has the bounds for which uvicorn has no setting: a peer may send frames without
end before a message is complete, and pings whose answers it does not read.

A handshake as nearly every client makes it is read and answered here, and none of uvicorn's or websockets' own state is
made for it: a socket that is taken over needs none. Where anything else happens, a handshake that is out of the
ordinary, an application that receives or sends, a client that leaves, all of it is made, as if it had been there from
the beginning; see `_be_thorough`. Both ways are of one class, because uvicorn knows one; hence the length.

There is no compression: the window of each socket would take more memory than everything else of it (RFC 7692).
`ws_ping_interval` and `ws_ping_timeout` hold on both paths.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from uvicorn.protocols.utils import ClientDisconnected, get_client_addr, get_path_with_query_string
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gqlink.protocol import CloseCode
from gqlink.server.direct_socket import DirectServer, DirectSocket
from gqlink.server.frame_bounds import FrameBounds
from gqlink.server.frame_bytes import NOT_UTF8
from gqlink.server.frame_parser import FrameParser
from gqlink.server.frame_reader import FrameReader
from gqlink.server.limits import Limits
from gqlink.server.opening_handshake import Opening, opening_answer, read_opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn import Config
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, WebSocketScope
    from uvicorn.server import ServerState
    from websockets.frames import Frame
    from websockets.http11 import Request

    from gqlink.server.admission import Place
    from gqlink.server.host import Host
    from gqlink.server.listener import Outlet, SocketListener

__all__ = ("DirectWebSocket",)

# A segment of a flood is parsed in pieces, as in frame_parser.py.
_SLICE_BYTES: Final = 4096
# How long a peer that was sent a close may take to end the connection.
_CLOSE_SECONDS: Final = 1.0
_UNREADABLE_HEAD: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

_SERVERS: Final[WeakKeyDictionary[ServerState, DirectServer]] = WeakKeyDictionary()


class DirectWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that an application may take over, and on which nobody makes the server hold what they do not read.

    What `uvicorn.Config` takes as `ws`; uvicorn makes one for each handshake.
    """

    messages_per_second: ClassVar[int] = Limits().messages_per_second
    """What bounds the frames until the application takes over: four for each message. Then its own limits hold."""

    # What uvicorn's own state would say of a socket for which there is none.
    handshake_initiated = False
    handshake_complete = False
    close_sent = False
    close_timer = None
    initial_response = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Not that of uvicorn: see `_be_thorough`.
        if not config.loaded:
            config.load()
        self.config = config
        self.app = config.loaded_app
        self.app_state = app_state
        self.loop = _loop or asyncio.get_event_loop()
        self.connections = server_state.connections
        self.tasks = server_state.tasks
        self._server_state = server_state
        self._opening: Opening | None = None
        self._is_thorough = False
        self._has_received = False
        self._is_handed_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, from uvicorn's HTTP protocol, which reads nothing more."""
        self.connections.add(self)
        self.transport = cast("asyncio.Transport", transport)
        http: Any = self.transport.get_protocol()
        self.server, self.client, self.logger = http.server, http.client, http.logger
        self.scheme = "wss" if http.scheme == "https" else "ws"
        # It and its parser hold each other, until the collector comes by. uvicorn unties them when a connection is
        # lost; this one is not, and the collector would go through every socket that there is for it.
        http.parser = None  # as uvicorn does

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the client has gone before the socket was taken over."""
        self._be_thorough()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End, because the server stops."""
        self._be_thorough()
        super().shutdown()

    def pause_writing(self) -> None:
        """Take note that the client does not take what was written."""
        self._be_thorough()
        super().pause_writing()

    def data_received(self, data: bytes) -> None:
        """Take bytes, in slices: those of a flood that come too late are not even parsed."""
        if not self.handshake_initiated and not self._is_thorough:
            opening = read_opening(data)
            if opening is not None:
                self._begin(opening)
                return
        self._be_thorough()
        self._has_spoken = self.handshake_initiated
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE_BYTES])
            if self.conn.handshake_exc is not None:
                self._refuse_head()

    def _begin(self, opening: Opening) -> None:
        """Ask the application about a handshake that is as it should be; what uvicorn does, and in the same words."""
        self.handshake_initiated = True
        self._opening = opening
        path = opening.path.decode()
        self.scope: WebSocketScope = {
            "type": "websocket",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": self.config.root_path,
            "path": self.config.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.config.root_path.encode("ascii") + opening.path,
            "query_string": opening.query,
            "headers": opening.fields,
            "subprotocols": opening.subprotocols,
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}, "gqlink.direct": {"attach": self.attach}},
        }
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    def _be_thorough(self) -> None:
        """Make what uvicorn has for each of its sockets, as it would be by now; harmless to repeat."""
        if self._is_thorough or self._is_handed_over:
            return
        self._is_thorough = True
        transport, opening, complete = self.transport, self._opening, self.handshake_complete
        super().__init__(self.config, self._server_state, self.app_state, self.loop)
        self.conn.available_extensions = None
        self._has_spoken = False
        self._bounds = FrameBounds(self.messages_per_second, now=self.loop.time())
        super().connection_made(transport)
        if opening is None:
            return
        self.conn.receive_data(opening.head)
        (self.request,) = self.conn.events_received()  # type: ignore[assignment] # it is no frame
        self.response = self.conn.accept(self.request)
        self.handshake_initiated = True
        if not self._has_received:
            self.queue.put_nowait({"type": "websocket.connect"})
        if complete:
            self.handshake_complete = True
            self.conn.send_response(self.response)
            self.conn.data_to_send()  # which was said already
            self.start_keepalive()

    def handle_connect(self, event: Request) -> None:
        """Begin a handshake, with an application that may take the socket over."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.scope["extensions"]["gqlink.direct"] = {"attach": self.attach}

    def attach(self, host: Host, listen: Callable[[Outlet], SocketListener], *, place: Place) -> bool:
        """Hand the connection over, after `websocket.accept`; for `GraphQLApp`, which then returns.

        Args:
            host: The application.
            listen: Makes the listener, given the outlet.
            place: What the socket holds, and leaves when everything has ended.

        Returns:
            Whether it was handed over: not, where something between us and the application holds the answer back.

        Raises:
            ClientDisconnected: An `OSError`: the peer has gone meanwhile; nothing was begun.
        """
        if self.transport.is_closing():
            self.handshake_complete = True  # uvicorn would complain of an application that has answered nothing
            raise ClientDisconnected
        if not self.handshake_complete:
            return False
        socket = DirectSocket(
            self._direct_server(),
            host,
            transport=self.transport,
            reader=self._reader(host.limits),
            listen=listen,
            place=place,
        )
        if self.config.workers > 1:
            host.warn_of_workers(self.config.workers)
        said = self._let_go()
        socket.begin()
        for message in said:
            socket.hear(message)
        return True

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
        if self._bounds.may_answer(stuck=not self.writable.is_set()):
            super().handle_ping()
        else:
            self.transport.abort()

    def handle_pong(self, event: Frame) -> None:
        """Take a pong."""
        if self._may_come():
            super().handle_pong(event)

    def _direct_server(self) -> DirectServer:
        server = _SERVERS.get(self._server_state)
        if server is None:
            server = _SERVERS[self._server_state] = DirectServer.begin(
                self.connections,
                self.tasks,
                ping_interval=self.config.ws_ping_interval,
                ping_timeout=self.config.ws_ping_timeout,
            )
        return server

    def _reader(self, limits: Limits) -> FrameReader:
        """Go on where we are; only with somebody who has spoken already can that be in the middle of something."""
        # The application's own bound closes with a reason; this one only keeps more from being buffered.
        most_bytes = 2 * limits.message_bytes
        if not self._is_thorough:
            return FrameReader(most_bytes=most_bytes)
        parser = FrameParser(self.conn)
        if not self._has_spoken:
            parser.close()
            return FrameReader(most_bytes=most_bytes)
        self.conn.max_message_size = most_bytes
        parser.resume(b"".join(self.frames), is_text=self.curr_msg_data_type == "text")
        return FrameReader(most_bytes=most_bytes, parser=parser)

    def _let_go(self) -> list[str | None]:
        """Have nothing to do with the connection any more, and return the messages that nobody has taken."""
        self.connections.discard(self)
        del self.scope["extensions"]["gqlink.direct"]  # it would keep itself alive with it
        self.transport = _HANDED_OVER
        self._opening = None
        self._is_handed_over = True
        said: list[str | None] = []
        if not self._is_thorough:
            return said
        self.stop_keepalive()
        self.disconnected = True
        self.writable.set()
        while not self.queue.empty():
            message = self.queue.get_nowait()
            if message["type"] == "websocket.receive":
                said.append(message.get("text"))
        # Whoever stands between us and the application, and still waits, has nothing to wait for.
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.NORMAL})
        return said

    def _may_come(self) -> bool:
        """Count a frame; one too many ends the connection, and what is left of the segment says nothing."""
        if self.transport.is_closing():
            return False
        if self._bounds.may_come(self.loop.time()):
            return True
        self._end(CloseCode.POLICY_VIOLATION, "Too many messages")
        return False

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says.

        A handshake that was answered with a status is over, and so is one whose client has left: uvicorn takes both for
        one that the application has forgotten, and writes an error into the log for each.
        """
        if self.transport.is_closing() and not self.handshake_complete:
            self.handshake_complete = True
            raise ClientDisconnected
        if not self._is_thorough:
            if self._is_handed_over:
                raise ClientDisconnected
            if self._accept(message):
                return
            self._be_thorough()
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True
        if self.close_timer is not None:
            # uvicorn waits ten seconds for the peer's close, and then for what it has not read.
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)

    def _accept(self, message: ASGISendEvent) -> bool:
        """Accept the handshake in the ordinary way; False where there is anything else to be said."""
        opening = self._opening
        if opening is None or self.handshake_complete or message["type"] != "websocket.accept":
            return False
        if message.get("headers"):
            return False
        if self.logger.isEnabledFor(logging.INFO):
            where = get_client_addr(self.scope), get_path_with_query_string(self.scope)
            self.logger.info('%s - "WebSocket %s" [accepted]', *where)
        self.handshake_complete = True
        fields, subprotocol = self._server_state.default_headers, message.get("subprotocol")
        self.transport.write(opening_answer(opening, fields=fields, subprotocol=subprotocol))
        return True

    async def receive(self) -> ASGIReceiveEvent:
        """Wait for what the client says next; the first is that it is there."""
        if not self._is_thorough:
            if not self._has_received:
                self._has_received = True
                return {"type": "websocket.connect"}
            if self._is_handed_over:
                return {"type": "websocket.disconnect", "code": CloseCode.NORMAL}
            self._be_thorough()
        return await super().receive()

    def send_500_response(self) -> None:
        """Tell the client that the application has failed."""
        self._be_thorough()
        super().send_500_response()

    def send_receive_event_to_app(self) -> None:
        """Hand a message on; text that is no UTF-8 ends the connection, and is nothing to be logged as an error."""
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            self.frames = []
            self._end(CloseCode.INVALID_DATA, NOT_UTF8)
        else:
            super().send_receive_event_to_app()

    def _refuse_head(self) -> None:
        """Answer a handshake that websockets cannot read, a header over 8 KiB say; uvicorn would wait for another."""
        if not self.transport.is_closing():
            self.transport.write(_UNREADABLE_HEAD)
            self.transport.close()

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


class _HandedOver(asyncio.Transport):
    """Stands where the connection was, for what uvicorn does when an application returns."""

    def is_closing(self) -> bool:
        """Tell that nothing can be done here."""
        return True

    def close(self) -> None:
        """Leave the connection to whom it belongs."""


_HANDED_OVER: Final = _HandedOver()
