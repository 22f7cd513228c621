"""Passwords: slow to try on purpose, and never in the event loop's way."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import argon2

from gqlink.errors import AuthUnavailable, BadUserInput

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("PasswordHasher",)

_T = TypeVar("_T")


class PasswordHasher:
    """Hashes passwords with Argon2id and verifies them, in threads of its own.

    Every verification costs the same, whether the account exists or not, so that time does not tell names. A thread
    that works cannot be stopped; therefore the threads are the bound: a caller who gives up neither frees a place
    before its time nor leaves work behind that nobody waits for.

    Args:
        concurrency: How many passwords are worked on at once; each takes the memory that `parameters` names.
        waiting: How many callers may wait beyond those; one more is refused at once.
        max_bytes: The longest password, in bytes of UTF-8.
        parameters: The cost; RFC 9106's second recommended option by default: 64 MiB, 3 passes.

    Source: RFC 9106; OWASP Password Storage Cheat Sheet.
    """

    def __init__(
        self,
        *,
        concurrency: int = 2,
        waiting: int = 64,
        max_bytes: int = 1024,
        parameters: argon2.Parameters = argon2.profiles.RFC_9106_LOW_MEMORY,
    ) -> None:
        self._max_bytes = max_bytes
        self._argon2 = argon2.PasswordHasher.from_parameters(parameters)
        self._dummy = _dummy_hash(parameters)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="gqlink-passwords")
        self._room = threading.BoundedSemaphore(concurrency + waiting)
        self._closed = False

    async def hash(self, password: str) -> str:
        """Make what is stored instead of a password, with a salt of its own: an encoded Argon2id hash, ASCII.

        Raises:
            BadUserInput: Longer than `max_bytes`, or not Unicode.
            AuthUnavailable: Too many are waiting, or the hasher is closed.
        """
        secret = self._prepare(password)
        if secret is None:
            raise BadUserInput(f"A password is Unicode text of at most {self._max_bytes} bytes.")
        return await self._in_thread(lambda: self._argon2.hash(secret))

    async def verify(self, password: str, hash: str | None) -> bool:  # noqa: A002 -- the word for it
        """Say whether a password is the one that was hashed.

        Args:
            password: What somebody claims.
            hash: What is stored, or None where there is no such account: the same work is done, and the answer is no.
                So it is with something that is no hash, which is how to lock an account.

        Raises:
            AuthUnavailable: Too many are waiting, or the hasher is closed.
        """
        secret = self._prepare(password)
        # Too long for everybody alike: this tells nothing about the account.
        if secret is None:
            return False
        return await self._in_thread(lambda: self._matches(secret, hash))

    def needs_rehash(self, hash: str) -> bool:  # noqa: A002 -- the word for it
        """Say whether a stored hash was made at another cost: hash the password anew while you have it."""
        try:
            return self._argon2.check_needs_rehash(hash)
        except ValueError:
            return True

    async def aclose(self) -> None:
        """Take no more work, and wait until what was asked for is done and the threads have ended. Safe to repeat."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)

    def _prepare(self, password: str) -> bytes | None:
        """Give the bytes of a password, or None if it is none.

        The same letter can be typed as one character or as two, by keyboard and system; NFC makes them one
        (RFC 8265, section 4.2). The first look at the length keeps a megabyte from being normalised.
        """
        if len(password) > self._max_bytes:
            return None
        try:
            secret = unicodedata.normalize("NFC", password).encode()
        except UnicodeEncodeError:
            return None
        return secret if len(secret) <= self._max_bytes else None

    def _matches(self, secret: bytes, stored: str | None) -> bool:
        answer = None if stored is None else self._compare(secret, stored)
        if answer is None:
            # No hash, and known too soon: do the work before saying so.
            self._compare(secret, self._dummy)
        return answer is True

    def _compare(self, secret: bytes, stored: str) -> bool | None:
        try:
            return self._argon2.verify(stored, secret)
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.VerificationError, ValueError):
            return None

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        if self._closed:
            raise AuthUnavailable("the password hasher is closed")
        if not self._room.acquire(blocking=False):
            raise AuthUnavailable("too many passwords are waiting to be checked")
        task = self._threads.submit(work)
        # Done is when the thread is done, or will never begin; not when the caller has gone away.
        task.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(task)


def _dummy_hash(parameters: argon2.Parameters) -> str:
    """Make a hash of nothing: verifying against it takes all the work, and making it takes none."""
    salt, digest = (
        base64.b64encode(os.urandom(length)).decode().rstrip("=")
        for length in (parameters.salt_len, parameters.hash_len)
    )
    cost = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2{parameters.type.name.lower()}$v={parameters.version}${cost}${salt}${digest}"
