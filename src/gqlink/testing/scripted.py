"""One connection of a scripted server: what it says and what it has heard."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from picows import WSListener, WSMsgType

from gqlink.protocol import Close
from gqlink.testing.matching import read_json
from gqlink.testing.steps import BROKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picows import WSFrame, WSTransport

__all__ = ("Said", "ScriptedConnection")

_NO_CODE: Final = 1005


@dataclass(frozen=True, slots=True)
class Said:
    """One frame, as it was on the wire.

    Args:
        side: Who said it.
        data: Text, bytes of a binary frame, or how that side ended the connection (1006: without a word).
    """

    side: Literal["client", "server"]
    data: str | bytes | Close

    def __str__(self) -> str:
        match self.data:
            case Close(code, reason):
                what = f"close {code} {reason}".rstrip()
            case bytes():
                what = f"binary, {len(self.data)} bytes"
            case text:
                what = text
        return f"{self.side[0].upper()} {what}"


class ScriptedConnection(WSListener):
    """One client's connection to a `ScriptedServer`; besides its script, a test may speak for it.

    Args:
        number: Counted from 1, in the order of arrival, HTTP refusals included.
        path: Of the request, with the query.
        headers: Of the request.
        subprotocol: As it was answered; "" for none.
    """

    def __init__(self, number: int, *, path: str, headers: Mapping[str, str], subprotocol: str) -> None:
        self.number = number
        self.path = path
        self.headers = headers
        self.subprotocol = subprotocol
        self.frames: list[Said] = []
        self.pings = 0
        self.closed: Close | None = None
        self._transport: WSTransport | None = None
        self._changed = asyncio.Event()
        self._pieces = bytearray()
        self._binary = False
        self._heard: list[Said] = []
        self._gone = False

    def __repr__(self) -> str:
        return f"<ScriptedConnection {self.number}, {len(self.frames)} frames>"

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._transport is not None and not self._gone

    @property
    def messages(self) -> list[Mapping[str, object]]:
        """What the client has said, where it was a JSON object."""
        said = [frame.data for frame in self.frames if frame.side == "client"]
        values = [read_json(data) for data in said if isinstance(data, str)]
        return [value for value in values if isinstance(value, dict)]

    def send(self, message: Mapping[str, object]) -> None:
        """Say a message, with the client's own id."""
        self.raw(json.dumps(message))

    def raw(self, data: str | bytes) -> None:
        """Say a text frame as it stands, or a binary one where it is bytes."""
        if self._transport is None or not self.is_open or self._transport.is_close_frame_sent:
            return
        self.frames.append(Said("server", data))
        if isinstance(data, str):
            self._transport.send(WSMsgType.TEXT, data.encode())
        else:
            self._transport.send(WSMsgType.BINARY, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close; 1005 sends a close frame without a code."""
        if self._transport is None or not self.is_open or self._transport.is_close_frame_sent:
            return
        self._end("server", Close(code, reason))
        self._transport.send(WSMsgType.CLOSE, b"" if code == _NO_CODE else code.to_bytes(2, "big") + reason.encode())

    def drop(self) -> None:
        """Break it off without a close frame."""
        if self._transport is None:
            return
        self._end("server", Close(BROKEN, ""))
        self._transport.disconnect(graceful=False)

    async def next_heard(self) -> Said:
        """Wait for the next thing that the client says; its end is the last."""
        while not self._heard:
            self._changed.clear()
            await self._changed.wait()
        return self._heard[0] if isinstance(self._heard[0].data, Close) else self._heard.pop(0)

    def refused(self) -> None:
        """Take note that there is nothing but its request."""
        self._gone = True

    async def wait_gone(self) -> None:
        """Wait until it is disconnected; harmless when it never was connected."""
        while self._transport is not None and not self._gone:
            self._changed.clear()
            await self._changed.wait()

    async def wait_connected(self) -> None:
        """Wait until the upgrade is done."""
        while self._transport is None and not self._gone:
            self._changed.clear()
            await self._changed.wait()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Take the socket."""
        self._transport = transport
        self._changed.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer control frames, and keep the others for the script."""
        match frame.msg_type:
            case WSMsgType.CLOSE:
                self._take_close(transport, frame)
            case WSMsgType.PING:
                self.pings += 1
                transport.send_pong(frame.get_payload_as_bytes())
            case WSMsgType.PONG:
                pass
            case _:
                self._take_piece(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Take note that it is gone."""
        del transport
        self._gone = True
        self._end("client", Close(BROKEN, ""))
        self._changed.set()

    def _take_piece(self, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.CONTINUATION:
            self._binary = frame.msg_type is WSMsgType.BINARY
        self._pieces += frame.get_payload_as_bytes()
        if frame.fin:
            data = bytes(self._pieces)
            self._pieces.clear()
            self._hear(Said("client", data if self._binary else data.decode("utf-8", "replace")))

    def _take_close(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        self._end("client", Close(int.from_bytes(payload[:2]) if payload else _NO_CODE, payload[2:].decode()))
        if not transport.is_close_frame_sent:
            transport.send(WSMsgType.CLOSE, payload[:2])
        transport.disconnect()

    def _end(self, side: Literal["client", "server"], how: Close) -> None:
        """Take note of who ended it first."""
        if self.closed is None:
            self.closed = how
            self._hear(Said(side, how))

    def _hear(self, said: Said) -> None:
        self.frames.append(said)
        self._heard.append(said)
        self._changed.set()
