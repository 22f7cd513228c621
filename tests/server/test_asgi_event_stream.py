"""Event streams over a real uvicorn and real sockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from gqlink.auth import Identity
from gqlink.server import Limits
from gqlink.testing import FakeClock
from server.eventually import eventually
from server.raw import dialled
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.auth import Credentials
    from server.raw import RawSocket
    from server.world import World

CYCLES: Final = 300
AT_A_TIME: Final = 20
SUBSCRIPTIONS: Final = (
    "subscription { forever }",
    "subscription { messages }",
    "subscription { flood(bytes: 100) }",
    "{ slow }",
)
HTTP_PROTOCOLS: Final = ("httptools", "h11")


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client that takes events."""
    async with httpx2.AsyncClient(headers={"accept": "text/event-stream"}, timeout=10, trust_env=False) as client:
        yield client


def asking(authority: str, query: str, *, token: str | None = None) -> bytes:
    """Write a request for events."""
    body = json.dumps({"query": query}).encode()
    lines = [
        "POST /graphql HTTP/1.1",
        f"Host: {authority}",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def event(raw: RawSocket) -> bytes:
    """Read up to the end of the next event or comment, whatever carries it."""
    return await raw.reader.readuntil(b"\n\n")


@pytest.mark.parametrize("implementation", HTTP_PROTOCOLS)
async def test_events_come_when_they_happen_until_the_credential_ends(
    world: World, http: httpx2.AsyncClient, implementation: str
) -> None:
    """One by one, and not when the server has enough of them; the connection is good for another request."""
    clock = FakeClock()

    async def authenticate(_: Credentials) -> Identity:
        return Identity(subject="alice", expires_at=clock.wall() + 90)

    app = world.app(clock=clock, authenticate=authenticate)
    async with serving(app, http=implementation) as authority:
        url = f"http://{authority}/graphql"
        async with http.stream("POST", url, json={"query": "subscription { messages }"}) as response:
            lines = response.aiter_lines()
            assert [await anext(lines), await anext(lines)] == [":", ""]
            await eventually(lambda: world.broker.statistics().subscriptions == 1)
            for text in ("one", "two"):
                await world.messages.publish(text)
                assert await anext(lines) == "event: next"
                assert json.loads((await anext(lines)).removeprefix("data: ")) == {"data": {"messages": text}}
                assert await anext(lines) == ""
            clock.advance(90)
            left = [line async for line in lines if line not in {":", ""}]  # it was silent for a while
        error = {"message": "Token expired", "extensions": {"code": "TOKEN_EXPIRED"}}
        assert json.loads(left[1].removeprefix("data: ")) == {"errors": [error]}
        assert [left[0], *left[2:]] == ["event: next", "event: complete", "data:"]
        assert (await http.post(url, json={"query": "{ hello }"})).status_code == 200
    assert world.broker.statistics().subscriptions == 0


async def test_nothing_holds_back_what_is_compressed_elsewhere(world: World, http: httpx2.AsyncClient) -> None:
    """An application that compresses its answers still lets events through one by one."""
    app = world.app()
    parent = Starlette(routes=app.routes(), middleware=[Middleware(GZipMiddleware, minimum_size=1)])
    async with serving(parent) as authority:
        url = f"http://{authority}/graphql"
        async with http.stream("POST", url, json={"query": "subscription { forever }"}) as response:
            lines = response.aiter_lines()
            found = [await anext(lines) for _ in range(4)]
            assert found[3] == 'data: {"data":{"forever":1}}'
        await eventually(lambda: not app._host.listeners)
    assert world.happened == ["closed"]


@pytest.mark.parametrize("implementation", HTTP_PROTOCOLS)
async def test_a_stop_ends_the_answer_in_good_order_but_without_complete(
    world: World, http: httpx2.AsyncClient, implementation: str
) -> None:
    """So a client that knows the protocol asks again, and one that does not sees no broken connection."""
    app = world.app()
    async with serving(app, http=implementation) as authority:
        url = f"http://{authority}/graphql"
        async with http.stream("POST", url, json={"query": "subscription { forever }"}) as response:
            lines = response.aiter_lines()
            found = [await anext(lines) for _ in range(5)]
            await app.aclose()
            found += [line async for line in lines]
        assert "event: next" in found
        assert "event: complete" not in found


@pytest.mark.timeout(60)
async def test_hundreds_of_clients_that_break_off_leave_nothing_behind(world: World) -> None:
    """No task, no generator, no broker subscription, no file descriptor, no place."""
    app = world.app()
    async with serving(app) as authority:
        before = _held()
        places = asyncio.Semaphore(AT_A_TIME)

        async def cycle(number: int) -> None:
            async with places, dialled(authority) as raw:
                raw.writer.write(asking(authority, SUBSCRIPTIONS[number % len(SUBSCRIPTIONS)]))
                await event(raw)
                raw.reset()

        async with asyncio.TaskGroup() as group:
            for number in range(CYCLES):
                group.create_task(cycle(number))

        await eventually(lambda: not app._host.listeners and _held() == before)
        assert (world.open_generators, app._host.admission.sockets) == (0, 0)
        assert world.broker.statistics().subscriptions == 0
        assert world.happened.count("slow begins") == world.happened.count("slow cancelled")
    assert world.resolved > 0


async def test_a_client_that_does_not_read_is_bounded_and_cut_and_nobody_else_notices(world: World) -> None:
    """What waits for it is bounded, nothing is executed for it, and in the end it loses its stream."""
    app = world.app(limits=Limits(send_buffer_bytes=65_536, stall_seconds=0.3))
    async with serving(app) as authority, dialled(authority, receive_bytes=4096) as raw:
        raw.writer.write(asking(authority, "subscription { flood(bytes: 10000) }"))
        await event(raw)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined] # of a real socket
        flooded = [0]

        def is_stuck() -> bool:
            flooded.append(world.happened.count("flooded"))
            return len(flooded) > 200 and flooded[-1] == flooded[-200] > 0

        await eventually(is_stuck)
        assert app.statistics().waiting_bytes < 65_536
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})).status_code == 200
        await eventually(lambda: app.statistics().slow_consumers == 1)
        await eventually(lambda: app.statistics().event_streams == app.statistics().waiting_bytes == 0)
        assert world.open_generators == 0


async def test_a_client_that_leaves_while_its_mutation_runs_has_had_it_done(world: World) -> None:
    """Once, and to its end."""
    app = world.app()
    async with serving(app) as authority:
        async with dialled(authority) as raw:
            raw.writer.write(asking(authority, 'mutation { slowAdd(text: "a") }'))
            await eventually(lambda: world.happened == ["slowAdd begins"])
            raw.reset()
        world.gate.set()
        await eventually(lambda: not app._host.listeners)
    assert world.happened == ["slowAdd begins", "slowAdd ends", "add a"]


def _held() -> Any:
    """Count tasks and file descriptors."""
    return len(asyncio.all_tasks()), sum(1 for _ in Path("/dev/fd").iterdir())
