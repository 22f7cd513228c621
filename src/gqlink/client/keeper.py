"""Keeps an acknowledged socket for as long as somebody needs it, with the credential that holds now.

Theory of operation
-------------------
One task per link, and in it one loop, which is alive only while it has something to do:

    credential ──▶ dial ──▶ ack ──▶ live ──▶ the end ──▶ what the end means ──▶ wait ──▶ credential ...

* The credential is asked for before each dialling, never during it: a slow token does not use up the time that the
  server gives for `connection_init`. One that was refused is not presented again.
* Everything that may happen to a socket sets one signal, and one place (`_attend`) waits for it. Events themselves do
  not wait: they go from the frame to the consumer's buffer in one step (`_on_event`).
* A change of the credential is counted. A connection remembers how far the count was when its credential was asked
  for; whenever it is behind, the credential is asked for again. If it is the same, nothing happens. If not, every
  socket is closed, the server has seen it go, and operations go on over a new one. So changes that come together cost
  one connection, and one that comes while a connection is being made is not missed.
* Operations are written only after that check, so no operation ever starts with a credential that was known to be old.
* While a socket is live, a `Renewer` keeps its credential fresh: on the socket itself, or by a second socket, to which
  a `Handover` moves what runs. The old one then stays for its last answers (`_drain`). A change ends all of that.

Longer than a file should be, because the states of one connection are told here in one piece.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gqlink.client.ending import Ending
from gqlink.client.followers import Followers, done
from gqlink.client.link import PLAIN
from gqlink.client.open_sockets import OpenSockets
from gqlink.client.operations import Operations
from gqlink.client.presenter import Presenter
from gqlink.client.recovery import Recovery
from gqlink.client.relay import Relay
from gqlink.client.state import Board, LinkPhase
from gqlink.client.tracing import forget_caller
from gqlink.errors import ConnectionClosed, GqlinkError, LocalProtocolError
from gqlink.protocol import CloseCode, Verdict

if TYPE_CHECKING:
    from gqlink.client.gaps import SubscribeOptions
    from gqlink.client.operations import Operation
    from gqlink.client.params import Credential
    from gqlink.client.request import Request
    from gqlink.client.settings import LinkSettings
    from gqlink.client.socket import Socket
    from gqlink.client.state import LinkState
    from gqlink.client.tokens import Change

__all__ = ("Keeper",)

_log: Final = logging.getLogger("gqlink.client")


class Keeper:
    """The life of a link's connections.

    Args:
        settings: What it keeps to.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._clock = settings.clock
        self._board = Board(settings)
        self._operations = Operations(
            buffer=settings.buffer,
            clock=settings.clock,
            on_gap=self._board.count_gap,
            is_somebody=lambda: settings.params.expires_at is not None,
        )
        self._recovery = Recovery(settings)
        self._followers = Followers()
        self._presenter = Presenter(settings, recovery=self._recovery, release=self._release_sources)
        self._sockets = OpenSockets()
        self._relay = Relay(
            settings,
            operations=self._operations,
            recovery=self._recovery,
            sockets=self._sockets,
            on_news=self._wake,
            on_live=self._board.show_live,
            on_stranger=self._presenter.changed,
        )
        self._signal = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._eager = False
        self._closed = False
        self._pausing = False
        self._not_before = 0.0
        self._lost: Ending | None = None
        self._resting = False
        self._next: Credential | None = None
        self._credential: Credential | None = None
        self._lived_out = False
        self._idle_since: float | None = None

    @property
    def state(self) -> LinkState:
        """What the link is doing now."""
        return self._board.state

    def open(self) -> None:
        """Connect now, and stay connected without operations."""
        self._require_open()
        self._eager = True
        self._ensure_running()

    def start(self, request: Request, options: SubscribeOptions = PLAIN) -> Operation:
        """Run an operation: at once on a live socket, otherwise as soon as there is one.

        Args:
            request: What it asks.
            options: What a subscriber wants beside events.

        Raises:
            ConnectionClosed: The link was closed.
        """
        self._require_open()
        self._resting = False
        operation = self._operations.add(request, options)
        self._relay.write(operation)
        self._ensure_running()
        self._wake()
        return operation

    def stop(self, operation: Operation) -> None:
        """End an operation, also on the server; harmless when it is over."""
        self._operations.stop(operation)
        self._relay.release_drained()
        self._wake()

    def release(self, operation: Operation) -> None:
        """End an operation whose caller is served or has gone; after an answer the server completes it itself."""
        if not operation.answered:
            self.stop(operation)

    async def credentials_changed(self) -> None:
        """Bring the connection to the present credential; see `WebSocketLink.credentials_changed`."""
        await self._follow(source=False)

    def credential_changed(self, change: Change) -> asyncio.Future[None]:
        """Take what a token source tells of itself; the future is done when the link has followed."""
        if change == "changed":
            return self._follow(source=True)
        self._presenter.renewed()
        self._relay.nudge()
        return done()

    async def aclose(self) -> None:
        """End everything, within about a second."""
        self._closed = True
        task = self._task
        try:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
            await self._presenter.aclose()
        finally:  # also for a caller who is cancelled here: nobody must wait for ever
            self._relay.drop(CloseCode.NORMAL, "")
            self._operations.discard_buffers("the link was closed")  # it will not hear of a logout any more
            self._operations.fail(ConnectionClosed(CloseCode.NORMAL, "the link was closed"))
            self._board.show(LinkPhase.CLOSED)
        await self._sockets.wait_gone()
        await asyncio.sleep(0)  # picows' own task for pings ends one turn later

    def _follow(self, *, source: bool) -> asyncio.Future[None]:
        """Have the connection follow a change."""
        if self._closed:
            return done()
        own = self._presenter.changed(source=source)
        self._operations.subject = None  # what is asked for from here on is for whoever comes
        self._operations.changes += 1
        self._resting = False
        self._wake()
        if self._eager or (self._operations and self._task is None):
            self._ensure_running()  # a link that stays connected comes back, and so does one that waits for a login
        # A source may be what somebody needs who is being asked, and without a socket nothing speaks for anybody.
        asked = own or (source and self._presenter.is_asking and self._relay.socket is None)
        if self._task is None or self._pausing or asked:
            self._part("the credential changed while there was no connection")
            return self._sockets.farewell()
        return self._followers.add(source=source)

    async def _run(self) -> None:
        """The loop: one connection after the other, while somebody needs one."""
        forget_caller()
        try:
            while await self._serve():
                pass
        except Exception as exc:  # noqa: BLE001 -- consumers must not wait for ever for a task that is gone
            _log.exception("the link failed; this is a bug in gqlink")
            error = LocalProtocolError(f"the link failed: {type(exc).__name__}")
            error.__cause__ = exc
            self._fail(error)
        finally:
            self._task = None
            self._followers.settle()

    async def _serve(self) -> bool:
        """Serve whoever needs a connection, to the end; whether there is somebody to begin anew for."""
        try:
            if self._lost is not None and self._clock.now() < self._not_before:
                await self._pause(self._lost)  # nobody needed the next one then; whoever comes now waits as well
            while await self._continue():
                ending = await self._connection()
                if ending is None:
                    break
                await self._recover(ending)
        except GqlinkError as exc:
            return not await self._give_up(exc)
        self._board.show(LinkPhase.IDLE)
        return False

    async def _continue(self) -> bool:
        """Say whether somebody needs another connection; who followed a change into the end of the last one goes on."""
        while not (self._operations or self._eager or self._next is not None):
            if not self._followers:
                return False
            self._part("the credential changed while the connection ended")
            await self._sockets.wait_gone()
            self._followers.settle()
        return True

    async def _connection(self) -> Ending | None:
        """Have one connection, from the credential to its end; None where everybody waits for a login."""
        self._board.show(LinkPhase.CONNECTING)
        self._lived_out = False
        credential = await self._ask()
        if isinstance(credential, Ending):
            return credential
        self._credential = credential
        if self._waits_for_login(credential):
            return None
        self._recovery.require_fresh(credential)
        socket = await self._dial(credential)
        if isinstance(socket, Ending):
            return socket
        self._relay.attend(socket)
        try:
            ending = await self._attend()
            self._lived_out = self._relay.lived_out(ending)
            return ending
        finally:
            self._credential = self._relay.socket.credential if self._relay.socket is not None else credential
            await self._relay.leave()

    async def _ask(self) -> Credential | Ending:
        """Ask what to present, and let nothing speak for the person before once a change has been followed so far."""
        credential: Credential | Ending | None = self._next
        self._next = None
        while credential is None or self._presenter.is_behind:
            credential = await self._presenter.ask()
            if self._followers:
                await self._drop()  # a socket that drains
        return credential

    def _waits_for_login(self, credential: Credential) -> bool:
        """Say whether nobody is logged in, and nothing runs that could do anything before somebody is."""
        if self._eager or self._operations.need(anonymous=True):
            return False
        if not (self._resting or self._relay.was_nobody(credential)):
            return False
        self._operations.discard_buffers("nobody is logged in any more")
        self._operations.begin_held()
        return True

    async def _dial(self, credential: Credential) -> Socket | Ending:
        """Open a socket; a change of the credential meanwhile ends the attempt."""
        dialling = asyncio.get_running_loop().create_task(self._relay.dial(credential), name="gqlink dialling")
        dialling.add_done_callback(lambda _: self._wake())
        try:
            while not dialling.done() and not self._presenter.is_behind:
                await self._wait()
        finally:
            if not dialling.done():
                dialling.cancel()
                await asyncio.wait([dialling])
        return Ending(None) if dialling.cancelled() else dialling.result()

    async def _attend(self) -> Ending:
        """Stay with the socket, or its successor, to the end; the one place that waits."""
        while (socket := await self._relay.successor()) is not None and socket.ending is None:
            if self._presenter.is_behind:
                ending = await self._follow_change(socket)
                if ending is not None:
                    return ending
                continue
            if socket.acknowledged:
                self._relay.go_live(socket, nudged=self._presenter.has_newer, changed=bool(self._followers))
                self._recovery.acknowledged()
                self._followers.settle()
                if self._is_idle():
                    # Then the next one would rest as well, whatever it presents: asking again would be for ever.
                    self._resting = self._relay.anonymous
                    socket.close(CloseCode.NORMAL)
                    return Ending(None)
            await self._wait(socket)
            socket.expire()
        return Ending(None) if socket is None or socket.ending is None else socket.ending

    async def _follow_change(self, socket: Socket) -> Ending | None:
        """Leave every socket if the credential is another one; None where it is the same."""
        if await self._presenter.differs(socket.credential):
            await self._drop()  # whoever logs out does not wait for a slow function before the sockets go
        fresh = await self._presenter.ask(connected=self._relay.socket is not None)
        if isinstance(fresh, Ending):
            await self._drop()  # who it should be is unknown: nobody is better than the one before
            return fresh
        if self._relay.speaks_as(fresh):
            self._relay.confirm()
            return None
        await self._drop()
        self._next = fresh
        return Ending(None)

    async def _release_sources(self) -> None:
        """Let token sources go on without a connection: nothing of the person before is left."""
        if self._followers.has_sources:
            self._part("the credential changed and the next one is asked for")
            await self._sockets.wait_gone()
            self._followers.release_sources()

    def _part(self, why: str) -> None:
        """Leave every socket, and forget what they brought and nobody has taken."""
        self._relay.drop(CloseCode.TERMINATED, _CHANGED)  # first: what is carried no more can be asked for again
        self._operations.discard_buffers(why)

    async def _drop(self) -> None:
        """Leave every socket, and wait until the server has seen them go."""
        self._relay.drop(CloseCode.TERMINATED, _CHANGED)
        await self._sockets.wait_gone()

    async def _recover(self, ending: Ending) -> None:
        """Draw the consequences of an end, and wait where that is one of them."""
        self._board.ended(ending)
        if self._presenter.is_behind and ending.refusal and self._credential is not None:
            # It was about whoever spoke before: the credential has changed since.
            self._recovery.remember(ending.error, self._credential)
            await self._drop()
            return
        credential = self._credential
        refused = ending.verdict is Verdict.FAIL and ending.refusal
        if refused and credential is not None and await self._presenter.has_another(credential):
            ending = replace(ending, verdict=Verdict.REFRESH)  # what was revoked is not what holds now
        delay = self._recovery.after(ending, credential=credential, lived_out=self._lived_out)
        if delay is None:
            return
        self._not_before, self._lost = self._clock.now() + delay, ending
        if self._operations or self._eager:
            await self._pause(ending)
        if not ending.dialled:
            self._lost = None  # no server has failed: whoever asks next need not wait

    async def _pause(self, ending: Ending) -> None:
        """Wait until there may be another connection, or nobody needs one.

        Args:
            ending: How the last one ended.
        """
        delay = self._not_before - self._clock.now()
        if self._followers:
            self._part("the credential changed and the connection was lost")
            await self._sockets.wait_gone()
        self._board.show(LinkPhase.WAITING, retry_in=delay, code=ending.code, reason=ending.reason)
        self._pausing = True
        self._followers.settle()  # there is no socket: the next one asks for the credential anyway
        try:
            await asyncio.sleep(0)  # however short the delay: a failure that comes at once must not hold the loop
            while self._clock.now() < self._not_before and (self._operations or self._eager):
                await self._wait(until=self._not_before)
        finally:
            self._pausing = False

    async def _give_up(self, error: GqlinkError) -> bool:
        """Fail, unless it was about a credential that has changed meanwhile; whether that is so."""
        self._recovery.forget()
        self._next = None
        self._relay.drop(CloseCode.NORMAL, "")
        if self._followers:
            await self._sockets.wait_gone()
        # From here on in one step: an operation that began meanwhile is told as well.
        if self._presenter.is_behind:
            return False
        self._fail(error)
        return True

    def _fail(self, error: GqlinkError) -> None:
        """Tell everybody who waits that there will be no connection."""
        self._relay.drop(CloseCode.NORMAL, "")
        if self._followers:
            self._operations.discard_buffers("the credential changed and was refused")
        code, reason = getattr(error, "code", None), getattr(error, "reason", "")
        self._board.show(LinkPhase.FAILED, code=code, reason=reason or str(error))
        self._operations.fail(error)
        self._followers.settle(error)

    async def _wait(self, socket: Socket | None = None, *, until: float | None = None) -> None:
        """Wait for the signal, at most until the next moment at which something is due."""
        idle = self._idle_at() if socket is not None and self._relay.is_live else None
        moments = [until, idle, socket.deadline if socket is not None else None]
        due = min((moment for moment in moments if moment is not None), default=None)
        timer = None if due is None else self._clock.call_at(due, self._wake)
        try:
            await self._signal.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._signal.clear()

    def _idle_at(self) -> float | None:
        """Return when a socket without operations is to be closed."""
        seconds = self._settings.idle_seconds
        if self._eager or seconds is None or self._operations.need(anonymous=self._relay.anonymous):
            self._idle_since = None
            return None
        if self._idle_since is None:
            self._idle_since = self._clock.now()
        return self._idle_since + seconds

    def _is_idle(self) -> bool:
        at = self._idle_at()
        return at is not None and self._clock.now() >= at

    def _wake(self) -> None:
        self._signal.set()

    def _ensure_running(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="gqlink link")

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionClosed(None, "the link was closed")


_CHANGED: Final = "Credential changed"
