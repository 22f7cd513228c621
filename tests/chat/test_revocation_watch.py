from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gqlink.auth import Revocation
from gqlink.chat import revocation_store
from gqlink.chat.revocation_store import SqlRevocationStore
from gqlink.chat.revocation_watch import RevocationWatch
from gqlink.chat.store import Store

from .conftest import NOW, Clock

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


class Pauses:
    """Waits for as long as the test wants, and remembers how long it should have waited."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._over: asyncio.Queue[None] = asyncio.Queue()
        self._begun: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        """Wait for the test."""
        self.asked.append(seconds)
        self._begun.put_nowait(None)
        await self._over.get()

    async def end(self) -> None:
        """End a pause, and wait for the next one to begin."""
        await self._begun.get()
        self._over.put_nowait(None)
        await self._begun.get()
        self._begun.put_nowait(None)


@pytest.fixture
def applied() -> list[Revocation]:
    """What the server was told."""
    return []


@pytest.fixture
def pauses() -> Pauses:
    """The time between two looks."""
    return Pauses()


@pytest.fixture
def watch(revocations: SqlRevocationStore, applied: list[Revocation], pauses: Pauses) -> RevocationWatch:
    """A watch on the table."""
    return RevocationWatch(revocations, apply=applied.append, pause=pauses)


async def test_what_another_process_revokes_is_applied_at_the_next_look(
    watch: RevocationWatch, applied: list[Revocation], pauses: Pauses, url: URL, time: Clock
) -> None:
    """Once each, a second later at most."""
    other = Store(url)
    await other.open()
    orders = [Revocation(session=each, revoked_at=NOW) for each in "abc"]
    async with watch.running():
        for order in orders:
            await SqlRevocationStore(other, seconds=60.0, clock=time).add(order)
            await pauses.end()
            assert applied[-1] == order
        await pauses.end()
    await other.aclose()
    assert applied == orders
    assert set(pauses.asked) == {1.0}


async def test_a_look_sees_all_that_came_however_many(
    watch: RevocationWatch,
    revocations: SqlRevocationStore,
    applied: list[Revocation],
    pauses: Pauses,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Page by page, and not a page a second."""
    monkeypatch.setattr(revocation_store, "PAGE", 2)
    async with watch.running():
        for each in "abcde":
            await revocations.add(Revocation(session=each, revoked_at=NOW))
        await pauses.end()
    assert [each.session for each in applied] == list("abcde")


async def test_what_was_revoked_before_is_not_its_business(
    watch: RevocationWatch, revocations: SqlRevocationStore, applied: list[Revocation], pauses: Pauses
) -> None:
    """The server loads that by itself."""
    await revocations.add(Revocation(session="before", revoked_at=NOW))
    async with watch.running():
        await pauses.end()
    assert applied == []


async def test_a_database_that_does_not_answer_is_asked_more_and_more_seldom(
    revocations: SqlRevocationStore,
    applied: list[Revocation],
    pauses: Pauses,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says it once, and once more when it is over; what was revoked meanwhile is found."""
    async with RevocationWatch(revocations, apply=applied.append, pause=pauses).running():
        await store.aclose()
        for _ in range(7):
            await pauses.end()
        assert pauses.asked == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
        await store.open()
        await revocations.add(Revocation(session="a", revoked_at=NOW))
        await pauses.end()
    assert [each.session for each in applied] == ["a"]
    assert pauses.asked[-1] == 1.0
    assert [record.levelname for record in caplog.records if "looked for" in record.message] == ["ERROR", "WARNING"]


async def test_a_server_that_cannot_apply_one_is_asked_again(
    revocations: SqlRevocationStore, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is skipped."""
    heard: list[str | None] = []

    def apply(revocation: Revocation) -> None:
        heard.append(revocation.session)
        if heard == ["a", "b"]:
            raise RuntimeError("not now")

    async with RevocationWatch(revocations, apply=apply, pause=pauses).running():
        for each in "abc":
            await revocations.add(Revocation(session=each, revoked_at=NOW))
        await pauses.end()
        await pauses.end()
    assert heard == ["a", "b", "b", "c"]
    assert "not now" in caplog.text


async def test_a_cancellation_that_was_meant_for_others_does_not_end_it(
    revocations: SqlRevocationStore, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as that of a query that it awaits; the log says so, and what was revoked is found at the next look."""
    heard: list[str | None] = []

    def apply(revocation: Revocation) -> None:
        heard.append(revocation.session)
        if heard == ["a"]:
            raise asyncio.CancelledError

    async with asyncio.timeout(10), RevocationWatch(revocations, apply=apply, pause=pauses).running():
        await revocations.add(Revocation(session="a", revoked_at=NOW))
        await pauses.end()
        await pauses.end()
    assert heard == ["a", "a"]
    assert [record.levelname for record in caplog.records if "looked for" in record.message] == ["ERROR", "WARNING"]


async def test_it_ends_with_its_block(watch: RevocationWatch) -> None:
    """No task is left."""
    before = asyncio.all_tasks()
    async with watch.running():
        assert len(asyncio.all_tasks() - before) == 1
    assert asyncio.all_tasks() - before == set()
