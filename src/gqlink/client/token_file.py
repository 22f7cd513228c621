"""A token source in a file, which the processes of one user share.

Theory of operation
-------------------
What holds is what the file says; it is read whenever a token is asked for, so that a login, a logout or a refresh in
another process counts from the next connection on. What a later reading has seen, an earlier one does not undo.

There are two locks. **Writing** is held for a moment by whoever changes the file: a login and a logout wait for nothing
else. **Refreshing**, one for each server, is held from before the request until the answer is in the file: whoever gets
it reads again first, and finds there what the process before has brought. An answer is written only over the login
that asked for it.

What a refresh has brought and cannot be written (a full disk) holds in this process all the same, and is written at
the next occasion: the server does not take the refresh token before any more.

Whoever dies in between leaves the file as it was. If the server has given the next refresh token by then, it gives the
same one again to whoever comes with the one before, for 30 seconds; after that the password is asked for.

Longer than a file should be, because the life of a login is told here in one piece.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final, Self

from gqlink.client.audience import Audience
from gqlink.client.clock import SystemClock
from gqlink.client.errands import Errands
from gqlink.client.filed_login import FiledLogin
from gqlink.client.login_file import LoginFile, StoredLogin, server_key
from gqlink.client.login_server import LoginServer
from gqlink.client.session import LoginIdentity
from gqlink.client.sharing import SharedCall
from gqlink.errors import GqlinkError, SessionRevoked

if TYPE_CHECKING:
    import asyncio
    import ssl
    from pathlib import Path

    import httpx2

    from gqlink.client.clock import Clock
    from gqlink.client.login_server import Grant
    from gqlink.client.tokens import Changed, Unsubscribe

__all__ = ("TokenFile",)

_CLOSE_SECONDS: Final = 2.0
_log: Final = logging.getLogger("gqlink.client")


class TokenFile:
    """The login at one server, as the command `gqlink login` keeps it; implements `TokenSource`.

    Needs an operating system with `flock`, and a file system that honours it.

    Args:
        base_url: Any http(s) or ws(s) URL of the server; its path does not matter.
        path: The file; None for that of the command `gqlink`.
        timeout: Seconds for each of connecting, writing, and waiting for the answer; None for ever.
        ssl_context: For `https:`; None for the system's.
        transport: Instead of the network, such as `httpx2.ASGITransport(app)`.
        clock: For tests.

    Attributes:
        server: What stands for the server in the file: scheme, host and port.

    Raises:
        BadUserInput: `base_url` is no such URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        path: Path | None = None,
        timeout: float | None = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.server: Final = server_key(base_url)
        self._clock = clock or SystemClock()
        self._posts = LoginServer(
            self.server, timeout=timeout, ssl_context=ssl_context, transport=transport, clock=self._clock
        )
        self._audience = Audience()
        file = LoginFile.default() if path is None else LoginFile(path)
        self._filed = FiledLogin(file, server=self.server, clock=self._clock, audience=self._audience)
        self._errands = Errands("gqlink token file")
        self._renewal = SharedCall(self._renew, name="the refresh of a token file")
        self._called = 0
        self._settled = 0

    @property
    def identity(self) -> LoginIdentity | None:
        """Who was logged in when the file was last read; `expires_at` is infinite where the file does not say."""
        login, expires_at = self._filed.login, self._filed.expires_at
        return None if login is None else LoginIdentity(login.name, math.inf if expires_at is None else expires_at)

    @property
    def expires_at(self) -> float | None:
        """When the token that was read last ends, in seconds of the monotonic clock; None for unknown."""
        return self._filed.expires_at

    async def token(self) -> str | None:
        """Return the token in the file, or None when nobody is logged in.

        Raises:
            DataUnusable: The file cannot be read, or is damaged.
        """
        await self._read()
        return self._present()

    async def refresh(self, stale: str | None) -> str | None:
        """Get a token that is not `stale`; see `TokenSource.refresh`.

        A session that is over is taken out of the file, and the followers are told "changed".

        Raises:
            AuthUnavailable: The server cannot be asked now, or another process has been asking it for a minute.
            RequestFailed: The answer makes no sense.
            DataUnusable: The file cannot be read, or is damaged. One that cannot be written is a warning in the log.
        """
        await self._read()
        if self._is_renewable(stale):
            joined = self._renewal.running
            await self._renewal()
            if joined and self._is_renewable(stale):
                await self._renewal()  # that one had another token in mind
        return self._present()

    def subscribe(self, changed: Changed) -> Unsubscribe:
        """Be told of every change that is made here, or noticed when the file is read."""
        return self._audience.add(changed)

    async def login(self, name: str, password: str) -> LoginIdentity:
        """Log in and keep it in the file, also as somebody else; whoever was logged in before stays so if it fails.

        The session before, if any, is ended at the server too; if that fails, the log says so.

        Args:
            name: The account's.
            password: Its password; it is not kept.

        Returns:
            Who is logged in now.

        Raises:
            InvalidCredentials: Wrong name or password.
            RequestFailed: The server gave another answer, or none.
            SessionRevoked: A later `login` or `logout` took effect before this one's answer came.
            DataUnusable: The file cannot be read or written, or is damaged.
            AuthUnavailable: Another process does not let go of the file.
        """
        number = self._next()
        asked_at, asked_wall = self._clock.now(), self._clock.wall()
        await self._filed.read()  # a file that cannot be used is no reason to open a session
        grant = await self._posts.login(name, password)
        stored = _stored(grant, name=name, asked_wall=asked_wall)
        expires_at = asked_at + (grant.token.expires_in or 0.0)
        await self._errands.run(self._enter(stored, number=number, expires_at=expires_at))
        return LoginIdentity(name, expires_at)

    async def logout(self) -> StoredLogin | None:
        """Take the login out of the file, and end its session at the server; harmless when nobody is logged in.

        In this order: the login is gone; every client here has followed; the server is told. It is carried out even if
        the caller stops waiting.

        Returns:
            What was forgotten.

        Raises:
            RequestFailed: The server could not be told, so the session may live on there until it ends by itself or
                is revoked. Here nobody is logged in any more all the same, and nothing is tried again.
            DataUnusable: The file cannot be read or written, or is damaged.
            AuthUnavailable: Another process does not let go of the file.
        """
        return await self._errands.run(self._leave(number=self._next()))

    async def aclose(self) -> None:
        """End what is under way; a refresh gets two seconds to bring its tokens into the file.

        What is being written is waited for.
        """
        await self._renewal.aclose(after_seconds=_CLOSE_SECONDS)
        await self._filed.write_again(at_once=True)
        await self._errands.aclose()
        await self._audience.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        """Say where, never what."""
        return f"TokenFile({self.server!r}, path={str(self._filed.file.path)!r})"

    async def _read(self) -> None:
        await self._filed.write_again()
        await self._filed.read()

    def _present(self) -> str | None:
        return None if self._filed.login is None else self._filed.login.token

    def _is_renewable(self, stale: str | None) -> bool:
        login = self._filed.login
        return login is not None and login.token == stale and login.refresh_token is not None

    def _next(self) -> int:
        self._called += 1
        return self._called

    async def _settle(self, login: StoredLogin | None, *, number: int, expires_at: float | None) -> StoredLogin | None:
        """Let a login or a logout take effect; return the login before, when all have followed."""
        told: asyncio.Task[None] | None = None
        async with self._filed.writing():
            if number < self._settled and login is None:
                return None  # a later login has ended that session itself
            if number < self._settled:
                raise SessionRevoked("a later login or logout came first")
            former = await self._filed.read()
            self._settled = number
            if former is not None or login is not None:
                told = await self._filed.write(login, expires_at=expires_at, change="changed")
        if told is not None:
            await told
        return former

    async def _enter(self, login: StoredLogin, *, number: int, expires_at: float) -> None:
        try:
            former = await self._settle(login, number=number, expires_at=expires_at)
        except GqlinkError:
            await self._posts.logout_quietly(login.refresh_token)
            raise
        if former is not None:
            await self._posts.logout_quietly(former.refresh_token)

    async def _leave(self, *, number: int) -> StoredLogin | None:
        former = await self._settle(None, number=number, expires_at=None)
        if former is not None:
            await self._posts.logout(former.refresh_token)
        return former

    async def _renew(self) -> None:
        """Exchange the refresh token, unless another process has done it before we got the lock."""
        before = self._present()
        async with self._filed.refreshing():
            login = await self._filed.read()
            if login is None or login.refresh_token is None or login.token != before:
                return
            asked_at, asked_wall = self._clock.now(), self._clock.wall()
            try:
                grant = await self._posts.refresh(login.refresh_token)
            except SessionRevoked as exc:
                _log.info("a session is over: %s", exc)
                await self._replace(login, None, expires_at=None)
                return
            renewed = _stored(grant, name=login.name, asked_wall=asked_wall, refresh_token=login.refresh_token)
            expires_at = asked_at + (grant.token.expires_in or 0.0)
            replaced = await self._replace(login, renewed, expires_at=expires_at)
        if not replaced and renewed.refresh_token != login.refresh_token:
            await self._posts.logout_quietly(renewed.refresh_token)  # the logout did not know this one yet

    async def _replace(self, login: StoredLogin, renewed: StoredLogin | None, *, expires_at: float | None) -> bool:
        """Write what a refresh has brought; say no if the login that asked for it is not there any more.

        Where it cannot be written it holds all the same: it is all that is left of the session.
        """
        try:
            async with self._filed.writing():
                if await self._filed.read() != login:
                    return False
                await self._filed.write(renewed, expires_at=expires_at)
        except GqlinkError as exc:
            _log.warning("a login holds in this process only, for now: %s", exc)
            self._filed.keep(renewed, instead_of=login, expires_at=expires_at)
        return True


def _stored(grant: Grant, *, name: str, asked_wall: float, refresh_token: str | None = None) -> StoredLogin:
    expires_at = asked_wall + (grant.token.expires_in or 0.0)
    return StoredLogin(name, grant.token.value, expires_at, grant.refresh_token or refresh_token)
