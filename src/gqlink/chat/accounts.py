"""Accounts: making one, and checking a name with its password."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gqlink.errors import AuthUnavailable, BadUserInput, InvalidCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.auth import PasswordHasher
    from gqlink.chat.records import Account
    from gqlink.chat.store import Store

PASSWORD_CHARACTERS: Final = 8
DEMO_PASSWORDS: Final = {"alice": "alice123", "bob": "bob123", "charlie": "charlie123"}

# ASCII only: names of other scripts can look the same and be different people.
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class Accounts:
    """Who may log in.

    Args:
        store: Where the accounts are.
        hasher: Hashes and verifies, off the event loop.
        clock: Seconds since the Unix epoch.
        demo: Whether accounts whose passwords are public may log in.
    """

    def __init__(
        self, store: Store, *, hasher: PasswordHasher, clock: Callable[[], float] = time.time, demo: bool = False
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._clock = clock
        self._demo = demo

    async def create(self, name: str, *, password: str, is_demo: bool = False) -> Account:
        """Make an account.

        Args:
            name: 1 to 32 ASCII letters, digits, "_", "-" and "."; free in every case.
            password: At least 8 characters, and no more bytes than the hasher takes; a demo account's may be shorter.
            is_demo: The password is public: the account works only in demo mode.

        Raises:
            BadUserInput: The name or the password is not allowed, or the name is taken.
            AuthUnavailable: Too many passwords are being worked on.
        """
        _check_name(name)
        if not is_demo:  # bob123 is public; a longer one would be no safer
            _check_password(password)
        password_hash = await self._hasher.hash(password)
        created_at = datetime.fromtimestamp(self._clock(), UTC)
        return await self._store.add_account(name, password_hash=password_hash, is_demo=is_demo, created_at=created_at)

    async def check(self, name: str, *, password: str) -> Account:
        """Find out whether this is somebody; it takes as long for an unknown name as for a wrong password.

        A hash made with weaker parameters than today's is replaced on the way.

        Raises:
            InvalidCredentials: It is not; which half is wrong is not said.
            AuthUnavailable: Too many want to know at once.
        """
        account = await self._usable(name)
        matches = await self._hasher.verify(password, account.password_hash if account else None)
        if account is None or not matches:
            raise InvalidCredentials
        await self._strengthen(account, password)
        return account

    def may_log_in(self, account: Account) -> bool:
        """Say whether an account is of use here: that of a demo is so in a demo only."""
        # A data directory that has served a demo must not let the demo's people into the real thing.
        return self._demo or not account.is_demo

    async def seed_demo(self) -> None:
        """Make the demo's accounts, unless accounts of these names are there already."""
        for name, password in DEMO_PASSWORDS.items():
            if await self._store.account(name) is None:
                with contextlib.suppress(BadUserInput):  # another process was first
                    await self.create(name, password=password, is_demo=True)

    async def _usable(self, name: str) -> Account | None:
        account = await self._store.account(name) if _NAME.fullmatch(name) else None
        return account if account is not None and self.may_log_in(account) else None

    async def _strengthen(self, account: Account, password: str) -> None:
        if not self._hasher.needs_rehash(account.password_hash):
            return
        with contextlib.suppress(AuthUnavailable):  # it can wait for another login
            password_hash = await self._hasher.hash(password)
            await self._store.replace_password_hash(account, password_hash=password_hash)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadUserInput('A name has 1 to 32 characters: letters a to z, digits, "_", "-" and ".".')


def _check_password(password: str) -> None:
    if len(password) < PASSWORD_CHARACTERS:
        raise BadUserInput(f"A password has at least {PASSWORD_CHARACTERS} characters.")
