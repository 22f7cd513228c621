"""What every link can do: the way from a client to a server, or a fork in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from gqlink.client.request import Request
    from gqlink.client.subscription import Event
    from gqlink.protocol import ExecutionResult

__all__ = ("EventKey", "Link", "Subscription", "WhenAnonymous")

EventKey: TypeAlias = "Callable[[Event], Hashable]"
"""Tells the events of a subscription apart, such as `lambda event: event.data["messageAdded"]["id"]`."""
WhenAnonymous: TypeAlias = Literal["run", "hold"]
"""What a subscription does while nobody is logged in."""


class Subscription(Protocol):
    """A running subscription: an async iterator of events, and an async context manager that ends it.

    It starts when it is entered, or when the first event is asked for. Entering waits until it has been sent, or it is
    clear that it never will be. One that is only iterated over ends with the last event, with `aclose()`, or when
    nothing refers to it any more.
    """

    async def aclose(self) -> None:
        """End it, also on the server; harmless when it is over."""

    async def __aenter__(self) -> Self:
        """Start it, and wait until it has been sent."""

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

    async def execute(self, request: Request) -> ExecutionResult:
        """Send a query or a mutation and wait for its result, which may hold errors."""

    def subscribe(
        self, request: Request, *, key: EventKey | None = None, when_anonymous: WhenAnonymous = "run"
    ) -> Subscription:
        """Prepare a subscription; nothing happens until it is entered or asked for an event.

        Args:
            request: What it asks.
            key: Tells its events apart, where two connections bring them for a while.
            when_anonymous: Whether it runs or waits while nobody is logged in.
        """

    async def credentials_changed(self) -> None:
        """Follow a change of the credential, on every connection that is open."""

    async def aclose(self) -> None:
        """End everything, within a few seconds; harmless when it is over."""
