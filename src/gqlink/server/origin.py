"""Who may ask at all: the Host that was meant, and the page that asks.

The Host comes first: a page whose name was rebound to a loopback address is of the same origin as itself, so only
the name gives it away. Then the Origin: a browser lets any page open a WebSocket anywhere, with the user's cookies.
Then, for what comes without an Origin, such as an image or a script of another site, what the browser itself says of
where it comes from: no page can write `Sec-Fetch-Site`.

Source: RFC 9110, section 7.2; RFC 6454; RFC 6455, section 10.2; W3C Fetch Metadata Request Headers, section 2.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import Headers

__all__ = ("Doorkeeper", "Refusal")

_DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}

_NAME: Final = r"(?P<name>[a-z0-9._~-]+|\[[0-9a-f:.]+\])"
_HOST: Final = re.compile(rf"{_NAME}(?::(?P<port>[0-9]+))?")
_ORIGIN: Final = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_NAME}(?::(?P<port>[0-9]+))?")
_EVERY_PORT: Final = ":*"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request does not get in.

    Args:
        status: 400 for a foreign Host, 403 for a foreign Origin.
        message: What to do about it.
    """

    status: int
    message: str


class Doorkeeper:
    """The rules of one application.

    Args:
        allowed_hosts: Host names without a port; "*" allows every one.
        allowed_origins: Origins such as "https://chat.example"; "http://localhost:*" stands for every port.

    Raises:
        ValueError: One of them could never be what a browser sends, so that it would allow nothing; or it is `null`,
            or a `*`, which would allow anybody.
    """

    def __init__(self, allowed_hosts: Sequence[str], allowed_origins: Sequence[str]) -> None:
        self.allowed_hosts = tuple(allowed_hosts)
        self.allowed_origins = tuple(allowed_origins)
        self._every_host = "*" in self.allowed_hosts
        self._hosts = frozenset(_read_host(name) for name in self.allowed_hosts if name != "*")
        origins = frozenset(_read_origin(origin) for origin in self.allowed_origins)
        self._origins = frozenset(origin.removesuffix(_EVERY_PORT) for origin in origins)
        self._of_every_port = frozenset(
            origin.removesuffix(_EVERY_PORT) for origin in origins if origin.endswith(_EVERY_PORT)
        )

    def refusal(self, headers: Headers, *, cookie: bool = False, page: bool = False) -> Refusal | None:
        """Say why a request does not get in; None when it does.

        Args:
            headers: Of the request or the handshake.
            cookie: Whether a cookie would identify the peer; then an Origin must be there.
            page: Whether this is something to look at, to which another site may have a link.
        """
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1:
            return Refusal(400, "More than one Host was sent.")
        host = hosts[0] if hosts else ""
        if not self._is_allowed_host(host):
            return Refusal(400, "This server is not meant for this Host; it can be added to allowed_hosts.")
        if len(origins) > 1:
            return Refusal(403, "More than one Origin was sent.")
        if not origins:
            return _refusal_without_origin(headers, cookie=cookie, page=page)
        if self.allows(origins[0]) or (_is_same(origins[0], host) and _is_of_own_site(headers)):
            return None
        return Refusal(403, "This Origin is not allowed; it can be added to allowed_origins.")

    def allows(self, origin: str) -> bool:
        """Tell whether an Origin is one of `allowed_origins`; the server's own need not be."""
        origin = origin.lower()
        if origin in self._origins:
            return True
        prefix, _, port = origin.rpartition(":")
        return prefix in self._of_every_port and port.isdecimal() and port.isascii()

    def _is_allowed_host(self, host: str) -> bool:
        if self._every_host:
            return True
        found = _HOST.fullmatch(host.lower())
        return found is not None and found["name"] in self._hosts


def _refusal_without_origin(headers: Headers, *, cookie: bool, page: bool) -> Refusal | None:
    if not _is_of_own_site(headers) and not (page and _is_followed_link(headers)):
        return Refusal(403, "A page of another site may ask with an Origin only that is in allowed_origins.")
    return Refusal(403, "A request with a cookie must say its Origin.") if cookie else None


def _is_of_own_site(headers: Headers) -> bool:
    """Tell whether the browser says that another site asks; what is no browser says nothing."""
    return all(site.strip().lower() in {"same-origin", "none"} for site in headers.getlist("sec-fetch-site"))


def _is_followed_link(headers: Headers) -> bool:
    """Tell whether somebody follows a link, and does not get this into a page of another site unseen."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _is_same(origin: str, host: str) -> bool:
    """Compare authorities. The scheme is left out: behind a proxy that ends TLS the server does not know its own.

    The browser does: to it the page of the other scheme is of another site.
    """
    asked, own = _ORIGIN.fullmatch(origin.lower()), _HOST.fullmatch(host.lower())
    default = asked and _DEFAULT_PORTS.get(asked["scheme"])
    if asked is None or own is None or default is None:
        return False
    return asked["name"] == own["name"] and (asked["port"] or default) == (own["port"] or default)


def _read_host(allowed: str) -> str:
    """Return a name as it stands in a Host; an IPv6 address may be given with its brackets or without."""
    name = f"[{allowed}]" if ":" in allowed and not allowed.startswith("[") else allowed
    found = _HOST.fullmatch(name.lower())
    if found is None or found["port"] is not None or not allowed.isascii():
        raise ValueError(f"a host is a name without a port, such as chat.example or xn--bcher-kva.example: {allowed!r}")
    return found["name"]


def _read_origin(allowed: str) -> str:
    origin = allowed.lower().rstrip("/")
    if _ORIGIN.fullmatch(origin.removesuffix(_EVERY_PORT)) is None or not allowed.isascii():
        raise ValueError(
            f"an origin is such as https://chat.example, https://chat.example:8443, http://dev.test:*: {allowed!r}"
        )
    return origin
