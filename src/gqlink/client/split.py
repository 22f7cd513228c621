"""A fork in the way: some operations go left, the others right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gqlink.client.link import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.client.gaps import SubscribeOptions
    from gqlink.client.link import Link, Subscription
    from gqlink.client.request import Request
    from gqlink.protocol import ExecutionResult

__all__ = ("SplitLink", "split")


class SplitLink:
    """Two links as one; `split` makes it.

    Args:
        test: Says of each operation whether it goes left.
        left: Takes the operations that pass the test.
        right: Takes the others.
    """

    def __init__(self, test: Callable[[Request], bool], left: Link, right: Link) -> None:
        self._test = test
        self._left = left
        self._right = right

    def open(self) -> None:
        """Connect what stays connected."""
        self._left.open()
        self._right.open()

    async def execute(self, request: Request, *, timeout: float | None = None) -> ExecutionResult:  # noqa: ASYNC109 -- see `Link`
        """Send a query or a mutation over one of the two."""
        return await self._choose(request).execute(request, timeout=timeout)

    def subscribe(self, request: Request, options: SubscribeOptions = PLAIN) -> Subscription:
        """Prepare a subscription over one of the two."""
        return self._choose(request).subscribe(request, options)

    async def credentials_changed(self) -> None:
        """Tell both at once: neither goes on with what was, while the other one takes its time."""
        told = await asyncio.gather(
            self._left.credentials_changed(), self._right.credentials_changed(), return_exceptions=True
        )
        for outcome in told:
            if outcome is not None:
                raise outcome

    async def aclose(self) -> None:
        """Close both."""
        try:
            await self._left.aclose()
        finally:
            await self._right.aclose()

    def _choose(self, request: Request) -> Link:
        return self._left if self._test(request) else self._right


def split(test: Callable[[Request], bool], left: Link, right: Link) -> SplitLink:
    """Send the operations that pass a test over one link and the others over another.

    Args:
        test: Such as `is_subscription`.
        left: Takes the operations that pass.
        right: Takes the others.
    """
    return SplitLink(test, left, right)
