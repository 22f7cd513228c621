"""Keeps the credential of one live socket fresh: one task for each, as long as the socket lives.

    the moment ──▶ another token ──▶ ping offered, and only the token differs? ──▶ ping, and wait for the outcome
                                 └─▶ otherwise ──▶ a second socket, acknowledged ──▶ hand over

Nothing of it is visible: while it works, the socket is what it was, and whatever fails is tried again, as long as the
old credential lives. A credential that the server refuses is remembered as refused; another one is asked for once.
"""

from __future__ import annotations

import asyncio
import logging
import math
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

from gqlink.client.ending import Ending
from gqlink.client.renewal import RenewalSchedule
from gqlink.client.telemetry import log_event
from gqlink.errors import ConnectionRefused, GqlinkError
from gqlink.protocol import TRANSPORT_WS, CloseCode, Renewal, Verdict, renewal_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.client.handover import Handover
    from gqlink.client.params import Credential
    from gqlink.client.recovery import Recovery
    from gqlink.client.settings import LinkSettings
    from gqlink.client.socket import Socket
    from gqlink.protocol import RenewalOutcome

__all__ = ("Host", "Renewer")

_REFUSALS: Final = {"Token invalid", "Token expired", "Session revoked"}
_log: Final = logging.getLogger("gqlink.client")


class Host(Protocol):
    """What a renewal needs of the link."""

    async def dial(self, credential: Credential) -> Socket | Ending:
        """Open another socket."""

    def hand_over(self, new: Socket) -> Handover | None:
        """Begin to move what runs; None where the new socket speaks for somebody else."""

    def renewed(self, expires_in: float | None) -> None:
        """Take note that the socket goes on with another credential."""


class _Result(Enum):
    DONE = auto()
    LATER = auto()
    REFUSED = auto()


class Renewer:
    """The renewals of one socket.

    Args:
        settings: What the link keeps to.
        recovery: Remembers what was refused.
        socket: Acknowledged.
        host: The link.
    """

    def __init__(self, settings: LinkSettings, *, recovery: Recovery, socket: Socket, host: Host) -> None:
        self._clock = settings.clock
        self._params = settings.params
        self._pace = settings.pace
        self._recovery = recovery
        self._socket = socket
        self._host = host
        self._news = asyncio.Event()
        self._nudged = False
        self._seq = 0
        self._not_before = -math.inf
        self._outcome: RenewalOutcome | None = None
        self.candidate: Credential | None = None
        self.schedule = self._plan(self._left_since_ack())

    def nudge(self) -> None:
        """Take note that the source has another token, or may have."""
        self._nudged = True
        self._news.set()

    def wake(self) -> None:
        """Look again: something has happened to a socket."""
        self._news.set()

    def take(self, outcome: RenewalOutcome) -> None:
        """Take what the server says of a renewal; one that was given up is nobody's any more."""
        if outcome.seq == self._seq:
            self._outcome = outcome
            self._news.set()

    async def run(self) -> None:
        """Renew until the socket has gone or been replaced; only cancellation leaves here."""
        try:
            while await self._wait_due():
                result = await self._try()
                if result is not _Result.DONE:
                    self.schedule.failed(now=self._clock.now(), chance=self._clock.chance(), earliest=self._not_before)
                if result is _Result.REFUSED:
                    self.schedule.give_up()
        except Exception:  # noqa: BLE001 -- a bug must not take the socket with it, which is alive
            _log.exception("renewing the credential failed; this is a bug in gqlink")
        finally:
            self.candidate = None

    async def _wait_due(self) -> bool:
        """Wait for the moment, or for a token that is there before it; False when the socket has ended."""
        while self._socket.ending is None:
            if self._nudged:
                self._nudged = False
                if await self._has_another():
                    return True
            elif self.schedule.is_due(self._clock.now()):
                return True
            else:
                await self._pause(self.schedule.due)
        return False

    async def _has_another(self) -> bool:
        try:
            return await self._params.token() not in {None, self._socket.credential.sourced}
        except GqlinkError:
            return False

    async def _try(self) -> _Result:
        """Renew once; a refused token gets one successor."""
        stale = self._socket.credential.sourced
        result = _Result.LATER
        for _ in range(2):
            try:
                credential = await self._ask(stale)
            except GqlinkError as exc:
                log_event("not_renewed", "no other credential can be had now: %s", exc, socket=self._socket.number)
                return _Result.LATER
            if credential is None:
                return result
            self.candidate = credential
            try:
                result = await (self._ping(credential) if self._may_ping(credential) else self._replace(credential))
            finally:
                self.candidate = None
            if result is not _Result.REFUSED:
                break
            stale = credential.sourced
        return result

    async def _ask(self, stale: str | None) -> Credential | None:
        """Ask for another credential; None where there is none that is worth a try."""
        credential = await self._params.evaluate("expired", stale=stale)
        if credential.sourced not in {None, stale} and self._recovery.refusal_of(credential) is not None:
            credential = await self._params.evaluate("refused", stale=credential.sourced)
        self._nudged = False  # whatever the source has told until now is in the answer
        known = credential.fingerprint == self._socket.credential.fingerprint
        if known or self._recovery.refusal_of(credential) is not None:
            return None
        # Who has logged out without a word is not logged out by a renewal: `credentials_changed()` is for that.
        return None if credential.anonymous and not self._socket.credential.anonymous else credential

    def _may_ping(self, credential: Credential) -> bool:
        present, addition = self._socket.credential, self._socket.addition
        offered = addition is not None and addition.renewal == "ping"
        offered = offered and self._socket.subprotocol == TRANSPORT_WS.subprotocol  # the other one has no ping
        return offered and None not in {credential.token, present.token} and credential.frame == present.frame

    async def _ping(self, credential: Credential) -> _Result:
        """Renew on the live socket."""
        self._seq += 1
        self._outcome = None
        self._socket.ping(renewal_payload(Renewal(self._seq, credential.token or "")), secrets=credential.secrets)
        deadline = self.schedule.answer_by(now=self._clock.now())
        await self._until(lambda: self._outcome is not None, deadline)
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            self._seq += 1  # an answer that comes now is nobody's
            log_event("not_renewed", "the server did not answer a renewal in time", socket=self._socket.number)
            return _Result.LATER
        if outcome.error is not None:
            reason = self._socket.conceal(outcome.error)
            log_event("not_renewed", "the server did not renew: %s", reason, socket=self._socket.number, reason=reason)
            if outcome.error not in _REFUSALS:
                return _Result.LATER
            self._recovery.remember(ConnectionRefused(CloseCode.FORBIDDEN, outcome.error), credential)
            return _Result.REFUSED
        self._socket.credential = credential
        self._pace.renewed(now=self._clock.now())
        self.schedule = self._plan(outcome.expires_in)
        self._host.renewed(self.remaining)
        return _Result.DONE

    async def _replace(self, credential: Credential) -> _Result:
        """Have a second socket acknowledged, and hand over to it."""
        socket = await self._host.dial(credential)
        if isinstance(socket, Ending):
            return self._judge(socket, credential)
        handover = None
        try:
            socket.expire()
            while socket.ending is None and not socket.acknowledged:
                await self._pause(socket.deadline)
                socket.expire()
            if socket.ending is not None:
                return self._judge(socket.ending, credential)
            handover = self._host.hand_over(socket)
        finally:
            if handover is None:
                socket.close(CloseCode.NORMAL)
        if handover is None:
            return _Result.LATER  # no renewal, but a change, and the link follows it
        self._pace.renewed(now=self._clock.now())  # now: when the overlap is over, this task may be, too
        await self._until(lambda: not handover.running, None)
        return _Result.DONE if handover.succeeded else _Result.LATER

    def _judge(self, ending: Ending, credential: Credential) -> _Result:
        code, reason = ending.code, ending.reason
        log_event("not_renewed", "no second socket for a renewal: %s", ending.error, code=code, reason=reason)
        self._not_before = self._recovery.spare_failed(ending)
        if ending.verdict is Verdict.REFRESH or ending.refusal:
            self._recovery.remember(ending.error, credential)
            return _Result.REFUSED
        return _Result.LATER

    @property
    def remaining(self) -> float | None:
        """What is left of the credential, in seconds; None for unknown."""
        return None if self.schedule.ends_at is None else self.schedule.ends_at - self._clock.now()

    def _left_since_ack(self) -> float | None:
        """Return what is left of what the ack said: after a handover, it was some time ago."""
        told = None if self._socket.addition is None else self._socket.addition.expires_in
        return None if told is None else told - (self._clock.now() - self._socket.acknowledged_at)

    def _plan(self, expires_in: float | None) -> RenewalSchedule:
        """Plan with what is left of the credential: as the server says, otherwise as the source knows."""
        ends_at = self._socket.credential.expires_at
        if expires_in is None and ends_at is not None:
            expires_in = ends_at - self._clock.now()
        schedule = RenewalSchedule(
            expires_in, now=self._clock.now(), chance=self._clock.chance(), earliest=self._pace.earliest
        )
        self._socket.expires_at = schedule.ends_at
        return schedule

    async def _until(self, condition: Callable[[], bool], moment: float | None) -> None:
        while not condition() and (moment is None or self._clock.now() < moment):
            await self._pause(moment)

    async def _pause(self, moment: float | None) -> None:
        """Wait for news, at most until a moment on the clock."""
        timer = None if moment is None else self._clock.call_at(moment, self._news.set)
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._news.clear()
