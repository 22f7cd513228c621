"""A scripted server in a thread of its own, for clients that wait without a loop of their own."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from client.peer import Peer, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("ThreadedPeer", "clients_threads", "threaded_peer", "wait_until")

_SECONDS: Final = 10.0


class ThreadedPeer:
    """A `Peer` and the loop that it lives in; what it has seen may be read from any thread."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ready = threading.Event()
        self.stop: asyncio.Event | None = None

    def do(self, work: Callable[[], object]) -> None:
        """Have the server do something."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(work)

    async def live(self) -> None:
        """Serve until the test is over."""
        self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
        async with self.peer:
            self.ready.set()
            await self.stop.wait()


@contextmanager
def threaded_peer(script: Script | None = None) -> Iterator[ThreadedPeer]:
    """Run a server in a thread."""
    server = ThreadedPeer(Peer(script))
    thread = threading.Thread(target=lambda: asyncio.run(server.live()), name="peer")
    thread.start()
    assert server.ready.wait(_SECONDS)
    try:
        yield server
    finally:
        assert server.stop is not None
        server.do(server.stop.set)
        thread.join(_SECONDS)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait in this thread until a condition holds; fail if it does not come about."""
    until = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.001)


def clients_threads() -> list[threading.Thread]:
    """Return the threads of synchronous clients."""
    return [thread for thread in threading.enumerate() if thread.name == "gqlink SyncClient"]
