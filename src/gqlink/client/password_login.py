"""A token source for a server with a name and a password: log in, log out, and every connection follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqlink.client.session import LoginIdentity, Session
from gqlink.client.session_source import SessionSource
from gqlink.errors import SessionRevoked

if TYPE_CHECKING:
    import asyncio

__all__ = ("LoginIdentity", "PasswordLogin")


class PasswordLogin(SessionSource):
    """Holds the session of whoever is logged in; nobody is at first.

    Give the same one to every client that is to speak for the same person. `login` and `logout` return when every
    client that uses it has been told and has followed. From then on no event that a socket brought for the person
    before reaches a consumer. A socket that the server refuses then does not make `login` or `logout` fail: the
    operations on it are told.

    Where the server gives a refresh token (`POST /refresh`), the token is renewed: by a link ahead of its end, or when
    it is refused. A server that gives none is served as well, until its token ends.

    Args:
        base_url: Where `/login` is, such as "http://localhost:9000".
        timeout: Seconds for each of connecting, writing, and waiting for the answer; None for ever.
        ssl_context: For `https:`; None for the system's.
        transport: Instead of the network, such as `httpx2.ASGITransport(app)`.
        clock: For tests.

    Raises:
        BadUserInput: `base_url` is no `http:` or `https:` URL.
    """

    async def login(self, name: str, password: str) -> LoginIdentity:
        """Log in, also as somebody else; whoever was logged in before stays so if it fails.

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
        """
        number = self._next()
        asked_at = self._clock.now()
        grant = await self._server.login(name, password)
        session = Session(
            self._server,
            clock=self._clock,
            refresh_token=grant.refresh_token,
            on_change=self._session_changed,
        )
        session.keep(grant, asked_at=asked_at, subject=name)
        identity = LoginIdentity(name, session.expires_at or asked_at)
        if number < self._settled:
            await self._errands.run(session.end_quietly())
            raise SessionRevoked("a later login or logout came first")
        former = self._session
        await self._errands.run(_switch(former, self._replace(session, number=number)))
        return identity


async def _switch(former: Session | None, told: asyncio.Task[None]) -> None:
    await told
    if former is not None:
        await former.end_quietly()
