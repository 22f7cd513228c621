"""What a subscriber may say of gaps, and what is said to it: how to resume, and what to do where nobody can."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from gqlink.errors import BadUserInput

if TYPE_CHECKING:
    from gqlink.client.event import Event

__all__ = ("CatchUp", "EventKey", "Gap", "OnGap", "Overflow", "SubscribeOptions", "WhenAnonymous")

EventKey: TypeAlias = "Callable[[Event], Hashable]"
"""Tells the events of a subscription apart, such as `lambda event: event.data["messageAdded"]["id"]`."""
WhenAnonymous: TypeAlias = Literal["run", "hold"]
"""What a subscription does while nobody is logged in."""
Overflow: TypeAlias = Literal["fail", "drop_oldest", "latest"]
"""What happens to the event for which there is no room."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A place in a subscription where events may be missing.

    Args:
        reason: Why nobody can prove that nothing is.
        after: The cursor of the last event before it, or None where the server gives none.
        missed: How many events are missing, or None where nobody knows.
    """

    reason: str
    after: str | None = None
    missed: int | None = None


OnGap: TypeAlias = Literal["log", "yield", "raise", "ignore"] | Callable[[Gap], object]
"""What is done about a gap."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A query for what was missed, for servers that give no cursors; it needs a `key`.

    It is sent after the subscription has been asked for anew, and its events come before those that follow. Nothing
    was missed if it brings the last event that the consumer has had; otherwise that is a gap.

    Args:
        query: A GraphQL document with one query.
        events: From the query's `data` to the `data` of events, oldest first, such as
            `lambda data: [{"messageAdded": message} for message in data["messages"]]`.
        variables: Of the query: a mapping, or a function of the last event that the consumer has had.
    """

    query: str
    events: Callable[[object], Sequence[object]]
    variables: Mapping[str, object] | Callable[[Event], Mapping[str, object]] | None = None


_ON_GAP: Final = ("log", "yield", "raise", "ignore")
_OVERFLOW: Final = ("fail", "drop_oldest", "latest")
_WHEN_ANONYMOUS: Final = ("run", "hold")


@dataclass(frozen=True, slots=True)
class SubscribeOptions:
    """What a subscriber wants beside events; `Client.subscribe` says what each means.

    Raises:
        BadUserInput: One of them cannot be used.
    """

    key: EventKey | None = None
    when_anonymous: WhenAnonymous = "run"
    on_gap: OnGap = "log"
    after: str | None = None
    resume: Callable[[Event], Mapping[str, object]] | None = None
    catch_up: CatchUp | None = None
    buffer: int | None = None
    overflow: Overflow = "fail"

    def __post_init__(self) -> None:
        if self.when_anonymous not in _WHEN_ANONYMOUS:
            raise BadUserInput(f"when_anonymous must be 'run' or 'hold', not {self.when_anonymous!r}")
        if not callable(self.on_gap) and self.on_gap not in _ON_GAP:
            raise BadUserInput(f"on_gap must be a function or one of {', '.join(_ON_GAP)}, not {self.on_gap!r}")
        if self.overflow not in _OVERFLOW:
            raise BadUserInput(f"overflow must be one of {', '.join(_OVERFLOW)}, not {self.overflow!r}")
        if self.buffer is not None and self.buffer < 1:
            raise BadUserInput("buffer must be 1 or more")
        if self.catch_up is not None and self.key is None:
            raise BadUserInput("catch_up needs a key, which tells what was missed from what was not")
