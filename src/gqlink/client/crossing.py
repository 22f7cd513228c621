"""One subscription while two sockets carry it: the old one is heard, and what the new one brings waits.

The server knows nothing of the two belonging together, so both bring the same events. Until the crossing arrives, the
old socket's go to the consumer; then come those that the new one has brought meanwhile, and from there on only the new
one is heard. Nothing is lost as long as the new socket's subscription was live before the old one's ended. Nothing is
doubled where a cursor or a key tells the events apart: what the old socket has brought since the crossing began is
dropped, once for each time, when the new one brings it.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from gqlink.client.event import cursor_of, read_event

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from gqlink.client.asking import Asking
    from gqlink.client.event import Event
    from gqlink.errors import GqlinkError
    from gqlink.protocol import ExecutionResult

__all__ = ("Crossing", "Ended")

# More keys than any overlap should bring; forgetting one costs a double, never an event.
_KEYS: Final = 100_000
_log: Final = logging.getLogger("gqlink.client")

C = TypeVar("C")


class Ended(NamedTuple):
    """How the server ended a subscription: with an error, or None where it completed."""

    error: GqlinkError | None


class Crossing(Generic[C]):
    """What is known of a subscription between two sockets.

    Args:
        old: Its carriage on the socket that is heard.
        new: Its carriage on the one that will be.
        key: Tells its events apart; None where nothing does.
        before: The crossing that `old` has come by, if what it brings may still be a copy.
    """

    __slots__ = (
        "_heard",
        "_key",
        "_passed",
        "_waiting",
        "arrived",
        "before",
        "ended",
        "is_late",
        "new",
        "old",
        "unproved",
    )

    def __init__(
        self, old: C, new: C, *, key: Callable[[Event], Hashable] | None, before: Crossing[C] | None = None
    ) -> None:
        self.old = old
        self.new = new
        self.before = before
        self.arrived = False
        self.ended: Ended | None = None
        self.unproved: Asking | None = None
        """What the new socket was asked, if it could not go on from the last event."""
        self._key = key
        self._heard: Counter[Hashable] = Counter()
        self._passed: set[str] = set()
        self.is_late = False
        """Whether it is over but for copies that the new socket has yet to bring."""
        self._waiting: deque[ExecutionResult] = deque()

    def passes(self, carriage: C, result: ExecutionResult) -> bool:
        """Say whether a result goes to the consumer now; what the new socket brings too early is kept.

        Args:
            carriage: Which of the two brought it.
            result: What was brought.
        """
        if carriage is self.old:
            news = self.before is None or self.before.is_news(result)
            self._note(result, news=news)
            return news
        if self.arrived:
            return self.is_news(result)
        self._waiting.append(result)
        return False

    def holds(self, number: int) -> bool:
        """Say whether so many results wait, or more."""
        return len(self._waiting) >= number

    def arrive(self) -> Iterator[ExecutionResult]:
        """Hear the new socket from here on; return what it has brought and the old one has not, in order."""
        self.arrived = True
        waiting, self._waiting = self._waiting, deque()
        return (result for result in waiting if self.is_news(result))

    def is_news(self, result: ExecutionResult) -> bool:
        """Say whether what the new socket brings is no copy; a copy is one for each time that the old one brought it.

        Args:
            result: What it brings.
        """
        cursor = cursor_of(result)
        if cursor is not None:
            if cursor in self._passed:
                self._passed.discard(cursor)
                return False
            if self.arrived:
                self._passed.clear()  # copies come before news; where the new socket began later, none will come
            return True
        key = self._key_of(result)
        if key is None or self._heard[key] < 1:
            return True
        self._heard[key] -= 1
        return False

    def forget(self) -> bool:
        """Take everything for news from here on whose key may belong to another event by now.

        Returns:
            Whether that is all there was to know. Cursors never belong to another event, and what was asked for after
            a cursor will come, however late: those that the old socket has brought are known until then.
        """
        self._heard.clear()
        self.before = None
        self.is_late = bool(self._passed)
        return not self.is_late

    def has_passed(self, cursor: str | None) -> bool:
        """Say whether the old socket has brought an event, and the new one has not."""
        return cursor in self._passed

    def owes_copies(self) -> bool:
        """Say whether the new socket has yet to bring copies of what the old one has brought."""
        return bool(self._passed)

    def _note(self, result: ExecutionResult, *, news: bool) -> None:
        cursor = cursor_of(result)
        if cursor is not None:
            if news:  # a copy was there before the new socket was asked for what comes after it
                self._passed.add(cursor)
            return
        key = self._key_of(result)
        if key is not None:
            self._heard[key] += 1
            if len(self._heard) > _KEYS:
                del self._heard[next(iter(self._heard))]

    def _key_of(self, result: ExecutionResult) -> Hashable:
        """Return what tells an event apart; a function that fails tells nothing, and costs no event."""
        if self._key is None:
            return None
        try:
            key = self._key(read_event(result))
            hash(key)
        except Exception:  # noqa: BLE001 -- the user's function may raise anything
            _log.exception("the key of an event could not be had; it may come twice")
            return None
        return key
