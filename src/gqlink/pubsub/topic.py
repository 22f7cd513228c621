"""What a resolver holds: a topic to speak on, and a stream to return from a subscription."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gqlink.errors import ConnectionClosed

if TYPE_CHECKING:
    from gqlink.pubsub.broker import Broker, Position, Subscription

__all__ = ("Stream", "Topic")


@dataclass(frozen=True)
class Topic:
    """One topic of one broker.

    Args:
        broker: Carries what is said.
        name: What the topic is called there.
    """

    broker: Broker
    name: str

    async def publish(self, data: object) -> Position:
        """Say something to everybody who listens; see `Broker.publish`."""
        return await self.broker.publish(self.name, data)

    async def reset(self) -> None:
        """Begin a new epoch, because something that had to be said was not; see `Broker.reset`."""
        await self.broker.reset(self.name)

    def stream(self, *, after: Position | None = None, share_key: str | None = None) -> Stream:
        """Make an iterator over what is said; return it from a GraphQL subscription.

        Args:
            after: The last position seen; see `Broker.subscribe`.
            share_key: Says for whom the results of each event are the same: for everybody who has this key too and asks
                the same. A server may then execute an event once for all of them. None where nobody has said so.
        """
        return Stream(self, after=after, share_key=share_key)


class Stream:
    """The data of a topic's publications, for one consumer; listens from the first use on.

    It is lazy, so that a resolver may make one and then fail without leaving anything behind. Whoever iterates it
    closes it. Errors are those of `Subscription`.

    Args:
        topic: Where to listen.
        after: The last position seen, or None.
        share_key: For whom the results of each event are the same; None where nobody has said so.
    """

    def __init__(self, topic: Topic, *, after: Position | None = None, share_key: str | None = None) -> None:
        self.topic = topic
        self.share_key = share_key
        self._after = after
        self._subscription: Subscription | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def after(self) -> Position | None:
        """The last position seen, as whoever made it has said."""
        return self._after

    @property
    def subscription(self) -> Subscription | None:
        """The subscription behind it, with position and publications; None until the first use."""
        return self._subscription

    async def open(self, *, after: Position | None = None) -> Subscription:
        """Begin to listen, unless it has begun already.

        Args:
            after: The last position seen, if whoever opens it knows better than whoever made it, as a server does to
                whose client it was that said it. It counts only at the first opening.

        Returns:
            The subscription behind it: iterate either of the two.

        Raises:
            ConnectionClosed: The stream or its broker is closed.
        """
        async with self._opening:
            if self._closed:
                raise ConnectionClosed(reason="the stream is closed")
            if self._subscription is None:
                self._subscription = await self._subscribe(after or self._after)
            return self._subscription

    async def _subscribe(self, after: Position | None) -> Subscription:
        subscription = await self.topic.broker.subscribe(self.topic.name, after=after)
        if self._closed:
            # Closed while we waited for the broker: nobody else will close what came too late.
            await subscription.aclose()
        return subscription

    async def aclose(self) -> None:
        """Stop listening; iterating ends. Safe to repeat, and before the first use."""
        self._closed = True
        if self._subscription is not None:
            await self._subscription.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        try:
            subscription = self._subscription or await self.open()
        except ConnectionClosed:
            if self._closed:
                raise StopAsyncIteration from None
            raise
        return (await anext(subscription)).data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()
