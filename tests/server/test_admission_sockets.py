"""Where a socket finds no place: at its handshake, or when it says who it is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import websockets

from gqlink.client import Client, LinkPhase, WebSocketLink
from gqlink.errors import SessionRevoked
from gqlink.protocol import Dialect, Kind, Side
from gqlink.server import Limits
from gqlink.testing import FakeClock
from server.eventually import eventually
from server.living import living, renewed
from server.peer import NEWER, member, peer
from server.raw import RawSocket, connected, dialled, frame, let_in, starting
from server.recorder import Scene
from serving import serving

if TYPE_CHECKING:
    from gqlink.client import Attempt
    from gqlink.server import GraphQLApp
    from server.world import World

pytestmark = pytest.mark.usefixtures("road")


@pytest.mark.parametrize(("limit", "status"), [("sockets", 503), ("sockets_per_address", 429)])
async def test_a_handshake_that_finds_no_place_is_told_when_to_come_again(
    world: World, dialect: Dialect, limit: str, status: int
) -> None:
    """A status, `Retry-After`, and a GraphQL error that names the limit; it is counted once."""
    app = world.app(limits=Limits(**{limit: 1}))
    async with serving(app) as authority, member(authority, dialect):
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with peer(authority, dialect):
                pass
        assert app.statistics().refusals == {limit: 1}
    response = caught.value.response
    assert (response.status_code, response.headers["retry-after"]) == (status, "5")
    [error] = json.loads(response.body or b"")["errors"]
    assert error["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": limit, "allowed": 1, "actual": 2}
    assert error["message"] == f"{limit} is limited to 1, got 2"


async def test_whoever_has_gone_leaves_the_place_to_the_next(world: World, dialect: Dialect) -> None:
    """It is the same one, over and over."""
    app = world.app(limits=Limits(sockets=1, sockets_per_address=1, sockets_per_identity=1))
    async with serving(app) as authority:
        for _ in range(3):
            async with member(authority, dialect, "alice") as client:
                assert await client.is_well()
            await eventually(lambda: app._host.admission.sockets == 0)
    assert app.statistics().refusals == {}


async def test_a_foreign_host_or_origin_is_refused_before_a_place_is_looked_for(world: World) -> None:
    """Whoever may not ask at all is told that, and nothing about how full it is."""
    app = world.app(limits=Limits(sockets=1))
    async with serving(app) as authority, member(authority, NEWER), dialled(authority) as raw:
        assert await raw.shake_hands(authority, subprotocol="graphql-ws", Origin="http://evil.example") == 403
        assert app.statistics().refusals == {}


async def test_without_a_way_to_say_it_in_http_the_socket_says_it(world: World) -> None:
    """Accepted and closed with 1013: the 403 of a handshake that is refused would be about the credential."""
    app = world.app(limits=Limits(sockets=1))
    place = app._host.admission.enter(None)
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        said.append(message)

    headers = [(b"host", b"localhost")]
    await app({"type": "websocket", "headers": headers, "subprotocols": [NEWER.subprotocol]}, receive, send)
    assert said == [
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 1013, "reason": "Try again later"},
    ]
    assert app.statistics().refusals == {"sockets": 1}
    place.leave()


async def test_one_socket_too_many_of_a_subject_is_asked_to_come_later(world: World, dialect: Dialect) -> None:
    """1013 and a reason that says so; in the legacy dialect `connection_error` first. Counted once."""
    scene = Scene(world, dialect, limits=Limits(sockets_per_identity=1))
    other = scene.host.admission.enter(None)
    other.claim("alice")
    scene.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice"})
    await scene.until(lambda: scene.close is not None)
    assert scene.close == (1013, "Too many sockets")
    assert scene.types == ([] if dialect is NEWER else ["connection_error"])
    assert scene.kinds == ["opened", "refused", "closed"]
    assert scene.app.statistics().refusals == {"sockets_per_identity": 1}


@pytest.mark.parametrize("token", ["bob", None])
async def test_others_are_let_in_meanwhile(world: World, dialect: Dialect, token: str | None) -> None:
    """Another subject, and any number of strangers."""
    scene = Scene(world, dialect, limits=Limits(sockets_per_identity=1))
    for subject in ("alice", None, None):
        scene.host.admission.enter(None).claim(subject)
    await scene.admitted(token)
    scene.listener.on_lost(1000)


async def test_a_renewal_needs_no_second_place(world: World) -> None:
    """The socket has its own, however often it is renewed."""
    scene = await living(world, NEWER, limits=Limits(sockets_per_identity=1)).admitted("alice:90")
    for seq in range(3):
        assert (await renewed(scene, "alice:90", seq=seq))["expiresIn"] == 90
    scene.place.leave()
    assert scene.host.admission.remembered == 0
    scene.listener.on_lost(1000)


async def test_our_own_client_comes_back_with_the_same_credential(world: World, dialect: Dialect) -> None:
    """A full server says nothing about who asks: the token is not refused, and is let in when there is a place."""
    attempts: list[tuple[str, str | None]] = []

    def params(attempt: Attempt) -> dict[str, object]:
        attempts.append((attempt.reason, attempt.token))
        return {"accessToken": attempt.token}

    app = world.app(limits=Limits(sockets_per_identity=1))
    clock = FakeClock()
    async with serving(app) as authority:
        link = WebSocketLink(
            f"ws://{authority}/graphql",
            connection_params=params,
            auth=lambda: "alice",
            subprotocols=[dialect.subprotocol],
            clock=clock,
        )
        async with member(authority, dialect, "alice") as first, Client(link) as client:
            asking = asyncio.create_task(client.execute("{ whoami }"))
            await eventually(lambda: app.statistics().refusals == {"sockets_per_identity": 1})
            await first.socket.close()
            await eventually(lambda: app._host.admission.sockets == 0)
            await eventually(lambda: link.state.phase is LinkPhase.WAITING)
            clock.advance(60)
            assert await asking == {"whoami": "alice"}
    assert attempts == [("first", "alice")] * 2  # neither "refused" nor "expired"


async def test_our_own_client_heeds_what_a_full_server_says(world: World, dialect: Dialect) -> None:
    """After a 503 it waits for at least as long as `Retry-After` says, and the token is not refused."""
    app = world.app(limits=Limits(sockets=1))
    clock = FakeClock(chance=0.0)
    async with serving(app) as authority:
        url = f"ws://{authority}/graphql"
        link = WebSocketLink(url, auth=lambda: "alice", subprotocols=[dialect.subprotocol], clock=clock)
        async with member(authority, dialect, "alice") as first, Client(link) as client:
            asking = asyncio.create_task(client.execute("{ whoami }"))
            await eventually(lambda: link.state.phase is LinkPhase.WAITING)
            assert link.state.retry_in == 5
            await first.socket.close()
            await eventually(lambda: app._host.admission.sockets == 0)
            clock.advance(5)
            assert await asking == {"whoami": "alice"}


ENDINGS = (
    "close",
    "abort",
    "reset",
    "terminate",
    "unread bytes",
    "garbage",
    "bad token",
    "bad header",
    "no room for the subject",
    "another subprotocol",
    "silence",
    "revoked",
    "flood",
    "stop",
)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_however_a_socket_ends_it_gives_its_places_back(world: World, dialect: Dialect, ending: str) -> None:
    """Those of the server, of the address and of the subject; nothing is remembered of who has gone."""
    limits = Limits(sockets_per_identity=1, messages_per_second=10, init_seconds=0.1 if ending == "silence" else 10)
    app = world.app(limits=limits)
    async with serving(app) as authority:
        match ending:
            case "bad header":
                async with dialled(authority) as raw:
                    await raw.shake_hands(authority, subprotocol=dialect.subprotocol, Authorization="Basic YTpi")
                    assert (await raw.closed())[0] == 4403
            case "another subprotocol":
                async with dialled(authority) as raw:
                    await raw.shake_hands(authority, subprotocol="soap")
                    assert (await raw.closed())[0] == 4406
            case "bad token" | "no room for the subject" | "silence":
                other = app._host.admission.enter(None)
                other.claim("alice")
                async with connected(authority, dialect.subprotocol) as raw:
                    if ending != "silence":
                        token = "bad" if ending == "bad token" else "alice"
                        raw.send({"type": "connection_init", "payload": {"accessToken": token}})
                    assert (await raw.closed())[0] in {4403, 4408, 1013}
                other.leave()
            case _:
                async with let_in(authority, dialect) as raw:
                    await _end(app, raw, dialect, ending)
        await eventually(lambda: app._host.admission.sockets == 0)
        assert app._host.admission.remembered == 0


async def test_a_mutation_holds_its_place_until_it_has_finished(world: World, dialect: Dialect) -> None:
    """Or a client could begin any number of them, from one socket after another."""
    app = world.app(limits=Limits(sockets_per_identity=1))
    async with serving(app) as authority:
        async with member(authority, dialect, "alice") as client:
            await client.start('mutation { slowAdd(text: "a") }')
            await eventually(lambda: world.happened == ["slowAdd begins"])
        async with peer(authority, dialect) as client:
            await client.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice"})
            assert await client.closed() == (1013, "Too many sockets")
        world.gate.set()
        await eventually(lambda: app._host.admission.sockets == 0)


async def _end(app: GraphQLApp, raw: RawSocket, dialect: Dialect, ending: str) -> None:
    """End a socket that is let in, with a subscription that runs."""
    raw.send(starting(dialect, "subscription { messages }"))
    await eventually(lambda: app.statistics().operations == 1)
    match ending:
        case "close":
            raw.writer.write(frame(8, b"\x03\xe8"))
        case "abort":
            raw.writer.transport.abort()
        case "reset":
            raw.reset()
        case "terminate":
            raw.send({"type": "connection_terminate"})
        case "unread bytes":
            raw.writer.write(b"\xff\xff\xff\xff")
        case "garbage":
            raw.send([])
        case "revoked":
            [listener] = app._host.listeners
            listener.dismiss(SessionRevoked())
        case "flood":
            raw.send(*[{"type": dialect.types[_STOP], "id": "none"}] * 30)
        case "stop":
            await app.aclose()
        case _:
            raise AssertionError(ending)


_STOP = (Side.CLIENT, Kind.COMPLETE)
