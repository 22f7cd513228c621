"""The client for scripts, threads and notebooks: the same, without `async`.

Underneath is a `Client` with an event loop in a thread of its own, so it works where a loop runs already, as in a
notebook, and whatever the caller does meanwhile, sockets are served.
"""

from __future__ import annotations

import asyncio
import warnings
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

from gqlink.client.client import Client
from gqlink.client.sync_loop import LoopThread, discard
from gqlink.errors import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gqlink.client.continuity import SubscriptionState
    from gqlink.client.event import Event
    from gqlink.client.frames import OnFrame
    from gqlink.client.gaps import CatchUp, EventKey, OnGap, Overflow, WhenAnonymous
    from gqlink.client.link import Link, Subscription
    from gqlink.client.state import OnState
    from gqlink.client.tokens import Auth

__all__ = ("SyncClient", "SyncSubscription")

# Who forgot to close is not made to wait for a server that does not answer.
_FORGOTTEN_SECONDS: Final = 2.0

T = TypeVar("T")


class SyncClient:
    """Executes and subscribes, and waits for it; a context manager that closes what it used.

    It may be used from several threads, and in a thread whose event loop runs. Its own loop starts with the first call,
    in a daemon thread. Everything that it was given runs there: links, token sources, functions such as `auth`,
    `on_frame` and `on_state`; they must not block for long, and must not use the client. Asynchronous objects that are
    given to it belong to that loop: use them with `run` only, as in `client.run(account.login("alice", "alice123"))`.

    Ctrl-C (KeyboardInterrupt) while it waits ends the operation on the server, too. One that is not closed says so with
    a ResourceWarning; the interpreter does not wait for it. It does not survive a fork: make one in each process.

    Args:
        target: As for `Client`.
        auth: As for `Client`.
        on_frame: As for `Client`.
        on_state: As for `Client`.

    Raises:
        BadUserInput: As for `Client`.
    """

    def __init__(
        self,
        target: str | Link,
        *,
        auth: Auth | None = None,
        on_frame: OnFrame | None = None,
        on_state: OnState | None = None,
    ) -> None:
        self._client = Client(target, auth=auth, on_frame=on_frame, on_state=on_state)
        self._thread = LoopThread(self._client)
        self._finalizer = weakref.finalize(self, _forgotten, self._thread)

    def execute(
        self,
        query: str,
        variables: Mapping[str, object] | None = None,
        operation_name: str | None = None,
        *,
        timeout: float | None = None,
    ) -> object:
        """Execute a query or a mutation; see `Client.execute`, also for what it raises.

        Args:
            query: The GraphQL document.
            variables: Values that JSON can express.
            operation_name: Needed where the document holds several operations.
            timeout: For how many seconds to wait; None for as long as it takes.

        Returns:
            The response's `data`, such as {"messages": [...]}.

        Raises:
            TimeoutError: No answer came within `timeout` seconds, to a query, or to a mutation that was not sent.
            OutcomeUnknown: A mutation was sent, and no answer came.
            ConnectionClosed: The client was closed, before or meanwhile.
            BadUserInput: The operation does not fit, or this is the client's own thread, or a forked child.
        """
        return self._thread.call(lambda: self._client.execute(query, variables, operation_name, timeout=timeout))

    def subscribe(
        self,
        query: str,
        variables: Mapping[str, object] | None = None,
        operation_name: str | None = None,
        *,
        key: EventKey | None = None,
        when_anonymous: WhenAnonymous = "run",
        on_gap: OnGap = "log",
        after: str | None = None,
        resume: Callable[[Event], Mapping[str, object]] | None = None,
        catch_up: CatchUp | None = None,
        buffer: int | None = None,
        overflow: Overflow = "fail",
    ) -> SyncSubscription:
        """Subscribe; `with client.subscribe(...) as events: for event in events: ...`.

        Every argument is that of `Client.subscribe`, and what it raises. The functions among them run in the client's
        own thread.
        """
        subscription = self._client.subscribe(
            query,
            variables,
            operation_name,
            key=key,
            when_anonymous=when_anonymous,
            on_gap=on_gap,
            after=after,
            resume=resume,
            catch_up=catch_up,
            buffer=buffer,
            overflow=overflow,
        )
        return SyncSubscription(self, self._thread, subscription)

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for something asynchronous that belongs to this client, such as `account.login("alice", "alice123")`.

        Raises:
            ConnectionClosed: The client was closed, before or meanwhile.
            BadUserInput: This is the client's own thread, or a forked child.
            Exception: Whatever it raises.
        """
        try:
            self._thread.start()
        except BaseException:
            discard(awaitable)
            raise
        return self._thread.call(lambda: awaitable)

    def credentials_changed(self) -> None:
        """Say that a bare function would give another credential now; see `Client.credentials_changed`.

        Raises:
            ConnectionRefused: The server does not accept the new credential.
        """
        self._thread.call(self._client.credentials_changed)

    def close(self) -> None:
        """End everything that runs, and the thread, within a few seconds; harmless when it is closed.

        Operations that other threads wait for raise `ConnectionClosed`. In a forked child nothing happens.
        """
        self._thread.close()
        self._finalizer.detach()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class SyncSubscription:
    """A running subscription: an iterator of events, and a context manager that ends it.

    It starts when it is entered, which waits until it is live, or when the first event is asked for. Several threads
    may ask: each event goes to one of them. One that is only iterated over ends with the last event, with `close()`,
    with Ctrl-C, or when nothing refers to it any more.
    """

    def __init__(self, client: SyncClient, thread: LoopThread, subscription: Subscription) -> None:
        self._client = client  # kept alive by whoever listens
        self._thread = thread
        self._subscription = subscription
        self._turn = asyncio.Lock()

    @property
    def state(self) -> SubscriptionState:
        """What it is doing now, and what it has missed."""
        return self._subscription.state

    def next(self, *, timeout: float | None = None) -> Event:
        """Wait for the next event.

        Args:
            timeout: For how many seconds; None for as long as it takes. Nothing is lost when they pass.

        Raises:
            TimeoutError: None came in time.
            StopIteration: It is over.
            GqlinkError: As from the iterator of `Client.subscribe`.
        """
        try:
            event = self._thread.call(lambda: self._take(timeout))
        except Exception:
            raise
        except BaseException:
            self._thread.tell(self._subscription.aclose)  # Ctrl-C: an event may have been on its way
            raise
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """End it, also on the server; what waits is forgotten. Harmless when it is over."""
        if self._thread.is_running:
            with suppress(ConnectionClosed):  # somebody closed the client in between
                self._thread.call(self._subscription.aclose)

    async def _take(self, timeout: float | None) -> Event | None:  # noqa: ASYNC109 -- it is the caller's
        """Return the next event, or None at the end; one at a time, in the loop's thread."""
        async with asyncio.timeout(timeout), self._turn:
            try:
                return await anext(self._subscription)
            except StopAsyncIteration:
                return None

    def __enter__(self) -> Self:
        self._thread.call(self._subscription.__aenter__)
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return self.next()


def _forgotten(thread: LoopThread) -> None:
    """Say that nobody closed a client, which nothing refers to any more, and end what it had."""
    if thread.is_running:
        thread.close(seconds=_FORGOTTEN_SECONDS)
        warnings.warn("a SyncClient was not closed: use `with`, or `close()`", ResourceWarning, stacklevel=2)
