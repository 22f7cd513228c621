"""The plain loop on another ASGI server than uvicorn: whatever it does otherwise, a socket lives and ends as it should.

The transcripts are played there, too; see test_transcripts.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from gqlink.protocol import Kind
from gqlink.server import Limits
from server.eventually import eventually
from server.peer import member, peer
from server.raw import dialled, let_in, starting
from serving import HYPERCORN, by_way_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gqlink.protocol import Dialect
    from gqlink.server import SocketEvent
    from server.world import World


@pytest.fixture(autouse=True)
def hypercorn() -> Iterator[None]:
    """Serve with it."""
    with by_way_of(HYPERCORN):
        yield


async def test_the_direct_path_is_not_there_and_not_missed(world: World, dialect: Dialect) -> None:
    """Queries, mutations and subscriptions, over both transports."""
    extensions: list[Any] = []
    inner = world.app(direct=True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        extensions.append(scope.get("extensions"))
        await inner(scope, receive, send)

    async with serving(app) as authority, member(authority, dialect, "alice") as client:
        assert await client.is_well()
        await client.start("subscription { whoAmI }")
        await eventually(lambda: world.broker.statistics().subscriptions == 1)
        async with httpx2.AsyncClient() as http:
            response = await http.post(f"http://{authority}/graphql", json={"query": 'mutation { add(text: "a") }'})
        assert response.json() == {"data": {"add": "a"}}
        assert (await client.receive())["payload"] == {"data": {"whoAmI": "a alice"}}
    assert not any("gqlink.direct" in (found or {}) for found in extensions)


@pytest.mark.parametrize("leave", ["close", "abort", "reset", "terminate"])
async def test_however_a_client_leaves_nothing_of_it_stays(world: World, dialect: Dialect, leave: str) -> None:
    """Its operations end, and its place is free."""
    app = world.app()
    async with serving(app) as authority:
        async with let_in(authority, dialect) as raw:
            raw.send(starting(dialect, "subscription { forever }"))
            await eventually(lambda: world.open_generators == 1)
            match leave:
                case "close":
                    raw.writer.write(bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]))
                case "abort":
                    raw.writer.transport.abort()
                case "reset":
                    raw.reset()
                case _:
                    raw.send({"type": "connection_terminate"})
            await eventually(lambda: world.open_generators == 0)
        await eventually(lambda: app._host.admission.sockets == 0)


async def test_a_refusal_says_why(world: World, dialect: Dialect) -> None:
    """With a status before the handshake, and with a close code after it."""
    async with serving(world.app()) as authority:
        async with dialled(authority) as raw:
            status = await raw.shake_hands(authority, subprotocol="graphql-ws", Origin="http://evil.example")
            assert status == 403
        async with peer(authority, dialect) as client:
            await client.say(Kind.CONNECTION_INIT, payload={"accessToken": "bad"})
            assert await client.closed() == (4403, "Token invalid")


async def test_a_client_that_does_not_read_is_closed_and_harms_nobody(world: World, dialect: Dialect) -> None:
    """What waits for it is bounded."""
    events: list[SocketEvent] = []
    limits = Limits(stall_seconds=0.2, send_buffer_bytes=100_000, messages_per_second=100_000)
    app = world.app(limits=limits, on_socket_event=events.append)
    async with (
        serving(app) as authority,
        member(authority, dialect) as other,
        let_in(authority, dialect, receive_bytes=4096) as slow,
    ):
        slow.send(starting(dialect, "subscription { flood(bytes: 20000) }"))
        while events[-1].kind != "closed":
            assert await other.is_well()
        assert (events[-1].code, events[-1].reason) == (4490, "Slow consumer")
        assert len(world.happened) * 20_000 < 8_000_000
        slow.reset()
        await eventually(lambda: len(app._host.listeners) == 1)


async def test_a_stop_of_the_application_says_so_and_waits_for_mutations(world: World, dialect: Dialect) -> None:
    """1012 with its reason; what was asked for is done."""
    app = world.app()
    async with serving(app) as authority, let_in(authority, dialect) as raw:
        raw.send(starting(dialect, 'mutation { slowAdd(text: "a") }'))
        await eventually(lambda: world.happened == ["slowAdd begins"])
        world.gate.set()
        await app.aclose()
        assert await raw.closed() == (1012, "Service restart")
    assert "add a" in world.happened
    assert not app._host.listeners
