"""What was found in the HTTP of others, asked of ours; each test is named for its report."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette

from gqlink.cli.uvicorn_protocol import bounded_protocols
from gqlink.server import Limits
from security.cop import FOREIGN
from security.roads import HttpRoad
from server.raw import dialled
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.protocol import Dialect
    from server.raw import RawSocket
    from server.world import World

BODY = json.dumps({"query": 'mutation { add(text: "hey") }'}).encode()


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain; charset=utf-8",
        "text/plain; application/json",
        "text/plain; a=application/json",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; application/json",
        "multipart/form-data; boundary=application/json",
        "application/jsonp",
        "application/json, text/plain",
        "text/plain, application/json",
        "application/graphql",
        "APPLICATION/X-WWW-FORM-URLENCODED",
    ],
)
async def test_cve_2025_64166_only_json_is_a_request(world: World, content_type: str | None) -> None:
    """What any page may send unasked, however its type is written: 415, and no resolver has run."""
    headers = {} if content_type is None else {"content-type": content_type}
    async with serving(world.app()) as authority:
        answer = await HttpRoad(authority).send("POST", content=BODY, headers=headers)

    assert answer.status == 415
    assert world.resolved == 0


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON ; charset=UTF-8"])
async def test_cve_2025_64166_json_is_one_from_our_own_page_only(world: World, content_type: str) -> None:
    """However it is written, it is taken; from a page of another site it is not, although a script may name it."""
    async with serving(world.app()) as authority:
        headers = {"content-type": content_type}
        foreign = await HttpRoad(authority).send("POST", content=BODY, headers=headers, origin=FOREIGN)
        assert (foreign.status, world.resolved) == (403, 0)
        own = await HttpRoad(authority).send("POST", content=BODY, headers=headers, origin=f"http://{authority}")

    assert own.data == {"add": "hey"}


async def test_cve_2025_62727_a_page_is_served_whole_whatever_ranges_are_asked_for(world: World) -> None:
    """Thousands of ranges that overlap: they are not even read, which RFC 9110, section 14.2, allows."""
    app = world.app(playground=True)
    for ranges in ("bytes=0-1", "bytes=" + ",".join(f"{first}-" for first in range(8_000))):
        async with (
            serving(Starlette(routes=app.routes("/graphql"))) as authority,
            httpx2.AsyncClient(trust_env=False) as http,
        ):
            url = f"http://{authority}/playground/"
            whole, asked = await http.get(url), await http.get(url, headers={"range": ranges})
        assert (asked.status_code, asked.content) == (whole.status_code, whole.content)
        assert "content-range" not in asked.headers


@asynccontextmanager
async def bounded(world: World) -> AsyncIterator[str]:
    """Serve as `gqlink serve` does."""
    http, ws = bounded_protocols(Limits())
    async with serving(world.app(), http=http, ws=ws) as authority:
        yield authority
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"http://{authority}/graphql", json={"query": "{ hello }"})
        assert answer.json() == {"data": {"hello": "world"}}


async def refused(raw: RawSocket, *parts: bytes) -> bytes:
    """Send what should be too much, and return what comes until the connection ends."""
    for part in parts:
        raw.writer.write(part)
    async with asyncio.timeout(10):
        try:
            return await raw.reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("upgrade", [False, True], ids=["request", "handshake"])
async def test_cve_2024_37890_too_many_fields_are_no_request(world: World, *, upgrade: bool) -> None:
    """A hundred are enough for everybody: one more ends the connection, and others notice nothing."""
    connection = "Upgrade: websocket\r\nConnection: Upgrade\r\n" if upgrade else ""
    async with bounded(world) as authority, dialled(authority) as raw:
        fields = "".join(f"x-{number}: 1\r\n" for number in range(100))
        head = f"GET /graphql HTTP/1.1\r\nHost: {authority}\r\n{connection}{fields}\r\n"
        assert (await refused(raw, head.encode())).startswith(b"HTTP/1.1 400 ")


async def test_a_head_is_as_long_as_it_may_be_and_no_longer(world: World) -> None:
    """One field of any length, an address of any length: what is kept of them is bounded."""
    async with bounded(world) as authority:
        for start in (b"GET /graphql HTTP/1.1\r\nx: ", b"GET /graphql?query="):
            async with dialled(authority) as raw:
                assert b"200" not in await refused(raw, start, *[b"a" * 65_536] * 4)
        async with dialled(authority) as raw:
            fields = "".join(f"x-{number}: {'a' * 900}\r\n" for number in range(30))
            raw.writer.write(f"GET /graphql?query=%7Bhello%7D HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n".encode())
            assert (await raw.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "offered",
    [
        "graphql-transport-ws" + " " * 30_000 + "x",
        "," * 30_000,
        "\t ," * 10_000,
        "a" * 30_000,
        ", ".join(f"soap-{number}" for number in range(3_000)),
    ],
    ids=["spaces", "commas", "blanks", "one long name", "many names"],
)
async def test_cve_2021_32640_a_long_list_of_subprotocols_is_read_in_one_pass(world: World, offered: str) -> None:
    """It is refused, or finds nothing in common: 4406; nobody waits meanwhile, and nobody after."""
    async with bounded(world) as authority, dialled(authority) as raw:
        async with asyncio.timeout(10):
            status = await raw.shake_hands(authority, subprotocol=offered)
            assert status in {101, 400, 431}
            if status == 101:
                assert await raw.closed() == (4406, "Subprotocol not acceptable")


@pytest.mark.parametrize("field", ["x", "Sec-WebSocket-Protocol", "Cookie"])
async def test_a_handshake_whose_head_is_too_large_is_answered(world: World, field: str) -> None:
    """The head may pass as one of HTTP, and be too large for the WebSocket library: then too nobody stays for ever."""
    async with bounded(world) as authority, dialled(authority) as raw:
        async with asyncio.timeout(10):
            assert await raw.shake_hands(authority, subprotocol=None, **{field: "a" * 9_000}) in {400, 431}
            assert b"HTTP" not in await raw.reader.read()


HOSTILE_FIELDS: tuple[dict[str, bytes], ...] = (
    {"sec-websocket-protocol": "graphql-transport-ws, пример".encode()},
    {"sec-websocket-protocol": b"\xff\xfe\xfd"},
    {"sec-websocket-protocol": b"graphql-ws\x00"},
    {"sec-websocket-key": b"\xff" * 24},
    {"sec-websocket-key": b""},
    {"sec-websocket-version": b"\xf0\x9f\x92\xa9"},
    {"sec-websocket-extensions": b"permessage-deflate; \xff=" + b"1" * 5_000},
    {"origin": b"http://\xff.example"},
    {"origin": "http://пример.example".encode()},
    {"cookie": b"session=\xff\xfe; ; =; a"},
    {"authorization": b"Bearer \xff\xfe"},
    {"host": b"\xff"},
    {"x-forwarded-for": b"\xff, ::1, 999.999.999.999"},
    {"traceparent": b"\xff" * 55},
)


@pytest.mark.parametrize("fields", HOSTILE_FIELDS, ids="-".join)
async def test_granians_advisory_no_bytes_in_a_handshake_end_the_worker(
    world: World, dialect: Dialect, fields: dict[str, bytes]
) -> None:
    """Whatever stands in a field, the answer is a status or a close, and the next one is served."""
    async with bounded(world) as authority, dialled(authority) as raw:
        base = {
            "host": authority.encode(),
            "upgrade": b"websocket",
            "connection": b"Upgrade",
            "sec-websocket-version": b"13",
            "sec-websocket-key": b"AAAAAAAAAAAAAAAAAAAAAA==",
            "sec-websocket-protocol": dialect.subprotocol.encode(),
        }
        lines = b"".join(b"%s: %s\r\n" % (name.encode(), value) for name, value in {**base, **fields}.items())
        raw.writer.write(b"GET /graphql HTTP/1.1\r\n" + lines + b"\r\n")
        async with asyncio.timeout(10):
            head = await raw.reader.readuntil(b"\r\n\r\n")
        assert int(head.split(b" ", 2)[1]) in {101, 400, 403, 426, 401}
