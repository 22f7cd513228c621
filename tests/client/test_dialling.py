"""From an address to a socket, and every way in which that can fail."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from client.chat import subscribed
from client.hands import turns
from gqlink.client import Client, WebSocketLink
from gqlink.errors import ConnectionClosed, ConnectionLost, ConnectionRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from client.peer import Peer

OPEN = "subscription { open }"


@asynccontextmanager
async def answering(text: bytes | None) -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """Run a server that answers every handshake with a text, or never; say when it was asked, and left."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            if text is None:
                await reader.read()
            else:
                writer.write(text)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", asked, gone
    finally:
        server.close()


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", ConnectionRefused, "HTTP status 404"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.invalid/\r\n\r\n", ConnectionRefused, "HTTP status 302"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", ConnectionLost, "HTTP status 503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ConnectionRefused, "unknown protocol"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ConnectionRefused, "upgrade header"),
        (b"", ConnectionLost, "broke during the handshake"),
    ],
)
async def test_every_answer_but_a_handshake_has_its_verdict(
    answer: bytes, error: type[ConnectionLost | ConnectionRefused], text: str
) -> None:
    """A redirect is not followed: it could carry the credential elsewhere."""
    async with answering(answer) as (url, _, _), Client(WebSocketLink(url, reconnect=False)) as client:
        with pytest.raises(error, match=text):
            await anext(client.subscribe(OPEN))


async def test_a_handshake_that_never_comes_is_given_up() -> None:
    """Within `connect_seconds`, and the connection does not stay open."""
    async with (
        answering(None) as (url, _, gone),
        Client(WebSocketLink(url, reconnect=False, connect_seconds=0.05)) as client,
    ):
        with pytest.raises(ConnectionLost) as lost:
            await anext(client.subscribe(OPEN))
        assert isinstance(lost.value.__cause__, TimeoutError)
        await asyncio.wait_for(gone.wait(), 2)


async def test_closing_during_the_handshake_leaves_no_connection() -> None:
    """Not even until the handshake's own time is over."""
    async with answering(None) as (url, asked, gone):
        client = Client(WebSocketLink(url))
        waiting = asyncio.ensure_future(anext(client.subscribe(OPEN)))
        await asyncio.wait_for(asked.wait(), 2)
        await client.aclose()
        with pytest.raises(ConnectionClosed):
            await waiting
        await asyncio.wait_for(gone.wait(), 2)


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'a' * 70}.example"])
async def test_a_name_that_leads_nowhere_is_told(host: str) -> None:
    """Whether it cannot be resolved or cannot be a name."""
    async with Client(WebSocketLink(f"ws://{host}/", reconnect=False)) as client:
        with pytest.raises((ConnectionLost, ConnectionRefused)):
            await anext(client.subscribe(OPEN))


async def test_a_name_with_several_addresses_is_tried_at_each(peer: Peer) -> None:
    """`localhost` may be ::1 first, where nobody listens."""
    url = peer.url.replace("127.0.0.1", "localhost")
    async with Client(WebSocketLink(url)) as client, client.subscribe(OPEN):
        await subscribed(peer)


async def test_a_proxy_carries_the_connection(peer: Peer) -> None:
    """By CONNECT; one that refuses is an address that is not there."""
    requests: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = peer.authority.partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(1000):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with Client(WebSocketLink(peer.url, proxy=address)) as client, client.subscribe(OPEN):
        await subscribed(peer)
    assert requests[0].startswith(b"CONNECT 127.0.0.1:")
    server.close()
    async with answering(b"HTTP/1.1 407 No\r\n\r\n") as (url, _, _):
        link = WebSocketLink(peer.url, proxy=url.replace("ws:", "http:"), reconnect=False)
        async with Client(link) as client:
            with pytest.raises(ConnectionLost):
                await anext(client.subscribe(OPEN))
    await turns()
