"""A server with POST /login, /refresh and /logout, as its client sees it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec

from gqlink.client.http_client import http_client, no_answer
from gqlink.client.tokens import AccessToken
from gqlink.errors import (
    AuthUnavailable,
    BadUserInput,
    GqlinkError,
    InvalidCredentials,
    RequestFailed,
    SessionRevoked,
)

if TYPE_CHECKING:
    import ssl

    from gqlink.client.clock import Clock

__all__ = ("Grant", "LoginServer")

# A server may be wrong about how long it will be away; whoever waits for a token should not be away for a day.
_LONGEST_RETRY_AFTER: Final = 300.0
_LIVES_ON: Final = "nobody is logged in here any more, but the session may live on at the server"
_log: Final = logging.getLogger("gqlink.client")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or a refresh brings.

    Args:
        token: To present from now on.
        refresh_token: For the next one; None where the server gives none.
        name: Whose it is; None where the server does not say.
    """

    token: AccessToken
    refresh_token: str | None = field(default=None, repr=False)
    name: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    token: str
    expires_in: float
    refresh_token: str | None = None
    name: str | None = None


class LoginServer:
    """The three requests.

    Args:
        base_url: Where `/login` is, such as "http://localhost:9000".
        timeout: Seconds for each of connecting, writing, and waiting for the answer; None for ever.
        ssl_context: For `https:`; None for the system's.
        transport: Instead of the network.
        clock: Tells when a server that asked for patience may be asked again.

    Raises:
        BadUserInput: It is no `http:` or `https:` URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float | None,
        ssl_context: ssl.SSLContext | None,
        transport: httpx2.AsyncBaseTransport | None,
        clock: Clock,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise BadUserInput(f"a login needs an http: or https: URL, not {base_url!r}")
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._transport = transport
        self._clock = clock
        self._ask_again_at: float | None = None

    async def login(self, name: str, password: str) -> Grant:
        """Open a session.

        Raises:
            InvalidCredentials: Wrong name or password.
            RequestFailed: The server gave another answer, or none.
        """
        response = await self._post("/login", {"name": name, "password": password})
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            raise InvalidCredentials
        return _read(response, what="the login")

    async def refresh(self, refresh_token: str) -> Grant:
        """Get the session's next token.

        A server that said when it can be asked again is not asked before.

        Raises:
            SessionRevoked: The session is over.
            AuthUnavailable: The server cannot say now; `retry_after` is 0.0 where it did not say when it can.
            RequestFailed: The answer makes no sense.
        """
        now = self._clock.now()
        if self._ask_again_at is not None and now < self._ask_again_at:
            raise AuthUnavailable("the server asked for patience", retry_after=self._ask_again_at - now)
        try:
            response = await self._post("/refresh", {"refreshToken": refresh_token})
            if response.status_code == httpx2.codes.UNAUTHORIZED:
                raise SessionRevoked("the refresh token is refused")
            return _read(response, what="the refresh")
        except RequestFailed as exc:
            if not exc.temporary:
                raise
            retry_after = 0.0 if exc.status is None else _retry_after(response)
            self._ask_again_at = self._clock.now() + retry_after
            raise AuthUnavailable(str(exc), retry_after=retry_after) from exc

    async def logout(self, refresh_token: str | None) -> None:
        """End the session; harmless when it is over, or where there is no refresh token.

        Raises:
            RequestFailed: The server could not be told, and the session may live on there.
        """
        if refresh_token is None:
            return
        try:
            response = await self._post("/logout", {"refreshToken": refresh_token})
            if not response.is_success and response.status_code != httpx2.codes.UNAUTHORIZED:
                raise RequestFailed("the server does not take the logout", status=response.status_code)
        except RequestFailed as exc:
            raise RequestFailed(f"{exc.detail}; {_LIVES_ON}", status=exc.status) from exc

    async def logout_quietly(self, refresh_token: str | None) -> None:
        """Likewise, but a failure is for the log."""
        try:
            await self.logout(refresh_token)
        except GqlinkError as exc:
            _log.warning("a session could not be ended at the server: %s", exc)

    async def _post(self, path: str, body: dict[str, str]) -> httpx2.Response:
        url = self._base_url + path
        client = http_client(timeout=self._timeout, ssl_context=self._ssl_context, transport=self._transport)
        try:
            async with client:
                return await client.post(url, json=body)
        except httpx2.InvalidURL as exc:
            raise BadUserInput(f"a login needs a URL, not {url!r}: {exc}") from exc
        except httpx2.HTTPError as exc:
            raise no_answer(url, exc) from exc


def _read(response: httpx2.Response, *, what: str) -> Grant:
    status = response.status_code
    if status != httpx2.codes.OK:
        seconds = _retry_after(response)
        hint = f"; it says to try again in {seconds:g} seconds" if seconds else ""
        raise RequestFailed(f"the server does not take {what}{hint}", status=status)
    try:
        answer = msgspec.json.decode(response.content, type=_Answer)
        token = AccessToken(answer.token, answer.expires_in)
    except (msgspec.DecodeError, UnicodeDecodeError, BadUserInput):
        raise RequestFailed(f"the answer to {what} cannot be read", status=status) from None
    return Grant(token, answer.refresh_token or None, answer.name)


def _retry_after(response: httpx2.Response) -> float:
    """Return the seconds of `Retry-After`, 0.0 without any; a date would need clocks that agree."""
    value = response.headers.get("retry-after", "").strip()
    seconds = float(value) if value.isascii() and value.isdigit() else 0.0
    return min(seconds, _LONGEST_RETRY_AFTER)
