from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gqlink.chat.administration import Administration
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.errors import BadUserInput, SessionRevoked

from .conftest import KEY, Clock

if TYPE_CHECKING:
    from gqlink.chat.accounts import Accounts
    from gqlink.chat.revocation_store import SqlRevocationStore
    from gqlink.chat.session_store import SessionStore
    from gqlink.chat.sessions import Grant, Sessions
    from gqlink.chat.store import Store

PASSWORDS = {"alice": "alice123", "bob": "bobby123"}


@pytest.fixture
def administration(
    store: Store, accounts: Accounts, session_store: SessionStore, revocations: SqlRevocationStore, time: Clock
) -> Administration:
    """The administration of alice and bob."""
    return Administration(store, accounts=accounts, sessions=session_store, revocations=revocations, clock=time)


class People:
    """Log in, a second apart."""

    def __init__(self, accounts: Accounts, sessions: Sessions, time: Clock) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._time = time

    async def log_in(self, *names: str) -> list[Grant]:
        """Begin a session for each."""
        grants = []
        for name in names:
            grants.append(await self._sessions.open(await self._accounts.check(name, password=PASSWORDS[name])))
            self._time.now += 1
        return grants


@pytest.fixture
def people(accounts: Accounts, sessions: Sessions, time: Clock) -> People:
    """Alice and bob."""
    return People(accounts, sessions, time)


def id_of(grant: Grant) -> str:
    return RefreshTokens([KEY]).read(grant.refresh_token)[0]


async def test_sessions_that_go_on_are_listed_by_account_and_age(
    administration: Administration, people: People, sessions: Sessions, time: Clock
) -> None:
    """Neither those that have reached their age, nor those that were ended; with the last refresh."""
    await people.log_in("bob")
    time.now += 3600
    bob, old, young, ended = await people.log_in("bob", "alice", "alice", "alice")
    await sessions.end(ended.refresh_token)
    await sessions.renew(young.refresh_token)
    listed = await administration.sessions()
    assert [each.id for each in listed] == [id_of(each) for each in (old, young, bob)]
    assert listed[0].rotated_at is None
    assert listed[1].rotated_at is not None
    assert listed[1].rotated_at.timestamp() == time.now
    assert [each.id for each in await administration.sessions("BOB")] == [id_of(bob)]


async def test_revoking_an_account_ends_all_its_sessions(
    administration: Administration, people: People, sessions: Sessions
) -> None:
    """And says how many; nobody is locked out."""
    one, two, bob = await people.log_in("alice", "alice", "bob")
    assert await administration.revoke("Alice") == 2
    assert await administration.revoke("alice") == 0
    for each in (one, two):
        with pytest.raises(SessionRevoked):
            await sessions.renew(each.refresh_token)
    assert await sessions.renew(bob.refresh_token)
    assert len(await people.log_in("alice")) == 1


async def test_one_session_is_ended_by_the_beginning_of_its_id(
    administration: Administration, people: People, sessions: Sessions
) -> None:
    """As long as it is nobody else's beginning."""
    one, two = await people.log_in("alice", "alice")
    assert await administration.revoke("alice", session=id_of(one)[:8]) == 1
    with pytest.raises(SessionRevoked):
        await sessions.renew(one.refresh_token)
    assert await sessions.renew(two.refresh_token)


async def test_what_names_no_session_ends_none(
    administration: Administration, people: People, session_store: SessionStore, accounts: Accounts
) -> None:
    """Nobody's account, another's session, a beginning of several or of none."""
    [bob] = await people.log_in("bob")
    alice = await accounts.check("alice", password="alice123")
    for session_id in ("same-1", "same-2"):
        moment = (await administration.sessions("bob"))[0]
        await session_store.add(session_id, account=alice, created_at=moment.created_at, expires_at=moment.expires_at)
    for name, session, sentence in (
        ("nobody", None, "There is no account 'nobody'"),
        ("alice", "same", "Several sessions of alice begin with 'same'"),
        ("alice", "", "No session of alice that goes on begins with ''"),
        ("alice", id_of(bob), "No session of alice that goes on begins with"),
    ):
        with pytest.raises(BadUserInput, match=sentence):
            await administration.revoke(name, session=session)
    with pytest.raises(BadUserInput, match="There is no account"):
        await administration.sessions("nobody")
    assert len(await administration.sessions()) == 3
