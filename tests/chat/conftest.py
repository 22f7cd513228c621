"""A chat without a network: a store in a temporary directory, cheap passwords, a clock that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import argon2
import pytest

from gqlink.auth import PasswordHasher, Revocation, SigningKey, TokenSigner
from gqlink.chat.accounts import Accounts
from gqlink.chat.conversation import Conversation
from gqlink.chat.database import database_url
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.chat.revocation_store import SqlRevocationStore
from gqlink.chat.session_store import SessionStore
from gqlink.chat.sessions import Grant, Sessions
from gqlink.chat.store import Store
from gqlink.pubsub import MemoryBroker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import URL

KEY = SigningKey("k1", b"s" * 32)
NOW = 1_800_000_000.125  # 2027-01-15T08:00:00.125Z


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def time() -> Clock:
    """Now, until the test says otherwise."""
    return Clock()


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """A database file that does not exist yet."""
    return database_url(tmp_path, given=None)


@pytest.fixture
async def store(url: URL) -> AsyncIterator[Store]:
    """An open store with the room "general" and nobody in it."""
    store = Store(url)
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    """A hasher that takes no time."""
    hasher = PasswordHasher(parameters=argon2.profiles.CHEAPEST)
    yield hasher
    await hasher.aclose()


@pytest.fixture
async def accounts(store: Store, hasher: PasswordHasher, time: Clock) -> Accounts:
    """The accounts alice (alice123) and bob (bobby123)."""
    accounts = Accounts(store, hasher=hasher, clock=time)
    await accounts.create("alice", password="alice123")
    await accounts.create("bob", password="bobby123")
    return accounts


@pytest.fixture
async def broker() -> AsyncIterator[MemoryBroker]:
    """A broker in memory."""
    broker = MemoryBroker()
    yield broker
    await broker.aclose()


@pytest.fixture
async def conversation(
    store: Store, accounts: Accounts, broker: MemoryBroker, time: Clock
) -> AsyncIterator[Conversation]:
    """A conversation that alice and bob may join."""
    assert accounts is not None
    conversation = Conversation(store, broker=broker, clock=time)
    yield conversation
    await conversation.aclose()


@pytest.fixture
def signer() -> TokenSigner:
    """A signer with one key."""
    return TokenSigner([KEY], issuer="test", audience="test")


@pytest.fixture
def session_store(store: Store) -> SessionStore:
    """The table of sessions."""
    return SessionStore(store)


@pytest.fixture
def revocations(store: Store, time: Clock) -> SqlRevocationStore:
    """The table of revocations, which are remembered for a day."""
    return SqlRevocationStore(store, seconds=86_400.0, clock=time)


def make_sessions(
    store: Store,
    *,
    accounts: Accounts,
    signer: TokenSigner,
    clock: Clock,
    session_store: SessionStore | None = None,
) -> Sessions:
    """Make sessions of an hour, with tokens of a minute; what ends one is the database alone."""
    revocations = SqlRevocationStore(store, seconds=86_400.0, clock=clock)

    async def revoke(session: str) -> None:
        await revocations.add(Revocation(session=session, revoked_at=clock.now))

    return Sessions(
        session_store or SessionStore(store),
        accounts=accounts,
        signer=signer,
        refresh_tokens=RefreshTokens([KEY]),
        revoke=revoke,
        token_lifetime=60.0,
        lifetime=3600.0,
        clock=clock,
    )


@pytest.fixture
def sessions(store: Store, accounts: Accounts, signer: TokenSigner, time: Clock) -> Sessions:
    """Sessions of an hour, with tokens of a minute."""
    return make_sessions(store, accounts=accounts, signer=signer, clock=time)


@pytest.fixture
async def grant(accounts: Accounts, sessions: Sessions) -> Grant:
    """What alice holds after her login."""
    return await sessions.open(await accounts.check("alice", password="alice123"))
