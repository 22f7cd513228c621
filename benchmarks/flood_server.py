"""A server that is faster than every client: it says `graphql-transport-ws` in bytes that were made beforehand.

Plain blocking sockets, a thread each: nothing here is measured, and nothing here may be the slower side. The path says
what a subscription gets:

    /flood/100000   so many events, as fast as the client reads, then `complete`
    /idle           one event, then nothing more
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import sys
import threading
from typing import Final

SUBSCRIPTION: Final = "subscription { messageAdded { id from text room { id } createdAt } }"
MESSAGE: Final = {
    "id": "48213",
    "from": "alice",
    "text": "Meet at the north entrance at 9, the others come later",
    "room": {"id": "general"},
    "createdAt": "2026-11-23T09:41:07.512Z",
}
# What one call to the kernel takes; far below the buffers of a socket's two ends.
BATCH: Final = 200
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE: Final = 8
_TEXT: Final = 1


def event(identifier: str) -> bytes:
    """Return the text of one event."""
    message = {"id": identifier, "type": "next", "payload": {"data": {"messageAdded": MESSAGE}}}
    return json.dumps(message, separators=(",", ":")).encode()


def framed(text: bytes) -> bytes:
    """Return a text frame of up to 65,535 bytes, unmasked as servers send them (RFC 6455, section 5.2)."""
    length = len(text)
    head = bytes((0x81, length)) if length < 126 else b"\x81\x7e" + length.to_bytes(2)  # noqa: PLR2004
    return head + text


class Conversation:
    """One client.

    Args:
        connection: Accepted.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")

    def run(self) -> None:
        """Talk until the client closes, or is gone."""
        with self._connection, self._stream:
            try:
                path = self._shake_hands()
                while (frame := self._frame()) is not None:
                    self._answer(path, frame)
            except (OSError, EOFError):
                return

    def _shake_hands(self) -> str:
        lines = iter(self._stream.readline, b"\r\n")
        path = next(lines).split()[1].decode()
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + _GUID).digest())
        self._connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return path

    def _frame(self) -> dict[str, str] | None:
        """Return the next message, or None for a close frame; pings are not needed in so short a time."""
        while True:
            first, second = self._read(2)
            length = second & 0x7F
            if length == 126:  # noqa: PLR2004
                length = int.from_bytes(self._read(2))
            mask = self._read(4)
            text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(self._read(length)))
            if first & 0xF == _CLOSE:
                self._connection.sendall(b"\x88" + bytes((len(text),)) + text)
                return None
            if first & 0xF == _TEXT:
                message: dict[str, str] = json.loads(text)
                return message

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _answer(self, path: str, message: dict[str, str]) -> None:
        match message["type"]:
            case "connection_init":
                self._connection.sendall(framed(b'{"type":"connection_ack"}'))
            case "ping":
                self._connection.sendall(framed(b'{"type":"pong"}'))
            case "subscribe":
                self._flood(message["id"], count=int(path.rpartition("/")[2]) if "/flood/" in path else 0)

    def _flood(self, identifier: str, *, count: int) -> None:
        frame = framed(event(identifier))
        if not count:
            self._connection.sendall(frame)
            return
        batch = frame * BATCH
        for _ in range(count // BATCH):
            self._connection.sendall(batch)
        complete = json.dumps({"id": identifier, "type": "complete"}).encode()
        self._connection.sendall(frame * (count % BATCH) + framed(complete))


def main() -> None:
    """Listen on loopback, print the port, and serve until standard input ends: with whoever started this."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    sys.stdin.read()


def _serve(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Conversation(connection).run, daemon=True).start()


if __name__ == "__main__":
    main()
