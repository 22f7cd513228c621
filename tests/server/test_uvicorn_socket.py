"""What is special to the direct path, under a real uvicorn, on both event loops; the rest is played on both roads."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn.protocols.utils import ClientDisconnected

from gqlink.pubsub import MemoryBroker
from gqlink.server import Limits
from gqlink.server.direct_socket import DirectSocket
from gqlink.server.listener import SocketListener
from gqlink.server.uvicorn_socket import DirectWebSocket
from server.eventually import eventually, turns
from server.peer import NEWER, member, peer
from server.raw import CLOSE, PING, PONG, TEXT, RawSocket, connected, dialled, frame, let_in, starting
from server.shared_world import SharedWorld
from serving import DIRECT, PLAIN, by_way_of, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gqlink.protocol import Dialect
    from gqlink.server import SocketEvent
    from server.world import World


@pytest.fixture(autouse=True)
def direct() -> Iterator[None]:
    """Serve by the direct path."""
    with by_way_of(DIRECT):
        yield


def sockets_of(app: Any) -> list[DirectSocket]:
    """Find the live sockets of an application that are on the direct path."""
    held = [one for one in gc.get_objects() if type(one) is DirectSocket and not one.is_gone]
    return [one for one in held if one._host is app._host]


class Wrapped:
    """Middleware that takes note of what passes through it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.sent: list[str] = []
        self.received: list[str] = []
        self.scopes: list[Scope] = []
        self.returned = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""

        async def receiving() -> Any:
            message = await receive()
            self.received.append(message["type"])
            return message

        async def sending(message: Any) -> None:
            self.sent.append(message["type"])
            await send(message)

        if scope["type"] == "websocket":
            self.scopes.append(scope)
        await self.app(scope, receiving, sending)
        self.returned += scope["type"] == "websocket"


async def test_an_idle_socket_has_neither_a_task_nor_a_queue(world: World) -> None:
    """Nor anything else of its handshake; a thousand of them."""
    app = world.app(limits=Limits(sockets_per_address=2000))
    made: list[weakref.ref[Any]] = []

    class Watched(DirectWebSocket):
        def attach(self, *arguments: Any, **named: Any) -> bool:
            made.append(weakref.ref(self))
            return super().attach(*arguments, **named)

    async with serving(app, ws=Watched) as authority, AsyncExitStack() as stack:
        await stack.enter_async_context(let_in(authority, NEWER))
        await eventually(lambda: app.statistics().messages_sent == 1)
        await turns()
        tasks = len(asyncio.all_tasks())
        for _ in range(999):
            await stack.enter_async_context(let_in(authority, NEWER))
        await turns()
        # The clients' ends are in this event loop, too, and have no tasks either.
        assert len(asyncio.all_tasks()) == tasks
        gc.collect()
        assert len(made) == 1000
        assert [ref() for ref in made if ref() is not None] == []
        assert len(sockets_of(app)) == 1000
    await eventually(lambda: app._host.admission.sockets == 0)
    gc.collect()
    assert sockets_of(app) == []


async def test_a_socket_leaves_nothing_to_the_collector() -> None:
    """Neither its handshake, nor a subscription to what others get too; it would go through all other sockets first."""
    world = SharedWorld()
    app = world.app()
    async with serving(app) as authority, AsyncExitStack() as stack, AsyncExitStack() as without_collector:

        async def subscribe(followers: int) -> None:
            raw = await stack.enter_async_context(let_in(authority, NEWER))
            raw.send(starting(NEWER, "subscription { said { text } }"))
            await eventually(lambda: app._host.sharing.followers == followers)
            await turns()

        await subscribe(1)  # the first one has the document validated
        without_collector.callback(gc.enable)
        gc.disable()
        gc.collect()
        # What is left of a test before this one is none of this one's.
        without_collector.callback(gc.unfreeze)
        gc.freeze()
        await subscribe(2)
        without_collector.callback(gc.garbage.clear)
        without_collector.callback(gc.set_debug, 0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = {type(one).__name__ for one in gc.garbage}
        assert not left & {"HttpToolsProtocol", "HttpRequestParser", "DirectWebSocket", "ServerProtocol", "Request"}
        assert not left & {"OperationExecutor", "RefMap", "VariableValues", "CollectedErrors"}


async def test_middleware_and_routes_see_the_handshake_and_nothing_else(world: World) -> None:
    """The application returns as soon as it has accepted; `direct=False` lets it stay."""
    for direct, returned in ((True, 1), (False, 0)):
        wrapped = Wrapped(world.app(direct=direct))
        app = Starlette(routes=[Mount("/mounted", app=wrapped)])
        async with serving(app) as authority, member(authority, NEWER, path="/mounted/graphql") as client:
            assert await client.is_well()
            assert wrapped.returned == returned
        assert wrapped.sent[0] == "websocket.accept"
        assert wrapped.received[0] == "websocket.connect"
        assert (len(wrapped.sent) == 1) is direct
        assert "gqlink.direct" not in wrapped.scopes[0]["extensions"] or not direct


async def test_an_application_that_knows_nothing_of_it_is_served_as_ever() -> None:
    """The extension is there, and harms nobody."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with serving(echo, lifespan="off") as authority, connected(authority, "soap") as raw:
        raw.send("hello")
        assert await raw.message() == "hello"  # type: ignore[comparison-overlap] # any JSON


async def test_a_middleware_that_goes_on_after_it_harms_nothing(world: World) -> None:
    """Whatever it does then: what it receives is an end, what it sends is refused, and what it raises is logged."""
    happened: list[str] = []
    inner = world.app()

    async def meddling(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)
        happened.append((await receive())["type"])
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.send", "text": "hello"})
        raise RuntimeError("meddling")

    async with serving(meddling, lifespan="off") as authority, member(authority, NEWER) as client:
        assert await client.is_well()
        assert happened == ["websocket.disconnect"]


async def test_an_answer_that_is_held_back_leaves_the_socket_where_it_is(world: World) -> None:
    """No frame can overtake the answer to the handshake; the plain loop serves it."""
    inner = world.app()
    calls: list[str] = []

    async def holding(scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Any] = []

        async def sending(message: Any) -> None:
            calls.append(message["type"])
            held.append(message)
            if message["type"] == "websocket.accept":
                asyncio.get_running_loop().call_later(0.05, release.set)
                return
            await release.wait()
            for one in held:
                await send(one)
            held.clear()

        release = asyncio.Event()
        await inner(scope, receive, sending)

    async with serving(holding, lifespan="off") as authority, dialled(authority) as raw:
        raw.ask_for_upgrade(authority, subprotocol=NEWER.subprotocol)
        await raw.writer.drain()
        await turns(50)
        raw.send({"type": "connection_init"})
        await raw.reader.readuntil(b"\r\n\r\n")
        assert (await raw.message())["type"] == "connection_ack"
        assert calls == ["websocket.accept", "websocket.send"]


async def test_what_a_client_says_during_the_handshake_is_heard(world: World, dialect: Dialect) -> None:
    """Also half a message, and fragments: uvicorn has read them, and the socket goes on in the middle."""
    gate = asyncio.Event()
    inner = world.app()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await gate.wait()
        await inner(scope, receive, send)

    async with serving(slow, lifespan="off") as authority, dialled(authority) as raw:
        raw.ask_for_upgrade(authority, subprotocol=dialect.subprotocol)
        # Not with the request: what shares a segment with it uvicorn loses.
        await raw.writer.drain()
        await turns(50)
        init, ask = b'{"type":"connection_init"}', frame(TEXT, b'{"type":"nonsense"}')
        raw.writer.write(frame(TEXT, init[:5], final=False) + frame(0, init[5:9], final=False))
        raw.writer.write(frame(0, init[9:]) + ask[:3])
        await turns(50)
        gate.set()
        await raw.reader.readuntil(b"\r\n\r\n")
        assert (await raw.message())["type"] == "connection_ack"
        raw.writer.write(ask[3:])
        assert (await raw.closed())[0] == 4400


async def test_a_client_that_leaves_during_the_handshake_leaves_nothing(world: World) -> None:
    """Its place is free again."""
    gate, entered = asyncio.Event(), asyncio.Event()
    inner = world.app()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Any) -> None:
            entered.set()
            await gate.wait()
            await send(message)

        await inner(scope, receive, sending)

    async with serving(slow, lifespan="off") as authority:
        async with dialled(authority) as raw:
            raw.ask_for_upgrade(authority, subprotocol=NEWER.subprotocol)
            await entered.wait()
            assert inner._host.admission.sockets == 1
        await turns(50)
        gate.set()
        await eventually(lambda: inner._host.admission.sockets == 0)
    assert inner.statistics().sockets_opened == 0


async def test_answers_and_pongs_leave_in_the_order_of_what_was_asked(world: World) -> None:
    """What one turn says is one write, and nothing overtakes."""
    async with serving(world.app()) as authority, let_in(authority, NEWER) as raw:
        for number in range(50):
            raw.writer.write(frame(PING, b"%d" % number) + frame(TEXT, b'{"type":"ping","payload":{"n":%d}}' % number))
        for number in range(50):
            assert await raw.receive() == (PONG, b"%d" % number)
            assert (await raw.message())["payload"] == {"n": number}


async def test_a_close_is_answered_and_the_connection_ends(world: World) -> None:
    """With the client's own code; the server closes first (RFC 6455, section 7.1.1)."""
    events: list[SocketEvent] = []
    app = world.app(on_socket_event=events.append)
    async with serving(app) as authority, let_in(authority, NEWER) as raw:
        raw.writer.write(frame(CLOSE, b"\x0f\xa0bye"))
        assert await raw.receive() == (CLOSE, b"\x0f\xa0bye")
        assert await raw.reader.read() == b""
    assert (events[-1].kind, events[-1].code, events[-1].reason) == ("closed", 4000, "bye")


@pytest.mark.parametrize("answers", [True, False])
async def test_our_close_ends_the_connection_within_a_second(world: World, answers: bool) -> None:  # noqa: FBT001
    """As soon as the client has answered; otherwise by force. Nothing that it says meanwhile is heard."""
    app = world.app()
    async with serving(app) as authority, let_in(authority, NEWER) as raw:
        raw.writer.write(frame(TEXT, b"nonsense"))
        opcode, payload = await raw.receive()
        assert (opcode, payload[:2]) == (CLOSE, (4400).to_bytes(2, "big"))
        raw.send(starting(NEWER, "{ hello }"))
        raw.writer.write(frame(PING, b"?"))
        began_at = asyncio.get_running_loop().time()
        if answers:
            raw.writer.write(frame(CLOSE, payload))
        async with asyncio.timeout(10):
            try:
                assert await raw.reader.read() == b""
            except ConnectionError:
                assert not answers
        assert (asyncio.get_running_loop().time() - began_at < 0.9) is answers
        await eventually(lambda: app._host.admission.sockets == 0)
    assert world.resolved == 0


async def test_a_connection_that_ends_without_a_close_ends_the_conversation(world: World) -> None:
    """1006 is what is told of it (RFC 6455, section 7.1.5)."""
    events: list[SocketEvent] = []
    app = world.app(on_socket_event=events.append)
    async with serving(app) as authority, let_in(authority, NEWER) as raw:
        raw.writer.write_eof()
        await eventually(lambda: app._host.admission.sockets == 0)
    assert (events[-1].kind, events[-1].code) == ("closed", 1006)


@pytest.mark.parametrize(
    ("sent", "code"),
    [(b"\x83\x80\x00\x00\x00\x00", 1002), (frame(TEXT, b"\xff"), 1007), (b"\x81\xff" + b"\x01" * 8, 1009)],
)
async def test_nonsense_is_told_what_it_is(world: World, sent: bytes, code: int) -> None:
    """And then the connection ends, also if the other side says nothing more."""
    app = world.app()
    async with serving(app) as authority, let_in(authority, NEWER) as raw:
        raw.writer.write(sent + b"more" * 100)
        assert (await raw.closed())[0] == code
        await eventually(lambda: app._host.admission.sockets == 0)
    assert app.statistics().closed == {code: 1}


async def test_a_mistake_of_ours_ends_one_socket_with_a_close(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """1011, and the others go on; the event loop hears nothing of it."""
    app = world.app()
    async with serving(app) as authority, member(authority, NEWER) as other, let_in(authority, NEWER) as raw:
        listener = next(iter(app._host.listeners))

        def fail(self: Any, text: str) -> None:
            if "broken" in text:
                raise RuntimeError("a bug")
            original(self, text)

        assert isinstance(listener, SocketListener)
        original = SocketListener.on_text
        monkeypatch.setattr(SocketListener, "on_text", fail)
        raw.writer.write(frame(TEXT, b"broken") + frame(TEXT, b"broken"))
        assert await raw.closed() == (1011, "Internal error")
        assert await other.is_well()
    errors = [vars(record)["gqlink_event"] for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == ["failed"]


async def test_a_client_that_does_not_answer_pings_is_given_up(world: World) -> None:
    """With 1011; one that answers stays, and is pinged again."""
    app = world.app()
    async with (
        serving(app, ws_ping_interval=0.1, ws_ping_timeout=0.1) as authority,
        let_in(authority, NEWER) as silent,
        let_in(authority, NEWER) as good,
    ):
        for _ in range(5):
            opcode, payload = await good.receive()
            assert opcode == PING
            good.writer.write(frame(PONG, payload))
        assert await silent.closed() == (1011, "keepalive ping timeout")
        good.send({"type": "ping"})
        while (answer := await good.receive())[0] == PING:
            good.writer.write(frame(PONG, answer[1]))
        assert answer == (TEXT, b'{"type":"pong"}')


async def test_without_an_interval_nobody_is_pinged(world: World) -> None:
    """As uvicorn has it."""
    app = world.app()
    async with serving(app, ws_ping_interval=None) as authority, let_in(authority, NEWER):
        [socket] = sockets_of(app)
        assert socket._server.keep_alive is None


async def test_a_stop_of_the_server_says_why_and_waits_for_no_client(world: World, dialect: Dialect) -> None:
    """1012 with its reason, also without a lifespan; one that does not answer is left after a second."""
    app = world.app()
    async with AsyncExitStack() as stack:
        async with serving(app, lifespan="off") as authority:
            raw = await stack.enter_async_context(let_in(authority, dialect))
            raw.send(starting(dialect, "subscription { forever }"))
            await eventually(lambda: world.open_generators == 1)
            began_at = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began_at < 3
        while (answer := await raw.receive())[0] != CLOSE:
            pass
        assert answer == (CLOSE, (1012).to_bytes(2, "big") + b"Service restart")
    assert not app._host.listeners
    assert app._host.admission.sockets == 0


@pytest.mark.parametrize("broker", [MemoryBroker, None])
async def test_several_workers_that_share_nothing_are_warned_of(
    world: World, broker: Callable[[], MemoryBroker] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each application; what one of them publishes, the others would never hear."""
    app = world.app(broker=None if broker is None else broker())
    async with serving(app, workers=3) as authority:
        for _ in range(3):
            async with peer(authority, NEWER):
                pass
    [record] = [one for one in caplog.records if getattr(one, "gqlink_event", "") == "workers_apart"]
    assert (record.levelno, record.workers) == (logging.WARNING, 3)  # type: ignore[attr-defined]


async def test_a_broker_that_reaches_other_processes_is_warned_of_by_nobody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is a single process."""

    class Shared:
        """A broker of another kind."""

        def __init__(self) -> None:
            self.inner = MemoryBroker()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    for app, workers in ((world.app(broker=Shared()), 3), (world.app(), 1)):
        async with serving(app, workers=workers) as authority, peer(authority, NEWER):
            pass
    assert not [one for one in caplog.records if getattr(one, "gqlink_event", "") == "workers_apart"]


async def test_compression_is_not_agreed_on(world: World) -> None:
    """Although uvicorn would by default, and every browser offers it."""
    async with serving(world.app()) as authority, peer(authority, NEWER, compression="deflate") as client:
        assert client.socket.protocol.extensions == []


@pytest.mark.parametrize("road", [PLAIN, DIRECT])
async def test_a_burst_of_one_client_leaves_others_their_turn(world: World, dialect: Dialect, road: str) -> None:
    """Also where the event loop's own time stands still within a turn."""
    app = world.app()
    async with (
        serving(app, ws=road) as authority,
        member(authority, dialect) as other,
        let_in(authority, dialect) as busy,
    ):
        bad = [starting(dialect, f"{{ nope{n} }}", id=str(n)) for n in range(200)]
        busy.send(*bad)
        await other.start("{ hello }")
        assert (await other.receive())["type"] == "next"
        assert app.statistics().messages_sent < 100
        for _ in bad:
            assert (await busy.message())["type"] == "error"


async def answer_of(raw: RawSocket, authority: str) -> tuple[int, dict[str, str]]:
    """Shake hands; return the status and the fields of the answer."""
    raw.ask_for_upgrade(authority, subprotocol="soap")
    first, *lines = (await raw.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    return int(first.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


async def test_an_application_may_answer_the_handshake_in_every_way() -> None:
    """Fields of its own, a refusal, a status, a failure: all of it is uvicorn's, as without us."""
    doing: list[str] = ["accept"]

    async def moody(_scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        match doing[-1]:
            case "accept":
                await send({"type": "websocket.accept", "subprotocol": "soap", "headers": [(b"x-mood", b"good")]})
            case "close":
                await send({"type": "websocket.close"})
            case "answer":
                await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-mood", b"bad")]})
                await send({"type": "websocket.http.response.body", "body": b"no"})
            case "fail":
                raise RuntimeError("a bad day")

    async with serving(moody, lifespan="off") as authority:
        async with dialled(authority) as raw:
            status, fields = await answer_of(raw, authority)
            assert (status, fields["x-mood"], fields["sec-websocket-protocol"]) == (101, "good", "soap")
        for mood, expected in (("close", 403), ("answer", 418), ("fail", 500), ("nothing", 500)):
            doing.append(mood)
            async with dialled(authority) as raw:
                status, fields = await answer_of(raw, authority)
                assert status == expected
                assert fields.get("x-mood") == ("bad" if mood == "answer" else None)


async def test_what_was_accepted_in_one_go_is_uvicorns_when_the_application_stays() -> None:
    """Pings, messages both ways, and the close at a stop of the server."""

    async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "soap"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    async with AsyncExitStack() as stack:
        async with serving(echo, lifespan="off", ws_ping_interval=0.1) as authority:
            raw = await stack.enter_async_context(dialled(authority))
            status, fields = await answer_of(raw, authority)
            assert (status, fields["sec-websocket-protocol"], fields["server"]) == (101, "soap", "uvicorn")
            assert (await raw.receive())[0] == PING
            raw.send("hello")
            while (answer := await raw.receive())[0] == PING:
                pass
            assert answer == (TEXT, b'"hello"')
        while (answer := await raw.receive())[0] == PING:
            pass
        assert answer[1][:2] == (1012).to_bytes(2, "big")


async def test_a_stop_during_the_handshake_is_answered() -> None:
    """With 500, as uvicorn does it."""
    entered, stopped = asyncio.Event(), asyncio.Event()

    class Watched(DirectWebSocket):
        def shutdown(self) -> None:
            super().shutdown()
            stopped.set()

    async def slow(_scope: Scope, _receive: Receive, _send: Send) -> None:
        entered.set()
        await stopped.wait()

    async with AsyncExitStack() as stack:
        async with serving(slow, lifespan="off", ws=Watched) as authority:
            raw = await stack.enter_async_context(dialled(authority))
            raw.ask_for_upgrade(authority, subprotocol="soap")
            await entered.wait()
        assert (await raw.reader.readline()).split()[1] == b"500"


async def test_who_has_come_is_written_down_as_by_uvicorn(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is asked for."""
    async with serving(world.app(), log_level="info") as authority, let_in(authority, NEWER):
        pass
    assert capsys.readouterr().err.count('"WebSocket /graphql" [accepted]') == 1


async def test_who_does_not_read_during_the_handshake_is_served_when_they_do(world: World) -> None:
    """What uvicorn knows of a full buffer, it learns here too."""
    app = world.app()
    made: list[DirectWebSocket] = []

    class Watched(DirectWebSocket):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(self)
            super().connection_made(transport)

        async def send(self, message: Any) -> None:
            self.pause_writing()
            self.loop.call_later(0.01, self.resume_writing)
            await super().send(message)

    async with serving(app, ws=Watched) as authority, member(authority, NEWER) as client:
        assert await client.is_well()
        assert len(made) == 1
