"""How long things last: closing is bounded whatever the peer does, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from client.chat import subscribed
from client.hands import turns, until
from client.peer import Peer, Script
from gqlink.client import Client, HttpLink, LinkPhase, WebSocketLink, is_subscription, split
from gqlink.client.socket import Socket
from gqlink.errors import ConnectionClosed, GqlinkError
from gqlink.testing import FaultProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


OPEN = "subscription { open }"
QUERY = "query { open }"
# Two are promised; the rest is for a machine that is busy with something else.
BOUND_SECONDS: Final = 10.0
CYCLES: Final = 1000


@asynccontextmanager
async def closing_in_time(client: Client) -> AsyncIterator[None]:
    """Close a client after the block, and fail if that takes for ever."""
    try:
        yield
    finally:
        async with asyncio.timeout(BOUND_SECONDS):
            await client.aclose()


@asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """Run a server on a port that takes connections and says nothing, until the other side goes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await turns()


@pytest.mark.parametrize("phase", ["handshake", "ack", "live", "asked"])
async def test_a_black_hole_does_not_keep_a_link_from_closing(peer: Peer, phase: str) -> None:
    """However far the connection has come; those who wait are told."""
    peer.script.hold_init = phase == "ack"
    peer.script.hold_operations = True
    async with FaultProxy(peer.authority) as proxy:
        if phase == "handshake":
            proxy.black_hole()
        link = WebSocketLink(f"ws://{proxy.authority}/", connection_params={"accessToken": "alice-1"})
        client = Client(link)
        async with closing_in_time(client):
            waiting = asyncio.ensure_future(client.execute("query { q }"))
            reached = {
                "handshake": lambda: proxy.connections,
                "ack": lambda: peer.inits,
                "live": lambda: link.state.phase is LinkPhase.LIVE,
                "asked": lambda: peer.operations,
            }
            await until(reached[phase])
            proxy.black_hole()
        with pytest.raises(ConnectionClosed):
            await waiting
        assert link.state.phase is LinkPhase.CLOSED


async def test_a_peer_that_never_answers_the_close_is_cut(peer: Peer) -> None:
    """It saw the close frame, and did nothing."""
    peer.script.ignore_close = True
    client = Client(WebSocketLink(peer.url))
    async with closing_in_time(client):
        await client.subscribe(OPEN).__aenter__()
        await subscribed(peer)
    await until(lambda: not peer.open)


async def test_a_peer_that_floods_and_does_not_read_is_cut(peer: Peer) -> None:
    """What it sends is not waited out, and what it does not read does not hold us up."""
    async with FaultProxy(peer.authority) as proxy:
        client = Client(WebSocketLink(f"ws://{proxy.authority}/", connection_params={"accessToken": "alice-1"}))
        flood: asyncio.Task[None] | None = None

        async def publish() -> None:
            while peer.open:
                for socket in peer.subscribers:
                    for _ in range(20):
                        socket.publish("x" * 10_000)
                await asyncio.sleep(0)

        async with closing_in_time(client):
            await client.subscribe(OPEN).__aenter__()
            await subscribed(peer)
            proxy.half_open(silent="client")
            asking = [
                asyncio.ensure_future(client.execute("query($x: String) { q }", {"x": "x" * 50_000})) for _ in range(50)
            ]
            flood = asyncio.ensure_future(publish())
            await turns(50)
        assert {type(each) for each in await asyncio.gather(*asking, return_exceptions=True)} == {ConnectionClosed}
        proxy.cut()
        await flood


async def test_closing_in_a_tls_handshake_leaves_no_connection() -> None:
    """Which has a time limit of its own, of a minute."""
    async with silence() as port:
        client = Client(WebSocketLink(f"wss://127.0.0.1:{port}/", ssl_context=ssl.create_default_context()))
        before = descriptors()
        async with closing_in_time(client):
            waiting = asyncio.ensure_future(anext(client.subscribe(OPEN)))
            await until(lambda: descriptors() > before + 1)
        with pytest.raises(ConnectionClosed):
            await waiting
        await until(lambda: descriptors() <= before)


async def test_an_http_server_that_does_not_answer_keeps_no_client_from_closing() -> None:
    """The request fails, and both links are gone."""
    async with silence() as port:
        address = f"127.0.0.1:{port}/graphql"
        client = Client(split(is_subscription, WebSocketLink(f"ws://{address}"), HttpLink(f"http://{address}")))
        before = descriptors()
        async with closing_in_time(client):
            waiting = asyncio.ensure_future(client.execute(QUERY))
            listening = asyncio.ensure_future(anext(client.subscribe(OPEN)))
            await until(lambda: descriptors() >= before + 4)
        for each in (waiting, listening):
            with pytest.raises(GqlinkError):
                async with asyncio.timeout(BOUND_SECONDS):
                    await each
        await until(lambda: descriptors() <= before)


async def test_closing_while_another_attempt_is_waited_for_is_at_once() -> None:
    """There is nothing to say good-bye to."""
    client = Client(WebSocketLink("ws://127.0.0.1:9/", lazy=False))
    async with closing_in_time(client):
        waiting = asyncio.ensure_future(client.execute(QUERY))
        await turns()
    with pytest.raises(ConnectionClosed):
        await waiting


def descriptors() -> int:
    """Count the open files of this process, sockets among them."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def timers() -> int:
    """Count the calls that the event loop will still make."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009 -- asyncio's own
    return sum(not timer.cancelled() for timer in scheduled)


def left() -> Counter[str]:
    """Count everything that a connection could leave behind."""
    gc.collect()
    objects = Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, (Socket, Client)))
    return objects + Counter(
        tasks=len(asyncio.all_tasks()), timers=timers(), descriptors=descriptors(), threads=threading.active_count()
    )


class Cycle:
    """The ways in which a connection begins and ends, one after the other."""

    def __init__(self, peer: Peer, refusing: Peer, closing: Peer, silent_port: int) -> None:
        self._urls = {"good": peer.url, "refusing": refusing.url, "closing": closing.url}
        self._urls |= {"silent": f"ws://127.0.0.1:{silent_port}/", "closed": "ws://127.0.0.1:9/"}
        self._peer = peer
        self.ways: tuple[Callable[[], Awaitable[object]], ...] = (
            self.ask,
            self.listen,
            lambda: self.fail("refusing"),
            lambda: self.fail("closing"),
            lambda: self.fail("closed"),
            lambda: self.leave("silent", turn=3),
            lambda: self.leave("closing", turn=1),
            lambda: self.leave("good", turn=0),
            lambda: self.leave("good", turn=6),
            lambda: self.leave("good", turn=12),
            self.break_off,
        )

    def client(self, name: str, *, reconnect: bool = False) -> Client:
        """Make one."""
        return Client(WebSocketLink(self._urls[name], reconnect=reconnect))

    async def ask(self) -> None:
        """Connect, ask, and close."""
        async with self.client("good") as client:
            await client.execute(QUERY)

    async def listen(self) -> None:
        """Subscribe, hear an event, and forget about it."""
        async with self.client("good") as client:
            events = client.subscribe(OPEN)
            coming = asyncio.ensure_future(anext(events))
            await subscribed(self._peer)
            self._peer.publish(1)
            await coming
            del events, coming

    async def fail(self, name: str) -> None:
        """Connect in vain."""
        async with self.client(name) as client:
            with suppress(GqlinkError):
                await client.execute(QUERY)

    async def leave(self, name: str, *, turn: int) -> None:
        """Cancel whoever waits, and close, after so many turns of the loop."""
        async with self.client(name, reconnect=True) as client:
            waiting = [
                asyncio.ensure_future(client.execute(QUERY)),
                asyncio.ensure_future(anext(client.subscribe(OPEN))),
            ]
            await turns(turn)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def break_off(self) -> None:
        """Lose the line without a word."""
        async with self.client("good") as client:
            waiting = asyncio.ensure_future(anext(client.subscribe(OPEN)))
            await subscribed(self._peer)
            for socket in self._peer.subscribers:
                socket.drop()
            await asyncio.gather(waiting, return_exceptions=True)


async def test_a_thousand_connections_leave_nothing_behind(subprotocol: str) -> None:
    """Whether they succeed, fail or are cancelled: no task, timer, thread, file descriptor, socket or client."""
    speaks = (subprotocol,)
    async with (
        Peer(Script(speaks=speaks)) as peer,
        Peer(Script(status=403)) as refusing,
        Peer(Script(speaks=speaks, close_after_ack=(1011, "no"))) as closing,
        silence() as port,
    ):
        cycle = Cycle(peer, refusing, closing, port)
        for way in cycle.ways * 2:  # whatever is made once is made now
            await way()
        await turns()
        before = left()
        for number in range(CYCLES):
            await cycle.ways[number % len(cycle.ways)]()
        await until(lambda: not peer.open and not closing.open and descriptors() <= before["descriptors"])
        await turns()
        assert left() - before == Counter()
