"""What every link can do: the way from a client to a server, or a fork in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self

from gqlink.client.gaps import SubscribeOptions

if TYPE_CHECKING:
    from gqlink.client.continuity import SubscriptionState
    from gqlink.client.event import Event
    from gqlink.client.request import Request
    from gqlink.protocol import ExecutionResult

__all__ = ("PLAIN", "Link", "Subscription")

PLAIN: Final = SubscribeOptions()
"""What a subscriber gets who wants nothing in particular."""


class Subscription(Protocol):
    """A running subscription: an async iterator of events, and an async context manager that ends it.

    It starts when it is entered, or when the first event is asked for. Entering waits until it is live, or it is clear
    that it never will be. One that is only iterated over ends with the last event, with `aclose()`, or when
    nothing refers to it any more.
    """

    @property
    def state(self) -> SubscriptionState:
        """What it is doing now, and what it has missed."""

    async def aclose(self) -> None:
        """End it, also on the server; harmless when it is over."""

    async def __aenter__(self) -> Self:
        """Start it, and wait until it is live."""

    async def __aexit__(self, *_exc: object) -> None:
        """End it."""

    def __aiter__(self) -> Self:
        """Iterate over its events."""

    async def __anext__(self) -> Event:
        """Wait for the next event."""


class Link(Protocol):
    """The way that operations take."""

    def open(self) -> None:
        """Connect, if the link is one that stays connected; the client's block has been entered."""

    async def execute(self, request: Request, *, timeout: float | None = None) -> ExecutionResult:  # noqa: ASYNC109 -- it tells the server to stop as well
        """Send a query or a mutation and wait for its result, which may hold errors.

        Args:
            request: What it asks.
            timeout: For how many seconds to wait; None for as long as it takes.
        """

    def subscribe(self, request: Request, options: SubscribeOptions = PLAIN) -> Subscription:
        """Prepare a subscription; nothing happens until it is entered or asked for an event.

        Args:
            request: What it asks.
            options: What the subscriber wants beside events.
        """

    async def credentials_changed(self) -> None:
        """Follow a change of the credential, on every connection that is open."""

    async def aclose(self) -> None:
        """End everything, within a few seconds; harmless when it is over."""
