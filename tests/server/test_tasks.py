from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from gqlink.server.tasks import TaskSet, in_a_task, is_ending, wait_for_tasks
from server.eventually import turns

mark: ContextVar[str] = ContextVar("mark", default="")


async def fail() -> None:
    """Fail."""
    raise RuntimeError("it broke")


async def for_ever() -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


async def test_a_task_belongs_to_its_set_until_it_ends() -> None:
    """Then it is forgotten."""
    tasks = TaskSet()
    gate = asyncio.Event()
    task = tasks.spawn(gate.wait(), name="waiting")
    assert len(tasks) == 1
    assert task in tasks.tasks
    assert task.get_name() == "waiting"
    gate.set()
    assert await task
    await turns(1)
    assert len(tasks) == 0


async def test_a_failure_is_reported_and_the_siblings_live(caplog: pytest.LogCaptureFixture) -> None:
    """Under the name of the task that failed."""
    tasks = TaskSet()
    sibling = tasks.spawn(for_ever(), name="sibling")
    tasks.spawn(fail(), name="the one")
    await turns()
    assert "task the one failed" in caplog.text
    assert "it broke" in caplog.text
    assert tasks.tasks == {sibling}
    tasks.cancel_all()
    await wait_for_tasks(tasks.tasks, seconds=None)


async def test_a_failure_that_somebody_looks_at_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Nor is anybody warned when in the end nobody did."""
    tasks = TaskSet()
    tasks.spawn(fail(), name="the one", report=False)
    tasks.cancel(tasks.spawn(for_ever(), name="the other", report=False))
    await turns()
    assert len(tasks) == 0
    assert not caplog.records


async def test_cancelling_ends_each_once() -> None:
    """What a task does to clean up is not broken into by a second reason to end it."""
    tasks = TaskSet()
    happened: list[str] = []

    async def careful() -> None:
        try:
            await for_ever()
        finally:
            await turns(3)
            happened.append("clean")

    task = tasks.spawn(careful(), name="careful")
    await turns(1)
    tasks.cancel(task)
    await turns(1)
    tasks.cancel(task)
    tasks.cancel_all()
    assert await wait_for_tasks(tasks.tasks, seconds=5)
    assert happened == ["clean"]
    assert task.cancelled()


async def test_a_set_cancels_only_its_own() -> None:
    """Mutations belong to somebody else."""
    tasks, others = TaskSet(), TaskSet()
    task = others.spawn(for_ever(), name="somebody else's")
    tasks.cancel(task)
    await turns()
    assert others.tasks == {task}
    others.cancel_all()
    await wait_for_tasks(others.tasks, seconds=None)


async def test_a_task_that_ended_is_not_waited_for_twice() -> None:
    """Nothing to wait for is no wait."""
    assert await wait_for_tasks([], seconds=0)


async def test_waiting_ends_in_time() -> None:
    """And says whether the tasks have ended."""
    tasks = TaskSet()
    tasks.spawn(for_ever(), name="for ever")
    assert not await wait_for_tasks(tasks.tasks, seconds=0.01)
    tasks.cancel_all()
    assert await wait_for_tasks(tasks.tasks, seconds=5)


async def test_a_task_does_not_wait_for_itself() -> None:
    """It would wait for ever."""
    tasks = TaskSet()

    async def wait_for_all() -> bool:
        return await wait_for_tasks(tasks.tasks, seconds=5)

    assert await tasks.spawn(wait_for_all(), name="itself")


async def test_a_task_knows_whether_it_was_asked_to_end() -> None:
    """Or only stumbled over somebody else's cancellation."""
    known: list[bool] = []

    async def stumble() -> None:
        other: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        other.cancel()
        try:
            await other
        except asyncio.CancelledError:
            known.append(is_ending())
        try:
            await for_ever()
        except asyncio.CancelledError:
            known.append(is_ending())
            raise

    tasks = TaskSet()
    tasks.spawn(stumble(), name="stumbling")
    await turns()
    tasks.cancel_all()
    await wait_for_tasks(tasks.tasks, seconds=5)
    assert known == [False, True]


async def test_what_waits_for_nothing_needs_no_task() -> None:
    """It is over when `begin` returns, in a context of its own."""
    tasks = TaskSet()
    done: list[str] = []

    async def work() -> None:
        mark.set("inner")
        await in_own_task_or_not(done)

    async def in_own_task_or_not(said: list[str]) -> None:
        said.append("done")

    mark.set("outer")
    assert tasks.begin(work(), name="work") is None
    assert (done, len(tasks), mark.get()) == (["done"], 0, "outer")


@pytest.mark.parametrize("in_between", [False, True])
async def test_what_waits_goes_on_in_a_task(*, in_between: bool) -> None:
    """Of the set, in the same context; before it awaits what is somebody else's it may ask for one."""
    tasks = TaskSet()
    gate = asyncio.Event()
    seen: list[object] = []
    own = asyncio.current_task()

    async def work() -> None:
        mark.set("inner")
        if in_between:
            await in_a_task()
            seen.append(asyncio.current_task() is not own)
            await in_a_task()  # it is in one
        await gate.wait()
        seen.append((mark.get(), asyncio.current_task() is task))

    mark.set("outer")
    task = tasks.begin(work(), name="work")
    assert task is not None
    assert tasks.tasks == {task}
    assert task.get_name() == "work"
    assert not seen
    await turns()
    gate.set()
    await task
    assert seen == [True, ("inner", True)] if in_between else [("inner", True)]
    assert mark.get() == "outer"
    await turns(1)
    assert len(tasks) == 0


async def test_a_first_step_that_fails_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """As a task is that fails."""
    tasks = TaskSet()
    assert tasks.begin(fail(), name="the one") is None
    assert "task the one failed" in caplog.text
    assert "it broke" in caplog.text


async def test_a_first_step_that_cancels_itself_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """And nobody complains."""

    async def work() -> None:
        raise asyncio.CancelledError

    assert TaskSet().begin(work(), name="the one") is None
    assert not caplog.records


@pytest.mark.filterwarnings("error")
async def test_a_cancellation_before_the_task_takes_effect_where_it_waits() -> None:
    """So that a coroutine that was made begins, and Python does not complain of it."""
    tasks = TaskSet()
    happened: list[str] = []

    async def inner() -> None:
        happened.append("began")
        try:
            await asyncio.sleep(0)
        finally:
            happened.append("ended")

    async def work() -> None:
        made = inner()
        await in_a_task()
        await made

    task = tasks.begin(work(), name="work")
    assert task is not None
    tasks.cancel(task)
    await wait_for_tasks([task], seconds=5)
    assert task.cancelled()
    assert happened == ["began", "ended"]


async def test_what_waits_is_told_of_what_it_waits_for() -> None:
    """Also of what that raises."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    said: list[str] = []

    async def work() -> None:
        try:
            await future
        except ValueError as exc:
            said.append(str(exc))

    task = TaskSet().begin(work(), name="work")
    assert task is not None
    future.set_exception(ValueError("no"))
    await task
    assert said == ["no"]
