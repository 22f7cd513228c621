"""The plain ASGI loop under a real uvicorn, and under a server of ours where a real one cannot be made to misbehave."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import websockets

from gqlink.auth import Identity
from gqlink.protocol import Kind
from gqlink.server import Context, Limits, asgi_socket, send_queue
from gqlink.server.listener import TURN_COST
from gqlink.testing import FakeClock
from server.eventually import eventually, turns
from server.peer import LEGACY, NEWER, member, peer
from server.raw import dialled, let_in, starting
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.protocol import Dialect
    from gqlink.server import GraphQLApp, SocketEvent, Transport
    from server.world import World

pytestmark = pytest.mark.usefixtures("road")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["graphql-transport-ws"], "graphql-transport-ws"),
        (["graphql-ws"], "graphql-ws"),
        (["graphql-ws", "graphql-transport-ws"], "graphql-transport-ws"),
        (["graphql-transport-ws", "graphql-ws"], "graphql-transport-ws"),
        (["soap", "graphql-ws"], "graphql-ws"),
    ],
)
async def test_the_newer_subprotocol_is_preferred(world: World, offered: list[str], chosen: str) -> None:
    """Whatever the client's order."""
    async with serving(world.app()) as authority, peer(authority, NEWER, offered=offered) as client:
        assert client.socket.subprotocol == chosen


@pytest.mark.parametrize("offered", [[], ["soap"], ["GRAPHQL-WS"]])
async def test_without_a_common_subprotocol_the_socket_is_closed_with_4406(world: World, offered: list[str]) -> None:
    """It is accepted first, because only an accepted socket can say why."""
    async with serving(world.app()) as authority, dialled(authority) as raw:
        assert await raw.shake_hands(authority, subprotocol=", ".join(offered) or None) == 101
        assert await raw.closed() == (4406, "Subprotocol not acceptable")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 400),
        ({"Host": "localhost.evil.example"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://chat.example"}, 101),
        ({"Origin": "HTTP://CHAT.EXAMPLE"}, 101),
        ({"Cookie": "session=alice"}, 403),
        ({"Cookie": "session=alice", "Origin": "http://evil.example"}, 403),
        ({"Cookie": "session=alice", "Origin": "http://chat.example"}, 101),
        ({"Cookie": "other=alice"}, 101),
        ({}, 101),
    ],
)
async def test_a_handshake_from_elsewhere_is_refused(world: World, headers: dict[str, str], status: int) -> None:
    """With the HTTP status that says why, before anything is accepted."""
    events: list[SocketEvent] = []
    app = world.app(cookie="session", allowed_origins=["http://chat.example"], on_socket_event=events.append)
    async with serving(app) as authority, dialled(authority) as raw:
        assert await raw.shake_hands(authority, subprotocol="graphql-ws", **headers) == status
        assert bool(events) is (status == 101)


async def test_a_refused_handshake_says_what_to_do(world: World) -> None:
    """In JSON, as any other answer."""
    async with serving(world.app()) as authority:
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with peer(authority, NEWER, origin="http://evil.example"):
                pass
    body = json.loads(caught.value.response.body or b"")
    assert body == {"errors": [{"message": "This Origin is not allowed; it can be added to allowed_origins."}]}


async def test_a_cookie_says_who_somebody_is(world: World, dialect: Dialect) -> None:
    """With an Origin that is allowed; an explicit null is anonymous even beside it."""
    async with serving(world.app(cookie="session")) as authority:
        headers = {"cookie": "session=alice", "origin": f"http://{authority}"}
        async with peer(authority, dialect, additional_headers=headers) as client:
            await client.say(Kind.CONNECTION_INIT)
            assert (await client.receive())["payload"]["gqlink"]["subject"] == "alice"
        async with peer(authority, dialect, additional_headers=headers) as client:
            await client.say(Kind.CONNECTION_INIT, payload={"accessToken": None})
            assert (await client.receive())["payload"]["gqlink"]["subject"] is None


async def test_a_malformed_header_is_refused_like_any_credential(world: World, dialect: Dialect) -> None:
    """The socket is accepted and closed with 4403, and the application hears of it."""
    events: list[SocketEvent] = []
    async with serving(world.app(on_socket_event=events.append)) as authority:
        async with peer(authority, dialect, additional_headers={"authorization": "Basic YTpi"}) as client:
            assert await client.closed() == (4403, "Token invalid")
        assert [event.kind for event in events] == ["opened", "refused", "closed"]


async def test_the_context_knows_how_an_operation_came(world: World, dialect: Dialect) -> None:
    """Address, headers without secrets, subprotocol and number of the socket."""
    seen: list[Any] = []

    def build(identity: Identity, transport: Transport) -> object:
        seen.append(transport)
        return Context(identity, transport)

    app = world.app(context=build)
    headers = {"authorization": "Bearer alice", "cookie": "a=b", "x-request-id": "7"}
    async with serving(app) as authority, member(authority, dialect, "alice", additional_headers=headers) as client:
        await client.ask("{ whoami }")
    [transport] = seen
    assert (transport.kind, transport.subprotocol, transport.socket) == ("websocket", dialect.subprotocol, 1)
    assert transport.client.startswith("127.0.0.1:")
    assert transport.headers["x-request-id"] == "7"
    assert not {"authorization", "cookie"} & set(transport.headers)


request_id: ContextVar[str] = ContextVar("request_id", default="none")


async def test_what_middleware_put_into_the_context_is_there(world: World, dialect: Dialect) -> None:
    """For each operation of the socket, however late, and for nobody else's."""
    seen: list[str] = []
    numbers = iter(range(1, 10))

    def build(identity: Identity, transport: Transport) -> object:
        seen.append(request_id.get())
        request_id.set("changed by an operation")
        return Context(identity, transport)

    inner = world.app(context=build)

    async def numbering(scope: Any, receive: Any, send: Any) -> None:
        request_id.set(f"{next(numbers)}")
        await inner(scope, receive, send)

    async with (
        serving(numbering, lifespan="off") as authority,
        member(authority, dialect) as one,
        member(authority, dialect) as other,
    ):
        for client in (one, other, one, other):
            assert await client.is_well()
    assert seen == ["1", "2", "1", "2"]


async def test_a_slow_query_holds_up_neither_pings_nor_ends(world: World, dialect: Dialect) -> None:
    """Over a real socket: the reading goes on."""
    async with serving(world.app()) as authority, member(authority, dialect) as client:
        await client.start("{ slow }", id="slow")
        assert await client.is_well()
        if dialect is NEWER:
            await client.say(Kind.PING)
            assert (await client.receive())["type"] == "pong"
        await client.stop("slow")
        await eventually(lambda: "slow cancelled" in world.happened)


@pytest.mark.parametrize("leave", ["close", "abort", "reset", "terminate"])
async def test_however_a_client_leaves_nothing_of_it_stays(world: World, dialect: Dialect, leave: str) -> None:
    """A close, a lost connection, a TCP reset, and the legacy dialect's own word end everything."""
    app = world.app()
    async with serving(app) as authority, let_in(authority, dialect) as raw:
        for number, query in enumerate(("{ slow }", "subscription { forever }", "subscription { messages }")):
            raw.send(starting(dialect, query, id=str(number)))
        await eventually(lambda: world.broker.statistics().subscriptions == 1)
        match leave:
            case "close":
                raw.writer.write(bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]))
            case "abort":
                raw.writer.transport.abort()
            case "reset":
                raw.reset()
            case "terminate":
                raw.send({"type": "connection_terminate"})
        await eventually(lambda: not app._host.listeners)
        assert (world.open_generators, world.broker.statistics().subscriptions) == (0, 0)
        assert "slow cancelled" in world.happened


async def test_a_mutation_outlives_its_client(world: World, dialect: Dialect) -> None:
    """A TCP reset does not undo what was asked for, and nobody is told the answer."""
    async with serving(world.app()) as authority:
        async with member(authority, dialect) as client:
            await client.start('mutation { slowAdd(text: "a") }')
            await eventually(lambda: world.happened == ["slowAdd begins"])
            client.reset()
        await turns()
        world.gate.set()
        await eventually(lambda: "add a" in world.happened)


async def test_a_mutation_that_takes_too_long_ends(world: World, dialect: Dialect) -> None:
    """Nothing runs for ever: `execution_seconds` hold for mutations too."""
    app = world.app(limits=Limits(execution_seconds=0.05))
    async with serving(app) as authority, member(authority, dialect) as client:
        answer, _ = await client.ask('mutation { slowAdd(text: "a") }')
    assert answer["payload"]["data"] is None
    [error] = answer["payload"]["errors"]
    assert error["extensions"] == {
        "code": "LIMIT_EXCEEDED",
        "limit": "execution_seconds",
        "allowed": 0.05,
        "actual": None,
    }
    assert world.happened == ["slowAdd begins", "slowAdd cancelled"]


@pytest.mark.parametrize("with_lifespan", ["on", "off"])
async def test_a_stop_of_the_server_ends_everything_but_mutations(
    world: World, dialect: Dialect, with_lifespan: str
) -> None:
    """The client reads 1012; a mutation finishes, also where a mounted application gets no lifespan."""
    app = world.app()
    async with AsyncExitStack() as stack:
        async with serving(app, lifespan=with_lifespan) as authority:
            client = await stack.enter_async_context(let_in(authority, dialect))
            queries = ("subscription { forever }", "subscription { messages }", 'mutation { slowAdd(text: "a") }')
            for number, query in enumerate(queries):
                client.send(starting(dialect, query, id=str(number)))
            await eventually(lambda: "slowAdd begins" in world.happened)

            async def open_gate() -> None:
                await client.closed()
                world.happened.append("the client was closed")
                world.gate.set()

            opening = asyncio.create_task(open_gate())
        await opening
    assert world.happened.index("the client was closed") < world.happened.index("slowAdd ends")
    assert "add a" in world.happened
    assert (world.open_generators, world.broker.statistics().subscriptions) == (0, 0)
    assert not app._host.listeners


async def test_a_stop_of_the_application_says_so(world: World, dialect: Dialect) -> None:
    """Where the parent's lifespan ends before the server's sockets, the reason is ours."""
    app = world.app()
    async with serving(app) as authority, member(authority, dialect) as client:
        await client.start("subscription { forever }")
        await client.receive()
        await app.aclose()
        assert await client.closed() == (1012, "Service restart")
        assert world.open_generators == 0
        async with peer(authority, dialect) as late:
            assert await late.closed() == (1012, "Service restart")


LIMITS = Limits(stall_seconds=0.2, send_buffer_bytes=100_000, messages_per_second=100_000)


async def test_a_client_that_does_not_read_is_closed_and_harms_nobody(world: World, dialect: Dialect) -> None:
    """What waits for it is bounded, it gets 4490 after `stall_seconds`, and the others go on meanwhile."""
    events: list[SocketEvent] = []
    app = world.app(limits=LIMITS, on_socket_event=events.append)
    async with (
        serving(app) as authority,
        member(authority, dialect) as other,
        let_in(authority, dialect, receive_bytes=4096) as slow,
    ):
        slow.send(starting(dialect, "subscription { flood(bytes: 20000) }"))
        while events[-1].kind != "closed":
            assert await other.is_well()
        assert (events[-1].code, events[-1].reason) == (4490, "Slow consumer")
        await eventually(lambda: world.open_generators == 0)
        assert len(world.happened) * 20_000 < 8_000_000  # the kernel's buffers, uvicorn's, and ours
        # It reads again before everybody has given up on it, and learns why.
        assert await slow.closed() == (4490, "Slow consumer")
        assert await other.is_well()


async def test_a_client_that_never_reads_again_leaves_nothing_behind(world: World) -> None:
    """Nobody waits for it longer than a moment."""
    app = world.app(limits=LIMITS)
    async with serving(app) as authority, let_in(authority, NEWER, receive_bytes=4096) as slow:
        slow.send(starting(NEWER, "subscription { flood(bytes: 20000) }"))
        await eventually(lambda: world.open_generators == 1)
        await eventually(lambda: not app._host.listeners)
        assert world.open_generators == 0
        slow.reset()


async def test_a_client_that_asks_without_reading_is_bounded(world: World) -> None:
    """Its messages are read only as fast as it takes the answers."""
    events: list[SocketEvent] = []
    app = world.app(limits=LIMITS, on_socket_event=events.append)
    async with serving(app) as authority, let_in(authority, LEGACY, receive_bytes=4096) as slow:
        slow.send(*(starting(LEGACY, "{ blob(bytes: 20000) }", id=str(n)) for n in range(2000)))
        await eventually(lambda: not app._host.listeners)
        assert (events[-1].code, events[-1].reason) == (4490, "Slow consumer")
        assert world.resolved * 20_000 < 8_000_000  # the kernel's buffers, uvicorn's, and ours
        slow.reset()


async def test_a_burst_of_one_client_does_not_keep_others_waiting(world: World, dialect: Dialect) -> None:
    """However many messages lie in one segment, the event loop turns in between."""
    async with (
        serving(world.app()) as authority,
        member(authority, dialect) as other,
        let_in(authority, dialect) as busy,
    ):
        bad = [starting(dialect, f"{{ nope{n} }}", id=str(n)) for n in range(200)]
        busy.send(*bad)
        before = world.resolved
        await other.start("{ hello }")
        assert (await other.receive())["type"] == "next"
        assert world.resolved == before + 1
        for _ in bad:
            assert (await busy.message())["type"] == "error"


class Server:
    """An ASGI server of ours, for what a real one does only by accident."""

    def __init__(self, dialect: Dialect) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.failing: Exception | None = None
        self.polite = True
        self.reading = asyncio.Event()
        """Whether the client takes what is sent; a frame that was begun waits for it."""
        self.reading.set()
        self.scope = {
            "type": "websocket",
            "headers": [(b"host", b"localhost")],
            "client": None,
            "subprotocols": [dialect.subprotocol],
        }
        self.incoming.put_nowait({"type": "websocket.connect"})

    async def receive(self) -> dict[str, Any]:
        """Give the next message."""
        return await self.incoming.get()

    async def send(self, message: Any) -> None:
        """Take a message, or fail."""
        await self.reading.wait()
        if self.failing:
            raise self.failing
        self.sent.append(message)
        if self.polite and message["type"] == "websocket.close":
            self.incoming.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    def say(self, message: object) -> None:
        """Let the client say something."""
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})


async def test_what_a_burst_costs_is_spread_over_turns(world: World, dialect: Dialect) -> None:
    """Queries that are quick to read and slow to answer do not hold the event loop for all of them."""
    query = f"{{ {' '.join(f'f{number}: hello' for number in range(20))} }}"
    server = Server(dialect)
    server.say({"type": "connection_init"})
    running = asyncio.create_task(world.app()(server.scope, server.receive, server.send))
    await eventually(lambda: len(server.sent) == 2)
    for number in range(50):
        server.say(starting(dialect, query, id=str(number)))

    in_one_turn = []
    while world.resolved < 50 * 20:
        before = world.resolved
        await asyncio.sleep(0)
        in_one_turn.append(world.resolved - before)
    assert 20 < max(in_one_turn) <= TURN_COST + 2 * 20

    server.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await running


async def test_a_peer_that_is_gone_before_the_handshake_is_answered_is_no_error(world: World, dialect: Dialect) -> None:
    """ASGI servers raise an `OSError` then."""
    server = Server(dialect)
    server.failing = ConnectionResetError("gone")
    await world.app()(server.scope, server.receive, server.send)
    assert server.sent == []


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("Unexpected ASGI message after close")])
async def test_a_send_after_the_peer_is_gone_ends_quietly(world: World, dialect: Dialect, error: Exception) -> None:
    """Every ASGI server has an exception of its own for that."""
    server = Server(dialect)
    app = world.app()
    serving = asyncio.create_task(app(server.scope, server.receive, server.send))
    server.say({"type": "connection_init"})
    await eventually(lambda: len(server.sent) == 2)
    server.failing = error
    server.say(starting(dialect, "{ hello }"))
    await eventually(lambda: world.resolved == 1)
    server.incoming.put_nowait({"type": "websocket.disconnect"})
    await serving
    assert not app._host.listeners


async def test_a_peer_that_does_not_answer_the_close_is_left_within_a_second(world: World) -> None:
    """The application returns, which makes the server drop the transport."""
    server = Server(NEWER)
    server.polite = False
    server.say(5)
    began_at = asyncio.get_running_loop().time()
    await world.app()(server.scope, server.receive, server.send)
    assert server.sent[-1]["type"] == "websocket.close"
    assert server.sent[-1]["code"] == 4400
    assert 0.9 < asyncio.get_running_loop().time() - began_at < 10


@asynccontextmanager
async def falling_behind(world: World, dialect: Dialect, **options: Any) -> AsyncIterator[tuple[GraphQLApp, Server]]:
    """Serve alice, who listens and takes nothing any more: three events wait, the first of them half sent."""
    server = Server(dialect)
    app = world.app(**options)
    serving = asyncio.create_task(app(server.scope, server.receive, server.send))
    server.say({"type": "connection_init", "payload": {"accessToken": "alice"}})
    await eventually(lambda: len(server.sent) == 2)
    server.say(starting(dialect, "subscription { messages }"))
    await eventually(lambda: world.broker.statistics().subscriptions == 1)
    server.sent.clear()
    server.reading.clear()
    for text in ("one", "two", "three"):
        await world.messages.publish(text)
    await turns(50)
    yield app, server
    async with asyncio.timeout(10):
        await serving
    assert not app._host.listeners


def texts_of(server: Server) -> list[str]:
    """Return what was sent: an event's text, a message's type, or the reason of a close."""
    said = []
    for frame in server.sent:
        message = json.loads(frame["text"]) if "text" in frame else {"payload": frame["reason"]}
        payload = message["payload"]
        said.append(payload["data"]["messages"] if "data" in payload else message.get("type", payload))
    return said


async def test_nobody_receives_what_waits_for_whom_they_are_no_longer(world: World, dialect: Dialect) -> None:
    """After a revocation only what was half sent goes on, and then the close comes."""
    async with falling_behind(world, dialect) as (app, server):
        await app.revoke(subject="alice")
        await turns(50)
        server.reading.set()
    legacy = ["connection_error"] if dialect is LEGACY else []
    assert texts_of(server) == ["one", *legacy, "Session revoked"]


async def test_what_was_sent_before_the_end_of_a_token_still_leaves(world: World, dialect: Dialect) -> None:
    """The last event before the moment is delivered, to a client that takes it within a second."""
    clock = FakeClock()

    async def authenticate(_: object) -> Identity:
        return Identity("alice", expires_at=clock.wall() + 90)

    async with falling_behind(world, dialect, clock=clock, authenticate=authenticate) as (_, server):
        clock.advance(90)
        await world.messages.publish("too late")
        server.reading.set()
    legacy = ["connection_error"] if dialect is LEGACY else []
    assert texts_of(server) == ["one", "two", "three", *legacy, "Token expired"]


async def test_a_revocation_after_the_end_of_a_token_drops_what_still_waits(world: World, dialect: Dialect) -> None:
    """The close that was written stays."""
    clock = FakeClock()

    async def authenticate(_: object) -> Identity:
        return Identity("alice", expires_at=clock.wall() + 90)

    async with falling_behind(world, dialect, clock=clock, authenticate=authenticate) as (app, server):
        clock.advance(90)
        await app.revoke(subject="alice")
        server.reading.set()
    legacy = ["connection_error"] if dialect is LEGACY else []
    assert texts_of(server) == ["one", *legacy, "Token expired"]


@pytest.mark.parametrize("how", ["revoked", "expired", "stopped"])
async def test_a_client_that_takes_nothing_is_left_a_second_after_any_close(
    world: World, dialect: Dialect, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The close waits behind what is half sent; `stall_seconds` have no say in it."""
    for module in (asgi_socket, send_queue):
        monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.05)
    clock = FakeClock()

    async def authenticate(_: object) -> Identity:
        return Identity("alice", expires_at=clock.wall() + 90)

    options = {"clock": clock, "authenticate": authenticate, "limits": Limits(stall_seconds=1000)}
    async with falling_behind(world, dialect, **options) as (app, server):
        match how:
            case "revoked":
                await app.revoke(subject="alice")
            case "expired":
                clock.advance(90)
            case "stopped":
                await app.aclose()
    assert server.sent == []


async def test_a_cancelled_application_leaves_nothing_behind(world: World, dialect: Dialect) -> None:
    """That is how a server that is in a hurry ends it."""
    server = Server(dialect)
    app = world.app()
    serving = asyncio.create_task(app(server.scope, server.receive, server.send))
    server.say({"type": "connection_init"})
    await eventually(lambda: len(server.sent) == 2)
    server.say(starting(dialect, "subscription { forever }", id="1"))
    server.say(starting(dialect, "subscription { messages }", id="2"))
    await eventually(lambda: world.open_generators == world.broker.statistics().subscriptions == 1)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert (world.open_generators, world.broker.statistics().subscriptions) == (0, 0)
    assert not app._host.listeners


async def test_a_server_that_cannot_refuse_with_a_status_refuses_with_a_close(world: World, dialect: Dialect) -> None:
    """The extension is optional; then the peer gets 403."""
    server = Server(dialect)
    server.scope["headers"] = [(b"host", b"evil.example")]
    await world.app()(server.scope, server.receive, server.send)
    [message] = server.sent
    assert (message["type"], message["code"]) == ("websocket.close", 1008)


async def test_a_server_need_not_name_the_subprotocols(world: World) -> None:
    """The member is optional."""
    server = Server(NEWER)
    del server.scope["subprotocols"]
    await world.app()(server.scope, server.receive, server.send)
    assert server.sent[-1]["code"] == 4406


async def test_an_application_that_closes_during_the_handshake_closes_the_newcomer(
    world: World, dialect: Dialect
) -> None:
    """Between the answer and the first message nobody slips through."""
    app = world.app()

    class Slow(Server):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "websocket.accept":
                await app.aclose()

    server = Slow(dialect)
    await app(server.scope, server.receive, server.send)
    assert (server.sent[-1]["code"], server.sent[-1]["reason"]) == (1012, "Service restart")
