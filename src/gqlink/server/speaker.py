"""Whoever speaks with one client for somebody: what a socket and an event stream have in common.

Here is the one place that decides, in the very step that sends, whether something may still be sent: the operation has
not ended for its client, the credential has not ended, the policy allows it, and asking the policy has not changed
that. How it is said, and how an end is, is up to the two kinds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from gqlink.auth import ANONYMOUS
from gqlink.errors import LoginRequired, PermissionDenied
from gqlink.server.documents import is_mutation, is_subscription
from gqlink.server.expiry import Lease
from gqlink.server.policy import check_policy, question
from gqlink.server.running import Runner, Running
from gqlink.server.tasks import TaskSet, wait_for_tasks

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping, Sequence

    from gqlink.auth import Identity
    from gqlink.errors import AuthError
    from gqlink.server.broadcast import Lane
    from gqlink.server.cursors import CursorCodec
    from gqlink.server.host import Host
    from gqlink.server.operation import Operation
    from gqlink.server.policy import PolicyEvent, PolicyOperation
    from gqlink.server.results import SharedResult
    from gqlink.server.transport import Transport

__all__ = ("Speaker",)


class Speaker(ABC):
    """One client's operations, and whom they are executed for.

    Args:
        host: What the application shares between all transports.
        transport: What is known of the request or handshake.
    """

    __slots__ = (
        "_host",
        "_identity",
        "_lease",
        "_runner",
        "_running",
        "_tasks",
        "_transport",
        "_working",
    )

    kind: ClassVar[Literal["websocket", "event_stream"]]

    def __init__(self, host: Host, *, transport: Transport) -> None:
        self._host = host
        self._transport = transport
        self._identity: Identity = ANONYMOUS
        self._lease = Lease(host.clock, host.expiries, deadlines=host.deadlines, end=self._expire)
        self._running: dict[str, Running] = {}
        self._tasks = TaskSet()
        self._runner = Runner(host, self, transport=transport)
        # Every operation that still does something, those included that have ended for the client. Like those of a
        # `TaskSet` they take little where there are none.
        self._working: dict[asyncio.Task[None], Running] = {}

    @property
    def identity(self) -> Identity:
        """Who it speaks for; anonymous until somebody is let in."""
        return self._identity

    @property
    @abstractmethod
    def state(self) -> Literal["unacknowledged", "acknowledged", "closing"]:
        """How far it has come."""

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Everything that it started and that has not ended, mutations of a client that left included."""
        return self._tasks.tasks.union(self._working)

    async def wait_ended(self, *, seconds: float | None = None) -> bool:
        """Wait until everything that it started has ended; see `wait_for_tasks`."""
        return await wait_for_tasks(self.tasks, seconds=seconds)

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """End it, for a reason that is not the client's credential; the client may come again."""

    @abstractmethod
    def dismiss(self, error: AuthError) -> None:
        """End it, because its client is not any more who it speaks for; nothing that waits may leave."""

    @property
    @abstractmethod
    def is_writable(self) -> bool:
        """Whether `wait_writable` would return at once."""

    @abstractmethod
    async def wait_writable(self) -> None:
        """Wait while too much is waiting to be sent."""

    def has_expired(self) -> bool:
        """Tell whether its credential has ended, and end it if that is so; one that has stays so."""
        return self._lease.is_over()

    def recheck(self) -> None:
        """Ask the policy again about everything that runs; what it refuses ends.

        A mutation has to finish: it is asked about again when its answer is there.
        """
        for running in tuple(self._running.values()):
            running.doubtful = True
            if not running.mutation and self._may_speak(running):
                self._allows(running, running.asked)

    def deliver(self, running: Running, payload: bytes, *, about: PolicyOperation | PolicyEvent | None) -> None:
        """Send one result, if in this very step it may be sent, and nothing stands between the two."""
        # The hook takes its time, and the credential may end in it.
        if self._may_speak(running) and self._allows(running, about) and self._may_speak(running):
            self._say_next(running, payload)

    def hand_on(self, running: Running, results: Sequence[SharedResult], *, cursors: CursorCodec | None) -> int | None:
        """Send results of a shared run, as far as they may be sent in this very step; return how many were.

        None where nothing was sent because too much waits to be sent already; see `wait_writable`.

        What the schema's directives demand was looked at when the operation began, and is at each renewal; so only a
        policy is asked about each event.

        Args:
            running: The operation.
            results: Oldest first.
            cursors: How cursors are written; None where nobody wants any.
        """
        if not self.is_writable:
            return None
        sent = 0
        for result in results:
            payload = result.payload if cursors is None else result.placed_tail(cursors)[:-1]
            about = None if self._host.policy is None else running.event(result.publication.data)
            self.deliver(running, payload, about=about)
            sent += running.live
        return sent

    def lane_of(self, running: Running) -> tuple[Lane, bytes] | None:
        """Return where results may be written at once, and how each begins; None where each needs a decision."""
        del running
        return None

    def spawn(self, coroutine: Coroutine[object, object, None]) -> None:
        """Do something in a task that ends with it."""
        self._tasks.spawn(coroutine, name=self._name("catching up"))

    def complete(self, running: Running) -> None:
        """End an operation whose source has ended."""
        if self._may_speak(running):
            self._forget(running, outcome="ok")
            self._say_complete(running)

    def fail(self, running: Running, errors: Sequence[Mapping[str, object]]) -> None:
        """End an operation with errors."""
        if self._may_speak(running):
            self._forget(running, outcome="error")
            self._say_errors(running, errors)

    @abstractmethod
    def _is_open(self) -> bool:
        """Tell whether the client is let in, now: what must not happen after its credential's end asks here."""

    @abstractmethod
    def _expire(self) -> None:
        """End it at its credential's end; what waits was sent before, and may leave while the end does."""

    @abstractmethod
    def _say_next(self, running: Running, payload: bytes) -> None: ...

    @abstractmethod
    def _say_complete(self, running: Running) -> None: ...

    @abstractmethod
    def _say_errors(self, running: Running, errors: Sequence[Mapping[str, object]]) -> None: ...

    def _begin(self, operation_id: str, operation: Operation) -> None:
        """Start an operation that was prepared, if the policy allows it.

        Raises:
            LoginRequired: A login is missing.
            PermissionDenied: It is refused.
        """
        asked = question(self._host.policy, operation)
        if asked is not None:
            check_policy(self._host.policy, self._identity, asked)
        if not self._is_open():
            return  # the policy's hook has ended it
        running = Running(operation_id, mutation=is_mutation(operation.node), asked=asked)
        self._running[operation_id] = running
        work, name = self._runner.run(running, operation), self._name("operation")
        if self._host.shared_context is not None and is_subscription(operation.node):
            # It joins the others in this very step, most likely, and needs no task then.
            task = self._tasks.begin(work, name=name)
        else:
            task = (self._host.mutations if running.mutation else self._tasks).spawn(work, name=name)
        if task is None:
            return
        running.task = task
        self._working[task] = running
        task.add_done_callback(self._has_worked)
        if not running.live:
            self._cancel(running)  # the first step has ended the socket

    def _has_worked(self, task: asyncio.Task[None]) -> None:
        """Take note that an operation's task has ended; the operation goes on without it where it is in a group."""
        self._working.pop(task).task = None
        if not self._working:
            self._working.clear()  # which gives its memory back

    def _stop(self, operation_id: str) -> None:
        running = self._running.pop(operation_id, None)
        if running is not None:
            running.live = False
            self._cancel(running)

    def _cancel(self, running: Running) -> None:
        if running.following is not None:
            running.following.leave("cancelled")
        if not running.mutation and running.task is not None:
            self._tasks.cancel(running.task)

    def _end_all(self) -> None:
        """End everything for the client; a mutation finishes."""
        for operation_id in list(self._running):
            self._stop(operation_id)
        self._tasks.cancel_all()
        self._lease.cancel()

    def _may_speak(self, running: Running) -> bool:
        return running.live and self._is_open()

    def _allows(self, running: Running, about: PolicyOperation | PolicyEvent | None) -> bool:
        """Ask the policy, if there is anything to ask about; an operation that it refuses ends here."""
        try:
            if about is not None:
                check_policy(self._host.policy, self._identity, about)
        except (LoginRequired, PermissionDenied) as exc:
            self.fail(running, [self._host.errors.format(exc)])
            self._cancel(running)
        return running.live  # the hook may have ended everything

    def _forget(self, running: Running, *, outcome: str) -> None:
        running.live = False
        self._running.pop(running.id, None)
        if running.following is not None:
            running.following.leave(outcome)

    def _name(self, what: str) -> str:
        return f"gqlink {self.kind.replace('_', ' ')} {what}"
