"""An ASGI application behind a real socket on loopback, in the test's event loop or beside it.

It is no part of the room's door, because it needs the `server` extra: `from gqlink.testing.served import ServedApp`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from gqlink.errors import MissingExtra

try:
    import uvicorn
except ImportError as exc:
    raise MissingExtra("server", module=exc.name) from exc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = ("ServedApp",)

_GRACE_SECONDS: Final = 2


class ServedApp:
    """Serves an ASGI application with uvicorn, on a free port.

    `async with` serves it in the running event loop, so that the test and the application may share objects, a
    `FakeClock` too. `with` serves it in a thread of its own, for tests that are no coroutines; then the application's
    objects belong to that thread.

    Args:
        app: Such as a `gqlink.server.GraphQLApp`, or any that it is mounted in.
        path: Where its GraphQL is.
        lifespan: Whether uvicorn runs the application's lifespan: "auto", "on" or "off".
    """

    def __init__(
        self, app: Callable[..., Awaitable[object]], *, path: str = "/graphql", lifespan: str = "auto"
    ) -> None:
        self._app = app
        self._path = path
        self._lifespan = lifespan
        self._port = 0
        self._stop: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    @property
    def authority(self) -> str:
        """Where it listens, such as "127.0.0.1:40123"."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Of its GraphQL over HTTP."""
        return f"http://{self.authority}{self._path}"

    @property
    def ws_url(self) -> str:
        """Of its GraphQL over WebSocket."""
        return f"ws://{self.authority}{self._path}"

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until it is stopped.

        Args:
            ready: Called when connections are accepted.

        Raises:
            RuntimeError: The application did not start; the log says why.
        """
        # Named as TCP, or asyncio would leave it to wait for more before it sends (Nagle's algorithm).
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.bind(("127.0.0.1", 0))
            self._port = listening.getsockname()[1]
            config = uvicorn.Config(
                self._app,
                ws="websockets-sansio",
                lifespan=_literal(self._lifespan),
                log_level="warning",
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
            server = _Server(config, ready)
            loop = asyncio.get_running_loop()

            def stop() -> None:
                with suppress(RuntimeError):  # it has ended by itself, and its loop with it
                    loop.call_soon_threadsafe(server.stopping.set)

            self._stop = stop
            try:
                await server.serve(sockets=[listening])
            except SystemExit:  # uvicorn's way to say that the lifespan failed
                raise RuntimeError("the application did not start; the log says why") from None

    async def __aenter__(self) -> Self:
        ready = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self.serve(ready.set))
        waiting = asyncio.ensure_future(ready.wait())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not ready.is_set():
            waiting.cancel()
            await self._task
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._stop()
        if self._task is not None:
            await self._task

    def __enter__(self) -> Self:
        ready = threading.Event()
        failures: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self.serve(ready.set))
            except BaseException as exc:  # noqa: BLE001 -- it is raised where somebody reads it
                failures.append(exc)
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="gqlink-served-app")
        self._thread.start()
        ready.wait()
        if failures:
            self._thread.join()
            raise failures[0]
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join()


class _Server(uvicorn.Server):
    """Says when it is ready, ends when it is told to, and leaves the test's signal handlers alone."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def main_loop(self) -> None:
        """Wait for the end without looking for it ten times a second."""
        await self.on_tick(0)
        await self.stopping.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them as they are."""
        yield


def _literal(lifespan: str) -> Any:
    """Give uvicorn the literal that it checks itself."""
    return lifespan
