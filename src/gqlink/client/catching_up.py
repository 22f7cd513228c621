"""Asking a server that gives no cursors for what was missed: a query, and keys that tell its events from known ones.

The consumer itself asks, in the moment in which it comes to the gap, so what was missed stands before what followed.
The subscription is running again by then: an event that both bring comes once.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from gqlink.client.event import Event
from gqlink.errors import GqlinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from gqlink.client.gaps import CatchUp, EventKey, Gap, SubscribeOptions

__all__ = ("CatchingUp",)

# The keys of so many events are remembered; a query that reaches further back may bring one twice.
_KEYS: Final = 10_000
_log: Final = logging.getLogger("gqlink.client")


class CatchingUp:
    """What a consumer has had, and what is caught up with.

    Args:
        catch_up: The query.
        key: Tells events apart.
        run: Runs the query, and returns its data.
    """

    def __init__(self, catch_up: CatchUp, *, key: EventKey, run: Callable[[CatchUp, Event], Awaitable[object]]) -> None:
        self._catch_up = catch_up
        self._key = key
        self._run = run
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._last: Event | None = None
        self._caught: deque[Event] = deque()

    @classmethod
    def of(cls, options: SubscribeOptions, *, run: Callable[[CatchUp, Event], Awaitable[object]]) -> Self | None:
        """Return what a subscriber needs; None where it does not catch up."""
        if options.catch_up is None or options.key is None:
            return None
        return cls(options.catch_up, key=options.key, run=run)

    def discard(self, *, everything: bool) -> None:
        """Forget what nobody has had yet.

        Args:
            everything: Also what the consumer has had: what comes next is for somebody else.
        """
        self._caught.clear()
        if everything:
            self._seen.clear()
            self._last = None

    def next(self) -> Event | None:
        """Return the next of the events that were missed, if one is left."""
        if not self._caught:
            return None
        event = self._caught.popleft()
        self._note(event)
        return event

    def is_news(self, event: Event) -> bool:
        """Take note of an event that the subscription brings; whether it is one that nobody has had."""
        key = self._key_of(event)
        if key is not None and key in self._seen:
            return False
        self._note(event)
        return True

    async def fill(self, gap: Gap) -> Gap | None:
        """Ask for what is missing at a gap; `next` gives it.

        Returns:
            The gap that is left, because nobody can prove that there is none; None where nothing is missing.
        """
        last = self._last
        if last is None:
            return replace(gap, reason=f"{gap.reason}, and no event came before it from which to catch up")
        try:
            events = [Event(data) for data in self._catch_up.events(await self._run(self._catch_up, last))]
        except GqlinkError as exc:
            return replace(gap, reason=f"{gap.reason}, and catching up failed: {exc}")
        except Exception:  # noqa: BLE001 -- the user's functions may raise anything
            _log.exception("catching up failed")
            return replace(gap, reason=f"{gap.reason}, and catching up failed")
        keys = [self._key_of(event) for event in events]
        self._caught.clear()
        self._caught.extend(
            event for event, key in zip(events, keys, strict=True) if key is None or key not in self._seen
        )
        if self._key_of(last) in keys:
            return None
        return replace(gap, reason=f"{gap.reason}, and the query for what was missed does not reach back to it")

    def _note(self, event: Event) -> None:
        key = self._key_of(event)
        self._last = event
        if key is not None:
            self._seen[key] = None
            if len(self._seen) > _KEYS:
                self._seen.popitem(last=False)

    def _key_of(self, event: Event) -> Hashable:
        try:
            key = self._key(event)
            hash(key)
        except Exception:  # noqa: BLE001 -- the user's function may raise anything
            _log.exception("the key of an event could not be had; it may come twice")
            return None
        return key
