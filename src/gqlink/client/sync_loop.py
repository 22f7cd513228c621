"""An event loop in a thread of its own, for those who have none, or whose own must not be waited in.

It starts with the first call and ends with `close`, in this order: what runs is told (the client is closed), what is
still there is cancelled, and whoever waits for something that will not come any more hears that, too. The thread is a
daemon: an interpreter that ends does not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from concurrent import futures
from contextlib import suppress
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gqlink.errors import BadUserInput, ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

__all__ = ("LoopThread",)

# A link closes within two seconds; what takes longer is a function of the application's, and goes on without us.
_CLOSE_SECONDS: Final = 5.0
_log: Final = logging.getLogger("gqlink.client")

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads.

    Args:
        used: What is entered when the loop starts, and left when it ends, both in the loop's thread.
    """

    def __init__(self, used: AbstractAsyncContextManager[object]) -> None:
        self._used = used
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._started: futures.Future[None] = futures.Future()
        self._process: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._pending: set[futures.Future[Any]] = set()
        self._closed = False

    @property
    def is_running(self) -> bool:
        """Whether there is a thread of this process that must be ended."""
        return self._thread is not None and not self._closed and self._process == os.getpid()

    def start(self) -> None:
        """Start the thread, if it does not run.

        Raises:
            ConnectionClosed: It was closed.
            BadUserInput: This is the loop's own thread, or a child of the process that started it.
        """
        self._require_elsewhere()
        with self._lock:
            if self._closed:
                raise ConnectionClosed(None, "the client was closed")
            if self._thread is None:
                self._process = os.getpid()
                self._thread = threading.Thread(target=self._live, name="gqlink SyncClient", daemon=True)
                self._thread.start()
        self._started.result()

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have the loop do something, and wait for it; a caller who is interrupted cancels it.

        Args:
            work: Called in the loop's thread.

        Raises:
            ConnectionClosed: It was closed, before or meanwhile.
            BadUserInput: This is the loop's own thread, or a child of the process that started it.
            Exception: Whatever `work` raises.
        """
        self.start()
        future = self._schedule(work)
        try:
            return future.result()
        except futures.CancelledError:
            if self._closed:
                raise ConnectionClosed(None, "the client was closed") from None
            raise
        except BaseException:
            future.cancel()  # harmless if it is the work's own
            raise
        finally:
            self._pending.discard(future)

    def tell(self, work: Callable[[], Awaitable[object]]) -> None:
        """Have the loop do something, and wait for nothing; harmless when it is over."""
        if self.is_running:
            try:
                future = self._schedule(work)
            except ConnectionClosed:
                return
            future.add_done_callback(self._pending.discard)

    def close(self, *, seconds: float = _CLOSE_SECONDS) -> None:
        """End the loop and its thread; harmless when it is over, and in a child of the process that started it.

        In the loop's own thread it waits for nothing.

        Args:
            seconds: How long to wait otherwise; a thread that takes longer is left behind.
        """
        if self._process not in {None, os.getpid()}:
            return
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is None:
            return
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # it is over
                self._loop.call_soon_threadsafe(self._stop.set)
        if thread is not threading.current_thread():
            thread.join(seconds)
            if thread.is_alive():
                _log.warning("the client's thread did not end within %.0f s and is left behind", seconds)

    def _schedule(self, work: Callable[[], Awaitable[T]]) -> futures.Future[T]:
        coroutine = _await(work)
        with self._lock:
            if self._closed or self._loop is None:
                coroutine.close()
                raise ConnectionClosed(None, "the client was closed")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._pending.add(future)
        return future

    def _live(self) -> None:
        """Be the thread."""
        try:
            asyncio.run(self._serve())
        except BaseException as exc:  # noqa: BLE001 -- whoever waits for the start must be told of whatever it is
            self._closed = True
            if self._started.done():
                _log.exception("the client's thread failed")
            else:
                self._started.set_exception(exc)

    async def _serve(self) -> None:
        try:
            async with self._used:
                self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
                self._started.set_result(None)
                await self._stop.wait()
        finally:
            await self._dismiss()

    async def _dismiss(self) -> None:
        """Let nobody wait for a loop that will not turn any more."""
        with self._lock:
            self._closed = True
            pending = list(self._pending)
        for future in pending:
            future.cancel()
        await asyncio.sleep(0)  # what was scheduled last begins, so that it can be cancelled

    def _require_elsewhere(self) -> None:
        if self._process not in {None, os.getpid()}:
            raise BadUserInput("a SyncClient does not survive a fork: make one in each process")
        if self._thread is not None and threading.current_thread() is self._thread:
            raise BadUserInput(
                "a SyncClient was called in its own thread, where waiting would be for ever: "
                "functions that are given to it must not use it"
            )


async def _await(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def discard(awaitable: object) -> None:
    """Say goodbye to a coroutine that nobody will await."""
    if iscoroutine(awaitable):
        awaitable.close()
