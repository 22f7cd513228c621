"""The login in a file, as one process sees it while others change it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from gqlink.client.file_lock import locked
from gqlink.errors import GqlinkError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from gqlink.client.audience import Audience
    from gqlink.client.clock import Clock
    from gqlink.client.login_file import LoginFile, StoredLogin
    from gqlink.client.tokens import Change

__all__ = ("FiledLogin",)

_WRITE_SECONDS: Final = 10.0
_REFRESH_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 1.0
_log: Final = logging.getLogger("gqlink.client")


class _Unwritten(NamedTuple):
    """What holds in place of what the file says."""

    filed: StoredLogin | None
    login: StoredLogin | None


class FiledLogin:
    """Reads and writes it in threads, and tells what has changed.

    Readings and writings are numbered, because threads do not end in order: what a later one has seen, an earlier one
    does not undo.

    A login that was given and could not be written holds all the same, for this process, as long as the file says what
    it is to replace: `write_again` is for that.

    Args:
        file: Where it is.
        server: The server's key in it.
        clock: Turns the dates in the file into monotonic time, once for each login, so that a clock that jumps later
            does not matter.
        audience: Told of every change, whoever made it.
    """

    def __init__(self, file: LoginFile, *, server: str, clock: Clock, audience: Audience) -> None:
        self.file = file
        self.login: StoredLogin | None = None
        self.expires_at: float | None = None
        self._server = server
        self._clock = clock
        self._audience = audience
        self._numbers = 0
        self._seen = 0
        self._unwritten: _Unwritten | None = None
        self._again_at = -math.inf

    def writing(self) -> AbstractAsyncContextManager[None]:
        """Hold what whoever changes the file holds, for a moment.

        Raises:
            AuthUnavailable: Another process does not let go of it.
            DataUnusable: The lock's file cannot be opened.
        """
        return locked(self.file.path.with_suffix(".lock"), seconds=_WRITE_SECONDS)

    def refreshing(self) -> AbstractAsyncContextManager[None]:
        """Hold what whoever exchanges the server's refresh token holds, until the answer is in the file.

        Raises:
            AuthUnavailable: Another process has been doing that for a minute.
            DataUnusable: The lock's file cannot be opened.
        """
        digest = hashlib.sha256(self._server.encode()).hexdigest()
        return locked(self.file.path.with_suffix(f".{digest[:12]}.lock"), seconds=_REFRESH_SECONDS)

    async def read(self) -> StoredLogin | None:
        """Return what the file says, or what has been seen in it since.

        Raises:
            DataUnusable: It cannot be read, or is damaged.
        """
        number = self._next()
        filed = await asyncio.to_thread(self.file.read, self._server)
        if number > self._seen:
            self._take(filed, is_news=self._seen > 0)
            self._seen = number
        return self.login

    async def write(
        self, login: StoredLogin | None, *, expires_at: float | None, change: Change | None = None
    ) -> asyncio.Task[None]:
        """Write another login, or none; the caller holds `writing`, and goes on to do so until it is written.

        Args:
            login: It.
            expires_at: When its token ends, in monotonic seconds.
            change: What to tell; None for what the difference says.

        Returns:
            What is done when all who were told have followed.

        Raises:
            DataUnusable: The file cannot be read or written.
        """
        await self._write(login)
        return self._hold(login, expires_at=expires_at, change=change)

    def keep(self, login: StoredLogin | None, *, instead_of: StoredLogin, expires_at: float | None) -> None:
        """Let a login hold, or none, that could not be written.

        Args:
            login: It.
            instead_of: What it is the next one of.
            expires_at: When its token ends, in monotonic seconds.
        """
        filed = instead_of if self._unwritten is None else self._unwritten.filed
        self._hold(login, expires_at=expires_at)
        self._unwritten = _Unwritten(filed, login)
        self._again_at = -math.inf

    async def write_again(self, *, at_once: bool = False) -> None:
        """Write what could not be written, if anything; if it fails, only the log is told.

        Args:
            at_once: Even if it has failed within the last second.
        """
        if self._unwritten is None or (self._clock.now() < self._again_at and not at_once):
            return
        self._again_at = self._clock.now() + _AGAIN_SECONDS
        try:
            async with self.writing():
                await self.read()
                await self._write_kept()
        except GqlinkError as exc:
            _log.debug("a login still holds in this process only: %s", exc)

    async def _write_kept(self) -> None:
        kept = self._unwritten
        if kept is None:  # somebody has written another one
            return
        await self._write(kept.login)
        self._unwritten = None if self._unwritten is kept else _Unwritten(kept.login, self.login)
        self._seen = self._next()
        _log.info("the login is in the file now")

    async def _write(self, login: StoredLogin | None) -> None:
        """Write, and even if the caller is cancelled do not go before it is written: the lock goes with the caller."""
        writing = asyncio.get_running_loop().run_in_executor(None, self.file.write, self._server, login)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            while not writing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([writing])
            writing.exception()  # read, because nobody else does
            raise

    def _take(self, filed: StoredLogin | None, *, is_news: bool) -> None:
        """Take what the file says, unless there is something newer."""
        if self._unwritten is not None and self._unwritten.filed == filed:
            return
        self._unwritten = None
        if filed != self.login or not is_news:
            former = self.login
            self._see(filed, expires_at=None)
            if is_news:
                self._audience.notify(_change(former, filed))

    def _hold(
        self, login: StoredLogin | None, *, expires_at: float | None, change: Change | None = None
    ) -> asyncio.Task[None]:
        """Let a login hold from now on, and tell of it."""
        self._unwritten = None
        self._seen = self._next()
        former = self.login
        self._see(login, expires_at=expires_at)
        return self._audience.notify(change or _change(former, login))

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _see(self, login: StoredLogin | None, *, expires_at: float | None) -> None:
        self.login = login
        if expires_at is None and login is not None and login.expires_at is not None:
            expires_at = self._clock.now() + login.expires_at - self._clock.wall()
        self.expires_at = expires_at


def _change(former: StoredLogin | None, login: StoredLogin | None) -> Change:
    """Say what another login means to a connection: for the same person it goes on."""
    return "renewed" if former is not None and login is not None and former.name == login.name else "changed"
