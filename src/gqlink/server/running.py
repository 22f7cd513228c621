"""What the task of one operation does, from its first step to its end; what the client hears of it is the socket's."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from gqlink.errors import LoginRequired, PermissionDenied, SessionRevoked, SubscriberLagging, TokenExpired
from gqlink.protocol import CloseCode
from gqlink.pubsub import Stream
from gqlink.server.documents import is_subscription
from gqlink.server.following import Following, FollowingSocket
from gqlink.server.logbook import log_event
from gqlink.server.observing import Observation
from gqlink.server.policy import PolicyEvent, check_policy
from gqlink.server.results import RequestError
from gqlink.server.sharing import group_key
from gqlink.server.tasks import in_a_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gqlink.auth import Identity
    from gqlink.pubsub import Publication
    from gqlink.server.host import Host
    from gqlink.server.observing import OperationWatch
    from gqlink.server.operation import Operation, Source
    from gqlink.server.policy import PolicyOperation
    from gqlink.server.results import SharedResult
    from gqlink.server.sharing import Group, GroupKey
    from gqlink.server.transport import Transport

__all__ = ("OperationSocket", "Runner", "Running")

_EVENTS_AT_ONCE: Final = 16
"""After so many events others have their turn: a backlog is there already, and nothing in it needs to wait."""


class Running:
    """What a listener knows of an operation; `live` until it has ended for the client.

    Args:
        operation_id: What the client calls it.
        mutation: Whether it may change something, and so has to finish.
        asked: What was asked about; None where there is no policy, and nothing is demanded.
    """

    __slots__ = ("asked", "doubtful", "following", "head", "id", "live", "mutation", "task")

    def __init__(self, operation_id: str, *, mutation: bool, asked: PolicyOperation | None) -> None:
        self.id = operation_id
        self.mutation = mutation
        self.asked = asked
        self.live = True
        self.doubtful = False
        """Rights may have changed since it started, so its answer needs to be asked about."""
        self.task: asyncio.Task[None] | None = None
        self.following: Following | None = None
        """Its place in a shared run, where it has one."""
        self.head: bytes | None = None
        """How each message begins that brings a shared result; None until there was one."""

    def event(self, data: object) -> PolicyEvent | None:
        """Return what to ask about one event; None where there is nothing to ask."""
        return None if self.asked is None else PolicyEvent(self.asked, data)


class OperationSocket(FollowingSocket, Protocol):
    """What an operation says to its socket; each is one step, and harmless when the operation is over."""

    @property
    def identity(self) -> Identity:
        """Who the socket speaks for now."""

    def deliver(self, running: Running, payload: bytes, *, about: PolicyOperation | PolicyEvent | None) -> None:
        """Send one result, if the policy allows it."""

    def complete(self, running: Running) -> None:
        """End it."""

    def fail(self, running: Running, errors: Sequence[Mapping[str, object]]) -> None:
        """End it with errors."""

    def close(self, code: int, reason: str) -> None:
        """End the socket."""

    def has_expired(self) -> bool:
        """Tell whether the socket's credential has ended."""

    async def wait_writable(self) -> None:
        """Wait while too much is waiting to be sent."""


class Runner:
    """Runs the operations of one socket, each in a task that the socket owns.

    Args:
        host: Who executes.
        socket: Who is told.
        transport: What is known of the handshake.
    """

    __slots__ = ("_host", "_socket", "_transport")

    def __init__(self, host: Host, socket: OperationSocket, *, transport: Transport) -> None:
        self._host = host
        self._socket = socket
        self._transport = transport

    async def run(self, running: Running, operation: Operation) -> None:
        """Run one operation to its end."""
        transport, identity = self._transport, self._socket.identity
        label = "event_stream" if transport.socket is None else "websocket"
        try:
            with Observation(self._host, operation, transport=transport, label=label, identity=identity) as seen:
                if is_subscription(operation.node):
                    await self._run_subscription(running, operation, seen)
                else:
                    await self._run_once(running, operation)
        except RequestError as exc:
            self._socket.fail(running, exc.errors)
        except SubscriberLagging as exc:
            self._end_lagging(running, exc)

    def _end_lagging(self, running: Running, exc: SubscriberLagging) -> None:
        # To go on would be a gap that nobody sees: the client connects again, and resumes if that is possible.
        socket, client = self._transport.socket, self._transport.client
        log_event("slow_consumer", "a client is closed: %s", exc, socket=socket, client=client)
        if running.live and not exc.reset:  # its socket has not ended meanwhile
            self._host.meter.slow_consumers += 1
        self._socket.close(CloseCode.SLOW_CONSUMER, "Slow consumer")

    async def _run_once(self, running: Running, operation: Operation) -> None:
        context = partial(self._mutation_context, running) if running.mutation else self._context
        payload = await self._host.execution.run(operation, context, present=self._present)
        self._socket.deliver(running, payload, about=running.asked if running.doubtful else None)
        self._socket.complete(running)

    async def _run_subscription(self, running: Running, operation: Operation, seen: Observation) -> None:
        source = await self._host.execution.open(operation, self._context, present=self._present)
        stream = source.events
        key = group_key(operation, stream) if isinstance(stream, Stream) and self._host.shared_context else None
        if key is None:
            await self._run_alone(running, source, seen.watch)
        else:
            assert isinstance(stream, Stream)
            await self._follow(running, source, stream, key=key, seen=seen)

    async def _follow(
        self, running: Running, source: Source, stream: Stream, *, key: GroupKey, seen: Observation
    ) -> None:
        """Put a subscriber into the group of those who get the same; from then on it needs no task."""
        host = self._host

        def execute() -> Callable[[Publication], Awaitable[SharedResult]]:
            assert host.shared_context is not None
            return host.execution.shared(source.operation, partial(host.shared_context, key.share_key))

        def join(following: Following) -> Group:
            return host.sharing.join(key, stream.topic, following, execute=execute)

        running.following = Following(
            running, self._socket, meter=host.meter, watch=seen.watch, on_end=self._on_shared_end
        )
        try:
            with host.execution.reporting:
                await running.following.begin(source, stream, join)
        except BaseException:
            running.following.leave("error")
            raise
        finally:
            await source.aclose()
        running.following.go_on(seen)

    def _on_shared_end(self, running: Running, error: Exception | None) -> None:
        if isinstance(error, SubscriberLagging):
            self._end_lagging(running, error)
        elif error is not None:
            self._socket.fail(running, [self._host.errors.format(error)])
        else:
            self._socket.complete(running)

    async def _run_alone(self, running: Running, source: Source, seen: OperationWatch) -> None:
        await in_a_task()
        check = partial(self._check_event, running)
        events = self._host.execution.results(source, self._context, present=self._present, check=check)
        numbers = itertools.count(1)
        try:
            async for result in events:
                about = running.event(result.data) if result.is_event else None
                self._socket.deliver(running, result.payload, about=about)
                if running.live and result.is_event:
                    self._host.meter.events_sent += 1
                    seen.events += 1
                await self._socket.wait_writable()
                if next(numbers) % _EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                if not running.live:
                    return  # it was cancelled, and its source took no notice
            self._socket.complete(running)
        finally:
            await events.aclose()

    def _check_event(self, running: Running, data: object) -> None:
        """Let an event's resolvers run only if it may be sent as things are; it is asked about again when it is."""
        about = running.event(data)
        if about is None:
            return
        try:
            check_policy(self._host.policy, self._socket.identity, about)
        except (LoginRequired, PermissionDenied) as exc:
            raise RequestError([self._host.errors.format(exc)]) from exc
        if not running.live or self._socket.has_expired():
            raise RequestError([])  # the hook has ended it, or the credential has; nobody is told anything

    def _present(self) -> Identity:
        return self._socket.identity

    def _context(self) -> object:
        return self._host.context(self._socket.identity, self._transport)

    async def _mutation_context(self, running: Running) -> object:
        """Build a mutation's context, and let it begin only for somebody who may still ask: nothing stops it later.

        What is raised here becomes its answer, which a socket that has ended does not send.
        """
        while True:
            identity = self._present()
            context = self._context()
            if inspect.isawaitable(context):
                context = await context
            if identity is self._present():
                break
        if running.doubtful and running.asked is not None:
            check_policy(self._host.policy, identity, running.asked)
        if self._socket.has_expired():
            raise TokenExpired("before it began")
        if self._host.revocations.denies(identity):
            raise SessionRevoked("before it began")
        return context
