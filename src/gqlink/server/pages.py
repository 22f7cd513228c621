"""Pages that a JavaScript build left in a folder of the package: served from memory, under a strict policy.

Only what was in the folder when the page was made is served, so no path can lead out of it. The names of the assets
say their content, so they may be kept for ever; `index.html` is asked for each time and costs 304.

Source: RFC 9110, sections 8.8.3 and 12.5.3; RFC 8246; Content Security Policy Level 3.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from gqlink.server.origin import Doorkeeper

__all__ = ("BuiltPage", "security_policy")

_INDEX: Final = "index.html"
_ASSETS: Final = "assets/"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_NOT_BUILT: Final = "This page is not built yet. In a checkout of gqlink, run: make setup\n"

# Not the machine's own table: there are machines that take JavaScript for plain text, and nosniff would end it.
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
_COMPRESSED_ALREADY: Final = {".ico", ".png", ".woff", ".woff2"}

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",  # of ws: too, for the page's own host (Content Security Policy Level 3, section 6.7.2.8)
    "img-src": "'self' data:",
    "font-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
}


def security_policy(**changes: str) -> str:
    """Write a Content-Security-Policy: everything from this server only, and no inline script or style.

    Args:
        changes: Directives to set otherwise, such as `worker_src="'self' blob:"`.
    """
    directives = _POLICY | {name.replace("_", "-"): sources for name, sources in changes.items()}
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


@dataclass(frozen=True)
class _File:
    """A file of the page, read when it is first asked for, and kept."""

    path: Path

    @cached_property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def compressed(self) -> bytes | None:
        """The same in gzip, where that is shorter."""
        if self.path.suffix in _COMPRESSED_ALREADY:
            return None
        short = gzip.compress(self.body, 6, mtime=0)
        return short if len(short) < len(self.body) else None

    @cached_property
    def etag(self) -> str:
        # Weak, because it stands for both of them.
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES.get(self.path.suffix, "application/octet-stream")

    def load(self) -> _File:
        """Read and compress; it takes a while, the first time."""
        _ = self.etag, self.compressed
        return self


class BuiltPage:
    """A page: `index.html`, and what it loads.

    Args:
        folder: Where the build put it; when nothing is there, the page says so, and how to build it.
        policy: Its Content-Security-Policy.
        doorkeeper: Says under which Host, and to pages of which Origin, it is shown.
    """

    def __init__(self, folder: Path, *, policy: str, doorkeeper: Doorkeeper) -> None:
        found = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        self._files: Mapping[str, _File] = {path.relative_to(folder).as_posix(): _File(path) for path in found}
        self._doorkeeper = doorkeeper
        self._headers = {
            "content-security-policy": policy,
            "cross-origin-opener-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }

    @property
    def is_built(self) -> bool:
        """Whether there is anything to show."""
        return _INDEX in self._files

    def routes(self, path: str) -> list[BaseRoute]:
        """Return the routes of the page and of every file of it.

        Args:
            path: Of the page itself; ends with "/".
        """
        beside = [name for name in self._files if "/" not in name and name != _INDEX]
        return [
            Route(path, self._serve_index, methods=("GET",)),
            Route(f"{path}{_ASSETS}{{name:path}}", self._serve_asset, methods=("GET",)),
            *(Route(path + name, self._beside(name), methods=("GET",)) for name in beside),
        ]

    async def _serve_index(self, request: Request) -> Response:
        if not self.is_built:
            return self.refusal(request) or self._plain(_NOT_BUILT, status=503)
        return await self._serve(request, _INDEX, cache=_ASK_AGAIN)

    async def _serve_asset(self, request: Request) -> Response:
        return await self._serve(request, _ASSETS + request.path_params["name"], cache=_FOR_EVER)

    def _beside(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            return await self._serve(request, name, cache=_ASK_AGAIN)

        return serve

    def refusal(self, request: Request) -> Response | None:
        """Answer a request that does not get in; None when it does."""
        refusal = self._doorkeeper.refusal(request.headers, page=True)
        return None if refusal is None else self._plain(f"{refusal.message}\n", status=refusal.status)

    async def _serve(self, request: Request, name: str, *, cache: str) -> Response:
        if (refusal := self.refusal(request)) is not None:
            return refusal
        if name not in self._files:
            return self._plain("There is no such file.\n", status=404)
        file = await asyncio.to_thread(self._files[name].load)
        headers = self._headers | {"cache-control": cache, "etag": file.etag, "vary": "accept-encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = file.media_type
        if file.compressed is not None and _takes_gzip(request):
            return Response(file.compressed, headers=headers | {"content-encoding": "gzip"})
        return Response(file.body, headers=headers)

    def _plain(self, text: str, *, status: int) -> Response:
        return PlainTextResponse(text, status_code=status, headers=self._headers | {"cache-control": "no-store"})


def _takes_gzip(request: Request) -> bool:
    for entry in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = entry.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
