"""The plain ASGI loop: the adapter that drives a `SocketListener` on any ASGI server.

One task reads, one writes (send_queue.py). While too much waits to be written, reading stops and subscriptions wait,
the latter sooner. After a close the application stops within a second, unless a mutation has to finish; the transport
is the server's.

Source: ASGI specification 3.0, "HTTP & WebSocket ASGI Message Format".
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from gqlink.auth import Credentials
from gqlink.errors import MalformedCredentials
from gqlink.protocol import CloseCode, choose_dialect
from gqlink.server.handshake import credentials_of, facts_of, peer_of, refusal_of
from gqlink.server.listener import SocketListener
from gqlink.server.send_queue import SendQueue

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gqlink.protocol import Dialect
    from gqlink.server.host import Host
    from gqlink.server.origin import Refusal

__all__ = ("serve_socket",)

_log = logging.getLogger("gqlink.server")

# How long our close may take from the moment it is written, the peer's answer included.
_CLOSE_SECONDS: Final = 1.0
# How long one client's messages may be worked on before the event loop turns.
_TURN_SECONDS: Final = 0.001


async def serve_socket(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket from its handshake to its end."""
    await receive()  # websocket.connect
    try:
        dialect = await _shake_hands(host, scope, send)
    except OSError:  # what an ASGI server raises when the peer is gone
        _log.debug("a peer left during the handshake")
        return
    if dialect is not None:
        async with SendQueue(send, limits=host.limits, meter=host.meter) as outlet:
            await _converse(host, scope, receive, outlet, dialect)


async def _shake_hands(host: Host, scope: Scope, send: Send) -> Dialect | None:
    """Answer the handshake; None when there will be no conversation."""
    refusal = refusal_of(host, scope)
    if refusal is not None:
        await _deny(scope, send, refusal)
        return None
    dialect = choose_dialect(scope.get("subprotocols", ()))
    if dialect is None:
        # Only a WebSocket that was accepted can say why it is closed.
        await send({"type": "websocket.accept"})
        code = CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE
        await send({"type": "websocket.close", "code": code, "reason": "Subprotocol not acceptable"})
        return None
    await send({"type": "websocket.accept", "subprotocol": dialect.subprotocol})
    return dialect


async def _converse(host: Host, scope: Scope, receive: Receive, outlet: SendQueue, dialect: Dialect) -> None:
    listener = _listen(host, scope, outlet, dialect)
    host.listeners.add(listener)
    try:
        if host.closing:
            listener.close(CloseCode.SERVICE_RESTART, "Service restart")
        await _read(receive, listener, outlet)
    finally:
        listener.on_lost(CloseCode.ABNORMAL)
        try:
            await listener.wait_ended(seconds=host.limits.execution_seconds)
        finally:
            host.listeners.discard(listener)


def _listen(host: Host, scope: Scope, outlet: SendQueue, dialect: Dialect) -> SocketListener:
    transport = facts_of(scope, socket=host.number_socket(), subprotocol=dialect.subprotocol)
    try:
        handshake, malformed = credentials_of(host, scope), None
    except MalformedCredentials as exc:
        handshake, malformed = Credentials(), exc
    listener = SocketListener(host, outlet, dialect, transport=transport, handshake=handshake)
    outlet.when_stalled(lambda: listener.close(CloseCode.SLOW_CONSUMER, "Slow consumer"))
    if malformed is not None:
        _log.info("a credential was refused: %s", malformed)
        listener.refuse(malformed.close_code, malformed.reason)
    return listener


async def _read(receive: Receive, listener: SocketListener, outlet: SendQueue) -> None:
    """Feed the listener until the peer is gone, or a second after our own close was written, sent or not."""
    try:
        async with asyncio.timeout(None) as patience:
            with outlet.ending(lambda: _hurry(patience)):
                await _read_all(receive, listener, outlet)
    except TimeoutError:
        _log.debug("a peer did not answer the close")


async def _read_all(receive: Receive, listener: SocketListener, outlet: SendQueue) -> None:
    loop = asyncio.get_running_loop()
    busy_seconds = 0.0
    while (message := await receive())["type"] != "websocket.disconnect":
        began_at = loop.time()
        _feed(listener, message.get("text"))
        busy_seconds += loop.time() - began_at
        await outlet.wait_room()
        if busy_seconds > _TURN_SECONDS:
            # None of the waits above need have been one: a burst of one client must not keep the others waiting.
            busy_seconds = 0.0
            await asyncio.sleep(0)
    listener.on_lost(message.get("code") or CloseCode.NO_CODE, message.get("reason") or "")


def _hurry(patience: asyncio.Timeout) -> None:
    patience.reschedule(asyncio.get_running_loop().time() + _CLOSE_SECONDS)


def _feed(listener: SocketListener, text: str | None) -> None:
    if text is None:
        listener.on_binary()
    else:
        listener.on_text(text)


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
