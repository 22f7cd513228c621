"""Those who want the server's attention and give nothing for it: bounded, counted, and nobody else notices.

What one socket says too much of is in test_abuse_messages.py; what happens before the application hears of a peer, in
tests/cli/test_uvicorn_protocol.py.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx2
import jwt
import pytest

from gqlink.auth import SigningKey, TokenSigner
from gqlink.protocol import Dialect, Kind
from gqlink.server import Limits
from gqlink.testing import FakeClock
from server.eventually import eventually, turns
from server.peer import BOTH, member
from server.raw import TEXT, connected, dialled, frame, let_in, starting
from server.recorder import Scene
from serving import serving

if TYPE_CHECKING:
    from gqlink.auth import Credentials, Identity
    from gqlink.server import GraphQLApp
    from server.world import World

pytestmark = pytest.mark.usefixtures("road")

MANY = 1_000


async def test_silent_sockets_are_all_closed_at_the_deadline_and_leave_nothing(world: World) -> None:
    """A thousand in both dialects: 4408, counted; meanwhile and afterwards another client is answered."""
    clock = FakeClock()
    app = world.app(clock=clock, limits=Limits(sockets_per_address=MANY + 1))
    async with serving(app) as authority, member(authority, BOTH[0]) as good, AsyncExitStack() as stack:
        silent = [
            await stack.enter_async_context(connected(authority, BOTH[number % 2].subprotocol))
            for number in range(MANY)
        ]
        assert await good.is_well()
        clock.advance(9.9)
        await turns()
        assert app.statistics().closed == {}
        clock.advance(0.1)
        assert [await raw.closed() for raw in silent] == [(4408, "Connection initialisation timeout")] * MANY
        assert await good.is_well()
        await stack.aclose()
        await eventually(lambda: _sockets(app) == 1)
        found = app.statistics()
        assert (found.closed, found.refusals) == ({4408: MANY}, {"init_seconds": MANY})
        assert found.waiting_bytes == 0
    await eventually(lambda: _sockets(app) == 0)
    assert app._host.admission.remembered == 0


async def test_a_byte_now_and_then_is_no_init(world: World, dialect: Dialect) -> None:
    """Fragments of a first message do not put the deadline off, and answers to pings do not either."""
    clock = FakeClock()
    app = world.app(clock=clock)
    async with serving(app) as authority, connected(authority, dialect.subprotocol) as raw:
        raw.writer.write(frame(TEXT, b'{"type":', final=False))
        for _ in range(9):
            clock.advance(1.0)
            raw.writer.write(frame(0, b" ", final=False))
            await turns()
        clock.advance(1.0)
        assert (await raw.closed())[0] == 4408
    await eventually(lambda: _sockets(app) == 0)


async def test_a_slow_authentication_holds_few_places_and_ends_in_time(world: World, dialect: Dialect) -> None:
    """At most `authentications` ask at a time; who waits for that waits within `init_seconds`, and nothing goes on."""
    clock = FakeClock()
    app = world.app(clock=clock, limits=Limits(authentications=2))
    async with serving(app) as authority, member(authority, dialect, "alice") as good, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(connected(authority, dialect.subprotocol)) for _ in range(20)]
        for raw in slow:
            raw.send({"type": "connection_init", "payload": {"accessToken": "slow"}})
        await eventually(lambda: world.authenticating == 2)
        await turns()
        assert world.most_authenticating == 2
        assert await good.is_well()
        clock.advance(10.0)
        assert {(await raw.closed())[0] for raw in slow} == {4408}
        assert world.authenticating == 0
        assert await good.is_well()
        await eventually(lambda: app.statistics().refusals == {"init_seconds": 20})
        async with member(authority, dialect, "bob") as late:
            assert await late.is_well()


async def test_a_storm_of_inits_is_worked_off_a_few_at_a_time(world: World, dialect: Dialect) -> None:
    """A hundred at once: each is let in, and counted; no more than `authentications` are asked about at a time."""
    app = world.app(limits=Limits(authentications=3, sockets_per_identity=100))
    async with serving(app) as authority, member(authority, dialect, "bob") as good, AsyncExitStack() as stack:
        storm = [await stack.enter_async_context(connected(authority, dialect.subprotocol)) for _ in range(100)]
        for raw in storm:
            raw.send({"type": "connection_init", "payload": {"accessToken": "alice"}})
        assert await good.is_well()
        assert {(await raw.message())["type"] for raw in storm} == {"connection_ack"}
        assert world.most_authenticating <= 3
        assert app._host.meter.authentications["socket", "accepted"] == 101
        assert await good.is_well()


async def test_a_storm_of_inits_on_one_socket_is_its_end(world: World, dialect: Dialect) -> None:
    """4429 for the second one; the others are thrown away, and nobody was asked about more than once at a time."""
    app = world.app()
    async with (
        serving(app) as authority,
        member(authority, dialect) as good,
        connected(authority, dialect.subprotocol) as raw,
    ):
        raw.send(*[{"type": "connection_init", "payload": {"accessToken": "alice"}}] * 100)
        assert (await raw.closed())[0] == 4429
        assert await good.is_well()
        await eventually(lambda: app.statistics().sockets == 1)
        assert app.statistics().closed == {4429: 1}
        assert world.most_authenticating <= 1


async def test_a_slow_authentication_over_http_shares_the_same_places(world: World, dialect: Dialect) -> None:
    """No more than `authentications` ask; who waits is told to come again, counted, and a socket goes on meanwhile."""
    app = world.app(limits=Limits(authentications=2, init_seconds=0.2))
    async with (
        serving(app) as authority,
        member(authority, dialect) as good,
        httpx2.AsyncClient(base_url=f"http://{authority}", trust_env=False) as http,
    ):
        headers = {"authorization": "Bearer slow"}
        asking = [
            asyncio.create_task(http.post("/graphql", json={"query": "{ hello }"}, headers=headers)) for _ in range(9)
        ]
        await eventually(lambda: world.authenticating == 2)
        assert await good.is_well()
        answers = [await each for each in asking]
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "1")}
        assert (world.authenticating, world.most_authenticating) == (0, 2)
        assert app._host.meter.authentications["http", "timeout"] == 9
        assert await good.is_well()


async def test_bodies_a_byte_at_a_time_hold_nobody_up(world: World, dialect: Dialect) -> None:
    """Fifty that never come whole: 408 within `init_seconds`, whatever drips in; a socket and a request go on."""
    app = world.app(limits=Limits(init_seconds=0.5))
    async with serving(app) as authority, member(authority, dialect) as good, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(dialled(authority)) for _ in range(50)]
        for raw in slow:
            head = f"Host: {authority}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
            raw.writer.write(f"POST /graphql HTTP/1.1\r\n{head}{{".encode())
        for raw in slow:
            raw.writer.write(b" ")
        assert await good.is_well()
        async with httpx2.AsyncClient(base_url=f"http://{authority}", trust_env=False) as http:
            assert (await http.post("/graphql", json={"query": "{ hello }"})).json() == {"data": {"hello": "world"}}
        heads = [await raw.reader.readuntil(b"\r\n\r\n") for raw in slow]
        assert {head.split(b" ", 2)[1] for head in heads} == {b"408"}
        assert await good.is_well()


async def test_a_flood_of_connections_gets_as_many_places_as_there_are(world: World, dialect: Dialect) -> None:
    """The others get a status, each is counted, and when they have gone everything is as before."""
    app = world.app(limits=Limits(sockets_per_address=10))
    async with serving(app) as authority, AsyncExitStack() as stack:
        async with member(authority, dialect) as good:
            statuses = []
            for _ in range(100):
                raw = await stack.enter_async_context(dialled(authority))
                statuses.append(await raw.shake_hands(authority, subprotocol=dialect.subprotocol))
            assert sorted(set(statuses)) == [101, 429]
            assert statuses.count(101) == 9
            assert await good.is_well()
            assert app.statistics().refusals == {"sockets_per_address": 91}
        await stack.aclose()
        await eventually(lambda: _sockets(app) == 0)
        async with member(authority, dialect) as late:
            assert await late.is_well()


async def test_a_flood_of_garbage_ends_its_socket_at_once(world: World, dialect: Dialect) -> None:
    """4400 for the first of ten thousand; the others are thrown away, and another client is answered."""
    app = world.app()
    async with serving(app) as authority, member(authority, dialect) as good, let_in(authority, dialect) as raw:
        raw.writer.write(frame(TEXT, b"[]") * 10_000)
        assert (await raw.closed())[0] in {4400, 1006}  # where the kernel answers the rest with a reset, it is lost
        assert await good.is_well()
        await eventually(lambda: _sockets(app) == 1)
        assert app.statistics().closed == {4400: 1}


async def test_clients_that_come_and_go_without_a_pause_leave_nothing(world: World, dialect: Dialect) -> None:
    """In each phase: before the init, while it is looked at, with operations that run."""
    app = world.app()
    async with serving(app) as authority:
        for number in range(60):
            async with connected(authority, dialect.subprotocol) as raw:
                if number % 3:
                    raw.send(
                        {"type": "connection_init", "payload": {"accessToken": "slow" if number % 3 == 1 else None}}
                    )
                if number % 3 == 2:
                    await raw.message()
                    raw.send(starting(dialect, "subscription { forever }"))
                raw.reset()
        await eventually(lambda: _sockets(app) == 0)
        await eventually(lambda: (world.authenticating, world.open_generators) == (0, 0))
        assert app._host.admission.remembered == 0


KEYS = [SigningKey("current", secrets.token_bytes(32))]


def forged(number: int) -> str:
    """Make a token whose header names a key that nobody has."""
    headers = {"kid": f"{number}-{'x' * 100}", "typ": "at+jwt"}
    return jwt.encode({"sub": "alice", "exp": 2**32}, b"x" * 32, algorithm="HS256", headers=headers)


async def test_a_flood_of_unknown_keys_is_refused_without_asking_and_remembered_nowhere(
    world: World, dialect: Dialect
) -> None:
    """The keys are a list: no name of a key leads anywhere, no signature is checked for it, nothing is kept."""
    signer = TokenSigner(KEYS, issuer="us", audience="us")

    async def authenticate(credentials: Credentials) -> Identity:
        if credentials.token is None:
            return await world.authenticate(credentials)
        return signer.verify(credentials.token, now=clock.wall())

    clock = FakeClock()
    app = world.app(clock=clock, authenticate=authenticate)
    async with serving(app) as authority, member(authority, dialect) as good:
        for number in range(100):
            async with connected(authority, dialect.subprotocol) as raw:
                raw.send({"type": "connection_init", "payload": {"accessToken": forged(number)}})
                assert await raw.closed() == (4403, "Token invalid")
        async with httpx2.AsyncClient(base_url=f"http://{authority}") as http:
            for number in range(100):
                headers = {"authorization": f"Bearer {forged(number)}"}
                answer = await http.post("/graphql", json={"query": "{ hello }"}, headers=headers)
                assert answer.status_code == 401
        assert await good.is_well()
    assert len(signer._verified) == 0
    assert app._host.meter.authentications["socket", "token_invalid"] == 100


@pytest.mark.parametrize("phase", ["opened", "authenticating", "acknowledged"])
async def test_no_task_and_one_timer_at_most_is_a_sockets_own(world: World, dialect: Dialect, phase: str) -> None:
    """What an idle socket costs is bounded, too: a timer until the ack, and then nothing that runs."""
    scene = Scene(world, dialect)
    if phase == "authenticating":
        scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "slow"})
    elif phase == "acknowledged":
        await scene.admitted()
    await scene.settle()
    assert scene.clock.timers == (0 if phase == "acknowledged" else 1)
    assert len(scene.listener.tasks) == (1 if phase == "authenticating" else 0)
    scene.listener.on_lost(1006)
    await asyncio.sleep(0)
    assert scene.clock.timers == 0
    await scene.listener.wait_ended(seconds=5)


def _sockets(app: GraphQLApp) -> int:
    """Count what still has a place, or is looked after."""
    return max(app._host.admission.sockets, app.statistics().sockets)
