"""The plain ASGI loop: the adapter that drives a `SocketListener` on any ASGI server.

One task reads, one writes. The writer's buffer is bounded: while too much waits, reading stops and subscriptions
wait; a client that does not read at all for `stall_seconds` is closed with 4490. After a close the application
returns within a second, which makes the server drop the transport.

Source: ASGI specification 3.0, "HTTP & WebSocket ASGI Message Format".
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Self

import msgspec

from gqlink.errors import MalformedCredentials
from gqlink.protocol import Close, CloseCode, choose_dialect
from gqlink.server.handshake import credentials_of, facts_of, peer_of, refusal_of
from gqlink.server.listener import SocketListener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Receive, Scope, Send

    from gqlink.protocol import Frame
    from gqlink.server.host import Host
    from gqlink.server.origin import Refusal

__all__ = ("serve_socket",)

_log = logging.getLogger("gqlink.server")

# How long a peer may take to answer our close, and a closed socket's tasks to end.
_CLOSE_SECONDS: Final = 1.0


async def serve_socket(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket from its handshake to its end."""
    await receive()  # websocket.connect
    refusal = refusal_of(host, scope)
    if refusal is not None:
        await _deny(scope, send, refusal)
        return
    dialect = choose_dialect(scope["subprotocols"])
    if dialect is None or host.closing:
        await send({"type": "websocket.accept"})
        await send(_closing_message(host))
        return
    try:
        handshake = credentials_of(host, scope)
    except MalformedCredentials as exc:
        await send({"type": "websocket.accept", "subprotocol": dialect.subprotocol})
        await send({"type": "websocket.close", "code": exc.close_code, "reason": exc.reason})
        return
    await send({"type": "websocket.accept", "subprotocol": dialect.subprotocol})
    transport = facts_of(scope, socket=host.number_socket(), subprotocol=dialect.subprotocol)
    async with SendQueue(send, host=host) as outlet:
        listener = SocketListener(host, outlet, dialect, transport=transport, handshake=handshake)
        host.listeners.add(listener)
        try:
            await _read(receive, listener, outlet)
        finally:
            listener.on_lost(CloseCode.ABNORMAL)
            await listener.wait_ended(seconds=host.limits.execution_seconds)


async def _read(receive: Receive, listener: SocketListener, outlet: SendQueue) -> None:
    """Feed the listener until the peer is gone, or a second after our own close."""
    try:
        async with asyncio.timeout(None) as patience:
            outlet.when_ended(lambda: patience.reschedule(asyncio.get_running_loop().time() + _CLOSE_SECONDS))
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    listener.on_lost(message.get("code") or CloseCode.NO_CODE, message.get("reason") or "")
                    return
                _feed(listener, message.get("text"))
                await outlet.wait_writable()
    except TimeoutError:
        _log.debug("a peer did not answer the close")


def _feed(listener: SocketListener, text: str | None) -> None:
    if text is None:
        listener.on_binary()
    else:
        listener.on_text(text)


class SendQueue:
    """A bounded buffer with one task that empties it into `send`.

    Args:
        send: The ASGI server's.
        host: For the limits.
    """

    def __init__(self, send: Send, *, host: Host) -> None:
        self._send = send
        self._limits = host.limits
        self._frames: list[Frame] = []
        self._bytes = 0
        self._filled = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._on_ended: Callable[[], None] = _nothing
        self._writer = asyncio.get_running_loop().create_task(self._run(), name="gqlink socket writer")

    def write(self, frames: Sequence[Frame]) -> None:
        """Take frames to send; see `Outlet`."""
        if self._ended:
            return
        self._frames.extend(frames)
        self._bytes += sum(len(frame.data) for frame in frames if not isinstance(frame, Close))
        if self._bytes > self._limits.send_buffer_bytes:
            self._writable.clear()
        self._filled.set()

    async def wait_writable(self) -> None:
        """Wait while too much is waiting to be sent; see `Outlet`."""
        await self._writable.wait()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call `callback` when nothing will be sent any more."""
        self._on_ended = callback

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        # What the machine said last, a close above all, gets a moment to leave.
        if self._frames and not self._ended:
            await asyncio.wait([self._writer], timeout=_CLOSE_SECONDS)
        self._writer.cancel()
        await asyncio.wait([self._writer])

    async def _run(self) -> None:
        try:
            while not self._ended:
                await self._filled.wait()
                self._filled.clear()
                await self._empty()
        except TimeoutError:
            await self._give_up()
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # noqa: BLE001 -- every ASGI server has its own for "the peer is gone"
            _log.debug("sending failed: %r", exc)
        finally:
            self._end()

    async def _empty(self) -> None:
        while self._frames:
            frames, self._frames, self._bytes = self._frames, [], 0
            for frame in frames:
                async with asyncio.timeout(self._limits.stall_seconds):
                    await self._send(_message(frame))
                if isinstance(frame, Close):
                    self._ended = True
                    return
        self._writable.set()

    async def _give_up(self) -> None:
        """Close on a client that does not read; nobody expects that it reads the close."""
        _log.info("a client that does not read is closed: %d bytes were waiting", self._bytes)
        self._frames.clear()
        close = {"type": "websocket.close", "code": CloseCode.SLOW_CONSUMER, "reason": "Slow consumer"}
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._send(close)
        except Exception as exc:  # noqa: BLE001 -- as above
            _log.debug("closing failed: %r", exc)

    def _end(self) -> None:
        self._ended = True
        self._frames.clear()
        self._writable.set()
        self._on_ended()


def _nothing() -> None:
    """Stand in until somebody wants to know."""


def _message(frame: Frame) -> dict[str, object]:
    if isinstance(frame, Close):
        return {"type": "websocket.close", "code": frame.code, "reason": frame.reason}
    return {"type": "websocket.send", "text": frame.data.decode()}


def _closing_message(host: Host) -> dict[str, object]:
    if host.closing:
        return {"type": "websocket.close", "code": CloseCode.SERVICE_RESTART, "reason": "Service restart"}
    code = CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE
    return {"type": "websocket.close", "code": code, "reason": "Subprotocol not acceptable"}


async def _deny(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Refuse the handshake with a status and a sentence, where the server can say them; else with 403."""
    _log.info("a handshake from %s was refused: %s", peer_of(scope), refusal.message)
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": CloseCode.POLICY_VIOLATION, "reason": refusal.message})
        return
    body = msgspec.json.encode({"errors": [{"message": refusal.message}]})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
