"""POST /login, /refresh and /logout: the life of a session, as a client leads it.

| path       | body                                             | answer                                   |
|------------|--------------------------------------------------|------------------------------------------|
| `/login`   | `{"name" or "username", "password", "cookie"?}`  | `{"token", "expiresIn", "refreshToken"}` |
| `/refresh` | `{"refreshToken"}`, or none, with the cookie     | `{"token", "expiresIn", "name"}`         |
| `/logout`  | likewise                                         | 204, and no body                         |

Refresh tokens rotate, see `sessions`: each answer brings the next one. With `"cookie": true` it comes as a cookie and
not in the answer, so that no script ever has it. A refresh answers the way it was asked: with `"refreshToken"` where
that was in the body. The body counts, whatever the cookie says; null or an empty text there is nobody. An access token
in the `Authorization` of a logout ends its session too. `post` has the refusals.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.responses import Response

from gqlink.auth import Token, credentials_from_http
from gqlink.chat.login_limit import TooManyAttempts
from gqlink.chat.post import PostRefused, bad_input, json_answer, read_form
from gqlink.chat.refresh_cookie import clear_cookie, read_cookie, set_cookie
from gqlink.errors import InvalidToken

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.requests import Request

    from gqlink.chat.accounts import Accounts
    from gqlink.chat.login_limit import LoginLimit
    from gqlink.chat.records import Account
    from gqlink.chat.sessions import Grant, Sessions

LOGIN_EXAMPLE: Final = '{"name": "...", "password": "..."}'
REFRESH_EXAMPLE: Final = '{"refreshToken": "..."}'


class _LoginForm(msgspec.Struct):
    password: str
    name: str | None = None
    username: str | None = None
    cookie: bool = False


class _RefreshForm(msgspec.Struct, rename="camel"):
    refresh_token: str | msgspec.UnsetType | None = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class _Presented:
    """The refresh token of a request, if any, and whether it came, or would have come, as a cookie."""

    token: Token | None
    by_cookie: bool


class SessionPosts:
    """The three answers.

    Args:
        accounts: Who may log in.
        sessions: Who is logged in.
        limit: How often one may guess.
    """

    def __init__(self, accounts: Accounts, *, sessions: Sessions, limit: LoginLimit) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._limit = limit

    async def login(self, request: Request) -> Response:
        """Open a session for a name and a password."""
        form = await _read_login(request)
        account = await self._check(_name(form), password=form.password, request=request)
        grant = await self._sessions.open(account)
        if not form.cookie:
            return json_answer(_access(grant) | _refresh(grant))
        answer = json_answer(_access(grant))
        set_cookie(answer, grant, request=request)
        return answer

    async def refresh(self, request: Request) -> Response:
        """Give the session's next access token."""
        presented = await _read_refresh_token(request)
        if presented.token is None:
            raise InvalidToken("no refresh token")
        grant = await self._sessions.renew(presented.token)
        content = _access(grant) | {"name": grant.name}
        if not presented.by_cookie:
            return json_answer(content | _refresh(grant))
        answer = json_answer(content)
        # Two tabs that ask at once get the same cookie; whichever answer comes last, the browser keeps a good one. One
        # that comes after a whole later exchange puts back the token before, which is good for REUSE_SECONDS more.
        set_cookie(answer, grant, request=request)
        return answer

    async def logout(self, request: Request) -> Response:
        """End the session; whoever has none, or one that is over, is logged out already."""
        presented = await _read_refresh_token(request)
        bearer = credentials_from_http(authorization=request.headers.getlist("authorization")).token
        answer = Response(status_code=204, headers={"cache-control": "no-store"})
        ends: list[Coroutine[object, object, None]] = []
        if presented.token is not None:
            ends.append(self._sessions.end(presented.token))
            if presented.by_cookie:
                clear_cookie(answer, request=request)
        if bearer is not None:
            ends.append(self._sessions.end_of(bearer))
        await _all(ends)
        return answer

    async def _check(self, name: str, *, password: str, request: Request) -> Account:
        address = request.client.host if request.client else None
        try:
            async with self._limit.attempt(name, address=address):
                return await self._accounts.check(name, password=password)
        except TooManyAttempts as exc:
            seconds = math.ceil(exc.retry_after)
            message = f"Too many failed logins; try again in {seconds} seconds."
            raise PostRefused(429, "LIMIT_EXCEEDED", message, headers={"retry-after": str(seconds)}) from None


async def _all(ends: list[Coroutine[object, object, None]]) -> None:
    """Log out by each proof, although another one may fail; one that proves nothing has nothing to end."""
    for outcome in await asyncio.gather(*ends, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, InvalidToken):
            raise outcome


async def _read_login(request: Request) -> _LoginForm:
    form = await read_form(request, form=_LoginForm, what="a login", example=LOGIN_EXAMPLE)
    if form is None:
        raise bad_input(f"The body is empty; send {LOGIN_EXAMPLE}.")
    return form


def _name(form: _LoginForm) -> str:
    names = [name for name in (form.name, form.username) if name is not None]
    if len(set(names)) != 1:
        raise bad_input('Send one name, as "name" or as "username".')
    if not names[0] or not form.password:
        raise bad_input("Neither the name nor the password may be empty.")
    return names[0]


async def _read_refresh_token(request: Request) -> _Presented:
    form = await read_form(request, form=_RefreshForm, what="a session", example=REFRESH_EXAMPLE)
    if form is not None and form.refresh_token is not msgspec.UNSET:
        return _Presented(Token(form.refresh_token) if form.refresh_token else None, by_cookie=False)
    token = read_cookie(request)
    if token is not None and "origin" not in request.headers:
        # A browser says it with every POST; whether it is a good one has been looked at already.
        raise PostRefused(403, "FORBIDDEN", "A request with a cookie must say its Origin.")
    return _Presented(token, by_cookie=True)


def _access(grant: Grant) -> dict[str, object]:
    return {"token": grant.token.reveal(), "expiresIn": grant.expires_in}


def _refresh(grant: Grant) -> dict[str, object]:
    return {"refreshToken": grant.refresh_token.reveal()}
