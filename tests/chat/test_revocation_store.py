from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, TypeVarTuple

import pytest

from gqlink.auth import Revocation
from gqlink.chat import revocation_store
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.chat.revocation_store import SqlRevocationStore
from gqlink.chat.store import Store
from gqlink.errors import SessionRevoked, StoreUnavailable

from .conftest import KEY, NOW, Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import Row, Select
    from sqlalchemy.engine import URL

    from gqlink.chat.accounts import Accounts
    from gqlink.chat.sessions import Grant, Sessions

Columns = TypeVarTuple("Columns")

DAY = 86_400.0


def session_of(grant: Grant) -> str:
    return RefreshTokens([KEY]).read(grant.refresh_token)[0]


async def test_what_was_added_is_loaded(revocations: SqlRevocationStore) -> None:
    """Each kind, in the order of adding, to the last digit of the moment."""
    added = [
        Revocation(session="s", revoked_at=NOW),
        Revocation(token_id="t", revoked_at=NOW + 0.000_001),
        Revocation(subject="nobody", revoked_at=NOW + 0.25),
    ]
    for each in added:
        await revocations.add(each)
    assert list(await revocations.load()) == added


async def test_a_session_ends_together_with_its_tokens(
    revocations: SqlRevocationStore, sessions: Sessions, grant: Grant
) -> None:
    """One transaction; the answer says how many ended."""
    order = Revocation(session=session_of(grant), revoked_at=NOW)
    assert await revocations.end_sessions(order) == 1
    with pytest.raises(SessionRevoked):
        await sessions.renew(grant.refresh_token)


async def test_all_sessions_of_a_subject_end_and_nobody_elses(
    revocations: SqlRevocationStore, sessions: Sessions, accounts: Accounts, grant: Grant
) -> None:
    """Each session is revoked by its id too: a token of it that is being made may be later than the order."""
    another = await sessions.open(await accounts.check("alice", password="alice123"))
    bobs = await sessions.open(await accounts.check("bob", password="bobby123"))
    assert await revocations.end_sessions(Revocation(subject="alice", revoked_at=NOW)) == 2
    for each in (grant, another):
        with pytest.raises(SessionRevoked):
            await sessions.renew(each.refresh_token)
    assert await sessions.renew(bobs.refresh_token)
    loaded = await revocations.load()
    assert {each.session for each in loaded} == {session_of(grant), session_of(another), None}
    assert loaded[-1].subject == "alice"


async def test_a_single_token_ends_no_session(
    revocations: SqlRevocationStore, sessions: Sessions, grant: Grant
) -> None:
    """Its session may get another."""
    assert await revocations.end_sessions(Revocation(token_id="t", revoked_at=NOW)) == 0
    assert await sessions.renew(grant.refresh_token)


async def test_to_repeat_a_revocation_is_harmless(revocations: SqlRevocationStore, grant: Grant) -> None:
    """A session or a token is remembered once; a subject each time, for its moment counts."""
    orders = [
        Revocation(session=session_of(grant), revoked_at=NOW),
        Revocation(token_id="t", revoked_at=NOW),
        Revocation(subject="alice", revoked_at=NOW),
    ]
    for order in orders * 2:
        await revocations.add(order)
    assert [each.subject for each in await revocations.load()] == [None, None, "alice", "alice"]


async def test_revocations_are_forgotten_when_no_token_can_be_so_old(
    revocations: SqlRevocationStore, time: Clock, url: URL
) -> None:
    """A day here; the table is swept a month later, by the next one that is added."""
    await revocations.add(Revocation(session="old", revoked_at=NOW))
    time.now += DAY
    assert list(await revocations.load()) == []
    time.now = NOW + 30 * DAY
    await revocations.add(Revocation(session="new", revoked_at=time.now))
    with closing(sqlite3.connect(str(url.database))) as connection:
        assert connection.execute("SELECT id, session FROM revocations").fetchall() == [(2, "new")]


async def test_a_clock_that_was_ahead_for_a_while_makes_nothing_forgotten(
    revocations: SqlRevocationStore, time: Clock
) -> None:
    """Not even by what is revoked in that while."""
    await revocations.add(Revocation(session="stolen", revoked_at=NOW))
    time.now += 29 * DAY
    await revocations.add(Revocation(session="other", revoked_at=time.now))
    time.now = NOW
    assert {each.session for each in await revocations.load()} == {"stolen", "other"}


async def test_a_server_loads_what_its_own_tokens_need_whoever_wrote_it(store: Store, time: Clock) -> None:
    """A command that does not know how long the server's tokens live sweeps none of it away."""
    server = SqlRevocationStore(store, seconds=7 * DAY, clock=time)
    command = SqlRevocationStore(store, seconds=60.0, clock=time)
    await command.add(Revocation(session="a", revoked_at=NOW))
    time.now += 6 * DAY
    await command.add(Revocation(session="b", revoked_at=time.now))
    assert [each.session for each in await server.load()] == ["a", "b"]
    assert [each.session for each in await command.load()] == ["b"]


async def test_numbers_ascend_and_none_is_used_twice(revocations: SqlRevocationStore, time: Clock) -> None:
    """Although the table was empty in between: whoever asks for larger numbers misses nothing."""
    assert await revocations.newest() == 0
    await revocations.add(Revocation(session="a", revoked_at=NOW))
    time.now += 30 * DAY
    await revocations.add(Revocation(session="b", revoked_at=time.now))
    time.now += 30 * DAY
    await asyncio.gather(*(revocations.add(Revocation(session=each, revoked_at=time.now)) for each in "cd"))
    assert await revocations.newest() == 4
    assert {each.session for _, each in await revocations.later_than(2)} == {"c", "d"}
    assert [number for number, _ in await revocations.later_than(2)] == [3, 4]


class Slow(Store):
    """A store that takes its time, and counts what it is asked."""

    seconds = 0.0
    asked = 0

    async def fetch(
        self, query: Select[*Columns], parameters: Mapping[str, object] | None = None
    ) -> Sequence[Row[*Columns]]:
        """Run it late."""
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return await super().fetch(query, parameters)


@pytest.fixture
async def slow(url: URL) -> AsyncIterator[Slow]:
    """A slow store, as long as it is told to be so."""
    slow = Slow(url)
    await slow.open()
    yield slow
    await slow.aclose()


@pytest.mark.parametrize("count", [0, 1, 3, 4])
async def test_many_are_loaded_page_by_page(
    slow: Slow, time: Clock, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """None is missing, in the order of adding; what is too old is not even asked for."""
    monkeypatch.setattr(revocation_store, "PAGE", 2)
    revocations = SqlRevocationStore(slow, seconds=DAY, clock=time)
    for number in range(50):
        await revocations.add(Revocation(session=f"old {number}", revoked_at=NOW - 2 * DAY))
    for number in range(count):
        await revocations.add(Revocation(session=str(number), revoked_at=NOW))
    assert [each.session for each in await revocations.load()] == [str(number) for number in range(count)]
    assert slow.asked <= 2 + (count + 1) // 2


async def test_a_page_that_does_not_come_is_a_database_that_is_down(
    slow: Slow, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is that of each page, however many there are."""
    monkeypatch.setattr(revocation_store, "PAGE_SECONDS", 0.001)
    slow.seconds = 60.0
    with pytest.raises(StoreUnavailable):
        await SqlRevocationStore(slow, seconds=DAY, clock=time).load()


async def test_a_database_that_is_down_changes_nothing(store: Store, revocations: SqlRevocationStore) -> None:
    """Whoever revokes is told so."""
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await revocations.add(Revocation(session="a", revoked_at=NOW))
