"""A token source that holds one session at a time; the part that `PasswordLogin` and `RefreshTokenLogin` share.

Theory of operation
-------------------
Each step takes effect in one go: the present session is another one (or none), and the followers have been called. No
step waits for another one, so a logout takes effect at once, whatever is under way:

* **A refresh** belongs to its session. If that is no longer the present one when the answer comes, it changes nothing;
  a refresh token that comes so late is used once more, to end its session.
* **Logins and logouts** are numbered in the order in which they are called. An answer to a login that comes after a
  later one has taken effect changes nothing, and its session is ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from gqlink.client.audience import Audience
from gqlink.client.clock import SystemClock
from gqlink.client.errands import Errands
from gqlink.client.login_server import LoginServer
from gqlink.errors import GqlinkError

if TYPE_CHECKING:
    import asyncio
    import ssl

    import httpx2

    from gqlink.client.clock import Clock
    from gqlink.client.session import LoginIdentity, Session
    from gqlink.client.tokens import Change, Changed, Unsubscribe

__all__ = ("SessionSource",)


class SessionSource:
    """Implements `TokenSource`, `identity` and `logout`.

    Args:
        base_url: Where `/login`, `/refresh` and `/logout` are.
        timeout: Seconds for each of connecting, writing, and waiting for the answer; None for ever.
        ssl_context: For `https:`; None for the system's.
        transport: Instead of the network.
        clock: For tests.
    """

    _grace_seconds = 0.0

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float | None = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._server = LoginServer(
            base_url, timeout=timeout, ssl_context=ssl_context, transport=transport, clock=self._clock
        )
        self._session: Session | None = None
        self._audience = Audience()
        self._errands = Errands("gqlink session")
        self._called = 0
        self._settled = 0

    @property
    def identity(self) -> LoginIdentity | None:
        """Who is logged in, or None; `expires_at` moves with each refresh."""
        return None if self._session is None else self._session.identity

    @property
    def expires_at(self) -> float | None:
        """When the present token ends, in seconds of the monotonic clock; None without one."""
        return None if self._session is None else self._session.expires_at

    async def token(self) -> str | None:
        """Return the token, or None when nobody is logged in; an expired one is for the server to refuse.

        Raises:
            AuthUnavailable: There is a session without a token yet, and the server cannot be asked for one now.
            RequestFailed: Likewise, or the answer makes no sense.
        """
        if self._session is not None and self._session.token is None:
            return await self.refresh(None)
        return self._present()

    async def refresh(self, stale: str | None) -> str | None:
        """Get a token that is not `stale`; see `TokenSource.refresh`.

        A session that is over logs out: the answer is None, and the followers are told "changed".
        """
        session = self._session
        if session is not None and session.token == stale and session.renewable:
            try:
                await session.renew()
            except GqlinkError:
                if self._session is session:
                    raise
        return self._present()

    def subscribe(self, changed: Changed) -> Unsubscribe:
        """Be told of every change; see `TokenSource.subscribe`."""
        return self._audience.add(changed)

    async def logout(self) -> None:
        """Forget the session, here at once and then at the server; harmless when nobody is logged in.

        In this order: the token is gone; every client has followed; the server is told. The second and third happen
        even if the caller stops waiting for them.

        Raises:
            RequestFailed: The server could not be told, so the session may live on there until it ends by itself or
                is revoked. Here nobody is logged in any more all the same, and nothing is tried again.
        """
        former, number = self._session, self._next()
        if former is None:
            self._settled = number  # a login that is under way comes too late all the same
            return
        await self._errands.run(_leave(former, self._replace(None, number=number)))

    async def aclose(self) -> None:
        """End what is under way: followers who follow, and a refresh; the session itself goes on at the server.

        Where somebody keeps its refresh tokens, a refresh gets two seconds to bring the next one.
        """
        if self._session is not None:
            await self._session.renew.aclose(after_seconds=self._grace_seconds)
        await self._errands.aclose()
        await self._audience.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        """Say who, never with what."""
        return f"{type(self).__name__}(identity={self.identity!r})"

    def _present(self) -> str | None:
        return None if self._session is None else self._session.token

    def _next(self) -> int:
        self._called += 1
        return self._called

    def _replace(self, session: Session | None, *, number: int) -> asyncio.Task[None]:
        """Let another session be the present one, and tell the followers; the task is done when they have followed."""
        self._settled = number
        self._session = session
        return self._audience.notify("changed")

    def _session_changed(self, session: Session, change: Change) -> None:
        """Act on a refresh, if it is one of the present session; nobody waits for the followers."""
        if session is self._session:
            if session.token is None:
                self._session = None
            self._audience.notify(change)


async def _leave(former: Session, told: asyncio.Task[None]) -> None:
    await told
    await former.end()
