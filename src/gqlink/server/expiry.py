"""The moment a socket's credential ends, on two clocks: whichever is there first ends the socket.

The monotonic clock counts from the admission, so a wall clock that is put back prolongs nothing. The wall clock has
the last word where it runs ahead: it was put forward, or the machine slept while the monotonic clock stood still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gqlink.errors import AuthUnavailable, SessionRevoked, TokenExpired

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.auth import Identity
    from gqlink.server.clock import Clock, Timer
    from gqlink.server.deadlines import Deadlines
    from gqlink.server.host import Host

__all__ = ("Expiry", "ExpiryWatch", "Lease", "accept", "checked_expiry")

# A timer further away than what an event loop can count to comes early, and is set again.
_LONGEST_WAIT: Final = 86_400.0
_WATCH_SECONDS: Final = 1.0
# A clock that is slewed, not set, runs this far apart in minutes; nobody needs to be looked at before.
_JUMP_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a credential ends.

    Args:
        deadline: On the monotonic clock, in seconds, counted from the admission.
        expires_at: On the wall clock, in seconds since the Unix epoch.
    """

    deadline: float
    expires_at: float

    @classmethod
    def anchored(cls, expires_at: float, clock: Clock) -> Expiry:
        """Note now how far away a moment of the wall clock is."""
        return cls(deadline=clock.now() + (expires_at - clock.wall()), expires_at=expires_at)

    def passed(self, clock: Clock) -> bool:
        """Tell whether the moment has come by either clock; the moment itself is past (RFC 7519, section 4.1.4)."""
        return not (clock.now() < self.deadline and clock.wall() < self.expires_at)

    def seconds_left(self, clock: Clock) -> float:
        """Say how long it is until then by the clock that is there first: at least 0, a finite number."""
        left = min(self.deadline - clock.now(), self.expires_at - clock.wall())
        return round(max(left, 0.0), 3)


def checked_expiry(identity: Identity) -> float | None:
    """Return an identity's `expires_at`, if it is one.

    An identity comes from a hook, and its type promises little: what is no finite number would never be over, or
    could not be told to the client.

    Raises:
        AuthUnavailable: It, or `issued_at`, is no finite number: that is the hook's mistake, not the credential's.
    """
    _require_moment(identity.issued_at, "issued_at")
    _require_moment(identity.expires_at, "expires_at")
    return None if identity.expires_at is None else float(identity.expires_at)


def accept(host: Host, identity: Identity) -> Expiry | None:
    """Take the last look at an identity, in the same synchronous step in which a socket begins to speak for it.

    Between the hook's answer and this step it may have been revoked, or have ended, or this node may have lost touch
    with those that would tell it so.

    Returns:
        When it ends; None for never.

    Raises:
        SessionRevoked: It is denied.
        TokenExpired: It has ended.
        AuthUnavailable: It is not known who was revoked; or see `checked_expiry`.
    """
    expires_at = checked_expiry(identity)
    if not host.revocations.is_ready:
        raise AuthUnavailable("orders of other nodes are not heard")
    if host.revocations.denies(identity):
        raise SessionRevoked("denied at the admission")
    if expires_at is None:
        return None
    expiry = Expiry.anchored(expires_at, host.clock)
    if expiry.passed(host.clock):
        raise TokenExpired("past its end at the admission", expired_at=expires_at)
    return expiry


class Lease:
    """For how long one socket speaks for somebody.

    Args:
        clock: Both clocks.
        deadlines: Where its timer waits.
        watch: Looks at the wall clock while nothing happens on the socket.
        end: Ends the socket, and cancels the lease.
    """

    __slots__ = ("_clock", "_deadlines", "_end", "_expiry", "_timer", "_watch")

    def __init__(self, clock: Clock, watch: ExpiryWatch, *, deadlines: Deadlines, end: Callable[[], None]) -> None:
        self._clock = clock
        self._deadlines = deadlines
        self._watch = watch
        self._end = end
        self._expiry: Expiry | None = None
        self._timer: Timer | None = None

    def set(self, expiry: Expiry | None) -> None:
        """Let it last until then, whatever was said before."""
        self.cancel()
        self._expiry = expiry
        if expiry is not None:
            self._watch.add(self.is_over)
            self._set_timer(expiry)

    def cancel(self) -> None:
        """Stop the timers: the socket has ended, for this reason or another. One that is over stays over."""
        self._watch.discard(self.is_over)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_over(self) -> bool:
        """Tell whether the moment has come, and if it has, end the socket: no timer needs to be on time."""
        expiry, clock = self._expiry, self._clock
        # As `passed` says, without a call: every frame that leaves asks.
        if expiry is None or (clock.wall() < expiry.expires_at and clock.now() < expiry.deadline):
            return False
        self._end()
        return True

    def _set_timer(self, expiry: Expiry) -> None:
        when = min(expiry.deadline, self._clock.now() + _LONGEST_WAIT)
        self._timer = self._deadlines.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        if not self.is_over() and self._expiry is not None:
            self._set_timer(self._expiry)


class ExpiryWatch:
    """Notices that the wall clock has gone ahead, on behalf of sockets on which nothing happens.

    One timer for all of them, and only while there are any. A jump is seen within a second.

    Args:
        clock: Both clocks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checks: set[Callable[[], object]] = set()
        self._timer: Timer | None = None
        self._ahead = 0.0
        """The least that the wall clock was ahead of the monotonic one since all were looked at."""
        self.least_ahead = math.inf
        """The least that it was when one of those who are watched was admitted: the wall clock less this is never
        behind what any of them takes for the time."""

    def __len__(self) -> int:
        return len(self._checks)

    def add(self, check: Callable[[], object]) -> None:
        """Have `check` called after every jump; harmless when it is there already."""
        ahead = self._measure()
        # One who is admitted while the clock is behind must be looked at when it is right again.
        self._ahead = min(self._ahead, ahead) if self._checks else ahead
        self.least_ahead = min(self.least_ahead, ahead) if self._checks else ahead
        self._checks.add(check)
        if self._timer is None:
            self._set_timer()

    def discard(self, check: Callable[[], object]) -> None:
        """Call `check` no more; harmless when it never was."""
        self._checks.discard(check)
        if not self._checks and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._set_timer()
        ahead = self._measure()
        if ahead - self._ahead < _JUMP_SECONDS:
            self._ahead = min(self._ahead, ahead)
            return
        self._ahead = ahead
        for check in tuple(self._checks):
            check()

    def _set_timer(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + _WATCH_SECONDS, self._look)

    def _measure(self) -> float:
        return self._clock.wall() - self._clock.now()


def _require_moment(moment: object, name: str) -> None:
    if moment is None:
        return
    try:
        # `bool` is an `int` that nobody means; an `int` may be too large for any clock.
        finite = not isinstance(moment, bool) and isinstance(moment, int | float) and math.isfinite(moment)
    except OverflowError:
        finite = False
    if not finite:
        raise AuthUnavailable(f"authenticate returned an identity whose {name} is no finite number")
