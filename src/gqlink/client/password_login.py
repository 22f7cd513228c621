"""A token source for a server with a name and a password: log in, log out, and every connection follows."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec

from gqlink.client.clock import SystemClock
from gqlink.client.http import http_client, no_answer
from gqlink.errors import BadUserInput, GqlinkError, InvalidCredentials, RequestFailed

if TYPE_CHECKING:
    import ssl

    from gqlink.client.clock import Clock
    from gqlink.client.tokens import Changed, Unsubscribe

__all__ = ("LoginIdentity", "PasswordLogin")

_log: Final = logging.getLogger("gqlink.client")


@dataclass(frozen=True, slots=True)
class LoginIdentity:
    """Who is logged in.

    Args:
        subject: The name that was logged in with.
        expires_at: When the token ends, in seconds of the monotonic clock (the event loop's `time()`), counted from
            the answer's `expiresIn`; never compared with the machine's date.
    """

    subject: str
    expires_at: float


class _Answer(msgspec.Struct, rename="camel"):
    """What a login brings.

    Shape:
        {"token": str, "expiresIn": seconds}
    """

    token: str
    expires_in: float


class PasswordLogin:
    """Holds the token of whoever is logged in; nobody is at first.

    Give the same one to every client that is to speak for the same person. Changes are followed one after the other:
    `login` and `logout` return when every client that uses it has been told and has followed. From then on no event
    that a socket brought for the person before reaches a consumer. A socket that the server refuses then does not make
    `login` or `logout` fail: the operations on it are told.

    Args:
        base_url: Where `/login` is, such as "http://localhost:9000".
        timeout: Seconds for each of connecting, writing, and waiting for the answer; None for ever.
        ssl_context: For `https:`; None for the system's.
        transport: Instead of the network, such as `httpx2.ASGITransport(app)`.
        clock: For tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float | None = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise BadUserInput(f"a login needs an http: or https: URL, not {base_url!r}")
        self._url = base_url.rstrip("/") + "/login"
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._transport = transport
        self._clock = clock or SystemClock()
        self._token: str | None = None
        self._identity: LoginIdentity | None = None
        self._followers: list[Changed] = []
        self._turn = asyncio.Lock()

    @property
    def identity(self) -> LoginIdentity | None:
        """Who is logged in, or None."""
        return self._identity

    async def token(self) -> str | None:
        """Return the token, or None when nobody is logged in; an expired one is for the server to refuse."""
        return self._token

    async def refresh(self, stale: str | None) -> str | None:
        """Return what holds; see `TokenSource.refresh`."""
        del stale
        return self._token

    @property
    def expires_at(self) -> float | None:
        """When the token ends; see `TokenSource.expires_at`."""
        return None if self._identity is None else self._identity.expires_at

    async def login(self, name: str, password: str) -> LoginIdentity:
        """Log in, also as somebody else; whoever was logged in before stays so if it fails.

        Args:
            name: The account's.
            password: Its password; it is not kept.

        Returns:
            Who is logged in now.

        Raises:
            InvalidCredentials: Wrong name or password.
            RequestFailed: The server gave another answer, or none.
        """
        async with self._turn:
            answer = await self._ask({"name": name, "password": password})
            self._token = answer.token
            self._identity = identity = LoginIdentity(name, self._clock.now() + answer.expires_in)
            await self._tell()
            return identity

    async def logout(self) -> None:
        """Forget the token; harmless when nobody is logged in."""
        async with self._turn:
            if self._token is not None:
                self._token = self._identity = None
                await self._tell()

    def subscribe(self, changed: Changed) -> Unsubscribe:
        """Be told of every change; see `TokenSource.subscribe`."""
        self._followers.append(changed)
        return lambda: self._forget(changed)

    def _forget(self, changed: Changed) -> None:
        if changed in self._followers:
            self._followers.remove(changed)

    async def _tell(self) -> None:
        """Tell all followers at the same time, and wait for them."""
        outcomes = await asyncio.gather(*(changed("changed") for changed in self._followers), return_exceptions=True)
        for outcome in outcomes:
            match outcome:
                case GqlinkError():
                    _log.warning("a connection could not follow the change of credential: %s", outcome)
                case Exception():
                    _log.error("a follower of the credential failed", exc_info=outcome)

    async def _ask(self, body: dict[str, str]) -> _Answer:
        client = http_client(timeout=self._timeout, ssl_context=self._ssl_context, transport=self._transport)
        try:
            async with client:
                response = await client.post(self._url, json=body)
        except httpx2.InvalidURL as exc:
            raise BadUserInput(f"a login needs a URL, not {self._url!r}: {exc}") from exc
        except httpx2.HTTPError as exc:
            raise no_answer(self._url, exc) from exc
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            raise InvalidCredentials
        if response.status_code != httpx2.codes.OK:
            raise RequestFailed("the server does not take the login", status=response.status_code)
        try:
            return msgspec.json.decode(response.content, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise RequestFailed("the answer to the login cannot be read", status=response.status_code) from None
