"""One way to ask the application who somebody is, with a deadline and a bound of its own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gqlink.errors import AuthError, AuthUnavailable

if TYPE_CHECKING:
    from gqlink.auth import Authenticate, Credentials, Identity

__all__ = ("Authentication",)

_log = logging.getLogger("gqlink.server")


class Authentication:
    """Asks the application's coroutine, and translates what comes of it.

    Args:
        authenticate: The application's own.
        concurrency: How many may run at a time; the others wait.
    """

    def __init__(self, authenticate: Authenticate, *, concurrency: int) -> None:
        self._authenticate = authenticate
        self._places = asyncio.Semaphore(concurrency)

    async def identify(self, credentials: Credentials, *, seconds: float) -> Identity:
        """Say whom credentials stand for.

        Args:
            credentials: As they were found.
            seconds: How long it may take, waiting for a place included.

        Raises:
            AuthError: The credential is refused.
            AuthUnavailable: The application's coroutine failed; the credential itself is not refused.
            TimeoutError: It took too long.
        """
        try:
            async with asyncio.timeout(seconds) as deadline, self._places:
                return await self._authenticate(credentials)
        except AuthError as exc:
            _log.info("a credential was refused: %s", exc)
            raise
        except AuthUnavailable as exc:
            _log.warning("authentication is unavailable: %s", exc)
            raise
        except Exception as exc:
            if isinstance(exc, TimeoutError) and deadline.expired():
                raise
            _log.exception("authentication failed unexpectedly")
            raise AuthUnavailable(type(exc).__name__) from exc
