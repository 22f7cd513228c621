"""One socket: picows on one side, the client's half of the protocol on the other.

Everything here is synchronous and in the order of the wire: a frame is read, the machine says what it means, the
link acts on it, and what the machine wants to say goes out, all in one step of the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from picows import WSListener, WSMsgType, WSTransport

from gqlink.client.ending import Ending
from gqlink.client.frames import Secrets, conceal
from gqlink.client.inbox import SLICE, Inbox
from gqlink.client.liveness import Liveness
from gqlink.client.reads import bound_reads
from gqlink.errors import ConnectionClosed, LocalProtocolError
from gqlink.protocol import (
    AckAddition,
    AckReceived,
    Close,
    CloseCode,
    Closed,
    KeepAliveReceived,
    NextReceived,
    Phase,
    PingReceived,
    PongReceived,
    RefusalReceived,
    Side,
    Text,
    clip_reason,
    is_sendable,
    read_ack,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from picows import WSFrame

    from gqlink.client.clock import Clock
    from gqlink.client.frames import FrameWatcher
    from gqlink.client.params import Credential
    from gqlink.protocol import ClientConnection, Event, Frame, Request, ResultMessage

__all__ = ("Socket",)

# How long a peer may take to answer our close frame before the TCP connection is cut.
_CLOSE_SECONDS: Final = 1.0
# A peer that pings and does not read what it gets is owed no more pongs than these (RFC 6455, section 5.5.3).
_PONG_BACKLOG_BYTES: Final = 65_536


class Socket(WSListener):
    """One connection to a server, from the handshake to the last byte.

    Args:
        connection: The client's half of the protocol, new.
        number: Counted from 1 for each link.
        credential: Its payload goes into `connection_init`; its secrets stay out of close reasons. A renewal sets
            another one.
        clock: Tells the time to the machine; its seconds are those of `expires_at`, the end of the credential.
        on_event: Told of every event, in order, until the connection has ended.
        on_gone: Told once that the TCP connection is gone.
        on_results: Told of all results instead of `on_event`, oldest first.
        watcher: Shows the frames to a person.
        message_bytes: The most that one message may have; more closes with 1009.
    """

    def __init__(
        self,
        connection: ClientConnection,
        *,
        number: int,
        credential: Credential,
        clock: Clock,
        on_event: Callable[[Socket, Event], None],
        on_gone: Callable[[Socket], None],
        watcher: FrameWatcher | None,
        message_bytes: int,
        on_results: Callable[[Socket, Sequence[NextReceived | ResultMessage]], None] | None = None,
    ) -> None:
        self.number = number
        self.ending: Ending | None = None
        self.addition: AckAddition | None = None
        self.expires_at: float | None = None
        self.gone = False
        self._connection = connection
        self.credential = credential
        self._secrets = Secrets(credential.secrets)
        self._clock = clock
        self._on_event = on_event
        self._on_gone = on_gone
        self._on_results = on_results or _as_events
        self._watcher = watcher
        self._message_bytes = message_bytes
        self._transport: WSTransport | None = None
        self._inbox = Inbox(self._turn)
        self._parts: list[bytes] = []
        self._outgoing: deque[Frame] = deque()
        self._acknowledged_at: float | None = None
        self._refusal: str | None = None
        self._liveness = Liveness(clock, ask=self._ask, on_dead=self._give_up)
        self._cut: asyncio.TimerHandle | None = None
        # Ends with the TCP connection, which every path from here cuts within a second or two.
        self._task: asyncio.Task[None] | None = None
        self.on_ws_frame = self._reader()  # type: ignore[assignment, method-assign] # see there

    @property
    def acknowledged(self) -> bool:
        """Whether operations may run; stays true after the end."""
        return self._acknowledged_at is not None

    @property
    def acknowledged_at(self) -> float:
        """When it was acknowledged, on the clock; the present moment where it was not."""
        return self._clock.now() if self._acknowledged_at is None else self._acknowledged_at

    @property
    def deadline(self) -> float | None:
        """When to call `expire`, on the clock; None when nothing is awaited."""
        return self._connection.deadline

    @property
    def subprotocol(self) -> str:
        """What is spoken."""
        return self._connection.dialect.subprotocol

    def expire(self) -> None:
        """Give up on a server that has let its deadline pass."""
        self._act(self._connection.expire(now=self._clock.now()))

    def start(self, identifier: str, request: Request) -> None:
        """Start an operation; the connection is acknowledged."""
        self._connection.subscribe(identifier, request)
        self._flush()

    def complete(self, identifier: str) -> None:
        """End an operation; harmless when the server has ended it, or the connection is over."""
        with suppress(LocalProtocolError, ConnectionClosed):
            self._connection.complete(identifier)
            self._flush()

    def ping(self, payload: Mapping[str, object], *, secrets: frozenset[str]) -> None:
        """Say something with a ping, which `graphql-transport-ws` has; harmless when the connection is over.

        Args:
            payload: What to say.
            secrets: Texts in it that nobody may be shown, until eight renewals later.
        """
        self._secrets.add(secrets)
        if self._watcher:
            self._watcher.conceal(secrets)
        with suppress(ConnectionClosed):
            self._connection.ping(payload)
            self._flush()

    def conceal(self, text: str) -> str:
        """Return what the server said without what it was given: it may repeat that; errors and logs do not."""
        return str(conceal(text, self._secrets.known))

    def close(self, code: int, reason: str = "") -> None:
        """End the connection; the TCP connection follows within a second. Harmless when it is over."""
        self._act(self._connection.close(code, reason))

    def abort(self) -> None:
        """Cut the TCP connection now."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say `connection_init`, in the same step as the handshake."""
        self._transport = transport
        bound_reads(transport.underlying_transport)
        self._task = asyncio.get_running_loop().create_task(self._watch(transport), name="gqlink socket")
        if self._watcher:
            self._watcher.opened(self.subprotocol)
        self._connection.initialise(self.credential.payload)
        self._flush()

    def _reader(self) -> Callable[[WSTransport, WSFrame], None]:
        """Return what takes one frame; with the last of a read, it acts on all.

        A function for each socket instead of a method: what it needs is at hand, and it is called by the hundred
        thousand.
        """
        keep, act, text = self._inbox.arrived.append, self._inbox.act, WSMsgType.TEXT

        def on_ws_frame(transport: WSTransport, frame: WSFrame) -> None:
            kind = frame.msg_type
            if transport.is_close_frame_sent and kind is not WSMsgType.CLOSE:
                return  # picows goes on reading after a frame that broke its rules, and after our own close
            if kind is text and frame.fin:
                keep(frame.get_payload_as_bytes())
            else:
                keep((kind, frame.fin, frame.get_payload_as_bytes()))
            if frame.last_in_buffer:
                act(transport)

        return on_ws_frame

    def _turn(self) -> None:
        """Act on some of what was read; results, as long as nothing else is between them, in one go."""
        inbox, left = self._inbox, SLICE
        while left > 0 and (oldest := inbox.oldest(left)):
            results = self._connection.receive_results(oldest) if self._watcher is None else []
            number = len(results) or 1
            left -= number
            inbox.take_out(number)
            if results:
                self._liveness.heard = True
                self._on_results(self, results)
                continue
            kept = oldest[0]
            if isinstance(kept, bytes):
                self._text(kept)
            else:
                self._take(*kept)

    def _take(self, kind: WSMsgType, fin: bool, payload: bytes) -> None:  # noqa: FBT001 -- as it was kept
        transport = self._transport
        if transport is None:
            return
        if kind == WSMsgType.CLOSE:
            self._close_received(payload)
        elif kind == WSMsgType.TEXT or (kind == WSMsgType.CONTINUATION and self._parts):
            self._part(payload, fin=fin)
        elif kind == WSMsgType.BINARY:
            if self._watcher:
                self._watcher.binary(len(payload))
            self._act(self._connection.receive_binary(now=self._clock.now()))
        elif kind == WSMsgType.PING and transport.underlying_transport.get_write_buffer_size() < _PONG_BACKLOG_BYTES:
            transport.send_pong(payload)

    def is_user_specific_pong(self, frame: WSFrame) -> bool:
        """Let any frame count as the sign of life that a ping of RFC 6455 asked for; asked only after such a ping."""
        if frame.msg_type == WSMsgType.PONG:
            return True
        if self._transport is not None:
            self._transport.notify_user_specific_pong_received()
        return False

    def send_user_specific_ping(self, transport: WSTransport) -> None:
        """Ask a line that has been silent for `ping_seconds` whether it is there."""
        transport.send_ping()
        self._liveness.quiet()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Take note that the TCP connection is gone, after whatever it brought."""
        if self._cut is not None:
            self._cut.cancel()
        self._liveness.end()
        self._inbox.lose(transport, partial(self._gone, transport))

    def _gone(self, transport: WSTransport) -> None:
        if self.ending is None:
            self._lose(*_why_lost(transport))

    def _ask(self) -> None:
        """Ask the server for a sign of life, where the subprotocol has a word for it and it may be said."""
        with suppress(LocalProtocolError, ConnectionClosed):
            self._connection.ping()
            self._flush()

    def _give_up(self, why: str) -> None:
        """Leave a server that is gone, as if the line had broken: it would not hear a close frame either."""
        self._lose(CloseCode.ABNORMAL, why, Side.CLIENT)
        self.abort()

    def _lose(self, code: int, reason: str, side: Side) -> None:
        if self._watcher:
            self._watcher.closed("sent" if side is Side.CLIENT else "received", code, reason)
        if self._connection.disconnected(code, reason):
            self._act([Closed(code, reason, side)])

    async def _watch(self, transport: WSTransport) -> None:
        """Say when nothing is left of the connection, and hear what picows has to say of its end: we know it."""
        with suppress(Exception):
            await transport.wait_disconnected()
        await self._inbox.wait_empty()
        self.gone = True
        self._on_gone(self)

    def _part(self, payload: bytes, *, fin: bool) -> None:
        """Put a message together that came in several frames (RFC 6455, section 5.4)."""
        self._liveness.heard = True
        self._parts.append(payload)
        if sum(map(len, self._parts)) > self._message_bytes:
            self.close(CloseCode.MESSAGE_TOO_BIG, "Message too big")
        elif fin:
            self._text(b"".join(self._parts))
        else:
            return
        self._parts.clear()

    def _text(self, data: bytes) -> None:
        self._liveness.heard = True
        if self._watcher:
            self._watcher.text("received", data)
        self._act(self._connection.receive(data, now=self._clock.now()))

    def _close_received(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) if payload else CloseCode.NO_CODE
        reason = clip_reason(payload[2:].decode("utf-8", "replace"))
        if self._watcher:
            self._watcher.closed("received", code, reason)
        self._act(self._connection.disconnected(code, reason))
        if self._transport is not None:
            # What may not be on the wire (1005 for an empty frame, 1006 from a server that says it) is not echoed.
            self._transport.send_close(_wire_code(code if is_sendable(code) else CloseCode.NORMAL))
            self._transport.disconnect()
            self._cut_soon()

    def _act(self, events: list[Event]) -> None:
        for event in events:
            if type(event) is NextReceived:
                self._on_results(self, (event,))
            else:
                self._note(event)
                self._on_event(self, event)
        self._flush()

    def _note(self, event: Event) -> None:
        match event:
            case AckReceived(payload):
                self._acknowledged_at = self._clock.now()
                self.addition = read_ack(payload)
                if self.addition is not None:
                    self._liveness.knows_pings()
            case KeepAliveReceived():
                self._liveness.keep_alive()
            case PingReceived():
                self._liveness.knows_pings()
            case PongReceived():
                self._liveness.ponged()
            case RefusalReceived(message) if self._connection.phase is not Phase.ACKNOWLEDGED:
                self._refusal = message
            case Closed():
                self._end(event)

    def _end(self, closed: Closed) -> None:
        self._liveness.end()
        since = self._acknowledged_at
        closed = Closed(closed.code, self.conceal(closed.reason), closed.by)
        self.ending = Ending.closed(
            closed,
            dialect=self._connection.dialect,
            stayed_seconds=None if since is None else self._clock.now() - since,
            refusal=None if self._refusal is None else self.conceal(self._refusal),
        )

    def _flush(self) -> None:
        """Write what the machine wants to say; the one place that writes."""
        self._outgoing.extend(self._connection.outgoing())
        while self._outgoing and self._transport is not None:
            self._write(self._outgoing.popleft(), self._transport)

    def _cut_soon(self) -> None:
        """Bound what is left of the connection, whatever the peer does and the clock of the tests shows."""
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.abort)

    def _write(self, frame: Frame, transport: WSTransport) -> None:
        match frame:
            case Text(data):
                transport.send(WSMsgType.TEXT, data)
                if self._watcher:
                    self._watcher.text("sent", data)
            case Close(code, reason):
                transport.send_close(_wire_code(code), reason)
                self._cut_soon()
                if self._watcher:
                    self._watcher.closed("sent", code, reason)


def _as_events(socket: Socket, results: Sequence[NextReceived | ResultMessage]) -> None:
    for result in results:
        socket._on_event(socket, NextReceived(result.id, result.result))  # noqa: SLF001 -- the default of the socket itself


def _wire_code(code: int) -> Any:
    """Return a code for picows, whose stub wants its own enumeration and whose code takes any number."""
    return int(code)


def _why_lost(transport: WSTransport) -> tuple[int, str, Side]:
    """Tell a break of the line from a close that picows sent itself: a broken frame, or no answer to its pings."""
    handshake = transport.close_handshake
    if handshake is None or handshake.sent is None:
        return CloseCode.ABNORMAL, "", Side.SERVER
    code = int(handshake.sent.code)  # type: ignore[call-overload] # an IntEnum at run time
    # picows says 1001 to a peer that has not answered its ping: the line is dead, no server has stopped.
    return (CloseCode.ABNORMAL if code == CloseCode.GOING_AWAY else code), handshake.sent.reason, Side.CLIENT
