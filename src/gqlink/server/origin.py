"""Who may ask at all: the Host that was meant, and the page that asks.

The Host comes first: a page whose name was rebound to a loopback address is of the same origin as itself, so only
the name gives it away. Then the Origin: a browser lets any page open a WebSocket anywhere, with the user's cookies.

Source: RFC 9110, section 7.2; RFC 6454; RFC 6455, section 10.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Doorkeeper", "Refusal")

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request does not get in.

    Args:
        status: 400 for a foreign Host, 403 for a foreign Origin.
        message: What to do about it.
    """

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """The rules of one application.

    Args:
        allowed_hosts: Host names without a port; "*" allows every one.
        allowed_origins: Origins such as "https://chat.example"; "http://localhost:*" stands for every port.
    """

    allowed_hosts: Sequence[str]
    allowed_origins: Sequence[str]

    def refusal(self, *, hosts: Sequence[str], origins: Sequence[str], cookie: bool) -> Refusal | None:
        """Say why a request does not get in; None when it does.

        Args:
            hosts: The values of all `Host` headers; there must be one.
            origins: The values of all `Origin` headers.
            cookie: Whether a cookie would identify the peer; then an Origin must be there.
        """
        if len(hosts) > 1:
            return Refusal(400, "More than one Host was sent.")
        host = hosts[0] if hosts else ""
        if not self._is_allowed_host(host):
            return Refusal(400, "This server is not meant for this Host; it can be added to allowed_hosts.")
        if len(origins) > 1:
            return Refusal(403, "More than one Origin was sent.")
        if not origins:
            return Refusal(403, "A request with a cookie must say its Origin.") if cookie else None
        if _is_same(origins[0], host) or self._is_allowed_origin(origins[0]):
            return None
        return Refusal(403, "This Origin is not allowed; it can be added to allowed_origins.")

    def _is_allowed_host(self, host: str) -> bool:
        if "*" in self.allowed_hosts:
            return True
        name = _split_host(host)
        return name is not None and name in {allowed.lower().strip("[]") for allowed in self.allowed_hosts}

    def _is_allowed_origin(self, origin: str) -> bool:
        origin = origin.lower()
        for allowed in self.allowed_origins:
            wanted = allowed.lower().rstrip("/")
            if origin == wanted or (wanted.endswith(":*") and _matches_any_port(origin, wanted[:-2])):
                return True
        return False


def _matches_any_port(origin: str, prefix: str) -> bool:
    rest = origin.removeprefix(prefix)
    return origin.startswith(prefix) and (not rest or (rest[0] == ":" and rest[1:].isdecimal() and rest.isascii()))


def _split_host(host: str) -> str | None:
    """Return the name in a Host header in lower case, without port and brackets; None if it is not readable."""
    try:
        parts = urlsplit(f"//{host}")
        return None if parts.username or parts.path or parts.query or parts.fragment else parts.hostname
    except ValueError:
        return None


def _is_same(origin: str, host: str) -> bool:
    """Compare authorities. The scheme is left out: behind a proxy that ends TLS the server does not know its own."""
    try:
        asked, own = urlsplit(origin), urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(asked.scheme)
        return (
            default is not None
            and asked.hostname is not None
            and (asked.hostname, asked.port or default) == (own.hostname, own.port or default)
        )
    except ValueError:
        return False
