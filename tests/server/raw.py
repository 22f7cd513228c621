"""A WebSocket client down at the bytes: what shares a segment and how a connection breaks is the test's choice."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from gqlink.protocol import Dialect, Kind, Side

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class RawSocket:
    """One TCP connection that speaks just enough of RFC 6455."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def shake_hands(self, authority: str, *, subprotocol: str | None, **headers: str) -> int:
        """Ask for the upgrade, and return the status."""
        self.ask_for_upgrade(authority, subprotocol=subprotocol, **headers)
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])

    def ask_for_upgrade(self, authority: str, *, subprotocol: str | None, **headers: str) -> None:
        """Send the request of a handshake."""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            "Host": authority,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
            **({} if subprotocol is None else {"Sec-WebSocket-Protocol": subprotocol}),
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"GET /graphql HTTP/1.1\r\n{lines}\r\n".encode())

    def send(self, *messages: object) -> None:
        """Send messages as JSON, all of them in one segment."""
        self.writer.write(b"".join(frame(TEXT, json.dumps(message).encode()) for message in messages))

    async def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        first, second = await self.reader.readexactly(2)
        length = second & 127
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 15, await self.reader.readexactly(length)

    async def message(self) -> dict[str, Any]:
        """Return the next message."""
        opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        decoded: dict[str, Any] = json.loads(payload)
        return decoded

    async def closed(self) -> tuple[int, str]:
        """Read up to the close; 1006 if the connection ends without one."""
        try:
            while True:
                opcode, payload = await self.receive()
                if opcode == CLOSE:
                    return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return 1006, ""

    def reset(self) -> None:
        """Break the connection: the peer sees a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def dialled(authority: str, *, receive_bytes: int | None = None) -> AsyncIterator[RawSocket]:
    """Connect without a word; `receive_bytes` makes the kernel's buffer small."""
    host, _, port = authority.rpartition(":")
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(0)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    limit = 2**16 if receive_bytes is None else max(receive_bytes, 1024)
    async with RawSocket(*await asyncio.open_connection(sock=sock, limit=limit)) as raw:
        yield raw


@asynccontextmanager
async def let_in(authority: str, dialect: Dialect, *, receive_bytes: int | None = None) -> AsyncIterator[RawSocket]:
    """Connect, shake hands, and wait for the ack."""
    async with connected(authority, dialect.subprotocol, receive_bytes=receive_bytes) as raw:
        raw.send({"type": "connection_init"})
        assert (await raw.message())["type"] == "connection_ack"
        yield raw


def starting(dialect: Dialect, query: str, *, id: str = "1") -> dict[str, object]:  # noqa: A002 -- the member's name
    """Return the message that starts an operation."""
    return {"type": dialect.types[Side.CLIENT, Kind.SUBSCRIBE], "id": id, "payload": {"query": query}}


@asynccontextmanager
async def connected(authority: str, subprotocol: str, *, receive_bytes: int | None = None) -> AsyncIterator[RawSocket]:
    """Connect and shake hands."""
    async with dialled(authority, receive_bytes=receive_bytes) as raw:
        assert await raw.shake_hands(authority, subprotocol=subprotocol) == 101
        yield raw


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Write one masked frame."""
    head = bytes([opcode | (128 if final else 0)])
    length = len(payload)
    if length < 126:
        head += bytes([length | 128])
    elif length < 2**16:
        head += struct.pack("!BH", 126 | 128, length)
    else:
        head += struct.pack("!BQ", 127 | 128, length)
    return head + bytes(4) + payload  # masked with zeros, which change nothing
