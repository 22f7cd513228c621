"""The login in a file, as one process sees it while others change it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

from gqlink.client.file_lock import locked

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from gqlink.client.audience import Audience
    from gqlink.client.clock import Clock
    from gqlink.client.login_file import LoginFile, StoredLogin
    from gqlink.client.tokens import Change

__all__ = ("FiledLogin",)

_WRITE_SECONDS: Final = 10.0
_REFRESH_SECONDS: Final = 60.0


class FiledLogin:
    """Reads and writes it in threads, and tells what has changed.

    Readings and writings are numbered, because threads do not end in order: what a later one has seen, an earlier one
    does not undo.

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
        login = await asyncio.to_thread(self.file.read, self._server)
        if number > self._seen and (login != self.login or self._seen == 0):
            former, is_news = self.login, self._seen > 0
            self._see(login, expires_at=None)
            if is_news:
                self._audience.notify(_change(former, login))
        self._seen = max(self._seen, number)
        return self.login

    async def write(
        self, login: StoredLogin | None, *, expires_at: float | None, change: Change | None = None
    ) -> asyncio.Task[None]:
        """Write another login, or none; the caller holds `writing`.

        Args:
            login: It.
            expires_at: When its token ends, in monotonic seconds.
            change: What to tell; None for what the difference says.

        Returns:
            What is done when all who were told have followed.

        Raises:
            DataUnusable: The file cannot be read or written.
        """
        await asyncio.to_thread(self.file.write, self._server, login)
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
