"""The fork: which link takes which operation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.hands import turns
from gqlink.client import (
    Client,
    Event,
    Request,
    SubscribeOptions,
    Subscription,
    SubscriptionPhase,
    SubscriptionState,
    is_subscription,
    split,
)
from gqlink.protocol import ExecutionResult

if TYPE_CHECKING:
    from typing import Self


class Stub:
    """A link that writes down what it is asked."""

    def __init__(self, name: str, journal: list[str], *, fails: bool = False) -> None:
        self.name = name
        self.journal = journal
        self.fails = fails

    def open(self) -> None:
        """Write it down."""
        self.journal.append(f"{self.name} open")

    async def execute(self, request: Request, *, timeout: float | None = None) -> ExecutionResult:  # noqa: ASYNC109 -- as `Link`
        """Write it down."""
        del timeout
        self.journal.append(f"{self.name} {request.kind}")
        return ExecutionResult({})

    def subscribe(self, request: Request, options: SubscribeOptions = SubscribeOptions()) -> Subscription:  # noqa: B008 -- a value
        """Write it down."""
        del options
        self.journal.append(f"{self.name} {request.kind}")
        return Silence()

    async def credentials_changed(self) -> None:
        """Write it down."""
        self._end("changed")

    async def aclose(self) -> None:
        """Write it down."""
        self._end("closed")

    def _end(self, what: str) -> None:
        self.journal.append(f"{self.name} {what}")
        if self.fails:
            raise OSError


class Silence:
    """A subscription without events."""

    state = SubscriptionState(SubscriptionPhase.LIVE, 0.0)

    async def aclose(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Do nothing."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        raise StopAsyncIteration


async def test_what_passes_the_test_goes_left() -> None:
    """Subscriptions left, the rest right; both are opened, told and closed."""
    journal: list[str] = []
    async with Client(split(is_subscription, Stub("ws", journal), Stub("http", journal))) as client:
        await client.execute("{ a }")
        await client.execute("mutation { a }")
        assert [event async for event in client.subscribe("subscription { a }")] == []
        await client.credentials_changed()
    assert journal == [
        "ws open", "http open", "http query", "http mutation", "ws subscription",
        "ws changed", "http changed", "ws closed", "http closed",
    ]  # fmt: skip


async def test_a_link_that_fails_does_not_keep_the_other_from_being_told() -> None:
    """Both are told of a change and closed, whatever one of them says."""
    journal: list[str] = []
    link = split(is_subscription, Stub("left", journal, fails=True), Stub("right", journal))
    with pytest.raises(OSError):  # noqa: PT011 -- the stub's own
        await link.credentials_changed()
    with pytest.raises(OSError):  # noqa: PT011 -- the stub's own
        await link.aclose()
    assert journal == ["left changed", "right changed", "left closed", "right closed"]


async def test_a_link_that_takes_its_time_does_not_keep_the_other_from_being_told() -> None:
    """A socket that follows a change waits for its server; HTTP counts the change at once."""
    journal: list[str] = []
    gate = asyncio.Event()

    class Slow(Stub):
        async def credentials_changed(self) -> None:
            await gate.wait()
            await super().credentials_changed()

    link = split(is_subscription, Slow("left", journal), Stub("right", journal))
    telling = asyncio.create_task(link.credentials_changed())
    await turns()
    assert journal == ["right changed"]
    gate.set()
    await telling
    assert journal == ["right changed", "left changed"]


def test_the_test_may_be_any_function_of_the_request() -> None:
    """By name, by kind, by variables."""
    journal: list[str] = []
    link = split(lambda request: request.operation_name == "Live", Stub("a", journal), Stub("b", journal))
    Client(link).subscribe("subscription Live { a }")
    Client(link).subscribe("subscription Other { a }")
    assert journal == ["a subscription", "b subscription"]
