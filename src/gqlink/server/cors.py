"""What a page of an allowed origin is told, so that its browser lets it ask and read: CORS.

Starlette's middleware would need the origins a second time, as a pattern; here the doorkeeper that refuses a page is
the one that decides what its browser is told. The answer to one that is not allowed carries nothing of all this, nor
does the answer to a page of the same origin, which needs none.

Source: Fetch Standard, sections 3.3 (CORS protocol) and 4.9 (CORS-preflight fetch).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gqlink.server.origin import Doorkeeper

__all__ = ("CrossOrigin",)

_METHODS: Final = "GET, POST"
_EXPOSED: Final = "www-authenticate, retry-after"
# The longest time that Chromium keeps one; who is no longer allowed is refused with the request itself.
_PREFLIGHT_SECONDS: Final = 7200
_NAMES: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[a-z0-9!#$%&'*+.^_`|~-]+)*", re.ASCII)
_LONGEST_NAMES: Final = 1024


class CrossOrigin:
    """ASGI middleware: answers the browser's question before a request, and marks the answers to requests.

    It is no door: whoever is behind it refuses a foreign Origin by the same doorkeeper. Harmless to have twice.

    Args:
        app: What answers.
        doorkeeper: Says which origins are allowed.
        credentials: Whether a cookie says who somebody is; then pages of allowed origins may send theirs.
    """

    def __init__(self, app: ASGIApp, *, doorkeeper: Doorkeeper, credentials: bool = False) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._shared = {"access-control-allow-credentials": "true"} if credentials else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and (answer := self._preflight(Headers(scope=scope))) is not None:
            await answer(scope, receive, send)
        elif self._doorkeeper.allowed_origins:
            await self._app(scope, receive, self._marking(send, Headers(scope=scope).get("origin")))
        else:
            await self._app(scope, receive, send)

    def _preflight(self, headers: Headers) -> Response | None:
        """Answer a preflight; None where it is none, or has nothing to ask, since the page is of the same origin."""
        if "origin" not in headers or "access-control-request-method" not in headers:
            return None
        refusal = self._doorkeeper.refusal(headers)
        if refusal is not None:
            return PlainTextResponse(f"{refusal.message}\n", status_code=refusal.status, headers=_UNCHANGING)
        origin = headers["origin"]
        if not self._doorkeeper.allows(origin):
            return None
        fields = {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": _METHODS,
            "access-control-max-age": str(_PREFLIGHT_SECONDS),
        }
        return Response(status_code=204, headers=fields | _wished(headers) | self._shared | _UNCHANGING)

    def _marking(self, send: Send, origin: str | None) -> Send:
        """Return what sends an answer that the page of `origin` may read, if it is allowed."""
        fields: dict[str, str] = {}
        if origin is not None and self._doorkeeper.allows(origin):
            fields = {"access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED, **self._shared}

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                headers.update(fields)
                _vary(headers)
            await send(message)

        return mark


_UNCHANGING: Final = {"cache-control": "no-store", "vary": "origin"}


def _wished(headers: Headers) -> dict[str, str]:
    """Allow whatever header the page wants to send: of an allowed page none could say more than it may say anyway."""
    names = headers.get("access-control-request-headers", "")
    is_readable = len(names) <= _LONGEST_NAMES and _NAMES.fullmatch(names.lower()) is not None
    return {"access-control-allow-headers": names} if is_readable else {}


def _vary(headers: MutableHeaders) -> None:
    """Say that the answer depends on the Origin, once: a cache must not give the one to the other."""
    varies = [name.strip().lower() for name in headers.get("vary", "").split(",")]
    if "origin" not in varies and "*" not in varies:
        headers.add_vary_header("origin")
