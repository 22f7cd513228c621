from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gqlink.auth import Revocation
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.errors import SessionRevoked, StoreUnavailable

from .conftest import KEY, NOW, Clock

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from gqlink.chat.accounts import Accounts
    from gqlink.chat.revocation_store import SqlRevocationStore
    from gqlink.chat.sessions import Grant, Sessions
    from gqlink.chat.store import Store


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
    """A day here; the next one that is added sweeps the table."""
    await revocations.add(Revocation(session="old", revoked_at=NOW))
    time.now += 86_400
    assert list(await revocations.load()) == []
    await revocations.add(Revocation(session="new", revoked_at=time.now))
    with closing(sqlite3.connect(str(url.database))) as connection:
        assert connection.execute("SELECT id, session FROM revocations").fetchall() == [(2, "new")]


async def test_numbers_ascend_and_none_is_used_twice(revocations: SqlRevocationStore, time: Clock) -> None:
    """Although the table was empty in between: whoever asks for larger numbers misses nothing."""
    assert await revocations.newest() == 0
    await revocations.add(Revocation(session="a", revoked_at=NOW))
    time.now += 86_400
    await revocations.add(Revocation(session="b", revoked_at=time.now))
    time.now += 86_400
    await asyncio.gather(*(revocations.add(Revocation(session=each, revoked_at=time.now)) for each in "cd"))
    assert await revocations.newest() == 4
    assert {each.session for _, each in await revocations.later_than(2)} == {"c", "d"}
    assert [number for number, _ in await revocations.later_than(2)] == [3, 4]


async def test_a_database_that_is_down_changes_nothing(store: Store, revocations: SqlRevocationStore) -> None:
    """Whoever revokes is told so."""
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await revocations.add(Revocation(session="a", revoked_at=NOW))
