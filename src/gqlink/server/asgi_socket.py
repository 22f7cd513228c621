"""The plain ASGI loop: the adapter that drives a `SocketListener` on any ASGI server.

Where the server offers it, the socket is handed over after the handshake instead, and all of this ends; see
uvicorn_socket.py.

One task reads, one writes (send_queue.py). While too much waits to be written, reading stops and subscriptions wait,
the latter sooner. After a close the application stops within a second, unless a mutation has to finish; the transport
is the server's.

Source: ASGI specification 3.0, "HTTP & WebSocket ASGI Message Format".
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import msgspec

from gqlink.auth import Credentials
from gqlink.errors import LimitExceeded, MalformedCredentials
from gqlink.protocol import CloseCode, Side, choose_dialect
from gqlink.server.admission import RETRY_SECONDS
from gqlink.server.handshake import address_of, credentials_of, facts_of, peer_of, refusal_of
from gqlink.server.listener import TURN_COST, TURN_SECONDS, SocketListener
from gqlink.server.logbook import log_event
from gqlink.server.send_queue import SendQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from gqlink.protocol import Dialect
    from gqlink.server.admission import Place
    from gqlink.server.host import Host
    from gqlink.server.listener import Outlet
    from gqlink.server.origin import Refusal

__all__ = ("serve_socket",)

# How long our close may take from the moment it is written, the peer's answer included.
_CLOSE_SECONDS: Final = 1.0


async def serve_socket(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket from its handshake to its end."""
    await receive()  # websocket.connect
    with ExitStack() as held:
        try:
            place = await _enter(host, scope, send)
            if place is None:
                return
            held.enter_context(place)
            dialect = await _shake_hands(host, scope, send)
            if dialect is not None and _hand_over(host, scope, dialect, place=place):
                held.pop_all()  # the place is left when the socket is
                return
        except OSError:  # what an ASGI server raises when the peer is gone
            log_event("handshake_left", "a peer left during the handshake")
            return
        if dialect is not None:
            async with SendQueue(send, limits=host.limits, meter=host.meter) as outlet:
                await _converse(host, scope, receive, outlet, dialect, place=place)


async def _enter(host: Host, scope: Scope, send: Send) -> Place | None:
    """Let a peer pass the door and take its place; None when it was turned away."""
    refusal = refusal_of(host, scope)
    if refusal is not None:
        await _deny(host, scope, send, refusal)
        return None
    try:
        return host.admission.enter(address_of(scope))
    except LimitExceeded as exc:
        await _turn_back(host, scope, send, exc)
        return None


async def _shake_hands(host: Host, scope: Scope, send: Send) -> Dialect | None:
    """Agree on a subprotocol; None when there will be no conversation."""
    dialect = choose_dialect(scope.get("subprotocols", ()))
    if dialect is None:
        # Only a WebSocket that was accepted can say why it is closed.
        code, reason = CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable"
        host.meter.closed_with(code, reason, by=Side.SERVER)
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code, "reason": reason})
        return None
    await send({"type": "websocket.accept", "subprotocol": dialect.subprotocol})
    return dialect


def _hand_over(host: Host, scope: Scope, dialect: Dialect, *, place: Place) -> bool:
    """Let the server's own protocol drive the listener, if it can, so that nothing here needs to wait.

    Raises:
        OSError: The peer is gone.
    """
    direct = scope.get("extensions", {}).get("gqlink.direct") if host.direct else None
    if direct is None:
        return False
    attach: Callable[..., bool] = direct["attach"]
    return attach(host, lambda outlet: _listen(host, scope, outlet, dialect, place=place), place=place)


async def _converse(
    host: Host, scope: Scope, receive: Receive, outlet: SendQueue, dialect: Dialect, *, place: Place
) -> None:
    listener = _listen(host, scope, outlet, dialect, place=place)
    outlet.when_stalled(lambda: listener.close(CloseCode.SLOW_CONSUMER, "Slow consumer"))
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


def _listen(host: Host, scope: Scope, outlet: Outlet, dialect: Dialect, *, place: Place) -> SocketListener:
    transport = facts_of(scope, socket=host.number_socket(), subprotocol=dialect.subprotocol)
    try:
        handshake, malformed = credentials_of(host, scope), None
    except MalformedCredentials as exc:
        handshake, malformed = Credentials(), exc
    listener = SocketListener(host, outlet, dialect, transport=transport, handshake=handshake, place=place)
    if malformed is not None:
        host.meter.not_authenticated("socket", malformed)
        text, reason = "a credential was refused: %s", malformed.reason
        host.throttle.log("credential_refused", text, malformed, sort=reason, reason=reason, client=transport.client)
        listener.refuse(malformed.close_code, malformed.reason)
    return listener


async def _read(receive: Receive, listener: SocketListener, outlet: SendQueue) -> None:
    """Feed the listener until the peer is gone, or a second after our own close was written, sent or not."""
    try:
        async with asyncio.timeout(None) as patience:
            with outlet.ending(lambda: _hurry(patience)):
                await _read_all(receive, listener, outlet)
    except TimeoutError:
        log_event("sending_failed", "a peer did not answer the close")


async def _read_all(receive: Receive, listener: SocketListener, outlet: SendQueue) -> None:
    busy_seconds = 0.0
    while (message := await receive())["type"] != "websocket.disconnect":
        began_at = time.perf_counter()  # uvloop's own time stands still within a turn
        _feed(listener, message.get("text"))
        busy_seconds += time.perf_counter() - began_at
        await outlet.wait_room()
        if busy_seconds > TURN_SECONDS or listener.pending_cost > TURN_COST:
            # None of the waits above need have been one: a burst of one client must not keep the others waiting, and
            # what many messages began that are quick to read may be slow to answer.
            busy_seconds = 0.0
            listener.pending_cost = 0
            await asyncio.sleep(0)
    code, reason = message.get("code") or CloseCode.NO_CODE, message.get("reason") or ""
    if message.get("gqlink.by") == "server":
        listener.close(code, reason)  # our own WebSocket protocol has done so already, see cli/uvicorn_protocol.py
    listener.on_lost(code, reason)


def _hurry(patience: asyncio.Timeout) -> None:
    patience.reschedule(asyncio.get_running_loop().time() + _CLOSE_SECONDS)


def _feed(listener: SocketListener, text: str | None) -> None:
    if text is None:
        listener.on_binary()
    else:
        listener.on_text(text)


async def _deny(host: Host, scope: Scope, send: Send, refusal: Refusal) -> None:
    """Refuse the handshake with a status and a sentence, where the server can say them; else with 403."""
    text, client, why = "a handshake from %s was refused: %s", peer_of(scope), refusal.message
    host.throttle.log("handshake_refused", text, client, why, sort=why, reason=why, client=client, code=refusal.status)
    if not _may_answer(scope):
        await send({"type": "websocket.close", "code": CloseCode.POLICY_VIOLATION, "reason": refusal.message})
        return
    await _answer(send, refusal.status, {"message": refusal.message})


async def _turn_back(host: Host, scope: Scope, send: Send, exceeded: LimitExceeded) -> None:
    """Ask a peer for whom there is no place to come later.

    Where the server has no status to say it with, the socket is accepted and closed: a handshake that it refuses is
    403, which would be about the credential.
    """
    error = host.errors.format(exceeded)
    if _may_answer(scope):
        status = 503 if exceeded.limit == "sockets" else 429
        await _answer(send, status, error, headers=[(b"retry-after", str(RETRY_SECONDS).encode())])
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": CloseCode.TRY_AGAIN_LATER, "reason": "Try again later"})


def _may_answer(scope: Scope) -> bool:
    return "websocket.http.response" in scope.get("extensions", {})


async def _answer(
    send: Send, status: int, error: Mapping[str, object], *, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer a handshake with a status and a GraphQL error instead of a WebSocket."""
    body = msgspec.json.encode({"errors": [error]})
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "websocket.http.response.start", "status": status, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": body})
