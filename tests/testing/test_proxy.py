"""The fault proxy, against a server that echoes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from gqlink.testing import FaultProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """Run a server that sends back what it gets."""
    handlers = set[asyncio.Task[None]]()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.get_running_loop().create_task(echo(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for _ in range(4):  # a connection that was being accepted has a handler by then
            await asyncio.sleep(0)
        await asyncio.gather(*handlers)


async def connect(authority: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection."""
    host, _, port = authority.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_it_carries_data_both_ways() -> None:
    """What a client sends arrives, and so does the answer."""
    async with echoing() as target, FaultProxy(target) as proxy:
        reader, writer = await connect(proxy.authority)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert (proxy.accepted, len(proxy.connections)) == (1, 1)
        writer.close()


async def test_cutting_breaks_every_open_connection() -> None:
    """After a cut the client reads no more, and new connections work."""
    async with echoing() as target, FaultProxy(target) as proxy:
        reader, writer = await connect(proxy.authority)
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.cut()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        reader, writer = await connect(proxy.authority)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()


async def test_while_it_refuses_nobody_listens_on_its_port() -> None:
    """A client is refused by the machine, and let in again on the same port later."""
    async with echoing() as target, FaultProxy(target) as proxy:
        before = proxy.authority
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy.authority)
        await proxy.accept()
        await proxy.accept()
        assert proxy.authority == before
        _, writer = await connect(proxy.authority)
        writer.close()


async def test_a_delay_holds_back_what_passes() -> None:
    """Data arrives later by at least the delay."""
    loop = asyncio.get_running_loop()
    async with echoing() as target, FaultProxy(target, delay_seconds=0.02) as proxy:
        reader, writer = await connect(proxy.authority)
        sent = loop.time()
        writer.write(b"hello")
        await reader.readexactly(5)
        assert loop.time() - sent >= 0.04
        writer.close()


async def test_a_target_that_is_not_there_ends_the_connection() -> None:
    """A client of a proxy without a server is let in and parted with."""
    async with echoing() as target:
        pass
    async with FaultProxy(target) as proxy:
        reader, writer = await connect(proxy.authority)
        assert await reader.read() == b""
        writer.close()


async def test_nothing_is_left_when_it_is_closed() -> None:
    """Closing ends the connections that are open and the tasks that carried them."""
    async with echoing() as target:
        async with FaultProxy(target) as proxy:
            reader, writer = await connect(proxy.authority)
            writer.write(b"hello")
            await reader.readexactly(5)
        assert proxy.connections == ()
        writer.close()
