"""The Python clients that `client_flood.py` measures, each in a process of its own, each as its users would write it.

    python flood_clients.py flood CLIENT LOOP PORT EVENTS           the CPU time and the wall-clock time of a flood
    python flood_clients.py clients CLIENT LOOP PORT COUNT          the memory of so many idle clients
    python flood_clients.py subscriptions CLIENT LOOP PORT COUNT    that of so many subscriptions of one client

The answer is one line of JSON. Times count from before the connection is opened, when all modules are loaded, to the
last event; memory is what is added once there is one client or subscription, so that modules and caches do not count.
How long a client takes to close is another question: the process ends with the answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from flood_server import SUBSCRIPTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable

    from picows import WSFrame, WSTransport, WSUpgradeRequest, WSUpgradeResponse

SUBPROTOCOL: Final = "graphql-transport-ws"
INIT: Final = b'{"type":"connection_init"}'
START: Final = json.dumps({"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION}}).encode()

Measure: TypeAlias = "Callable[[Contestant, str, int], Awaitable[None]]"
Subscribe: TypeAlias = "Callable[[], AsyncIterable[object]]"


class Stopwatch:
    """Measures one flood."""

    def start(self) -> None:
        """Begin: everything is loaded, and nothing is open."""
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self, events: int) -> None:
        """Print the answer, and end the process."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        _answer({"events": events, "cpu_seconds": cpu, "seconds": wall})


class Contestant(Protocol):
    """What is measured of every client."""

    async def flood(self, url: str, watch: Stopwatch) -> None:
        """Subscribe, take every event to the end, and say how many there were."""

    async def connect(self, url: str, stack: AsyncExitStack) -> Subscribe:
        """Open a client and wait until it is acknowledged; return what subscribes."""


class Gqlink:
    """gqlink, as its README does it."""

    async def flood(self, url: str, watch: Stopwatch) -> None:
        """Take every event."""
        from gqlink.client import Client, WebSocketLink

        watch.start()
        count = 0
        async with Client(WebSocketLink(url)) as client, client.subscribe(SUBSCRIPTION) as events:
            async for event in events:
                if event.data is not None:
                    count += 1
            watch.stop(count)

    async def connect(self, url: str, stack: AsyncExitStack) -> Subscribe:
        """Open a client."""
        from gqlink.client import Client, LinkPhase, LinkState, WebSocketLink

        live = asyncio.Event()

        def watch(state: LinkState) -> None:
            if state.phase is LinkPhase.LIVE:
                live.set()

        client = await stack.enter_async_context(Client(WebSocketLink(url, lazy=False, on_state=watch)))
        await live.wait()
        return lambda: client.subscribe(SUBSCRIPTION)


class Gql:
    """gql, with the transport that its user chooses.

    Args:
        aiohttp: Whether over aiohttp, otherwise over websockets.
    """

    def __init__(self, *, aiohttp: bool) -> None:
        self._aiohttp = aiohttp

    async def flood(self, url: str, watch: Stopwatch) -> None:
        """Take every event."""
        from gql import Client, gql

        document = gql(SUBSCRIPTION)
        transport = self._transport(url)
        watch.start()
        count = 0
        async with Client(transport=transport, fetch_schema_from_transport=False) as session:
            async for data in session.subscribe(document):
                if data is not None:
                    count += 1
            watch.stop(count)

    async def connect(self, url: str, stack: AsyncExitStack) -> Subscribe:
        """Open a client."""
        from gql import Client, gql

        document = gql(SUBSCRIPTION)
        client = Client(transport=self._transport(url), fetch_schema_from_transport=False)
        session = await stack.enter_async_context(client)
        return lambda: session.subscribe(document)

    def _transport(self, url: str) -> Any:
        from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
        from gql.transport.websockets import WebsocketsTransport

        if self._aiohttp:
            return AIOHTTPWebsocketsTransport(url=url, subprotocols=[SUBPROTOCOL])
        return WebsocketsTransport(url=url, subprotocols=[SUBPROTOCOL], connect_args={"compression": None})


class Websockets:
    """The `websockets` library and a fast JSON reader, with nothing of a GraphQL client around them."""

    async def flood(self, url: str, watch: Stopwatch) -> None:
        """Take every event."""
        import msgspec
        from websockets.asyncio.client import connect
        from websockets.typing import Subprotocol

        watch.start()
        count = 0
        async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None) as socket:
            await socket.send(INIT.decode())
            await socket.recv()
            await socket.send(START.decode())
            while (message := msgspec.json.decode(await socket.recv(decode=False)))["type"] == "next":
                if message["payload"]["data"] is not None:
                    count += 1
            watch.stop(count)

    async def connect(self, url: str, stack: AsyncExitStack) -> Subscribe:
        """Open a connection."""
        from websockets.asyncio.client import connect
        from websockets.typing import Subprotocol

        socket = await stack.enter_async_context(
            connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None)
        )
        await socket.send(INIT.decode())
        await socket.recv()
        return _no_subscriptions


class Picows:
    """picows and a fast JSON reader: what gqlink is made of, with nothing of a GraphQL client around it."""

    async def flood(self, url: str, watch: Stopwatch) -> None:
        """Take every event."""
        import msgspec
        from picows import WSListener, WSMsgType, ws_connect

        decode = msgspec.json.Decoder().decode
        ended = asyncio.get_running_loop().create_future()

        class Listener(WSListener):
            count = 0

            def on_ws_connected(self, transport: WSTransport) -> None:
                transport.send(WSMsgType.TEXT, INIT)

            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                message = decode(frame.get_payload_as_bytes())
                if message["type"] == "next":
                    if message["payload"]["data"] is not None:
                        self.count += 1
                elif message["type"] == "connection_ack":
                    transport.send(WSMsgType.TEXT, START)
                else:
                    ended.set_result(self.count)

        def listener(_request: WSUpgradeRequest, _response: WSUpgradeResponse) -> Listener:
            return Listener()

        watch.start()
        await ws_connect(listener, url, extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL})
        watch.stop(await ended)

    async def connect(self, url: str, stack: AsyncExitStack) -> Subscribe:
        """Open a connection."""
        from picows import WSListener, WSMsgType, ws_connect

        ready = asyncio.Event()

        class Listener(WSListener):
            def on_ws_connected(self, transport: WSTransport) -> None:
                transport.send(WSMsgType.TEXT, INIT)

            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                del transport, frame
                ready.set()

        def listener(_request: WSUpgradeRequest, _response: WSUpgradeResponse) -> Listener:
            return Listener()

        transport, _ = await ws_connect(listener, url, extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL})
        stack.callback(transport.disconnect)
        await ready.wait()
        return _no_subscriptions


def _no_subscriptions() -> AsyncIterable[object]:
    raise NotImplementedError("a bare socket has no subscriptions of its own")


CONTESTANTS: Final[dict[str, Contestant]] = {
    "gqlink": Gqlink(),
    "gql-websockets": Gql(aiohttp=False),
    "gql-aiohttp": Gql(aiohttp=True),
    "websockets": Websockets(),
    "picows": Picows(),
}


async def measure_flood(contestant: Contestant, base: str, events: int) -> None:
    """Print the times of one flood."""
    await contestant.flood(f"{base}/flood/{events}", Stopwatch())


async def measure_clients(contestant: Contestant, base: str, count: int) -> None:
    """Print the memory that `count` more clients take."""
    async with AsyncExitStack() as stack:
        kept = [await contestant.connect(f"{base}/idle", stack)]
        before = await resident_bytes()
        kept += [await contestant.connect(f"{base}/idle", stack) for _ in range(count)]
        _answer({"bytes": (await resident_bytes() - before) / (len(kept) - 1)})


async def measure_subscriptions(contestant: Contestant, base: str, count: int) -> None:
    """Print the memory that `count` more subscriptions of one client take, each with a task that has had an event."""
    async with AsyncExitStack() as stack:
        subscribe = await contestant.connect(f"{base}/idle", stack)
        tasks = await consume(subscribe, 1)
        before = await resident_bytes()
        tasks += await consume(subscribe, count)
        _answer({"bytes": (await resident_bytes() - before) / (len(tasks) - 1)})


async def consume(subscribe: Subscribe, count: int) -> list[asyncio.Task[None]]:
    """Start subscriptions; return their tasks once each has had an event."""
    waiting = asyncio.Semaphore(0)

    async def take() -> None:
        async for _ in subscribe():
            waiting.release()

    tasks = [asyncio.create_task(take()) for _ in range(count)]
    for _ in range(count):
        await waiting.acquire()
    return tasks


async def resident_bytes() -> int:
    """Return what this process has of the machine's memory, after whatever can be thrown away is."""
    await asyncio.sleep(0.2)  # what the last connection still has to do
    gc.collect()
    statistics = Path("/proc/self/statm").read_text()  # noqa: ASYNC240 -- a file of the kernel's
    return int(statistics.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _answer(values: dict[str, float]) -> None:
    print(json.dumps(values), flush=True)
    os._exit(0)


MEASURES: Final[dict[str, Measure]] = {
    "flood": measure_flood,
    "clients": measure_clients,
    "subscriptions": measure_subscriptions,
}


async def main(what: str, client: str, port: str, count: str) -> None:
    """Measure one thing of one client."""
    await MEASURES[what](CONTESTANTS[client], f"ws://127.0.0.1:{port}", int(count))


if __name__ == "__main__":
    measure, contestant_name, loop, *rest = sys.argv[1:]
    if loop == "uvloop":
        import uvloop

        uvloop.run(main(measure, contestant_name, *rest))
    else:
        asyncio.run(main(measure, contestant_name, *rest))
