"""Renewal: a fresh token for a socket that lives, carried by a ping.

A renewal is verified as any credential is, beside whatever else the socket does, and then counts at once or not at
all: a failure changes nothing, and the old expiry stands. One at a time; another one meanwhile is put off, so that
pings with tokens cannot keep the authentication busy.

Source: docs/reference/wire.md, "Renewal".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from gqlink.auth import Credentials, credentials_from_init
from gqlink.errors import AuthError, AuthUnavailable, MalformedCredentials, SubjectChanged
from gqlink.protocol import RenewalOutcome, read_renewal
from gqlink.server.expiry import accept
from gqlink.server.tasks import is_ending

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from gqlink.auth import Identity
    from gqlink.protocol import Renewal
    from gqlink.server.clock import Timer
    from gqlink.server.expiry import Expiry
    from gqlink.server.host import Host
    from gqlink.server.tasks import TaskSet

__all__ = ("RenewableSocket", "Renewals")

_LATER: Final = "Try again later"


class RenewableSocket(Protocol):
    """What a renewal does to a socket; all of it at once, without waiting."""

    @property
    def identity(self) -> Identity:
        """Who it speaks for."""

    def renew(self, identity: Identity, expiry: Expiry | None) -> None:
        """Speak for this identity from now on."""

    def tell(self, outcome: RenewalOutcome) -> None:
        """Say what came of a renewal."""

    def refuse(self, code: int, reason: str) -> None:
        """End the socket."""


class Renewals:
    """The renewals of one socket.

    Args:
        host: Who authenticates, and what time it is.
        socket: The socket.
        tasks: Its tasks; when they end, so does a renewal.
        name: For logs.
    """

    __slots__ = ("_host", "_name", "_socket", "_task", "_tasks", "_timer")

    def __init__(self, host: Host, socket: RenewableSocket, *, tasks: TaskSet, name: str) -> None:
        self._host = host
        self._socket = socket
        self._tasks = tasks
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._timer: Timer | None = None

    def take(self, payload: Mapping[str, object] | None) -> None:
        """Take the payload of a ping; one without a renewal that can be read is just a ping."""
        renewal = read_renewal(payload)
        if renewal is None:
            return
        if self._task is not None:
            self._socket.tell(RenewalOutcome(seq=renewal.seq, error=_LATER))
            return
        task = self._task = self._tasks.spawn(self._renew(renewal), name=self._name)
        task.add_done_callback(self._forget)
        seconds = self._host.limits.init_seconds
        self._timer = self._host.clock.call_at(self._host.clock.now() + seconds, lambda: self._give_up(task, renewal))

    async def _renew(self, renewal: Renewal) -> None:
        failure: Exception | None = None
        try:
            identity = await self._identify(renewal)
        except (AuthError, AuthUnavailable, TimeoutError) as exc:
            failure = exc
        if is_ending():
            return  # the socket has ended, or we have given up
        self._forget(self._task)  # from here on nothing waits, and the client may send another one
        if failure is not None:
            self._fail(renewal, failure)
        else:
            self._adopt(renewal, identity)

    async def _identify(self, renewal: Renewal) -> Identity:
        credentials = credentials_from_init({"accessToken": renewal.access_token}, handshake=Credentials())
        if credentials.is_absent:
            raise MalformedCredentials("a renewal without a token")
        return await self._host.authentication.identify(credentials, seconds=self._host.limits.init_seconds)

    def _adopt(self, renewal: Renewal, identity: Identity) -> None:
        """Replace the identity, or leave everything as it is; in one step, so that nobody is denied in between."""
        try:
            if identity.subject != self._socket.identity.subject:
                raise SubjectChanged
            expiry = accept(self._host, identity)
        except (AuthError, AuthUnavailable) as exc:
            self._fail(renewal, exc)
        else:
            self._host.meter.authenticated("renewal", identity)
            self._socket.renew(identity, expiry)
            left = None if expiry is None else expiry.seconds_left(self._host.clock)
            self._socket.tell(RenewalOutcome(seq=renewal.seq, expires_in=left))

    def _fail(self, renewal: Renewal, failure: Exception) -> None:
        self._host.meter.not_authenticated("renewal", failure)
        reason = failure.reason if isinstance(failure, AuthError) else _LATER
        text, why = "%s failed: %s", str(failure) or type(failure).__name__
        self._host.throttle.log("credential_refused", text, self._name, why, sort=reason, reason=reason)
        match failure:
            case SubjectChanged():
                self._socket.refuse(failure.close_code, failure.reason)
            case AuthError():
                self._socket.tell(RenewalOutcome(seq=renewal.seq, error=failure.reason))
            case _:
                self._socket.tell(RenewalOutcome(seq=renewal.seq, error=_LATER))

    def _give_up(self, task: asyncio.Task[None], renewal: Renewal) -> None:
        """Tell a client that it takes too long; another renewal has to wait until this one has really ended."""
        self._host.meter.not_authenticated("renewal", TimeoutError())
        self._socket.tell(RenewalOutcome(seq=renewal.seq, error=_LATER))
        self._tasks.cancel(task)

    def _forget(self, task: asyncio.Task[None] | None) -> None:
        if task is self._task and self._timer is not None:
            self._task = None
            self._timer.cancel()
            self._timer = None
