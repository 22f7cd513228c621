"""A chat without a network: a store in a temporary directory, cheap passwords, a clock that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import argon2
import pytest

from gqlink.auth import PasswordHasher, SigningKey, TokenSigner
from gqlink.chat.accounts import Accounts
from gqlink.chat.conversation import Conversation
from gqlink.chat.database import database_url
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.chat.sessions import Sessions
from gqlink.chat.store import Store
from gqlink.pubsub import MemoryBroker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import URL

KEY = SigningKey("k1", b"s" * 32)
NOW = 1_800_000_000.125  # 2027-01-15T08:00:00.125Z


def clock() -> float:
    """Stand still."""
    return NOW


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
async def accounts(store: Store, hasher: PasswordHasher) -> Accounts:
    """The accounts alice (alice123) and bob (bobby123)."""
    accounts = Accounts(store, hasher=hasher, clock=clock)
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
async def conversation(store: Store, accounts: Accounts, broker: MemoryBroker) -> AsyncIterator[Conversation]:
    """A conversation that alice and bob may join."""
    assert accounts is not None
    conversation = Conversation(store, broker=broker, clock=clock)
    yield conversation
    await conversation.aclose()


@pytest.fixture
def signer() -> TokenSigner:
    """A signer with one key."""
    return TokenSigner([KEY], issuer="test", audience="test")


@pytest.fixture
def sessions(store: Store, accounts: Accounts, signer: TokenSigner) -> Sessions:
    """Sessions of an hour, with tokens of a minute."""
    return Sessions(
        store,
        accounts=accounts,
        signer=signer,
        refresh_tokens=RefreshTokens([KEY]),
        token_lifetime=60.0,
        lifetime=3600.0,
        clock=clock,
    )
