"""Keeps one acknowledged socket for as long as somebody needs it, with the credential that holds now.

Theory of operation
-------------------
One task per link, and in it one loop, which is alive only while it has something to do:

    credential ──▶ dial ──▶ ack ──▶ live ──▶ the end ──▶ what the end means ──▶ wait ──▶ credential ...

* The credential is asked for before each dialling, never during it: a slow token does not use up the time that the
  server gives for `connection_init`. One that was refused is not presented again.
* Everything that may happen to a socket sets one signal, and one place (`_attend`) waits for it. Events themselves do
  not wait: they go from the frame to the consumer's buffer in one step (`_on_event`).
* A change of the credential is counted. A connection remembers how far the count was when its credential was asked
  for; whenever it is behind, the credential is asked for again. If it is the same, nothing happens. If not, the socket
  is closed and operations go on over a new one. So changes that come together cost one connection, and one that
  comes while a connection is being made is not missed.
* Operations are written only after that check, so no operation ever starts with a credential that was known to be old.

Longer than a file should be, because the states of one connection are told here in one piece.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from gqlink.client.dialling import Dialler
from gqlink.client.ending import Ending
from gqlink.client.operations import Operations, same_error
from gqlink.client.recovery import Recovery
from gqlink.client.state import LinkPhase, LinkState
from gqlink.errors import BadUserInput, ConnectionClosed, GqlinkError, LocalProtocolError
from gqlink.protocol import (
    AckAddition,
    CloseCode,
    CompleteReceived,
    ErrorReceived,
    NextReceived,
    Verdict,
)

if TYPE_CHECKING:
    from gqlink.client.operations import Operation
    from gqlink.client.params import Credential
    from gqlink.client.request import Request
    from gqlink.client.settings import LinkSettings
    from gqlink.client.socket import Socket
    from gqlink.protocol import Event

__all__ = ("Keeper",)

# A socket cuts itself a second after its close frame; this is for one that has more to write than its peer will read.
_CLOSE_SECONDS: Final = 2.0
_log: Final = logging.getLogger("gqlink.client")


class Keeper:
    """The life of a link's connections.

    Args:
        settings: What it keeps to.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._clock = settings.clock
        self._operations = Operations(buffer=settings.buffer)
        self._recovery = Recovery(settings)
        self._signal = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sockets: set[Socket] = set()
        self._live: Socket | None = None
        self._dialled = 0
        self._eager = False
        self._closed = False
        self._pausing = False
        # How often the credential has changed, and how often it had when it was last asked for.
        self._changes = 0
        self._evaluated = 0
        self._following: list[asyncio.Future[None]] = []
        self._next: Credential | None = None
        self._credential: Credential | None = None
        self._speaker: tuple[Credential, AckAddition | None] | None = None
        self._idle_since: float | None = None
        self.state = LinkState(LinkPhase.IDLE, 0.0)

    def open(self) -> None:
        """Connect now, and stay connected without operations."""
        self._require_open()
        self._eager = True
        self._ensure_running()

    def start(self, request: Request) -> Operation:
        """Run an operation: at once on a live socket, otherwise as soon as there is one.

        Raises:
            ConnectionClosed: The link was closed.
        """
        self._require_open()
        operation = self._operations.add(request)
        if self._live is not None and self._live.ending is None:
            self._write(operation, self._live)
        self._ensure_running()
        self._signal.set()
        return operation

    def stop(self, operation: Operation) -> None:
        """End an operation, also on the server; harmless when it is over."""
        if self._live is not None and operation.id is not None:
            self._live.complete(operation.id)
        self._operations.remove(operation)
        self._signal.set()

    def release(self, operation: Operation) -> None:
        """End an operation whose caller is served or has gone; after an answer the server completes it itself."""
        if not operation.answered:
            self.stop(operation)

    async def credentials_changed(self) -> None:
        """Bring the connection to the present credential; see `WebSocketLink.credentials_changed`."""
        if self._closed:
            return
        self._changes += 1
        if self._eager:
            self._ensure_running()  # a link that stays connected comes back with another credential
        if self._task is None or self._pausing:
            self._discard_buffers("the credential changed while there was no connection")
            return
        follower = asyncio.get_running_loop().create_future()
        self._following.append(follower)
        self._signal.set()
        await follower

    async def aclose(self) -> None:
        """End everything, within about a second."""
        self._closed = True
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._operations.fail(ConnectionClosed(CloseCode.NORMAL, "the link was closed"))
        self._show(LinkPhase.CLOSED)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._sockets:
                    self._signal.clear()
                    await self._signal.wait()
        except TimeoutError:
            _log.warning("%d sockets did not close in time and were cut", len(self._sockets))
        finally:
            for socket in list(self._sockets):
                socket.abort()
        await asyncio.sleep(0)  # picows' own task for pings ends one turn later

    async def _run(self) -> None:
        """The loop: one connection after the other, while somebody needs one."""
        try:
            while self._operations or self._eager or self._next is not None:
                ending = await self._connection()
                await self._recover(ending)
            self._show(LinkPhase.IDLE)
        except GqlinkError as exc:
            self._give_up(exc)
        except Exception as exc:  # noqa: BLE001 -- consumers must not wait for ever for a task that is gone
            _log.exception("the link failed; this is a bug in gqlink")
            error = LocalProtocolError(f"the link failed: {type(exc).__name__}")
            error.__cause__ = exc
            self._give_up(error)
        finally:
            self._task = None
            self._settle()

    async def _connection(self) -> Ending:
        """Have one connection, from the credential to its end."""
        self._show(LinkPhase.CONNECTING)
        credential = self._next or await self._evaluate()
        if isinstance(credential, Ending):
            return credential
        self._credential, self._next = credential, None
        self._recovery.require_fresh(credential)
        self._dialled += 1
        dialler = Dialler(
            self._settings,
            dialects=self._recovery.offer,
            credential=credential,
            number=self._dialled,
            on_event=self._on_event,
            on_gone=self._on_gone,
        )
        socket = await dialler.dial()
        if isinstance(socket, Ending):
            return socket
        if not socket.gone:
            self._sockets.add(socket)
        try:
            return await self._attend(socket, credential)
        finally:
            self._leave(socket)

    async def _evaluate(self, *, changed: bool = False) -> Credential | Ending:
        """Ask for the credential until the answer is newer than the last change."""
        while True:
            self._evaluated = self._changes
            try:
                credential = await self._settings.params.evaluate("changed" if changed else self._recovery.reason)
            except GqlinkError as exc:
                if not exc.temporary:
                    raise
                # Whoever knows the credential cannot say now: that is no refusal.
                return Ending(Verdict.RETRY, reason=str(exc), fault=exc)
            if self._evaluated == self._changes:
                return credential
            changed = True

    async def _attend(self, socket: Socket, credential: Credential) -> Ending:
        """Stay with one socket to its end; the one place that waits."""
        while socket.ending is None:
            if self._evaluated != self._changes:
                fresh = await self._evaluate(changed=True)
                if isinstance(fresh, Ending) or fresh.fingerprint != credential.fingerprint:
                    socket.close(CloseCode.TERMINATED, "Credential changed")
                    if isinstance(fresh, Ending):
                        return fresh
                    self._next = fresh
                    return Ending(None)
                continue
            if socket.acknowledged:
                self._go_live(socket, credential)
                self._settle()
                if self._is_idle():
                    socket.close(CloseCode.NORMAL)
                    return Ending(None)
            await self._wait(socket)
            socket.expire()
        return socket.ending

    def _go_live(self, socket: Socket, credential: Credential) -> None:
        """Put every operation to work that no socket carries; the credential is the present one."""
        if self._live is socket:
            return
        if self._speaker is not None and not _same_speaker(self._speaker, (credential, socket.addition)):
            self._discard_buffers("the socket speaks for somebody else now")
        self._speaker = (credential, socket.addition)
        self._live = socket
        self._idle_since = None
        self._recovery.acknowledged()
        for operation in self._operations.waiting():
            self._write(operation, socket)
        addition = socket.addition or AckAddition()
        self._show(
            LinkPhase.LIVE,
            socket=socket.number,
            subprotocol=socket.subprotocol,
            subject=addition.subject,
            expires_in=addition.expires_in,
        )

    def _write(self, operation: Operation, socket: Socket) -> None:
        try:
            socket.start(self._operations.carry(operation), operation.request.message)
        except LocalProtocolError as exc:
            error = BadUserInput("variables must be values that JSON can express")
            error.__cause__ = exc
            self._operations.finish(operation, error)

    def _leave(self, socket: Socket) -> None:
        """Part with a socket: from here on nothing of it reaches anybody."""
        socket.close(CloseCode.NORMAL)  # it may have ended already
        self._live = None
        ending = socket.ending or Ending(None)
        self._operations.connection_ended(code=ending.code, reason=ending.reason)

    async def _recover(self, ending: Ending) -> None:
        """Draw the consequences of an end, and wait where that is one of them."""
        delay = self._recovery.after(ending, credential=self._credential)
        if delay is None or not (self._operations or self._eager):
            return
        if self._following:
            self._discard_buffers("the credential changed and the connection was lost")
        self._show(LinkPhase.WAITING, retry_in=delay, code=ending.code, reason=ending.reason)
        _log.info("connecting again in %.2f s: %s", delay, ending.error)
        self._pausing = True
        self._settle()  # there is no socket: the next one asks for the credential anyway
        until = self._clock.now() + delay
        try:
            await asyncio.sleep(0)  # however short the delay: a failure that comes at once must not hold the loop
            while self._clock.now() < until and (self._operations or self._eager):
                await self._wait(until=until)
        finally:
            self._pausing = False

    def _give_up(self, error: GqlinkError) -> None:
        """Tell everybody who waits that there will be no connection."""
        self._recovery.forget()
        self._next = None
        code, reason = getattr(error, "code", None), getattr(error, "reason", "")
        self._show(LinkPhase.FAILED, code=code, reason=reason or str(error))
        if self._following:
            self._discard_buffers("the credential changed and was refused")
        _log.warning("the link gives up: %s", error)
        self._operations.fail(error)
        self._settle(error)

    def _on_event(self, socket: Socket, event: Event) -> None:
        """Act on one event; of a socket that we have left, nothing is heard."""
        if socket is self._live:
            match event:
                case NextReceived(identifier, result):
                    if self._operations.result(identifier, result):
                        return
                    socket.complete(identifier)
                case CompleteReceived(identifier):
                    self._operations.completed(identifier)
                case ErrorReceived(identifier, errors):
                    self._operations.failed(identifier, errors)
        self._signal.set()

    def _on_gone(self, socket: Socket) -> None:
        self._sockets.discard(socket)
        self._signal.set()

    async def _wait(self, socket: Socket | None = None, *, until: float | None = None) -> None:
        """Wait for the signal, at most until the next moment at which something is due."""
        idle = self._idle_at() if socket is not None and socket is self._live else None
        moments = [until, idle, socket.deadline if socket is not None else None]
        due = min((moment for moment in moments if moment is not None), default=None)
        timer = None if due is None else self._clock.call_at(due, self._signal.set)
        try:
            await self._signal.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._signal.clear()

    def _idle_at(self) -> float | None:
        """Return when a socket without operations is to be closed."""
        seconds = self._settings.idle_seconds
        if self._operations or self._eager or seconds is None:
            self._idle_since = None
            return None
        if self._idle_since is None:
            self._idle_since = self._clock.now()
        return self._idle_since + seconds

    def _is_idle(self) -> bool:
        at = self._idle_at()
        return at is not None and self._clock.now() >= at

    def _settle(self, error: GqlinkError | None = None) -> None:
        """Tell those who wait for a change of credential that it is done, or why it cannot be."""
        following, self._following = self._following, []
        for follower in following:
            if follower.done():
                continue
            if error is None:
                follower.set_result(None)
            else:
                follower.set_exception(same_error(error))

    def _discard_buffers(self, why: str) -> None:
        count = self._operations.discard_buffers()
        if count:
            _log.warning("%d events that nobody had taken were discarded: %s", count, why)

    def _ensure_running(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="gqlink link")

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionClosed(None, "the link was closed")

    def _show(self, phase: LinkPhase, **facts: object) -> None:
        self.state = LinkState(phase, self._clock.now(), **facts)  # type: ignore[arg-type] # its own fields, by name
        if self._settings.on_state is None:
            return
        try:
            self._settings.on_state(self.state)
        except Exception:  # noqa: BLE001 -- the user's hook may raise anything
            _log.exception("on_state raised; the link is not affected")


def _same_speaker(before: tuple[Credential, AckAddition | None], now: tuple[Credential, AckAddition | None]) -> bool:
    """Say whether two connections speak for the same subject, as far as anybody can know."""
    if before[1] is not None and now[1] is not None:
        return before[1].subject == now[1].subject
    return before[0].fingerprint == now[0].fingerprint
