"""The cookie that keeps a browser logged in: no script can read it, and only two paths ever get it.

A cookie has one path, so there are two of the same name and content, one for each path. Without them /graphql is as
it should be: it knows nobody by a cookie.

Source: RFC 6265bis, sections 4.1.2 and 5.4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from gqlink.auth import Token

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from gqlink.chat.sessions import Grant

COOKIE: Final = "gqlink_refresh"
PATHS: Final = ("/refresh", "/logout")


def read_cookie(request: Request) -> Token | None:
    """Return the refresh token in a request's cookie, or None."""
    value = request.cookies.get(COOKIE)
    return Token(value) if value else None


def set_cookie(response: Response, grant: Grant, *, request: Request) -> None:
    """Give the browser its refresh token; over HTTPS it will send it over nothing else."""
    _set(response, grant.refresh_token.reveal(), seconds=math.floor(grant.session_expires_in), request=request)


def clear_cookie(response: Response, *, request: Request) -> None:
    """Let the browser forget it."""
    _set(response, "", seconds=0, request=request)


def _set(response: Response, value: str, *, seconds: int, request: Request) -> None:
    for path in PATHS:
        response.set_cookie(
            COOKIE,
            value,
            max_age=seconds,
            path=request.scope.get("root_path", "") + path,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
