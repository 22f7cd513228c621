"""A token source that begins with a refresh token."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from gqlink.client.session import Session
from gqlink.client.session_source import SessionSource
from gqlink.errors import BadUserInput

if TYPE_CHECKING:
    import ssl

    import httpx2

    from gqlink.client.clock import Clock

__all__ = ("OnRotated", "RefreshTokenLogin")

OnRotated: TypeAlias = Callable[[str], Awaitable[None] | None]


class RefreshTokenLogin(SessionSource):
    """Goes on with a session that somebody else has opened.

    Its first access token is asked for when somebody needs it. A refresh token is of use once: keep the one that
    `on_rotated` brings in place of the one before. Two sources must not live from the same one.

    Args:
        base_url: Where `/refresh` is, such as "http://localhost:9000".
        refresh_token: The session's present one.
        on_rotated: Called with each new refresh token, sync or async, before its access token is used, so that it is
            kept even if the process dies then. What it raises is logged.
        timeout: Seconds for each of connecting, writing, and waiting for the answer; None for ever.
        ssl_context: For `https:`; None for the system's.
        transport: Instead of the network, such as `httpx2.ASGITransport(app)`.
        clock: For tests.

    Raises:
        BadUserInput: `base_url` is no `http:` or `https:` URL, or the refresh token is empty.
    """

    _grace_seconds = 2.0

    def __init__(
        self,
        base_url: str,
        refresh_token: str,
        *,
        on_rotated: OnRotated | None = None,
        timeout: float | None = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(base_url, timeout=timeout, ssl_context=ssl_context, transport=transport, clock=clock)
        if not refresh_token:
            raise BadUserInput("a refresh token must not be empty")
        self._on_rotated = on_rotated
        self._session = Session(
            self._server,
            clock=self._clock,
            refresh_token=refresh_token,
            on_change=self._session_changed,
            on_rotated=self._rotated,
        )

    async def _rotated(self, refresh_token: str) -> None:
        kept = None if self._on_rotated is None else self._on_rotated(refresh_token)
        if inspect.isawaitable(kept):
            await kept
