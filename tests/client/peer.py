"""A server to test clients against: the real server machine on a real socket, and a script instead of a schema.

Tokens speak for themselves: "alice-1" is Alice's, "bad-…" is refused as invalid, "expired-…" as expired, "revoked-…"
as revoked. No token is anonymous. Anonymous operations are answered with `UNAUTHENTICATED`, as our own server does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from client.hands import until
from gqlink.protocol import (
    DIALECTS,
    AckAddition,
    Close,
    CompleteReceived,
    Event,
    EventPosition,
    InitReceived,
    PingReceived,
    Renewal,
    RenewalOutcome,
    Request,
    ServerConnection,
    SubscribeReceived,
    Text,
    ack_payload,
    choose_dialect,
    outcome_payload,
    position_extensions,
    read_cursor_request,
    read_renewal,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping
    from typing import Self

_REFUSALS = {"bad": "Token invalid", "expired": "Token expired", "revoked": "Session revoked"}
_DENIAL = {"message": "You must be logged in to do this.", "extensions": {"code": "UNAUTHENTICATED"}}


@dataclass
class Script:
    """What the server does differently from a good one."""

    speaks: tuple[str, ...] = tuple(DIALECTS)
    subprotocol: str | None = None
    """Answer the handshake with this, whatever was offered; "" for none."""
    status: int | None = None
    """Answer the handshake with this HTTP status."""
    close_on_init: tuple[int, str] | None = None
    """Close instead of acknowledging..."""
    rejects: tuple[str, ...] = tuple(DIALECTS)
    """...those who speak this."""
    close_after_ack: tuple[int, str] | None = None
    error_on_init: str | None = None
    """Say `connection_error` with this text and close with 1011, whatever the dialect."""
    additions: bool = True
    """Say in the ack who the socket speaks for."""
    expires_in: float | None = 900.0
    """Say in the ack for how long, if `additions`."""
    renewal: str | None = None
    """What the ack offers; with "ping" renewals are answered."""
    outcomes: list[float | str | None] = field(default_factory=list)
    """What comes of each renewal: the new seconds, an error, or None for no answer; `expires_in` when all are used."""
    cursors: bool = False
    """Say where each event stands to subscribers who ask; they share one topic, which keeps everything."""
    hold_live: bool = False
    """Do not say that a subscription is live, nor send it events, until `go_live`."""
    hold_init: bool = False
    ignore_close: bool = False
    """Take a close frame and neither answer nor disconnect."""
    hold_operations: bool = False
    """Take operations and never answer."""


class PeerSocket(WSListener):
    """One client's connection, as the server sees it."""

    def __init__(self, peer: Peer, connection: ServerConnection, number: int) -> None:
        self.peer = peer
        self.connection = connection
        self.number = number
        self.subject: str | None = None
        self.payload: Mapping[str, object] | None = None
        self.subscriptions: dict[str, Request] = {}
        self.cursors: set[str] = set()
        self.completed: list[str] = []
        self.renewals: list[str] = []
        self.pings = 0
        self.closed: tuple[int, str] | None = None
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Take the socket."""
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Take note that it is gone."""
        del transport
        self.closed = self.closed or (1006, "")
        self.peer.open.discard(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Feed the machine."""
        if frame.msg_type == WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self.closed = self.closed or (int.from_bytes(payload[:2]), payload[2:].decode())
            if self.peer.script.ignore_close:
                return
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type == WSMsgType.PING:
            self.pings += 1
            transport.send_pong(frame.get_payload_as_bytes())
            return
        self.peer.texts.append(frame.get_payload_as_utf8_text())
        for event in self.connection.receive(frame.get_payload_as_bytes(), now=0.0):
            self._act(event)
        self.flush()

    def _act(self, event: Event) -> None:
        match event:
            case InitReceived(payload):
                self.payload = payload
                self.peer.inits.append(payload)
                if not self.peer.script.hold_init:
                    self.admit()
            case SubscribeReceived(identifier, request):
                self.peer.operations.append((self.number, identifier, request))
                self._operate(identifier, request)
            case CompleteReceived(identifier):
                self.subscriptions.pop(identifier, None)
                self.completed.append(identifier)
            case PingReceived(payload):
                renewal = read_renewal(payload)
                if renewal is not None:
                    self._renew(renewal)

    def _renew(self, renewal: Renewal) -> None:
        self.renewals.append(renewal.access_token)
        script = self.peer.script
        outcome = script.outcomes.pop(0) if script.outcomes else script.expires_in
        if isinstance(outcome, str):
            self.outcome(RenewalOutcome(renewal.seq, error=outcome))
        elif outcome is not None:
            self.outcome(RenewalOutcome(renewal.seq, expires_in=outcome))

    def outcome(self, outcome: RenewalOutcome) -> None:
        """Say what came of a renewal."""
        self.connection.pong(outcome_payload(outcome))
        self.flush()

    def admit(self) -> None:
        """Answer `connection_init`."""
        script = self.peer.script
        token = (self.payload or {}).get("accessToken")
        subject = str(token).partition("-")[0] if token else None
        if script.error_on_init is not None:
            self.raw({"type": "connection_error", "payload": {"message": script.error_on_init}})
            self.connection.close(1011, "")
        elif script.close_on_init is not None and self.connection.dialect.subprotocol in script.rejects:
            self.connection.close(*script.close_on_init)
        elif subject in _REFUSALS:
            self.connection.refuse(4403, _REFUSALS[subject])
        else:
            self.subject = subject
            addition = AckAddition(subject=subject, expires_in=script.expires_in, renewal=script.renewal)
            held = self.connection.acknowledge(ack_payload(addition) if script.additions else None)
            self.flush()
            for event in held:
                self._act(event)
            if script.close_after_ack is not None:
                self.connection.close(*script.close_after_ack)
        self.flush()

    def _operate(self, identifier: str, request: Request) -> None:
        if self.subject is None and "open" not in request.query:
            self.connection.error(identifier, [_DENIAL])
        elif request.query.startswith("subscription"):
            if not self.peer.script.hold_live:
                self.go_live(identifier, request)
        elif not self.peer.script.hold_operations:
            data = {"by": self.subject, "variables": request.variables}
            self.connection.next(identifier, json.dumps({"data": data}).encode())
            self.connection.complete(identifier)

    def go_live(self, identifier: str, request: Request) -> None:
        """Let a subscription hear what is published, and what was published after its cursor."""
        self.subscriptions[identifier] = request
        wish = read_cursor_request(request.extensions)
        if wish is None or not self.peer.script.cursors:
            return
        self.cursors.add(identifier)
        recovered = wish.after is not None and self.peer.finds(wish.after)
        start = self.peer.place(wish.after) if wish.after is not None and recovered else len(self.peer.log)
        position = EventPosition(self.peer.cursor(start), recovered=recovered)
        self._next(identifier, None, position)
        for place, data in enumerate(self.peer.log[start:], start + 1):
            self._next(identifier, data, EventPosition(self.peer.cursor(place)))

    def publish(self, data: object) -> None:
        """Send an event to each of the socket's subscriptions."""
        for identifier in list(self.subscriptions):
            position = EventPosition(self.peer.cursor(len(self.peer.log))) if identifier in self.cursors else None
            self._next(identifier, data, position)
        self.flush()

    def _next(self, identifier: str, data: object, position: EventPosition | None) -> None:
        payload: dict[str, object] = {"data": data}
        if position is not None:
            payload["extensions"] = position_extensions(position)
        self.connection.next(identifier, json.dumps(payload).encode())

    def finish(self) -> None:
        """End each of the socket's subscriptions."""
        for identifier in list(self.subscriptions):
            self.connection.complete(identifier)
        self.subscriptions.clear()
        self.flush()

    def raw(self, message: object) -> None:
        """Send any message, or any text."""
        text = message if isinstance(message, str) else json.dumps(message)
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, text.encode())

    def close(self, code: int, reason: str = "") -> None:
        """End the connection as a refusal does: in the legacy dialect `connection_error` comes first."""
        self.connection.refuse(code, reason)
        self.flush()

    def drop(self) -> None:
        """End the connection without a word."""
        assert self.transport is not None
        self.transport.disconnect(graceful=False)

    def flush(self) -> None:
        """Write what the machine wants to say."""
        assert self.transport is not None
        for frame in self.connection.outgoing():
            match frame:
                case Text(data):
                    self.transport.send(WSMsgType.TEXT, data)
                case Close(code, reason):
                    self.closed = self.closed or (code, reason)
                    wire_code: Any = code
                    self.transport.send_close(wire_code, reason)


class Peer:
    """A server on loopback; an async context manager."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.inits: list[Mapping[str, object] | None] = []
        self.operations: list[tuple[int, str, Request]] = []
        self.texts: list[str] = []
        self.offers: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.sockets: list[PeerSocket] = []
        self.open: set[PeerSocket] = set()
        self.epoch = "a"
        self.log: list[object] = []
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def authority(self) -> str:
        """Where it listens, such as "127.0.0.1:40123"."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"ws://{self.authority}/graphql"

    @property
    def tokens(self) -> list[object]:
        """The token of each `connection_init`, in order."""
        return [(payload or {}).get("accessToken") for payload in self.inits]

    @property
    def subscribers(self) -> list[PeerSocket]:
        """The open sockets with a subscription."""
        return [socket for socket in self.sockets if socket in self.open and socket.subscriptions]

    def publish(self, data: object) -> None:
        """Send an event to every subscription, and keep it."""
        self.log.append(data)
        for socket in self.subscribers:
            socket.publish(data)

    def forget(self) -> None:
        """Lose what was published: from now on, no cursor of before is of use."""
        self.epoch += "a"
        self.log.clear()

    def cursor(self, place: int) -> str:
        """Say where the event at a place stands, counted from 1."""
        return f"{self.epoch}{place}"

    def finds(self, cursor: str) -> bool:
        """Say whether everything after a cursor is there."""
        return any(self.cursor(place) == cursor for place in range(len(self.log) + 1))

    def place(self, cursor: str) -> int:
        """Return the place of a cursor that is found."""
        return int(cursor.lstrip("a"))

    async def __aenter__(self) -> Self:
        self._server = await ws_create_server(
            self._accept, "127.0.0.1", 0, websocket_handshake_timeout=None, enable_auto_pong=False
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for socket in list(self.open):
            socket.drop()
        await until(lambda: not self.open)

    def _accept(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        offer = request.headers.get("Sec-WebSocket-Protocol", "")
        self.offers.append(offer)
        self.headers.append(dict(request.headers))
        if self.script.status is not None:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(self.script.status), None)
        offered = [name.strip() for name in offer.split(",") if name.strip() in self.script.speaks]
        dialect = choose_dialect(offered) or DIALECTS[self.script.speaks[0]]
        socket = PeerSocket(self, ServerConnection(dialect, now=0.0), len(self.sockets) + 1)
        self.sockets.append(socket)
        self.open.add(socket)
        answered = self.script.subprotocol if self.script.subprotocol is not None else dialect.subprotocol
        headers = {"Sec-WebSocket-Protocol": answered} if answered else {}
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), socket)
