"""`/metrics`: what the server counts, for this machine or for a token.

Who may ask: whoever brings the token; and, where no credential is brought, a peer on a loopback address, unless a proxy
speaks for somebody else, which its headers show.

Source: Prometheus text exposition format 0.0.4; RFC 6750, section 2.1; RFC 7239.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gqlink.auth import Token
from gqlink.server.handshake import peer_of
from gqlink.server.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client.registry import Collector
    from starlette.types import Receive, Scope, Send

    from gqlink.server.host import Host

__all__ = ("MetricsEndpoint",)

_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"
_SHORTEST_TOKEN: Final = 16
_FORWARDED: Final = frozenset(
    {"cf-connecting-ip", "fastly-client-ip", "forwarded", "true-client-ip", "via", "x-client-ip", "x-real-ip"}
)


class MetricsEndpoint:
    """An ASGI application that answers GET and HEAD with all metrics.

    Args:
        host: Whose they are.
        token: What a peer from elsewhere must bring; without it there are only peers of this machine.
        collectors: What is written besides.

    Raises:
        ValueError: The token has fewer than 16 characters: it could be guessed.
    """

    def __init__(self, host: Host, *, token: Token | str | None = None, collectors: Sequence[Collector] = ()) -> None:
        self._host = host
        self._token = Token(token) if isinstance(token, str) else token
        if self._token is not None and len(self._token.reveal()) < _SHORTEST_TOKEN:
            raise ValueError(f"a metrics token has at least {_SHORTEST_TOKEN} characters")
        self._metrics = Metrics(host, collectors=collectors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            text, client = "metrics were refused to %s: %d", peer_of(request.scope)
            status = refusal.status_code
            self._host.throttle.log("metrics_refused", text, client, status, client=client, code=status)
            return refusal
        if request.method not in {"GET", "HEAD"}:
            return _plain(405, "Use GET.", allow="GET, HEAD")
        headers = {"content-type": _FORMAT, "cache-control": "no-store", "x-content-type-options": "nosniff"}
        return Response(self._metrics.write(), headers=headers)

    def _refusal(self, request: Request) -> Response | None:
        """Say why a request gets no answer; None when it does."""
        stranger = self._host.doorkeeper.refusal(request.headers, page=True)
        if stranger is not None:
            return _plain(stranger.status, stranger.message)
        presented = request.headers.getlist("authorization")
        if presented:
            return None if self._is_token(presented) else _unauthorized("This is not the metrics token.")
        if _is_of_this_machine(request):
            return None
        if self._token is None:
            return _plain(403, "Metrics are for this machine only: no metrics token is set.")
        return _unauthorized("Metrics need the metrics token, as Authorization: Bearer.")

    def _is_token(self, presented: Sequence[str]) -> bool:
        """Compare in a time that tells nothing; two credentials are none."""
        scheme, _, value = presented[0].strip().partition(" ")
        value = value.strip()
        if self._token is None or len(presented) > 1 or scheme.lower() != "bearer" or not value:
            return False
        return Token(value) == self._token


def _is_of_this_machine(request: Request) -> bool:
    """Tell whether the peer itself is here; one who was forwarded may be anywhere, whatever address is given."""
    if any(name in _FORWARDED or name.startswith("x-forwarded-") for name in request.headers):
        return False
    try:
        address = ipaddress.ip_address(request.client[0] if request.client else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _unauthorized(message: str) -> Response:
    return _plain(401, message, **{"www-authenticate": 'Bearer realm="metrics"'})


def _plain(status: int, message: str, **headers: str) -> Response:
    return PlainTextResponse(f"{message}\n", status_code=status, headers={"cache-control": "no-store", **headers})
