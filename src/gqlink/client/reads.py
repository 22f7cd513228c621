"""How much a socket reads at once.

picows doubles the buffer of a connection for as long as a read fills it, and keeps it: a server that is faster than its
client would leave it with megabytes, and what is read at once would be out of the processor's caches before it is acted
on. So what is offered to the transport is never more than `READ_BYTES`. A larger message takes several reads.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

__all__ = ("READ_BYTES", "bound_reads")

READ_BYTES: Final = 262_144


class _BoundedReads(asyncio.BufferedProtocol):
    """Stands between a transport and a protocol, which gets to see everything as it was.

    Args:
        protocol: Reads into a buffer of its own.
    """

    __slots__ = ("_protocol",)

    def __init__(self, protocol: asyncio.BufferedProtocol) -> None:
        self._protocol = protocol

    def get_buffer(self, sizehint: int) -> memoryview:
        """Offer what the protocol does, up to the bound."""
        return memoryview(self._protocol.get_buffer(sizehint))[:READ_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on how much was read."""
        self._protocol.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        """Hand on that nothing more will come."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on that the connection is gone."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on that the transport has enough to write."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that the transport may be given more."""
        self._protocol.resume_writing()


def bound_reads(transport: asyncio.BaseTransport) -> None:
    """Let no read of a transport be larger than `READ_BYTES`.

    Args:
        transport: Its protocol reads into a buffer of its own.
    """
    transport.set_protocol(_BoundedReads(cast("asyncio.BufferedProtocol", transport.get_protocol())))
