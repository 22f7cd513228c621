"""Whether what a subscription brings is all that there is: where it stands, and what is owed after a loss.

A subscription may be carried by one socket after the other. Each time that it is asked for anew, something has to prove
that nothing was missed: the cursor of the last event, which our servers understand; a `resume` function, which makes
variables from the last event; or a `catch_up` query, which the consumer runs when it comes to the place (see
`catching_up`). Otherwise that place is a gap, and is reported as `on_gap` says.

All of it belongs to one subject. What somebody else has heard, and where, is forgotten before a socket speaks for
another one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gqlink.client.gaps import Gap
from gqlink.client.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gqlink.client.clock import Clock
    from gqlink.client.event import Event
    from gqlink.client.event_queue import EventQueue
    from gqlink.client.gaps import SubscribeOptions
    from gqlink.client.tracing import SubscriptionSpans
    from gqlink.protocol import AckAddition, EventPosition

__all__ = ("Continuity", "SubscriptionPhase", "SubscriptionState")

_log: Final = logging.getLogger("gqlink.client")
_NOBODY_SAID: Final = object()


class SubscriptionPhase(StrEnum):
    """What a subscription is doing."""

    WAITING = "waiting"
    """No socket carries it: not started, no connection, or nobody is logged in."""
    STARTING = "starting"
    """The server has been asked, and has not said that events will come."""
    LIVE = "live"
    """Events come. Servers that never say so are believed from the moment in which they were asked."""
    ENDED = "ended"
    """It is over."""


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """One moment of a subscription.

    Args:
        phase: What it is doing.
        since: When that began, in seconds of the monotonic clock.
        gaps: How many there have been.
        dropped: How many events the consumer was too slow for.
        cursor: That of the last event that has come, or None where the server gives none.
    """

    phase: SubscriptionPhase
    since: float
    gaps: int = 0
    dropped: int = 0
    cursor: str | None = None

    def describe(self, now: float) -> str:
        """Return it as a status line, such as "live for 12 s, 1 gap".

        Args:
            now: The present moment, in seconds of the monotonic clock (`time.monotonic()`).
        """
        ended = self.phase is SubscriptionPhase.ENDED
        parts = [str(self.phase) if ended else f"{self.phase} for {max(now - self.since, 0.0):.0f} s"]
        if self.gaps:
            parts.append(f"{self.gaps} {'gap' if self.gaps == 1 else 'gaps'}")
        if self.dropped:
            parts.append(f"{self.dropped} dropped")
        return ", ".join(parts)


class Continuity:
    """What is known of a subscription's place among the events of its server.

    Args:
        name: The subscription's, for the log.
        options: What its subscriber wants.
        queue: Where the consumer comes upon gaps.
        clock: Tells the time.
        on_gap: Told of each gap when it is reported.
    """

    __slots__ = (
        "_clock",
        "_name",
        "_on_gap",
        "_options",
        "_phase",
        "_queue",
        "_since",
        "_subject",
        "cursor",
        "gaps",
        "last",
        "lives",
        "remembers",
        "resumable",
        "spans",
        "taken",
        "was_live",
    )

    def __init__(
        self,
        name: str,
        options: SubscribeOptions,
        *,
        queue: EventQueue,
        clock: Clock,
        on_gap: Callable[[], None],
    ) -> None:
        self.cursor = options.after
        self.taken = options.after
        self.last: Event | None = None
        self.remembers = options.resume is not None
        self.was_live = False
        self.resumable = False
        self.gaps = 0
        self.lives = 0
        self.spans: SubscriptionSpans | None = None
        self._name = name
        self._options = options
        self._queue = queue
        self._clock = clock
        self._on_gap = on_gap
        self._subject: object = _NOBODY_SAID
        self._phase = SubscriptionPhase.WAITING
        self._since = clock.now()

    @property
    def state(self) -> SubscriptionState:
        """What the subscription is doing now."""
        return SubscriptionState(self._phase, self._since, self.gaps, self._queue.dropped, self.cursor)

    @property
    def owes_proof(self) -> bool:
        """Whether something may have been missed by now."""
        return self.was_live or self.cursor is not None

    def speak_for(self, addition: AckAddition | None) -> None:
        """Take note for whom the next socket speaks; another subject begins anew, and misses nothing.

        Args:
            addition: What the server says of the socket.
        """
        subject = _NOBODY_SAID if addition is None else addition.subject
        known = subject is not _NOBODY_SAID and self._subject is not _NOBODY_SAID
        if known and subject != self._subject:
            self.forget()
        elif subject is _NOBODY_SAID and self._subject is not _NOBODY_SAID:
            self.cursor = self.taken = self.last = None  # from here on nobody says whose they were
            self.lives += 1
        self._subject = subject

    def forget(self) -> None:
        """Begin anew: what comes next is for somebody else."""
        self.lives += 1
        self.cursor = self.taken = self.last = None
        self.was_live = False
        self._subject = _NOBODY_SAID

    def rewind(self, *, discarded: bool) -> None:
        """Go back to what the consumer has had.

        The place is kept for its subject alone; `speak_for` sees to that. Where no server says who that is, what was
        kept of the last event is forgotten now, and that events may be missing is not.

        Args:
            discarded: Whether events have come that the consumer will not have, or a gap of which it was not told.
        """
        if discarded:
            self.cursor = self.taken
        if discarded or self._subject is _NOBODY_SAID:
            self.last = None
        if self._subject is _NOBODY_SAID:
            self.lives += 1

    def show(self, phase: SubscriptionPhase) -> None:
        """Show what the subscription is doing."""
        if phase is not self._phase:
            self._phase, self._since = phase, self._clock.now()

    def live(self, position: EventPosition | None, *, crossing: bool = False) -> None:
        """Take note that events come from here on.

        Args:
            position: Where, if the server says so.
            crossing: Whether another socket still carries the subscription, and knows better.
        """
        self.was_live = True
        self.resumable |= position is not None
        self.show(SubscriptionPhase.LIVE)
        if self.spans is not None:
            self.spans.live()
        # One that goes on from a cursor may say so late: another socket has come further meanwhile.
        begins = position is not None and not position.recovered and not crossing
        if position is not None and (self.cursor is None or begins):
            self.cursor = position.cursor
            if not self._queue.waiting:
                self.taken = position.cursor

    def variables(self) -> Mapping[str, object] | None:
        """Return the variables with which the subscription resumes by itself; None where it cannot."""
        if self._options.resume is None or self.last is None:
            return None
        try:
            return dict(self._options.resume(self.last))
        except Exception:  # noqa: BLE001 -- the user's function may raise anything
            _log.exception("the resume function of %s raised", self._name)
            return None

    def break_off(self, reason: str, *, missed: int | None = None) -> None:
        """Take note that events may be missing from here on.

        Args:
            reason: Why nobody can prove that none is.
            missed: How many, where that is known.
        """
        gap = Gap(reason, after=self.cursor, missed=missed)
        if self._options.catch_up is None and self._options.on_gap in {"log", "ignore"}:
            self.report(gap)
        else:
            self._queue.mark(gap)  # the consumer is told when it comes there; a catch-up may find that none is missing

    def report(self, gap: Gap) -> None:
        """Count a gap, and log it where nobody else is told."""
        self.gaps += 1
        if self._options.on_gap == "ignore":
            return
        if self.spans is not None:
            self.spans.gap(gap)
        number = "events" if gap.missed is None else f"{gap.missed} events"
        level = None if self._options.on_gap == "log" else logging.DEBUG  # otherwise the application is told
        text, name, missed, reason = "%s: %s may have been missed: %s", self._name, gap.missed, gap.reason
        log_event("gap", text, name, number, reason, level=level, operation=name, missed=missed, reason=reason)
        self._on_gap()
