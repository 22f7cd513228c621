"""POST /login: a name and a password become a token.

A request is `application/json`, at most 64 KiB, `{"name" or "username": str, "password": str}`; fields beyond these
are ignored. The answer is 200 with `{"token": str, "expiresIn": seconds}`, or one of

| status | code                     | when                                                               |
|--------|--------------------------|--------------------------------------------------------------------|
| 400    | `BAD_USER_INPUT`         | no body, not JSON, wrong or missing fields                         |
| 401    | `UNAUTHENTICATED`        | wrong name or password, without a word about which                 |
| 405    | `METHOD_NOT_ALLOWED`     | anything but POST                                                  |
| 413    | `LIMIT_EXCEEDED`         | a body over 64 KiB                                                 |
| 415    | `UNSUPPORTED_MEDIA_TYPE` | not `application/json`                                             |
| 503    | `UNAVAILABLE`            | the database does not answer, or too many log in at once           |

with `{"error": {"code": str, "message": str}}`. Nothing of it may be cached. Insisting on the content type
keeps other sites out: a browser sends that type to a foreign site only after asking, and the answer is no.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from gqlink.errors import AuthUnavailable, GqlinkError, InvalidCredentials, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from gqlink.auth import TokenSigner
    from gqlink.chat.accounts import Accounts
    from gqlink.chat.records import Account

BODY_BYTES: Final = 64 * 1024
EXAMPLE: Final = '{"name": "...", "password": "..."}'

log = logging.getLogger(__name__)


class LoginRefused(GqlinkError):
    """A login that gets no token.

    Args:
        status: The HTTP status.
        code: For programs.
        message: For people.
        headers: What the answer carries besides.
    """

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def answer(self) -> JSONResponse:
        """Write it as an HTTP answer."""
        return _answer(
            {"error": {"code": self.code, "message": self.message}}, status=self.status, headers=self.headers
        )


class _Form(msgspec.Struct):
    password: str
    name: str | None = None
    username: str | None = None


class Login:
    """The ASGI endpoint.

    Args:
        accounts: Who may log in.
        signer: Signs the tokens.
        lifetime: How long a token lasts, in seconds.
        clock: Seconds since the Unix epoch.
    """

    def __init__(
        self, accounts: Accounts, *, signer: TokenSigner, lifetime: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._accounts = accounts
        self._signer = signer
        self._lifetime = lifetime
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return  # nobody is there to read an answer
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> JSONResponse:
        try:
            name, password = await _read(request)
            account = await self._accounts.check(name, password=password)
            return _answer(self._grant(account))
        except LoginRefused as refusal:
            return refusal.answer()
        except InvalidCredentials as exc:
            headers = {"www-authenticate": "Bearer"}
            return LoginRefused(401, "UNAUTHENTICATED", f"{exc.reason}.", headers=headers).answer()
        except (StoreUnavailable, AuthUnavailable):
            log.exception("a login could not be checked")
            message = "Logging in is not possible at the moment; try again soon."
            return LoginRefused(503, "UNAVAILABLE", message, headers={"retry-after": "1"}).answer()

    def _grant(self, account: Account) -> dict[str, object]:
        """Open a session; what else a session comes with, such as a refresh token, is added here."""
        session = secrets.token_urlsafe(16)
        token = self._signer.issue(account.name, now=self._clock(), session=session, lifetime=self._lifetime)
        return {"token": token.reveal(), "expiresIn": self._lifetime}


async def _read(request: Request) -> tuple[str, str]:
    if request.method != "POST":
        raise LoginRefused(405, "METHOD_NOT_ALLOWED", f"Log in by POST with {EXAMPLE}.", headers={"allow": "POST"})
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise LoginRefused(415, "UNSUPPORTED_MEDIA_TYPE", "Send the login with the content type application/json.")
    return _decode(await _body(request))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise LoginRefused(413, "LIMIT_EXCEEDED", f"A login has at most {BODY_BYTES} bytes.")
    return bytes(body)


def _decode(body: bytes) -> tuple[str, str]:
    if not body.strip():
        raise _bad(f"The body is empty; send {EXAMPLE}.")
    try:
        form = msgspec.json.decode(body, type=_Form)
    except msgspec.ValidationError:
        raise _bad(f"The fields are not those of a login; send {EXAMPLE}.") from None
    except (ValueError, RecursionError):
        raise _bad(f"The body is not JSON; send {EXAMPLE}.") from None
    names = [name for name in (form.name, form.username) if name is not None]
    if len(set(names)) != 1:
        raise _bad('Send one name, as "name" or as "username".')
    if not names[0] or not form.password:
        raise _bad("Neither the name nor the password may be empty.")
    return names[0], form.password


def _bad(message: str) -> LoginRefused:
    return LoginRefused(400, "BAD_USER_INPUT", message)


def _answer(
    content: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(content, status_code=status, headers={"cache-control": "no-store", **(headers or {})})
