"""No read is larger than its bound, and nothing is lost or changed by that."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from client.chat import subscribed
from gqlink.client import Client, WebSocketLink
from gqlink.client.reads import READ_BYTES, bound_reads

if TYPE_CHECKING:
    from client.peer import Peer


class Reader(asyncio.BufferedProtocol):
    """Has a large buffer, and notes what it is told."""

    def __init__(self) -> None:
        self.buffer = bytearray(4 * READ_BYTES)
        self.told: list[object] = []

    def get_buffer(self, sizehint: int) -> memoryview:
        """Offer all of it."""
        self.told.append(sizehint)
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """Note how much was read."""
        self.told.append(nbytes)

    def eof_received(self) -> bool:
        """Note that nothing more comes, and stay."""
        self.told.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why."""
        self.told.append(exc)

    def pause_writing(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resume_writing(self) -> None:
        """Note it."""
        self.told.append("resume")


class Line(asyncio.BaseTransport):
    """Knows its protocol."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return what it talks to."""
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another."""
        self.protocol = protocol


def bounded(reader: Reader) -> asyncio.BufferedProtocol:
    """Return what a transport with that reader has for its protocol."""
    line = Line(reader)
    bound_reads(line)
    assert isinstance(line.protocol, asyncio.BufferedProtocol)
    return line.protocol


def test_a_read_is_no_larger_than_its_bound() -> None:
    """However large the buffer is; what is read goes to where the reader wants it."""
    reader = Reader()
    offered = memoryview(bounded(reader).get_buffer(-1))

    assert len(offered) == READ_BYTES
    offered[:3] = b"abc"
    assert reader.buffer.startswith(b"abc")


def test_whatever_else_a_transport_says_is_handed_on() -> None:
    """In the words of the transport, and with the answer of the reader."""
    reader, lost = Reader(), ConnectionResetError()
    protocol = bounded(reader)

    protocol.get_buffer(7)
    protocol.buffer_updated(5)
    protocol.pause_writing()
    protocol.resume_writing()
    assert protocol.eof_received() is True
    protocol.connection_lost(lost)

    assert reader.told == [7, 5, "pause", "resume", "eof", lost]


async def test_a_message_may_be_larger_than_a_read(peer: Peer) -> None:
    """It comes as a whole, and so does what stands behind it."""
    large = "x" * (3 * READ_BYTES)
    async with Client(WebSocketLink(peer.url)) as client, client.subscribe("subscription { open }") as events:
        await subscribed(peer)
        transport = peer.sockets[-1].transport
        assert transport is not None
        word = "data" if peer.script.speaks == ("graphql-ws",) else "next"
        for data in (large, "small"):
            text = json.dumps({"id": "1", "type": word, "payload": {"data": data}}).encode()
            head = b"\x81\x7f" + len(text).to_bytes(8) if data is large else bytes((0x81, len(text)))
            transport.underlying_transport.write(head + text)
        assert (await anext(events)).data == large
        assert (await anext(events)).data == "small"
