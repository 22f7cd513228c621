"""The way of an event stream to an ASGI server: its place, its head and body, and the client that leaves.

Source: ASGI specification 3.0, "HTTP & WebSocket ASGI Message Format".
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response

from gqlink.errors import LimitExceeded, SessionRevoked
from gqlink.protocol import Close
from gqlink.server.admission import RETRY_SECONDS
from gqlink.server.event_stream import EventStream, events_of_refusal
from gqlink.server.handshake import address_of, facts_of
from gqlink.server.http_request import EVENT_STREAM, JSON
from gqlink.server.send_queue import SendQueue

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from gqlink.auth import Identity
    from gqlink.protocol import Frame
    from gqlink.server.expiry import Expiry
    from gqlink.server.host import Host
    from gqlink.server.operation import Operation

__all__ = ("EventStreamAnswer", "refused_in_events")

_FIELDS: Final = {
    "content-type": f"{EVENT_STREAM}; charset=utf-8",
    "cache-control": "no-store",
    # nginx, and what is made of it, would wait for more before they pass anything on.
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}


def refused_in_events(body: bytes) -> Response:
    """Answer a request whose operation cannot be executed: what is wrong with it, and the end."""
    return Response(events_of_refusal(body), headers=_FIELDS)


class EventStreamAnswer:
    """The answer to a request, as events; called like a response of Starlette's.

    To be called in the step in which it was made, or the one who asks may have been revoked in between unseen.

    Args:
        host: What the application shares between all transports.
        operation: What is asked for, prepared.
        identity: Who asks.
        expiry: When that ends; None for never.
    """

    def __init__(self, host: Host, operation: Operation, *, identity: Identity, expiry: Expiry | None) -> None:
        self._host = host
        self._operation = operation
        self._identity = identity
        self._expiry = expiry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a place, and speak until the operation, its client or its credential ends."""
        with ExitStack() as held:
            try:
                place = held.enter_context(self._host.admission.enter(address_of(scope)))
                place.claim(self._identity.subject)
            except LimitExceeded as exc:
                await _turn_back(self._host, exc)(scope, receive, send)
                return
            send = _after_the_head(send)
            async with SendQueue(send, limits=self._host.limits, meter=self._host.meter, write=_body) as outlet:
                await self._speak(scope, receive, outlet)

    async def _speak(self, scope: Scope, receive: Receive, outlet: SendQueue) -> None:
        host = self._host
        stream = EventStream(
            host,
            outlet,
            self._operation,
            transport=facts_of(scope),
            identity=self._identity,
            expiry=self._expiry,
        )
        outlet.when_stalled(stream.cut)
        host.listeners.add(stream)
        try:
            if host.revocations.denies(self._identity):
                stream.dismiss(SessionRevoked("before it was heard"))
            stream.begin()
            await _wait_end(receive, outlet)
        finally:
            stream.on_lost()
            try:
                await stream.wait_ended(seconds=host.limits.execution_seconds)
            finally:
                host.listeners.discard(stream)


async def _wait_end(receive: Receive, outlet: SendQueue) -> None:
    """Wait until the client has left, or all has been said that will be."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as patience:
            with outlet.ending(lambda: patience.reschedule(loop.time())):
                while (await receive())["type"] != "http.disconnect":
                    pass
    except TimeoutError:
        return


def _after_the_head(send: Send) -> Send:
    """Send the head of the answer before the first of its body, so that it has no more patience than that."""
    headers = [(name.encode(), value.encode()) for name, value in _FIELDS.items()]
    started = False

    async def send_body(message: Message) -> None:
        nonlocal started
        if not started:
            started = True
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(message)

    return send_body


def _body(frame: Frame) -> dict[str, Any]:
    if isinstance(frame, Close):
        return {"type": "http.response.body", "body": b"", "more_body": False}
    return {"type": "http.response.body", "body": frame.data, "more_body": True}


def _turn_back(host: Host, exceeded: LimitExceeded) -> Response:
    """Ask a client for whom there is no place to come later."""
    body = msgspec.json.encode({"errors": [host.errors.format(exceeded)]})
    headers = {
        "content-type": f"{JSON}; charset=utf-8",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "retry-after": str(RETRY_SECONDS),
    }
    return Response(body, status_code=503 if exceeded.limit == "sockets" else 429, headers=headers)
