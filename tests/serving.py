"""A real server on loopback, in the test's own event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

PLAIN = "websockets-sansio"
DIRECT = "gqlink.server.uvicorn_socket:DirectWebSocket"
HYPERCORN = "hypercorn"
"""Another server altogether."""

_roads = [PLAIN]
"""What `serving` takes for `ws` unless told otherwise; the last one counts."""


@contextmanager
def by_way_of(road: str) -> Iterator[None]:
    """Serve WebSockets by one road for a while."""
    _roads.append(road)
    try:
        yield
    finally:
        _roads.pop()


@asynccontextmanager
async def serving(app: Callable[..., Awaitable[Any]], *, lifespan: str = "auto", **options: Any) -> AsyncIterator[str]:
    """Serve an ASGI application with uvicorn; yield its authority, such as "127.0.0.1:40123".

    Options are uvicorn's own; `ws` may also be HYPERCORN, and then there are no others.
    """
    options = {"ws": _roads[-1], **options}
    if options["ws"] == HYPERCORN:
        async with _serving_with_hypercorn(app) as authority:
            yield authority
        return
    # Named as TCP, or asyncio would leave it to wait for more before it sends (Nagle's algorithm).
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        lifespan=lifespan,  # type: ignore[arg-type] # uvicorn's literal
        timeout_graceful_shutdown=5,
        **{"log_level": "warning", **options},
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise RuntimeError("the server did not start; its log says why")
        yield "{}:{}".format(*listening.getsockname())
    finally:
        server.stopping.set()
        await task
        listening.close()


@asynccontextmanager
async def _serving_with_hypercorn(app: Callable[..., Awaitable[Any]]) -> AsyncIterator[str]:
    import hypercorn  # few tests need it
    from hypercorn.asyncio import serve

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = hypercorn.Config()
        config.bind = [f"fd://{os.dup(listening.fileno())}"]
        config.errorlog = None
        stopping = asyncio.Event()
        task = asyncio.create_task(serve(app, config, shutdown_trigger=stopping.wait))
        try:
            yield "{}:{}".format(*listening.getsockname())
        finally:
            stopping.set()
            await task


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the test's signal handlers alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready.set()

    async def main_loop(self) -> None:
        """Wait for the end without looking for it ten times a second."""
        await self.on_tick(0)
        await self.stopping.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them as they are."""
        yield
