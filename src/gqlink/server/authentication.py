"""One way to ask the application who somebody is, with a deadline and a bound of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gqlink.auth import Identity
from gqlink.errors import AuthError, AuthUnavailable
from gqlink.server.clock import SystemClock
from gqlink.server.logbook import Throttle
from gqlink.server.tasks import is_ending
from gqlink.server.time_bound import OutOfTime, within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gqlink.auth import Authenticate, Credentials

__all__ = ("Authentication",)


class Authentication:
    """Asks the application's coroutine, and translates what comes of it.

    Args:
        authenticate: The application's own.
        concurrency: How many may run at a time; the others wait.
        ready: Awaited before anybody is asked about; raises `AuthUnavailable` while nobody may be let in.
        throttle: Keeps an outage from filling the log.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        *,
        concurrency: int,
        ready: Callable[[], Awaitable[None]] | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        self._throttle = throttle or Throttle(SystemClock())
        self._authenticate = authenticate
        self._ready = ready
        self._places = asyncio.Semaphore(concurrency)

    async def identify(self, credentials: Credentials, *, seconds: float) -> Identity:
        """Say whom credentials stand for.

        Args:
            credentials: As they were found.
            seconds: How long it may take, waiting for a place included.

        Raises:
            AuthError: The credential is refused.
            AuthUnavailable: The application's coroutine failed, or it is not known who was revoked; the credential
                itself is not refused.
            TimeoutError: It took too long.
        """
        until = asyncio.get_running_loop().time() + seconds
        try:
            return await within(self._ask_in_turn(credentials), until=until)
        except AuthError:
            raise
        except AuthUnavailable as exc:
            self._throttle.log("authentication_unavailable", "authentication is unavailable: %s", exc)
            raise
        except (Exception, asyncio.CancelledError) as exc:
            if is_ending() or isinstance(exc, OutOfTime):
                raise
            self._throttle.log("authentication_failed", "authentication failed unexpectedly", exc_info=True)
            raise AuthUnavailable(type(exc).__name__) from exc

    async def _ask_in_turn(self, credentials: Credentials) -> Identity:
        if self._ready is not None:
            await self._ready()
        async with self._places:
            return await self._ask(credentials)

    async def _ask(self, credentials: Credentials) -> Identity:
        identity = await self._authenticate(credentials)
        # Whatever a hook returns by mistake, None above all, must not pass for somebody.
        if not isinstance(identity, Identity):
            raise TypeError(f"authenticate returned {type(identity).__name__}, not Identity")
        for name in ("subject", "session", "token_id"):
            value: object = getattr(identity, name)
            # A number, say, would never be equal to what is revoked.
            if value is not None and not isinstance(value, str):
                raise TypeError(f"authenticate returned an identity whose {name} is {type(value).__name__}, not str")
        return identity
