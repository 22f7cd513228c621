"""One subscription asked for on one socket: what is said to the server, and what its first answer proves.

A server with cursors is told where the subscription left off, and says with its first `next`, which is no event, that
events come from there, or that it no longer knows. Other servers, and sources that cannot resume, say nothing: then the
subscription counts as live after a second, or with its first event.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from gqlink.client.continuity import SubscriptionPhase
from gqlink.protocol import read_position, request_extensions

if TYPE_CHECKING:
    from gqlink.client.continuity import Continuity
    from gqlink.client.event_queue import EventQueue
    from gqlink.protocol import AckAddition, EventPosition, ExecutionResult, Request

__all__ = ("Asking",)

# How long a server with cursors may take to a source that is live, before it counts as one that cannot resume.
_LIVE_SECONDS: Final = 1.0
_LOST: Final = "the server does not say what was missed while there was no connection"
_NOT_KEPT: Final = "the server no longer has what came after the last event"


class Asking:
    """What is known until the first result.

    Args:
        continuity: Where it stands.
        queue: What waits for its consumer.
        addition: What the server added to its ack; None from a server that is not ours.
        crossing: Whether another socket carries the subscription as well.
    """

    __slots__ = ("_addition", "_continuity", "_crossing", "_queue", "_timer", "owes", "unproved")

    def __init__(
        self, continuity: Continuity, queue: EventQueue, *, addition: AckAddition | None, crossing: bool, owes: bool
    ) -> None:
        continuity.speak_for(addition)
        self._continuity = continuity
        self._queue = queue
        self._addition = addition
        self._crossing = crossing
        self.owes = owes or (continuity.owes_proof and not crossing)
        # Where a second socket begins that could not go on from the last event; the first one may have come so far.
        self.unproved: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, message: Request) -> Request:
        """Return the request as this server is to be asked.

        Args:
            message: As its subscriber asks it.
        """
        cursor = self._continuity.cursor
        if self.owes and (cursor is None or self._addition is None):
            message = self._resume(message)
        if self._addition is None:
            self._begin()
            return message
        if not self._crossing:
            self._continuity.show(SubscriptionPhase.STARTING)
        if not self._continuity.resumable:  # a source that has said once that it is live will say so again
            self._timer = asyncio.get_running_loop().call_later(_LIVE_SECONDS, self._begin)
        return msgspec.structs.replace(message, extensions=request_extensions(cursor))

    def takes(self, result: ExecutionResult) -> bool:
        """Look at the first result, and only at that; whether it was no event."""
        self.close()
        position = None if self._addition is None else read_position(result.extensions)
        if position is None or position.recovered is None or result.data is not None or result.errors:
            if self.owes:
                self._continuity.break_off(_LOST)
                self._continuity.cursor = None
            self._begin()
            return False
        if not position.recovered:
            if self.owes:
                self.break_off()
            elif self._crossing and self._continuity.cursor not in {None, position.cursor}:
                self.unproved = position.cursor
        self._begin(position)
        return True

    def break_off(self) -> None:
        """Say that there is a gap: the server no longer has what came after the last event."""
        self._continuity.break_off(_NOT_KEPT)

    def lose(self) -> None:
        """Take note that the other socket was lost, before this one was known to be live."""
        self.owes = self._continuity.owes_proof

    def close(self) -> None:
        """Wait no longer; harmless when it is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self, position: EventPosition | None = None) -> None:
        """Take the subscription for live, whether or not the server has said so."""
        self._continuity.live(position, crossing=self._crossing and not self.owes)
        self._queue.begin()

    def _resume(self, message: Request) -> Request:
        """Ask from the last event on by the application's own means, or say that there is a gap."""
        self.owes = False
        variables = self._continuity.variables()
        if variables is None:
            self._continuity.cursor = None
            self._continuity.break_off(_LOST)
            return message
        return msgspec.structs.replace(message, variables={**(message.variables or {}), **variables})
