"""Proxies, TLS contexts and headers: both links take them, and no password of a proxy is ever repeated."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from client.chat import subscribed
from client.peer import Peer, Script
from client.roads import Certificate, Road, connect_proxy, socks_proxy, tls_front
from gqlink.client import Client, HttpLink, WebSocketLink
from gqlink.client.proxy_url import check_proxy
from gqlink.errors import BadUserInput, ConnectionLost, ConnectionRefused, GqlinkError, RequestFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

OPEN = "subscription { open }"
QUERY = "query { q }"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Make one for all tests."""
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=[connect_proxy, socks_proxy])
async def road(request: pytest.FixtureRequest) -> AsyncIterator[Road]:
    """Run each kind of proxy in turn."""
    proxy: Callable[[], AbstractAsyncContextManager[Road]] = request.param
    async with proxy() as road:
        yield road


@asynccontextmanager
async def http_server(requests: list[str]) -> AsyncIterator[str]:
    """Run a server that answers every request, and keeps their heads; yields the address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        answer = b'{"data": {"by": "the server"}}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.sleep(0)


async def test_a_proxy_carries_the_socket(road: Road, caplog: pytest.LogCaptureFixture) -> None:
    """By CONNECT or SOCKS5, with a password, which is in no log at any level."""
    caplog.set_level(1)
    async with (
        Peer() as peer,
        Client(WebSocketLink(peer.url, proxy=road.url)) as client,
        client.subscribe(OPEN) as events,
    ):
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
        assert road.taken == [peer.authority]
    assert not [secret for secret in road.secrets if secret in caplog.text]


async def test_a_proxy_carries_tls_to_the_server(road: Road, certificate: Certificate) -> None:
    """It is the server's certificate that counts, and the context is the link's."""
    async with Peer() as peer, tls_front(peer.authority, certificate) as address:
        link = WebSocketLink(f"wss://{address}/", proxy=road.url, ssl_context=certificate.client)
        async with Client(link) as client, client.subscribe(OPEN):
            await subscribed(peer)
        assert road.taken == [address]
        stranger = WebSocketLink(f"wss://{address}/", proxy=road.url, reconnect=False)
        async with Client(stranger) as client:
            with pytest.raises(ConnectionRefused, match="CERTIFICATE_VERIFY_FAILED"):
                await client.execute(QUERY)


async def test_a_proxy_that_refuses_is_told_without_its_password(road: Road, caplog: pytest.LogCaptureFixture) -> None:
    """In the error, in the state and in every log; it may be another day's configuration, so it is tried again."""
    caplog.set_level(1)
    async with Peer() as peer:
        link = WebSocketLink(peer.url, proxy=road.stranger, reconnect=False)
        async with Client(link) as client:
            with pytest.raises(ConnectionLost) as lost:
                await client.execute(QUERY)
        assert peer.sockets == []
    said = f"{lost.value} {lost.value!r} {lost.value.__cause__!r} {link.state} {caplog.text}"
    assert not [secret for secret in road.secrets if secret in said]


async def test_a_proxy_that_is_not_there_is_a_server_that_is_not_there() -> None:
    """Nobody listens; the server is not asked in another way."""
    async with Peer() as peer, Client(WebSocketLink(peer.url, proxy="http://127.0.0.1:9", reconnect=False)) as client:
        with pytest.raises(ConnectionLost):
            await client.execute(QUERY)
        assert peer.sockets == []


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hidden@",
        "ftp://me:hidden@proxy:1",
        "me:hidden@proxy",
        "http://me:hidden@proxy:99999",
        "//me:hidden@p",
    ],
)
async def test_what_is_no_proxy_is_told_without_its_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """By either link, before anything is sent."""
    caplog.set_level(1)
    with pytest.raises(BadUserInput) as told:
        check_proxy(url)
    with pytest.raises(BadUserInput) as refused:
        HttpLink("http://server.invalid/", proxy=url)
    with pytest.raises(GqlinkError) as failed:
        async with Client(WebSocketLink("ws://server.invalid/", proxy=url, reconnect=False)) as client:
            await client.execute(QUERY)
    assert "hidden" not in f"{told.value!r} {refused.value!r} {failed.value!r} {failed.value.__cause__!r} {caplog.text}"


async def test_a_server_that_is_not_trusted_is_told_and_not_tried_again(certificate: Certificate) -> None:
    """The error says that it is about the certificate; with a context that trusts it, all is well."""
    async with Peer() as peer, tls_front(peer.authority, certificate) as address:
        async with Client(WebSocketLink(f"wss://{address}/")) as client:
            with pytest.raises(ConnectionRefused, match=r"CERTIFICATE_VERIFY_FAILED.*self-signed"):
                await client.execute(QUERY)
        async with Client(HttpLink(f"https://{address}/")) as client:
            with pytest.raises(RequestFailed, match=r"CERTIFICATE_VERIFY_FAILED.*self-signed"):
                await client.execute(QUERY)
        link = WebSocketLink(f"wss://{address}/", ssl_context=certificate.client)
        async with Client(link) as client, client.subscribe(OPEN):
            await subscribed(peer)


async def test_a_certificate_for_another_name_is_not_trusted(certificate: Certificate) -> None:
    """Though who signed it is."""
    async with Peer() as peer, tls_front(peer.authority, certificate) as address:
        elsewhere = address.replace("127.0.0.1", "127.1")
        async with Client(WebSocketLink(f"wss://{elsewhere}/", ssl_context=certificate.client)) as client:
            with pytest.raises(ConnectionRefused, match="CERTIFICATE_VERIFY_FAILED"):
                await client.execute(QUERY)


async def test_headers_go_with_the_handshake_and_with_every_request() -> None:
    """A mapping or a function, on either link."""
    requests: list[str] = []
    given = {"x-tenant": "blue"}
    async with Peer(Script()) as peer, http_server(requests) as address:
        async with Client(WebSocketLink(peer.url, headers=given)) as client, client.subscribe(OPEN):
            await subscribed(peer)
        async with Client(HttpLink(f"http://{address}/", headers=lambda: given)) as client:
            await client.execute(QUERY)
    assert peer.headers[0]["x-tenant"] == "blue"
    assert "\r\nx-tenant: blue\r\n" in requests[0]


async def test_a_proxy_carries_requests(caplog: pytest.LogCaptureFixture, certificate: Certificate) -> None:
    """Plain ones by their URL, TLS by CONNECT; the password of the proxy is for the proxy only, and in no log."""
    caplog.set_level(1)
    requests: list[str] = []
    async with connect_proxy() as road, http_server(requests) as plain, tls_front(plain, certificate) as address:
        async with Client(HttpLink("http://server.invalid/graphql", proxy=road.url)) as client:
            assert await client.execute(QUERY) == {"by": "the proxy"}
        async with Client(HttpLink(f"https://{address}/", proxy=road.url, ssl_context=certificate.client)) as client:
            assert await client.execute(QUERY) == {"by": "the server"}
        async with Client(HttpLink(f"https://{address}/", proxy=road.stranger)) as client:
            with pytest.raises(RequestFailed, match="407") as refused:
                await client.execute(QUERY)
        assert road.taken == ["http://server.invalid/graphql", address, address]
    said = f"{refused.value!r} {refused.value.__cause__!r} {requests} {caplog.text}"
    assert not [secret for secret in road.secrets if secret in said]


def test_a_socks_proxy_for_requests_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one is said at once, not with the first request."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(BadUserInput, match="socksio"):
        HttpLink("http://server.invalid/", proxy="socks5://proxy:1080")


@pytest.mark.parametrize("url", ["socks5://me:hidden@proxy:1080", "ftp://me:hidden@proxy"])
async def test_a_proxy_of_the_environment_that_cannot_be_used_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an error of ours, without its password."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", url)
    async with Client(HttpLink("http://server.invalid/")) as client:
        with pytest.raises(BadUserInput, match="proxy of the environment") as told:
            await client.execute(QUERY)
    assert "hidden" not in f"{told.value!r} {told.value.__cause__!r}"
