"""A POST of a small JSON object, and its answer: what logging in, staying logged in and logging out have in common.

A request is `application/json`, at most 64 KiB; fields beyond those asked for are ignored. A refusal is
`{"error": {"code": str, "message": str}}`. Nothing of it may be cached.

| status | code                     | when                                                                        |
|--------|--------------------------|-----------------------------------------------------------------------------|
| 400    | `BAD_USER_INPUT`         | no body, not JSON, wrong or missing fields; a Host that is not ours         |
| 401    | `UNAUTHENTICATED`        | a wrong name or password, a refresh token that is of no use (any more)      |
| 403    | `FORBIDDEN`              | a page of a foreign Origin or of another site; a cookie without an Origin   |
| 405    | `METHOD_NOT_ALLOWED`     | anything but POST                                                           |
| 408    | `LIMIT_EXCEEDED`         | a body that does not arrive within 10 seconds                               |
| 413    | `LIMIT_EXCEEDED`         | a body over 64 KiB                                                          |
| 415    | `UNSUPPORTED_MEDIA_TYPE` | not `application/json`, or two content types                                |
| 429    | `LIMIT_EXCEEDED`         | too many failed logins, see `login_limit`; `Retry-After` says when to try   |
| 503    | `UNAVAILABLE`            | the database does not answer, or too many log in at once                    |

Insisting on the content type keeps other sites out: a browser sends that type to a foreign site only after asking,
and the answer is no.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from gqlink.errors import AuthError, AuthUnavailable, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from gqlink.server import Doorkeeper

BODY_BYTES: Final = 64 * 1024
BODY_SECONDS: Final = 10.0

log = logging.getLogger(__name__)

Form = TypeVar("Form", bound=msgspec.Struct)


class PostRefused(Exception):
    """A request that does not get what it wants; it never leaves this room, so it is not in `gqlink.errors`.

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
        error = {"code": self.code, "message": self.message}
        return json_answer({"error": error}, status=self.status, headers=self.headers)


def _tell(
    level: int,
    event: str,
    request: Request,
    text: str,
    *args: object,
    exc_info: Exception | None = None,
    **fields: object,
) -> None:
    """Write one record about a request, under its name; `text` has a place for the path before those for `args`."""
    path, client = request.url.path, request.client
    where = {"path": path, "client": None if client is None else f"{client.host}:{client.port}"}
    log.log(level, text, path, *args, exc_info=exc_info, extra={"gqlink_event": event, **where, **fields})


class Post:
    """The ASGI endpoint round a function that answers.

    Args:
        answer: Answers a request; may raise `PostRefused`, `AuthError`, `AuthUnavailable` and `StoreUnavailable`.
        doorkeeper: Says who may ask.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Response]], *, doorkeeper: Doorkeeper) -> None:
        self._answer = answer
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return  # nobody is there to read an answer
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            self._refuse_strangers(request)
            return await self._answer(request)
        except PostRefused as refusal:
            return refusal.answer()
        except AuthError as exc:
            _tell(logging.INFO, "session_refused", request, "%s refused: %s", exc, reason=exc.reason)
            headers = {"www-authenticate": "Bearer"}
            return PostRefused(401, "UNAUTHENTICATED", f"{exc.reason}.", headers=headers).answer()
        except StoreUnavailable as exc:
            _tell(logging.ERROR, "store_unavailable", request, "%s could not be answered", exc_info=exc)
            return _unavailable()
        except AuthUnavailable as exc:
            # Too much at once is no fault to be traced; and why a session could not be ended has been logged already.
            _tell(logging.WARNING, "session_unavailable", request, "%s could not be answered: %s", exc)
            return _unavailable()

    def _refuse_strangers(self, request: Request) -> None:
        refusal = self._doorkeeper.refusal(request.headers)
        if refusal is not None:
            code = "FORBIDDEN" if refusal.status == 403 else "BAD_USER_INPUT"  # noqa: PLR2004 -- the other one is 400
            raise PostRefused(refusal.status, code, refusal.message)
        if request.method != "POST":
            raise PostRefused(405, "METHOD_NOT_ALLOWED", "Only POST is answered here.", headers={"allow": "POST"})


async def read_form(request: Request, *, form: type[Form], what: str, example: str) -> Form | None:
    """Read the body of a request.

    Args:
        request: It.
        form: The fields to read.
        what: What the fields are those of, for the sentence in a refusal.
        example: What a right body looks like, likewise.

    Returns:
        The fields, or None when there is no body.

    Raises:
        PostRefused: The body is too long, or of another kind.
    """
    body = await _body(request)
    if not body.strip():
        return None
    types = request.headers.getlist("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != "application/json":
        raise PostRefused(415, "UNSUPPORTED_MEDIA_TYPE", "Send the body with the content type application/json.")
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError:
        raise bad_input(f"The fields are not those of {what}; send {example}.") from None
    except (ValueError, RecursionError):
        raise bad_input(f"The body is not JSON; send {example}.") from None


def bad_input(message: str) -> PostRefused:
    """Refuse what somebody has typed."""
    return PostRefused(400, "BAD_USER_INPUT", message)


def json_answer(
    content: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Write an answer that nobody may keep."""
    return JSONResponse(content, status_code=status, headers={"cache-control": "no-store", **(headers or {})})


def _unavailable() -> JSONResponse:
    message = "Logging in is not possible at the moment; try again soon."
    return PostRefused(503, "UNAVAILABLE", message, headers={"retry-after": "1"}).answer()


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise PostRefused(413, "LIMIT_EXCEEDED", f"A body has at most {BODY_BYTES} bytes.")
    except TimeoutError:
        message = f"The body did not arrive within {BODY_SECONDS:g} seconds."
        raise PostRefused(408, "LIMIT_EXCEEDED", message, headers={"connection": "close"}) from None
    return bytes(body)
