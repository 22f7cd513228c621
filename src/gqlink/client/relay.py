"""The sockets of a link that are in service, and what passes between them and the operations.

Mostly there is one. During a handover (see `handover`) it has a successor, which takes the new operations; after one,
the predecessor drains: it stays for the answers that it owes, and nothing new is asked of it. Whoever knows that the
credential is another person's drops them all, and from then on nothing that they bring is heard.

Longer than a file should be, because who is heard, and for whom it speaks, is decided here in one place.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gqlink.client.dialling import Dialler
from gqlink.client.ending import Ending
from gqlink.client.handover import Handover
from gqlink.client.renewer import Renewer
from gqlink.client.tracing import ConnectionSpans
from gqlink.protocol import (
    AckAddition,
    AckReceived,
    CloseCode,
    Closed,
    CompleteReceived,
    ErrorReceived,
    PongReceived,
    read_outcome,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gqlink.client.clock import Timer
    from gqlink.client.open_sockets import OpenSockets
    from gqlink.client.operations import Operation, Operations
    from gqlink.client.params import Credential
    from gqlink.client.recovery import Recovery
    from gqlink.client.settings import LinkSettings
    from gqlink.client.socket import Socket
    from gqlink.protocol import Event, NextReceived, ResultMessage

__all__ = ("Relay",)

# For how long a socket that has a successor stays for its last answers, at least; otherwise as long as its token lives.
_DRAIN_SECONDS: Final = 5.0
# How much earlier than we think a server may end a socket with its credential: its clock and the way are in it. One
# that lived for less was not let live.
_TOLERANCE_SECONDS: Final = 1.0


class Relay:
    """Carries the operations of one link.

    Args:
        settings: What the link keeps to.
        operations: What runs.
        recovery: Which subprotocols to offer, and what was refused.
        sockets: Every socket with a TCP connection.
        on_news: Told of whatever happens but results.
        on_live: Told that a socket is live or goes on with another credential: the socket, what is left of its
            credential in seconds, and how many renewals there have been.
        on_stranger: Told that a renewal would speak for somebody else.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        operations: Operations,
        recovery: Recovery,
        sockets: OpenSockets,
        on_news: Callable[[], None],
        on_live: Callable[[Socket, float | None, int], None],
        on_stranger: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._operations = operations
        self._recovery = recovery
        self._sockets = sockets
        self._on_news = on_news
        self._on_live = on_live
        self._on_stranger = on_stranger
        self._dialled = 0
        self._attempts = ConnectionSpans(settings.url)
        # The one that is attended to, and the one that takes new operations: its successor, while there is one.
        self._socket: Socket | None = None
        self._live: Socket | None = None
        self._handover: Handover | None = None
        self._handovers: list[Handover] = []
        self._draining: dict[Socket, Timer] = {}
        self._renewer: Renewer | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._renewed = 0
        self._speaker: tuple[Credential, AckAddition | None] | None = None
        # Whether a renewal has brought another token since, of which no server says for whom it stands.
        self._unconfirmed = False

    @property
    def socket(self) -> Socket | None:
        """The one that is attended to; None where there is none, or all were dropped."""
        return self._socket

    @property
    def is_live(self) -> bool:
        """Whether operations can be written."""
        return self._live is not None

    @property
    def anonymous(self) -> bool:
        """Whether the live socket speaks for nobody."""
        return self._live is not None and _is_nobody(self._live.credential, self._live.addition)

    def was_nobody(self, credential: Credential) -> bool:
        """Say whether a credential is known to stand for nobody, from itself or from what the server made of it."""
        if self._speaker is not None and self._speaker[0].fingerprint == credential.fingerprint:
            return _is_nobody(credential, self._speaker[1])
        return credential.anonymous

    def speaks_as(self, credential: Credential) -> bool:
        """Say whether whatever is heard, or is about to be, speaks for whom a credential stands for.

        The one that is attended to has presented it; a renewal under way, a successor or one that drains counts for
        another person's unless it presents the same, or the server has said that it speaks for the same subject.
        """
        socket = self._socket
        if socket is None or socket.credential.fingerprint != credential.fingerprint:
            return False
        candidate = None if self._renewer is None else self._renewer.candidate
        if candidate is not None and candidate.fingerprint != credential.fingerprint:
            return False
        others = [*self._draining] if self._handover is None else [*self._draining, self._handover.new]
        return all(
            each.credential.fingerprint == credential.fingerprint or _is_told_same(socket.addition, each.addition)
            for each in others
        )

    def confirm(self) -> None:
        """Take note that the socket speaks for whom it should; a renewal may have brought that about unsaid."""
        if self._unconfirmed:
            self._operations.discard_buffers("a renewal may have changed for whom the socket speaks")
            self._unconfirmed = False

    def lived_out(self, ending: Ending) -> bool:
        """Say whether the socket that is attended to ended with its credential, when the server had said it would.

        Args:
            ending: Its end.
        """
        socket = self._socket
        if socket is None or socket.ending is not ending or socket.expires_at is None:
            return False
        due_at = socket.expires_at - _TOLERANCE_SECONDS
        return ending.stayed_seconds >= _TOLERANCE_SECONDS and self._settings.clock.now() >= due_at

    def attend(self, socket: Socket) -> None:
        """Take a new socket; it may not be acknowledged yet."""
        self._socket = socket

    def go_live(self, socket: Socket, *, nudged: bool, changed: bool) -> None:
        """Put every operation to work that no socket carries; the socket is acknowledged.

        Args:
            socket: The one that is attended to.
            nudged: Whether there may be another token since its credential was asked for.
            changed: Whether somebody waits until a change is followed.
        """
        if self._live is not None:
            return
        if changed:
            self.confirm()
        speaker = (socket.credential, socket.addition)
        if self._speaker is not None and not _same_speaker(self._speaker, speaker):
            self._operations.discard_buffers("the socket speaks for somebody else now")
            self._unconfirmed = False
        self._speaker = speaker
        self._operations.subject = None if socket.addition is None else socket.addition.subject
        self._live = socket
        self._renewed = 0
        self._operations.write_waiting(socket, anonymous=self.anonymous)
        self._keep_fresh(socket, nudged=nudged)

    def write(self, operation: Operation) -> None:
        """Put one operation to work, if there is a live socket."""
        if self._live is not None and self._live.ending is None:
            self._operations.write(operation, self._live, anonymous=self.anonymous)

    def nudge(self) -> None:
        """Take note that the source has another token for the same login."""
        if self._renewer is not None:
            self._renewer.nudge()

    async def successor(self) -> Socket | None:
        """Return the socket to attend to: after a handover another one than before."""
        handover = self._handover
        if handover is not None and not handover.running:
            self._handover = None
            if handover.succeeded:
                await self._adopt(handover)
        return self._socket

    def drop(self, code: int, reason: str) -> None:
        """Leave every socket at once: from here on nothing of them reaches anybody.

        Also one that has gone by itself meanwhile: what it carried is to be written again, or has its outcome.
        """
        carrying = dict.fromkeys(each for each in (self._socket, self._live) if each is not None)
        carrying |= dict.fromkeys([*self._draining, *self._sockets])
        if self._handover is not None:
            carrying |= dict.fromkeys([self._handover.old, self._handover.new])
            self._handover.turn_back()
        for handover in self._handovers:
            handover.dispose()
        self._handovers.clear()
        self._handover = self._live = self._socket = None
        if self._renewing is not None:
            self._renewing.cancel()
        for socket in carrying:
            ending = socket.ending or Ending(None, code, reason)
            self._operations.connection_ended(socket, code=ending.code, reason=ending.reason)
            socket.close(code, reason)

    async def leave(self) -> None:
        """Part with the socket that was attended to, and with its successor; one that drains may go on."""
        await self._stop_renewing()
        if self._handover is not None:
            self._handover.turn_back()
            self._handover.new.close(CloseCode.NORMAL)
        socket, self._socket = self._socket, None
        self._handover = self._live = None
        if socket is not None:
            socket.close(CloseCode.NORMAL)  # it may have ended already
            ending = socket.ending or Ending(None)
            self._operations.connection_ended(socket, code=ending.code, reason=ending.reason)

    def release_drained(self) -> None:
        """Close each socket that owes nothing any more to those who asked it."""
        for socket in [each for each in self._draining if not self._operations.carried_by(each)]:
            self._draining.pop(socket).cancel()
            socket.close(CloseCode.NORMAL)

    async def dial(self, credential: Credential) -> Socket | Ending:
        """Open a socket, or say why there is none."""
        self._dialled = number = self._dialled + 1
        dialler = Dialler(
            self._settings,
            dialects=self._recovery.offer,
            credential=credential,
            number=number,
            on_event=self._on_event,
            on_results=self._on_results,
            on_gone=self._on_gone,
        )
        self._attempts.begin(number)
        try:
            socket = await dialler.dial()
        except BaseException:
            self._attempts.ended(number)
            raise
        if isinstance(socket, Ending):
            self._attempts.ended(number, socket)
        else:
            self._sockets.add(socket)
        return socket

    def hand_over(self, new: Socket) -> Handover | None:
        """Begin to move everything to a second socket; None where it speaks for somebody else."""
        old = self._socket
        if old is None or not _same_subject(old.addition, new.addition):
            self._on_stranger()
            self._on_news()
            return None
        clock, overlap = self._settings.clock, self._settings.overlap_seconds
        if old.expires_at is not None and old.addition is not None:
            # Our server ends the socket with its token: better we do before. Others let it live for the whole overlap.
            overlap = min(overlap, max(0.8 * (old.expires_at - clock.now()), 0.0))
        self._handover = handover = Handover(
            self._operations, old=old, new=new, overlap_seconds=overlap, clock=clock, on_over=self._on_news
        )
        self._handovers = [each for each in self._handovers if each.running] + [handover]
        self._live = new
        handover.begin()
        self._operations.write_waiting(new, anonymous=self.anonymous)
        return handover

    def renewed(self, expires_in: float | None) -> None:
        """Take note that the live socket goes on with another credential."""
        if self._live is not None:
            self._renewed += 1
            self._speaker = (self._live.credential, self._live.addition)
            self._on_live(self._live, expires_in, self._renewed)

    async def _adopt(self, handover: Handover) -> None:
        """Let the successor be the socket, and the predecessor drain."""
        await self._stop_renewing()
        self._socket = new = handover.new
        self._speaker = (new.credential, new.addition)
        self._unconfirmed |= not _is_told_same(handover.old.addition, new.addition)
        self._renewed += 1
        self._drain(handover.old)
        self._keep_fresh(new, nudged=False)

    def _keep_fresh(self, socket: Socket, *, nudged: bool) -> None:
        """Show what is live, and see to its renewals."""
        renewer = Renewer(self._settings, recovery=self._recovery, socket=socket, host=self)
        self._on_live(socket, renewer.remaining, self._renewed)
        if not self._settings.params.can_change:
            return
        self._renewer = renewer
        if nudged:
            renewer.nudge()
        self._renewing = asyncio.get_running_loop().create_task(renewer.run(), name="gqlink renewal")

    async def _stop_renewing(self) -> None:
        task, self._renewing, self._renewer = self._renewing, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _drain(self, socket: Socket) -> None:
        """Keep a socket for the answers that it owes, as long as its token lives or a few seconds."""
        if socket.ending is not None:
            self._lose(socket, socket.ending)
            return
        until = self._settings.clock.now() + _DRAIN_SECONDS
        if socket.expires_at is not None:
            until = max(until, socket.expires_at)
        self._draining[socket] = self._settings.clock.call_at(until, lambda: socket.close(CloseCode.NORMAL))
        self.release_drained()

    def _on_results(self, _socket: Socket, results: Sequence[NextReceived | ResultMessage]) -> None:
        """Hand results on; there is more to do only where a consumer lags, and so its operation is over."""
        if not self._operations.results(results):
            self._settle()

    def _on_event(self, socket: Socket, event: Event) -> None:
        """Act on one event; of a socket that was left, no operation is known."""
        match event:
            case CompleteReceived(identifier):
                self._operations.completed(identifier)
            case ErrorReceived(identifier, errors):
                self._operations.failed(socket, identifier, errors)
            case PongReceived(payload):
                self._take_outcome(socket, payload)
            case AckReceived():
                self._attempts.acknowledged(socket)
            case Closed():
                self._attempts.ended(socket.number, socket.ending)
                self._ended(socket)
        self._settle()

    def _settle(self) -> None:
        """Draw the consequences of an operation that may be over, or a socket."""
        self.release_drained()
        if self._renewer is not None:
            self._renewer.wake()
        self._on_news()

    def _ended(self, socket: Socket) -> None:
        """Draw the consequences of an end for those that another socket carries as well, or could."""
        handover = self._handover
        between = handover is not None and handover.running and socket in {handover.old, handover.new}
        if handover is not None and between:
            if socket is handover.old:
                handover.finish(lost=True)
            else:
                handover.turn_back()
                self._live = handover.old
        draining = self._draining.pop(socket, None)
        if draining is not None:
            draining.cancel()
        if (between or draining is not None) and socket.ending is not None:
            self._lose(socket, socket.ending)

    def _lose(self, socket: Socket, ending: Ending) -> None:
        """Let the live socket carry what another one carried, where that may be written again."""
        self._operations.connection_ended(socket, code=ending.code, reason=ending.reason)
        if self._live is not None and self._live.ending is None:
            self._operations.write_waiting(self._live, anonymous=self.anonymous)

    def _take_outcome(self, socket: Socket, payload: object) -> None:
        outcome = read_outcome(payload if isinstance(payload, dict) else None)
        if outcome is not None and socket is self._socket and self._renewer is not None:
            self._renewer.take(outcome)

    def _on_gone(self, socket: Socket) -> None:
        self._sockets.discard(socket)
        self._on_news()


def _is_nobody(credential: Credential, addition: AckAddition | None) -> bool:
    return credential.anonymous if addition is None else addition.subject is None


def _same_subject(before: AckAddition | None, now: AckAddition | None) -> bool:
    """Say whether two sockets speak for the same subject; where no server tells, whoever gave both tokens knows."""
    return before is None or now is None or before.subject == now.subject


def _is_told_same(one: AckAddition | None, other: AckAddition | None) -> bool:
    """Say whether the server says of two sockets that they speak for the same subject."""
    return one is not None and other is not None and one.subject == other.subject


def _same_speaker(before: tuple[Credential, AckAddition | None], now: tuple[Credential, AckAddition | None]) -> bool:
    """Say whether two connections speak for the same subject, as far as anybody can know."""
    if before[1] is not None and now[1] is not None:
        return before[1].subject == now[1].subject
    return before[0].fingerprint == now[0].fingerprint
