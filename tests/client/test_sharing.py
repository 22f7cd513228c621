"""Calls and tasks that outlive whoever wants them, and their end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from client.hands import turns
from gqlink.client.audience import Audience
from gqlink.client.errands import Errands
from gqlink.client.sharing import SharedCall
from gqlink.errors import ConnectionClosed, ConnectionRefused


async def test_an_error_reaches_everybody_who_waits_and_the_next_one_asks_again() -> None:
    """A failure is shared like an answer, and not kept."""
    asked = 0

    async def call() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise KeyError

    shared = SharedCall(call, name="it")
    outcomes = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [KeyError, KeyError]
    with pytest.raises(KeyError):
        await shared()
    assert (asked, shared.running) == (2, False)
    await shared.aclose()


async def test_an_error_that_nobody_waits_for_is_read() -> None:
    """The event loop has nothing to complain of."""
    gate = asyncio.Event()

    async def call() -> None:
        await gate.wait()
        raise KeyError

    shared = SharedCall(call, name="it")
    caller = asyncio.create_task(shared())
    await turns()
    caller.cancel()
    await turns()
    gate.set()
    await turns()
    assert not shared.running


async def test_its_end_is_not_the_end_of_its_callers() -> None:
    """They get an error of ours; a caller that is cancelled is cancelled."""

    async def call() -> None:
        await asyncio.Event().wait()

    shared = SharedCall(call, name="it")
    callers = [asyncio.create_task(shared()) for _ in range(2)]
    await turns()
    callers[0].cancel()
    await turns()
    assert callers[0].cancelled()
    await shared.aclose()
    with pytest.raises(ConnectionClosed, match="it was ended"):
        await callers[1]


async def test_an_errand_is_carried_out_without_its_caller() -> None:
    """Its error, too, is nobody's then."""
    gate, done = asyncio.Event(), list[str]()

    async def work() -> None:
        await gate.wait()
        done.append("done")
        raise KeyError

    errands = Errands("them")
    caller = asyncio.create_task(errands.run(work()))
    await turns()
    caller.cancel()
    await turns()
    gate.set()
    await turns()
    assert done == ["done"]
    errands.start(asyncio.Event().wait())
    await errands.aclose()


async def test_everybody_is_called_in_the_moment_of_the_change(caplog: pytest.LogCaptureFixture) -> None:
    """Before anybody has a turn; who fails is logged, at once or later, and keeps nobody from following."""
    audience, told = Audience(), list[str]()

    async def follow() -> None:
        told.append("followed")

    def good(change: str) -> asyncio.Future[None]:
        told.append(change)
        return asyncio.ensure_future(follow())

    def broken(_change: str) -> asyncio.Future[None]:
        raise KeyError

    async def refused(_change: str) -> None:
        raise ConnectionRefused(4403, "Token invalid")

    for follower in (broken, refused, good):
        leave = audience.add(follower)
    with caplog.at_level(logging.WARNING):
        following = audience.notify("renewed")
        assert told == ["renewed"]
        await following
    assert told == ["renewed", "followed"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    leave()
    leave()
    await audience.notify("changed")
    assert told == ["renewed", "followed"]
    await audience.aclose()
