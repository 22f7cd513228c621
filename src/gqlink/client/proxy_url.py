"""The URL of a proxy, which may hold a password, and so is never repeated."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from gqlink.errors import BadUserInput

__all__ = ("check_http_proxy", "check_proxy")

_SCHEMES: Final = ("http", "https", "socks4", "socks5")
_HTTP_SCHEMES: Final = ("http", "https", "socks5")


def check_proxy(url: str | None) -> None:
    """Refuse what is no proxy for a WebSocket.

    Raises:
        BadUserInput: It is no `http:`, `https:`, `socks4:` or `socks5:` URL.
    """
    _check(url, _SCHEMES)


def check_http_proxy(url: str | None) -> None:
    """Refuse what is no proxy for HTTP requests.

    Raises:
        BadUserInput: It is no `http:`, `https:` or `socks5:` URL, or the last needs a package that is not installed.
    """
    _check(url, _HTTP_SCHEMES)
    if url is not None and urlsplit(url).scheme == "socks5" and not _has_socks():
        raise BadUserInput("an HTTP link needs socksio for a SOCKS proxy; install it with: pip install 'httpx2[socks]'")


def _check(url: str | None, schemes: tuple[str, ...]) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0 and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        known = ", ".join(f"{scheme}:" for scheme in schemes)
        raise BadUserInput(f"a proxy must be a URL with a host, and with one of the schemes {known}")


def _has_socks() -> bool:
    try:
        return find_spec("socksio") is not None
    except ValueError:  # it is there, and is none
        return False
