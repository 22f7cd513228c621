"""The HTTP client that links and token sources have in common."""

from __future__ import annotations

import functools
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx2

from gqlink.errors import BadUserInput, RequestFailed

if TYPE_CHECKING:
    import ssl

__all__ = ("http_client", "no_answer")


def http_client(
    *,
    timeout: float | None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> httpx2.AsyncClient:
    """Return an HTTP client that keeps no cookies and follows no redirects.

    A cookie would go on speaking for somebody who has logged out, and a redirect could carry a credential away.

    Raises:
        BadUserInput: The proxy that the environment names (`ALL_PROXY` and the like) cannot be used.
    """
    try:
        return httpx2.AsyncClient(
            timeout=timeout,
            transport=transport,
            proxy=proxy,
            verify=_system_context() if ssl_context is None else ssl_context,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
        )
    except (ImportError, ValueError) as exc:  # what was given is checked by whoever took it; httpx2 hides passwords
        raise BadUserInput(f"the proxy of the environment cannot be used: {exc}") from exc


@functools.cache
def _system_context() -> ssl.SSLContext:
    """Return the one that trusts whom the system trusts: reading all of them takes 50 ms, and each refresh needs it."""
    return httpx2.create_ssl_context()


def no_answer(url: str, exc: Exception) -> RequestFailed:
    """Say that nothing came, and from where; a path or a query may hold what is nobody's business."""
    host = httpx2.URL(url).netloc.decode("ascii", "replace").rpartition("@")[2]
    return RequestFailed(f"no answer from {host}: {str(exc) or type(exc).__name__}")
