"""Bytes out and bytes in: WebSocket frames of any form, good or bad, and HTTP answers as they come."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import StreamWriter
    from collections.abc import AsyncIterator, Mapping

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE: Final = 20.0
"""How long anything that must come may take, in seconds; only a server that has stopped needs so long."""

SOON: Final = 0.2
"""How long something is waited for that need not come, in seconds."""

_ZEROS: Final = bytes(4)


def frame(
    opcode: int,
    payload: bytes,
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = _ZEROS,
    claimed: int | None = None,
    wide: bool = False,
) -> bytes:
    """Write one frame of a client.

    Args:
        opcode: 0 to 15.
        payload: What it holds.
        final: Whether it is the last of its message.
        reserved: The three reserved bits.
        mask: Zeros change nothing; None for no mask, which a client must not do.
        claimed: What its header says that its length is; the truth when None.
        wide: Write the length in eight bytes, however small it is.
    """
    length = len(payload) if claimed is None else claimed
    masked = 0 if mask is None else 128
    first = opcode | (128 if final else 0) | reserved << 4
    if wide or length > 0xFFFF:
        head = struct.pack("!BBQ", first, 127 | masked, length)
    elif length > 125:
        head = struct.pack("!BBH", first, 126 | masked, length)
    else:
        head = bytes((first, length | masked))
    if not mask or mask == _ZEROS:
        return head + (mask or b"") + payload
    cover = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked_payload = int.from_bytes(payload, "big") ^ int.from_bytes(cover, "big")
    return head + mask + masked_payload.to_bytes(len(payload), "big")


@dataclass(frozen=True)
class HttpAnswer:
    """One answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Its content type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Reader(asyncio.StreamReader):
    """A reader that still gives what came before a reset: the close, above all."""

    was_reset = False

    def set_exception(self, exc: BaseException) -> None:
        """Take note of it, and end."""
        del exc
        self.was_reset = True
        self.feed_eof()


class Line:
    """One TCP connection."""

    def __init__(self, reader: Reader, writer: StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        """Send bytes; what cannot be sent any more is no matter, because what came until then is still to be read."""
        if not self.writer.is_closing():
            self.writer.write(data)

    def write_eof(self) -> None:
        """Say that nothing more will come; harmless when the other side has gone."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()

    async def receive_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame.

        Raises:
            EOFError: The connection has ended.
            ConnectionError: It was reset.
            TimeoutError: Nothing comes.
        """
        try:
            return await self._read_frame()
        except EOFError:
            if self.reader.was_reset:
                raise ConnectionResetError from None
            raise

    async def _read_frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE):
            first, second = await self.reader.readexactly(2)
            length = second & 127
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 15, await self.reader.readexactly(length) if length else b""

    async def receive_answer(self, *, method: str = "GET", seconds: float = PATIENCE) -> HttpAnswer:
        """Return the next HTTP answer; of an event stream what comes at once.

        Raises:
            EOFError: The connection has ended.
            ConnectionError: It was reset.
            TimeoutError: Nothing comes.
        """
        async with asyncio.timeout(seconds):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split(" ", 2)[1])
            if status == 100:  # "go on", and the answer follows
                return await self.receive_answer(method=method, seconds=seconds)
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
            }
            if method == "HEAD" or status in {101, 204, 304}:
                return HttpAnswer(status, headers, b"")
            if headers.get("content-type", "").startswith("text/event-stream"):
                return HttpAnswer(status, headers, await self._read_events())
            if headers.get("transfer-encoding") == "chunked":
                return HttpAnswer(status, headers, await self._read_chunks())
            if "content-length" in headers:
                return HttpAnswer(status, headers, await self.reader.readexactly(int(headers["content-length"])))
            return HttpAnswer(status, headers, await self.reader.read())

    async def _read_events(self) -> bytes:
        """Return what comes soon: a stream of events may go on for ever, and need not begin with one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SOON):
                return await self.reader.read(2**16)
        return b""

    async def _read_chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return body


@asynccontextmanager
async def dialled(authority: str, *, source: str) -> AsyncIterator[Line]:
    """Connect from an address of this machine."""
    host, _, port = authority.rpartition(":")
    loop = asyncio.get_running_loop()
    reader = Reader(limit=2**20)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, host, int(port), local_addr=(source, 0))
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
