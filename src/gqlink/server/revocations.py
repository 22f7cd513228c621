"""Who is to leave at once, here and on every other node, and who is not to come back.

What must stay true: between the deny-list and the closing of sockets nothing waits; whoever registers a socket, or
executes something over HTTP, asks `denies` in the same step; nobody is identified before the deny-list is loaded, and
nobody let in while it may be incomplete. So a credential that was verified before its revocation and is used after it
does not get in.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final, Protocol

from gqlink.auth import DenyList
from gqlink.errors import AuthUnavailable, SessionRevoked
from gqlink.server.control import Control, kind_of
from gqlink.server.logbook import Throttle, log_event
from gqlink.server.observing import unobserved
from gqlink.server.orders import Order, Recheck, UnreadableOrder, read_order, write_order
from gqlink.server.tasks import TaskSet, is_ending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from gqlink.auth import Identity, Revocation
    from gqlink.pubsub import Broker
    from gqlink.server.clock import Clock
    from gqlink.server.speaker import Speaker

__all__ = ("RevocationStore", "Revocations")

STEP_SECONDS: Final = 10.0
"""How long the store may take to keep a revocation, and then the broker to tell it to the other nodes."""

_DAY: Final = 86_400.0

_AT_ONCE: Final = 1000
"""How many loaded revocations are taken in one turn of the event loop."""


class RevocationStore(Protocol):
    """Where revocations outlive the process; usually a table.

    Any exception of either method means that it did not work; both are tried again, so `add` may come twice.
    """

    async def add(self, revocation: Revocation) -> None:
        """Keep a revocation; when this returns, `load` of every node has it."""
        ...

    async def load(self) -> Sequence[Revocation]:
        """Return what was added within the last `revocation_seconds`; what is older may be left out, and deleted."""
        ...


class Revocations:
    """The deny-list of one node, its sockets, and the way to the other nodes.

    Args:
        listeners: The live sockets and event streams, as the transports keep them.
        broker: What orders travel through.
        store: Where revocations are kept, or None.
        clock: The time.
        remember_seconds: How long the deny-list remembers.
    """

    def __init__(
        self,
        listeners: set[Speaker],
        *,
        broker: Broker,
        store: RevocationStore | None,
        clock: Clock,
        remember_seconds: float,
    ) -> None:
        self._listeners = listeners
        self._store = store
        self._clock = clock
        self._deny_list = DenyList(remember_seconds=remember_seconds)
        self._throttle = Throttle(clock)
        self._node = secrets.token_urlsafe(9)
        self._control = Control(broker, clock=clock, obey=self._obey, load=self._load)
        self._tasks = TaskSet()

    def start(self) -> None:
        """Begin to listen to other nodes, unless it has begun; needs a running event loop."""
        self._control.start()

    @property
    def is_ready(self) -> bool:
        """Whether the deny-list is loaded and other nodes are heard, now: only then does `denies` know everything."""
        return self._control.is_ready

    async def ready(self) -> None:
        """Wait until the deny-list is loaded and other nodes are heard; costs nothing when they are.

        Raises:
            AuthUnavailable: The store or the broker fails; the next call tries again.
        """
        await self._control.ready()

    def denies(self, identity: Identity) -> bool:
        """Tell whether an identity's credential was revoked."""
        return self._deny_list.denies(identity)

    def apply(self, revocation: Revocation) -> None:
        """Deny what a revocation covers, and close its sockets, on this node, in one step."""
        self._apply(revocation, revocation.matches)

    def _apply(self, revocation: Revocation, covers: Callable[[Identity], bool]) -> None:
        self._deny_list.add(revocation, now=self._clock.now())
        self._close(covers)

    def moment(self, subject: str | None) -> float:
        """Return the moment of a revocation that is ordered now, in seconds since the Unix epoch.

        A credential that a live socket speaks for was issued before now, whatever it says: the clock of its issuer may
        be ahead of ours, or ours was put back. Then the moment is that of the credential.

        Args:
            subject: Whose revocation it is; None for one whose moment does not matter.
        """
        now = self._clock.wall()
        known = (each.identity.issued_at for each in self._listeners if subject == each.identity.subject is not None)
        # A hook may take anything for a moment: it must not keep a person out for years.
        return max([now, *(moment for moment in known if moment is not None and moment < now + _DAY)])

    async def revoke(self, revocation: Revocation) -> None:
        """Apply a revocation that is ordered now, in this step; then tell the other nodes, and keep it.

        Of a subject every live socket of this node is closed, since it was there before the order.

        A caller that is cancelled does not stop it.

        Raises:
            AuthUnavailable: It could not be kept, or not be told, or both; the other two steps were taken all the
                same. To repeat it is harmless.
        """
        subject = revocation.subject
        self._apply(revocation, (lambda identity: identity.subject == subject) if subject else revocation.matches)
        self.start()
        await self._spread(self._keep_and_tell(revocation))

    async def recheck(self, subject: str | None) -> None:
        """Ask the policy again about everything that runs for somebody, or for everybody, on all nodes.

        Raises:
            AuthUnavailable: The other nodes could not be told; here it was done.
        """
        self._recheck(subject)
        self.start()
        await self._spread(self._tell_recheck(subject))

    @property
    def tasks(self) -> frozenset[asyncio.Task[object]]:
        """What is still on its way to the store or to other nodes."""
        return self._tasks.tasks

    async def aclose(self) -> None:
        """Stop listening, for good, and give up what is still on its way; harmless to repeat."""
        self._tasks.cancel_all()
        await self._control.aclose()

    def _close(self, covers: Callable[[Identity], bool]) -> None:
        """End every matching socket and stream, in one pass; one that fails does not spare the others."""
        with unobserved():
            for listener in tuple(self._listeners):
                if covers(listener.identity):
                    try:
                        listener.dismiss(SessionRevoked("while it was spoken to"))
                    except Exception:  # noqa: BLE001 -- a bug of ours
                        log_event("failed", "a revoked socket could not be closed", exc_info=True)

    def _recheck(self, subject: str | None) -> None:
        with unobserved():
            for listener in tuple(self._listeners):
                if subject is None or listener.identity.subject == subject:
                    try:
                        listener.recheck()
                    except Exception:  # noqa: BLE001 -- a bug of ours
                        log_event("failed", "the rights of a socket could not be looked at again", exc_info=True)

    async def _spread(self, work: Coroutine[object, object, None]) -> None:
        # Whoever asked may leave, the order stands: half of it must not stay here.
        task = self._tasks.spawn(work, name="gqlink control order", report=False)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if is_ending():
                raise
            raise AuthUnavailable("an order holds on this node; the application was closed before it went on") from None

    async def _keep_and_tell(self, revocation: Revocation) -> None:
        failures = await _failure_of(self._tell(revocation), what="told to other nodes")
        if self._store is not None:
            # They were told first, because a store takes its time; and are told again, because a node that came up in
            # between was not there to hear it, and may have loaded too early to find it. The second time decides.
            failures = await _failure_of(self._store.add(revocation), what="kept")
            failures += await _failure_of(self._tell(revocation), what="told to other nodes")
        if failures:
            cause = failures[0] if len(failures) == 1 else ExceptionGroup("neither", failures)
            raise AuthUnavailable(
                "a revocation holds on this node, but was not kept, or other nodes not told"
            ) from cause

    async def _tell_recheck(self, subject: str | None) -> None:
        for failure in await _failure_of(self._tell(Recheck(subject)), what="told to other nodes"):
            raise AuthUnavailable("rights were looked at again on this node, but other nodes not told") from failure

    async def _tell(self, what: Revocation | Recheck) -> None:
        await self._control.say(write_order(Order(self._node, what)))

    def _obey(self, data: object) -> None:
        try:
            order = read_order(data)
        except UnreadableOrder as exc:
            text = "an order on the control topic cannot be read, and is ignored: %s"
            self._throttle.log("order_unreadable", text, exc)
            return
        if order.node == self._node:
            return
        match order.what:
            case Recheck():
                self._recheck(order.what.subject)
            case revocation:
                self.apply(revocation)

    async def _load(self) -> None:
        """Take over what was kept: all of it into the deny-list, then one pass over the sockets."""
        if self._store is None:
            return
        for number, revocation in enumerate(await self._store.load(), start=1):
            self._deny_list.add(revocation, now=self._clock.now())
            if not number % _AT_ONCE:
                await asyncio.sleep(0)
        self._close(self.denies)


async def _failure_of(step: Awaitable[object], *, what: str) -> list[Exception]:
    """Take one step of several, each of which is tried whatever became of the others."""
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await step
    except (Exception, asyncio.CancelledError) as exc:
        if isinstance(exc, asyncio.CancelledError):
            if is_ending():
                raise
            exc = RuntimeError("cancelled from within")
        log_event("order_failed", "an order was not %s: %s", what, kind_of(exc))
        log_event("order_failed", "why an order was not %s", what, level=logging.DEBUG, exc_info=exc)
        return [exc]
    return []
