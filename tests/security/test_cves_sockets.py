"""What was found in the sockets of others, asked of ours in both subprotocols; each test is named for its report."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import websockets

from gqlink.server import Limits
from server.eventually import eventually
from server.peer import codes_of, member, peer
from server.raw import TEXT, connected, dialled, frame, starting
from serving import serving

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from security.served import Production
    from server.world import World

OPERATIONS = ("{ hello }", 'mutation { add(text: "hey") }', "subscription { forever }")


@pytest.mark.parametrize("query", OPERATIONS)
async def test_cve_2026_35523_a_start_before_any_init_reaches_no_resolver(
    world: World, dialect: Dialect, query: str
) -> None:
    """One state machine guards both subprotocols: 4401, whatever is asked for."""
    async with serving(world.app()) as authority, connected(authority, dialect.subprotocol) as raw:
        raw.send(starting(dialect, query), {"type": "connection_init"})
        async with asyncio.timeout(10):
            assert await raw.closed() == (4401, "Unauthorized")

    assert world.resolved == 0
    assert world.happened == []


@pytest.mark.parametrize("query", OPERATIONS)
@pytest.mark.parametrize("token", ["slow", "bad"])
async def test_cve_2026_35523_a_start_before_the_ack_reaches_no_resolver(
    world: World, dialect: Dialect, query: str, token: str
) -> None:
    """While it is not known who somebody is, and when it turns out that they may not come in, in one TCP segment."""
    async with serving(world.app(limits=Limits(init_seconds=0.2))) as authority:
        async with connected(authority, dialect.subprotocol) as raw:
            raw.send({"type": "connection_init", "payload": {"accessToken": token}}, starting(dialect, query))
            async with asyncio.timeout(10):
                code, _ = await raw.closed()
            assert code in {4401, 4403, 4408}
        world.gate.set()

    assert world.resolved == 0
    assert world.happened == []


async def test_cve_2026_35526_the_operations_of_a_socket_are_bounded(world: World, dialect: Dialect) -> None:
    """Of 400 subscriptions a hundred run, the others get an error each; a stranger notices nothing."""
    limits = Limits(messages_per_second=10_000)
    async with AsyncExitStack() as stack:
        authority = await stack.enter_async_context(serving(world.app(limits=limits)))
        stranger = await stack.enter_async_context(member(authority, dialect))
        client = await stack.enter_async_context(member(authority, dialect))
        for number in range(400):
            await client.start("subscription { forever }", id=f"{number}")
        refused = 0
        while refused < 300:
            message = await client.receive()
            if message["type"] == "error":
                assert codes_of(message) == ["LIMIT_EXCEEDED"]
                refused += 1
        await eventually(lambda: world.open_generators == 100)
        assert await stranger.is_well()


MALFORMED: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"null",
    b"[]",
    b"5",
    b'"connection_init"',
    b"{",
    b"{}",
    b'{"type": null}',
    b'{"type": []}',
    b'{"type": {"type": "ping"}}',
    b'{"type": "unknown"}',
    b'{"type": "connection_init", "payload": []}',
    b'{"type": "connection_init", "payload": "x"}',
    b'{"type": "subscribe", "id": [], "payload": {"query": "{ hello }"}}',
    b'{"type": "start", "id": {}, "payload": {"query": "{ hello }"}}',
    b'{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}',
    b'{"type": "subscribe", "id": "' + b"i" * 5_000 + b'", "payload": {"query": "{ hello }"}}',
    b'{"type": "start", "id": "' + b"i" * 5_000 + b'", "payload": {"query": "{ hello }"}}',
    b"[" * 20_000,
    b'{"type": "ping", "payload": ' + b"[" * 20_000,
    b"\xff\xfe\xfd",
    '{"type": "\ud83d"}'.encode("utf-8", "surrogatepass"),
    b'{"type": "connection_init"' + b" " * 70_000 + b"}",
)


@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: data[:40].decode("latin-1"))
async def test_cve_2023_22477_what_is_no_message_ends_its_socket_and_nothing_else(
    world: World, dialect: Dialect, data: bytes
) -> None:
    """With a code that was meant, and never 1006; also after the ack, where a stranger has a subscription running."""
    async with serving(world.app()) as authority, member(authority, dialect) as stranger:
        for acknowledged in (False, True):
            async with connected(authority, dialect.subprotocol) as raw, asyncio.timeout(10):
                if acknowledged:
                    raw.send({"type": "connection_init"})
                    await raw.message()
                raw.writer.write(frame(TEXT, data))
                code, reason = await raw.closed()
                assert code in {1002, 1007, 1009, 4400, 4401, 4429}
                assert len(reason.encode()) <= 123
        assert await stranger.is_well()


@pytest.mark.parametrize(
    "origin",
    [
        "https://elsewhere.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://sub.127.0.0.1",
        "http://127.0.0.1.elsewhere.example",
        "HTTPS://ELSEWHERE.EXAMPLE",
        "file://",
    ],
)
async def test_cve_2026_41700_a_page_of_another_origin_opens_no_socket(
    world: World, dialect: Dialect, origin: str
) -> None:
    """403 to the handshake, cookie or not: nothing was accepted, and nobody was asked who it is."""
    async with serving(world.app(cookie="session")) as authority:
        for headers in ({}, {"Cookie": "session=alice"}):
            with pytest.raises(websockets.InvalidStatus) as caught:
                async with peer(authority, dialect, origin=origin, additional_headers=headers):
                    pass
            assert caught.value.response.status_code == 403

    assert world.most_authenticating == 0


async def test_ghsa_f53g_frr2_jhpf_a_cookie_makes_nobody_of_a_page_that_hides_where_it_is_from(
    world: World, dialect: Dialect
) -> None:
    """With a cookie an Origin must be there, and be ours; then the cookie counts."""
    headers = {"Cookie": "session=alice"}
    async with serving(world.app(cookie="session")) as authority:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with peer(authority, dialect, additional_headers=headers):
                pass
        assert caught.value.response.status_code == 403
        assert world.most_authenticating == 0
        own = f"http://{authority}"
        async with peer(authority, dialect, origin=own, additional_headers=headers) as client:
            await client.send({"type": "connection_init"})
            await client.receive()
            [answer, _] = await client.ask("{ whoami }")

    assert answer["payload"] == {"data": {"whoami": "alice"}}


@pytest.mark.parametrize("wish", ["permessage-deflate; client_max_window_bits", "x-webkit-deflate-frame", "a, b; c=d"])
async def test_a_bomb_needs_a_compression_that_the_chat_does_not_agree_to(
    production: Production, dialect: Dialect, wish: str
) -> None:
    """The wish is passed over, and a frame that says that it is compressed ends its socket, unread."""
    async with dialled(production.authority) as raw, asyncio.timeout(10):
        raw.ask_for_upgrade(production.authority, subprotocol=dialect.subprotocol, **{"Sec-WebSocket-Extensions": wish})
        head = await raw.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-extensions" not in head.lower()
        compressed = bytearray(frame(TEXT, b"x"))
        compressed[0] |= 0x40  # RSV1: RFC 7692, section 6
        raw.writer.write(bytes(compressed))
        assert (await raw.closed())[0] == 1002
