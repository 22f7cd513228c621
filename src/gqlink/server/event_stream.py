"""Server-sent events: one operation, one answer that goes on, for places where a WebSocket does not get through.

What is said in it is said by the rules of a socket, see speaker.py; what is different is how it ends. The client is
told why in a `next` with an error, and `complete` says that there is nothing to come back for. An answer that ends
without `complete` was cut: the server stops, or the client did not read. Clients of the protocol then ask again.

Asking again must not happen to a mutation, so its answer is never cut: neither by the end of its credential, as over
plain HTTP, nor by a stop. A client that does not read it, or has left, has only itself to blame.

The way to the ASGI server is in asgi_event_stream.py.

Source: GraphQL over Server-Sent Events Protocol (npm's graphql-sse), "Distinct connections mode"; HTML standard,
section 9.2, "Server-sent events".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from gqlink.errors import LoginRequired, PermissionDenied, TokenExpired
from gqlink.protocol import Close, CloseCode, Text
from gqlink.server.documents import is_mutation
from gqlink.server.observing import unobserved
from gqlink.server.speaker import Speaker

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from gqlink.auth import Identity
    from gqlink.errors import AuthError
    from gqlink.server.clock import Timer
    from gqlink.server.expiry import Expiry
    from gqlink.server.host import Host
    from gqlink.server.operation import Operation
    from gqlink.server.running import Running
    from gqlink.server.send_queue import SendQueue
    from gqlink.server.transport import Transport

__all__ = ("KEEP_ALIVE_SECONDS", "EventStream", "events_of_refusal")

KEEP_ALIVE_SECONDS: Final = 12.0
"""How often a comment tells whatever is in between that the answer goes on."""

_COMMENT: Final = b":\n\n"
# Browsers hear of no event that has no `data` line.
_COMPLETE: Final = b"event: complete\ndata:\n\n"
_END: Final = Close(CloseCode.NORMAL)


class EventStream(Speaker):
    """What is said to one client in answer to one request.

    Args:
        host: What the application shares between all transports.
        outlet: Where frames go: the text of one event each, and a close for the end of the answer.
        operation: What is asked for, prepared.
        transport: What is known of the request.
        identity: Who asks.
        expiry: When that ends; None for never.
    """

    kind = "event_stream"

    def __init__(
        self,
        host: Host,
        outlet: SendQueue,
        operation: Operation,
        *,
        transport: Transport,
        identity: Identity,
        expiry: Expiry | None,
    ) -> None:
        super().__init__(host, transport=transport)
        self._outlet = outlet
        self._operation = operation
        self._must_finish = is_mutation(operation.node)
        self._identity = identity
        self._open = True
        self._timer: Timer | None = None
        self._lease.set(expiry)
        # Some browsers do not report an answer that has no body yet.
        self._say(_COMMENT)
        self._set_timer()

    @property
    def state(self) -> Literal["acknowledged", "closing"]:
        """How far it has come; it begins where a socket is acknowledged."""
        return "acknowledged" if self._open else "closing"

    def begin(self) -> None:
        """Start the operation, or say why not."""
        if not self._is_open():
            return
        try:
            self._begin("", self._operation)
        except (LoginRequired, PermissionDenied) as exc:
            self._host.meter.rejected(self.kind)
            self._finish(_errors([self._host.errors.format(exc)]))
        for running in self._running.values():
            if running.task is not None:
                running.task.add_done_callback(partial(self._on_done, running))

    def on_lost(self) -> None:
        """Take note that nothing can be said any more; a mutation finishes."""
        self._shut()
        self._end_all()

    def close(self, code: int, reason: str) -> None:
        """Cut it without `complete`, so that the client asks again; a mutation's answer is still awaited."""
        del code, reason
        if not self._must_finish:
            self.cut()

    def cut(self) -> None:
        """Cut it whatever it is: the client does not read."""
        self._end()

    def dismiss(self, error: AuthError) -> None:
        """Say why, and no more of what waits; a mutation's answer is still awaited, as over plain HTTP."""
        if not self._must_finish:
            self._outlet.drop()
            self._end_with(error)

    @property
    def is_writable(self) -> bool:
        """Whether `wait_writable` would return at once."""
        return self._outlet.is_writable

    async def wait_writable(self) -> None:
        """Wait while too much is waiting to be sent."""
        await self._outlet.wait_writable()

    def _is_open(self) -> bool:
        return self._open and (self._must_finish or not self.has_expired())

    def _expire(self) -> None:
        if not self._must_finish:
            self._end_with(TokenExpired("during an event stream"))

    def _say_next(self, running: Running, payload: bytes) -> None:
        del running
        self._say(_next(payload))

    def _say_complete(self, running: Running) -> None:
        del running
        self._finish()

    def _say_errors(self, running: Running, errors: Sequence[Mapping[str, object]]) -> None:
        del running
        self._finish(_errors(errors))

    def _on_done(self, running: Running, task: asyncio.Task[None]) -> None:
        """End what nobody has ended: a mistake of ours, which the client must not wait for."""
        follows = running.following is not None and running.following.goes_on
        if self._open and not follows:
            cause = None if task.cancelled() else task.exception()
            self._finish(_errors([self._host.errors.format(cause or RuntimeError("an operation had no end"))]))

    def _finish(self, *events: bytes) -> None:
        """Say the last of it, which may take as long to leave as anything before it."""
        self._shut()
        self._say(*events, _COMPLETE)
        self._outlet.end()

    def _end_with(self, error: AuthError) -> None:
        # It is no answer to whatever is being executed here: that may be somebody else's, who gave the order.
        with unobserved():
            self._end(_errors([self._host.errors.format(error)]), _COMPLETE)

    def _end(self, *events: bytes) -> None:
        """End it now; what has been said to the end already is at most hurried."""
        said = events if self._open else ()
        self._shut()
        self._outlet.write([*map(Text, said), _END])
        self._end_all()

    def _say(self, *events: bytes) -> None:
        self._outlet.write([Text(event) for event in events])

    def _shut(self) -> None:
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        clock = self._host.clock
        self._timer = clock.call_at(clock.now() + KEEP_ALIVE_SECONDS, self._keep_alive)

    def _keep_alive(self) -> None:
        if self._is_open():
            self._say(_COMMENT)
            self._set_timer()


def events_of_refusal(body: bytes) -> bytes:
    """Write what is said to a request whose operation cannot be executed: what is wrong with it, and the end."""
    return _next(body) + _COMPLETE


def _next(payload: bytes) -> bytes:
    """Write one event; JSON as we write it has no line break, which would end the line."""
    return b"event: next\ndata: " + payload + b"\n\n"


def _errors(errors: Sequence[Mapping[str, object]]) -> bytes:
    return _next(msgspec.json.encode({"errors": errors}))
