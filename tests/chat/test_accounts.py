from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import argon2
import pytest

from gqlink.auth import PasswordHasher
from gqlink.chat.accounts import DEMO_PASSWORDS, Accounts
from gqlink.errors import AuthUnavailable, BadUserInput, InvalidCredentials

if TYPE_CHECKING:
    from gqlink.chat.store import Store


class CountingHasher(PasswordHasher):
    """A hasher that says how often it worked, which stands for time."""

    def __init__(self) -> None:
        super().__init__(parameters=argon2.profiles.CHEAPEST)
        self.verified: list[bool] = []

    async def verify(self, password: str, hash: str | None) -> bool:  # noqa: A002 -- as in PasswordHasher
        """Count, then verify."""
        self.verified.append(hash is not None)
        return await super().verify(password, hash)


async def stored_hash(store: Store, name: str) -> str:
    account = await store.account(name)
    assert account is not None
    return account.password_hash


async def test_who_has_an_account_may_log_in_whatever_the_case_of_the_name(accounts: Accounts) -> None:
    """The account's own spelling comes back."""
    assert (await accounts.check("ALICE", password="alice123")).name == "alice"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "bobby123"),
        ("alice", "ALICE123"),
        ("alice", ""),
        ("alice", "\ud83d"),
        ("alice", "x" * 2000),
        ("nobody", "alice123"),
        ("", "alice123"),
        ("al ice", "alice123"),
        ("\ud83d", "alice123"),
        ("a" * 10_000, "alice123"),
    ],
)
async def test_anybody_else_may_not_and_is_not_told_why(accounts: Accounts, name: str, password: str) -> None:
    """One sentence for every reason."""
    with pytest.raises(InvalidCredentials) as caught:
        await accounts.check(name, password=password)
    assert str(caught.value) == "Wrong name or password"


async def test_an_unknown_name_costs_as_much_work_as_a_wrong_password(store: Store) -> None:
    """Time does not tell which names exist."""
    hasher = CountingHasher()
    accounts = Accounts(store, hasher=hasher)
    await accounts.create("alice", password="alice123")
    for name in ("alice", "nobody", "not a name"):
        with pytest.raises(InvalidCredentials):
            await accounts.check(name, password="wrong password")
    await hasher.aclose()
    assert hasher.verified == [True, False, False]


@pytest.mark.parametrize("name", ["", "a b", "ä", "a\n", "a" * 33, "a/b", "<b>", "\ud83d"])
async def test_a_name_is_1_to_32_plain_characters(accounts: Accounts, name: str) -> None:
    """Letters of other scripts can look the same and be somebody else."""
    with pytest.raises(BadUserInput, match="A name has 1 to 32 characters"):
        await accounts.create(name, password="password")


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "a" * 32])
async def test_a_plain_name_makes_an_account(accounts: Accounts, name: str) -> None:
    """Somebody with this name can log in from then on."""
    await accounts.create(name, password="password")
    assert (await accounts.check(name, password="password")).name == name


@pytest.mark.parametrize("password", ["", "1234567", "x" * 2000, "1234567\ud83d"])
async def test_a_password_is_neither_short_nor_endless(accounts: Accounts, password: str) -> None:
    """The error tells what would do, and never repeats the password."""
    with pytest.raises(BadUserInput, match="A password") as caught:
        await accounts.create("carol", password=password)
    assert not password or password not in str(caught.value)


async def test_a_name_that_is_taken_is_refused_and_its_owner_is_unharmed(accounts: Accounts) -> None:
    """Also in another case."""
    with pytest.raises(BadUserInput, match="is taken"):
        await accounts.create("Alice", password="password")
    assert await accounts.check("alice", password="alice123")


@pytest.mark.usefixtures("accounts")
async def test_a_login_replaces_a_hash_of_another_cost(store: Store) -> None:
    """Passwords are in hand only then; the account works as before."""
    weak = await stored_hash(store, "alice")
    stronger = PasswordHasher(parameters=argon2.Parameters(argon2.Type.ID, 19, 16, 32, 2, 16, 1))
    again = Accounts(store, hasher=stronger)
    await again.check("alice", password="alice123")
    strong = await stored_hash(store, "alice")
    await again.check("alice", password="alice123")
    await stronger.aclose()
    assert weak != strong
    assert strong.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert await stored_hash(store, "alice") == strong


@pytest.mark.usefixtures("accounts")
async def test_a_failed_login_replaces_nothing(store: Store) -> None:
    """Otherwise anybody could set the password."""
    before = await stored_hash(store, "alice")
    stronger = PasswordHasher(parameters=argon2.Parameters(argon2.Type.ID, 19, 16, 32, 2, 16, 1))
    with pytest.raises(InvalidCredentials):
        await Accounts(store, hasher=stronger).check("alice", password="something else")
    await stronger.aclose()
    assert await stored_hash(store, "alice") == before


async def test_too_many_at_once_is_not_a_refusal(store: Store) -> None:
    """Whoever comes too late is told to come again."""
    hasher = PasswordHasher(parameters=argon2.profiles.CHEAPEST)
    await hasher.aclose()
    with pytest.raises(AuthUnavailable):
        await Accounts(store, hasher=hasher).check("alice", password="alice123")


async def test_the_demo_has_alice_bob_and_charlie(store: Store, hasher: PasswordHasher) -> None:
    """However often it starts."""
    demo = Accounts(store, hasher=hasher, demo=True)
    await demo.seed_demo()
    await demo.seed_demo()
    assert DEMO_PASSWORDS == {"alice": "alice123", "bob": "bob123", "charlie": "charlie123"}
    for name, password in DEMO_PASSWORDS.items():
        assert (await demo.check(name, password=password)).name == name


async def test_the_demo_leaves_an_account_that_was_there_alone(store: Store, hasher: PasswordHasher) -> None:
    """A real alice keeps her password."""
    demo = Accounts(store, hasher=hasher, demo=True)
    await demo.create("Alice", password="her own one")
    await demo.seed_demo()
    assert await demo.check("alice", password="her own one")
    with pytest.raises(InvalidCredentials):
        await demo.check("alice", password="alice123")


async def test_the_people_of_a_demo_cannot_log_in_to_the_real_thing(store: Store, hasher: PasswordHasher) -> None:
    """Their passwords are public; a data directory that has served a demo keeps them, and must be safe all the same."""
    await Accounts(store, hasher=hasher, demo=True).seed_demo()
    with pytest.raises(InvalidCredentials):
        await Accounts(store, hasher=hasher).check("alice", password="alice123")


async def test_the_moment_of_its_making_is_stored(store: Store, hasher: PasswordHasher) -> None:
    """By the clock that was given."""
    await Accounts(store, hasher=hasher, clock=lambda: 1.5).create("carol", password="password")
    query = "SELECT created_at FROM users"
    found = await store.write(lambda connection: connection.exec_driver_sql(query).scalar_one())
    assert datetime.fromisoformat(found).replace(tzinfo=UTC).timestamp() == 1.5
