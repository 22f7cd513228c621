from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gqlink.server.time_bound import OutOfTime, within

if TYPE_CHECKING:
    from collections.abc import Callable


def soon() -> float:
    return asyncio.get_running_loop().time() + 60.0


def past() -> float:
    return asyncio.get_running_loop().time() - 1.0


async def give(value: object, *, turns: int) -> object:
    for _ in range(turns):
        await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_what_ends_in_time_has_its_result(turns: int) -> None:
    """Whether it waits or not."""
    assert await within(give("it", turns=turns), until=soon()) == "it"


@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("make", [lambda: ValueError("no"), lambda: TimeoutError("its own")])
async def test_what_it_raises_is_its_own(make: Callable[[], Exception], turns: int) -> None:
    """A `TimeoutError` too."""
    exc = make()
    with pytest.raises(type(exc)) as raised:
        await within(give(exc, turns=turns), until=soon())
    assert raised.value is exc


async def test_what_does_not_wait_is_never_late() -> None:
    """It could not have been interrupted, by no timer."""
    assert await within(give("it", turns=0), until=past()) == "it"


async def test_what_waits_too_long_is_cancelled() -> None:
    """Where it waits, so that it cleans up; and its task goes on."""
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(OutOfTime):
        await within(wait(), until=past())
    task = asyncio.current_task()
    assert task is not None
    assert (ended, task.cancelling()) == (["cancelled"], 0)


async def test_a_cancellation_of_the_task_goes_into_it() -> None:
    """It is no lack of time."""
    ended: list[str] = []
    waiting = asyncio.Event()

    async def wait() -> None:
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def bounded() -> None:
        await within(wait(), until=soon())

    task = asyncio.ensure_future(bounded())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended"]


async def test_one_that_is_thrown_away_is_closed() -> None:
    """As an event loop that ends does with what still waits."""
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def bounded() -> None:
        await within(wait(), until=soon())

    coroutine = bounded()
    coroutine.send(None)
    coroutine.close()
    assert ended == ["ended"]


async def test_what_it_sets_is_set_for_its_task() -> None:
    """It runs in the task that awaits it, from the first step to the last."""
    task = asyncio.current_task()

    async def ask() -> list[bool]:
        first = asyncio.current_task() is task
        await asyncio.sleep(0)
        return [first, asyncio.current_task() is task]

    assert await within(ask(), until=soon()) == [True, True]
