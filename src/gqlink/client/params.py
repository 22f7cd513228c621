"""What a connection presents: `connection_params` and headers, evaluated anew at every connection."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import httpx2

from gqlink.client.frames import find_secrets
from gqlink.client.presenting import find_token, fingerprint, stands_in, without_token
from gqlink.errors import AuthUnavailable, BadUserInput, GqlinkError

if TYPE_CHECKING:
    from gqlink.client.tokens import TokenSource

__all__ = (
    "Attempt",
    "ConnectionParams",
    "Credential",
    "Headers",
    "Params",
    "Payload",
    "Reason",
    "check_headers",
    "evaluate_headers",
)

Reason: TypeAlias = Literal["first", "reconnect", "expired", "refused", "changed"]
Payload: TypeAlias = Mapping[str, object] | None
Headers: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]] | Callable[[], Awaitable[Mapping[str, str]]]


_ANOTHER: Final = {"expired", "refused"}
_FORBIDDEN: Final = re.compile(r"[^\t\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a function of `connection_params` may want to know.

    Args:
        reason: Why it is asked for: "first" connection of the link; "reconnect" after a loss or an idle time;
            "expired" or "refused" after the server turned the last credential away, "expired" also ahead of that, for
            a renewal; "changed" after `credentials_changed()`.
        token: What the link's token source says now; None without one, or when nobody is logged in.
    """

    reason: Reason
    token: str | None = field(default=None, repr=False)


ConnectionParams: TypeAlias = (
    Mapping[str, object]
    | Callable[[], Payload]
    | Callable[[], Awaitable[Payload]]
    | Callable[[Attempt], Payload]
    | Callable[[Attempt], Awaitable[Payload]]
)


@dataclass(frozen=True, slots=True)
class Credential:
    """What one connection presents, as a whole: two that are equal say the same to the server.

    Args:
        payload: That of `connection_init`.
        headers: Those of the handshake, without the subprotocol's.
        fingerprint: The JSON text of both; equal for equal credentials.
        secrets: Texts in it that nobody may be shown.
        token: The access token in it, without its scheme; None where there is none, or none that we can tell.
        sourced: What the link's token source said; None without one, or when nobody is logged in.
        frame: Like `fingerprint`, but without the token: equal where nothing but the token differs.
        anonymous: Whether it is known to stand for nobody.
        expires_at: When the source's token ends, in seconds of the monotonic clock; None for unknown.
    """

    payload: Payload = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    fingerprint: bytes = field(repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    token: str | None = field(default=None, repr=False)
    sourced: str | None = field(default=None, repr=False)
    frame: bytes = field(default=b"", repr=False)
    anonymous: bool = False
    expires_at: float | None = None


class Params:
    """Evaluates what a connection presents.

    A function's arity is looked at once, here: a function that takes an argument gets the `Attempt`.

    Args:
        connection_params: A mapping, which is what it says; or a function, sync or async.
        headers: Likewise, without an argument.
        source: Its token is `attempt.token`, and `{"accessToken": token}` where there are no `connection_params`.

    Raises:
        BadUserInput: `connection_params` is neither a mapping nor a function that can be called so.
    """

    def __init__(
        self, connection_params: ConnectionParams | None, *, headers: Headers | None, source: TokenSource | None
    ) -> None:
        self._params = connection_params
        self._takes_attempt = callable(connection_params) and _takes_argument(connection_params)
        if not (connection_params is None or callable(connection_params) or isinstance(connection_params, Mapping)):
            raise BadUserInput("connection_params must be a mapping or a function")
        self._headers = headers
        self._source = source

    @property
    def can_change(self) -> bool:
        """Whether another evaluation may give something else."""
        return self._source is not None or callable(self._params) or callable(self._headers)

    @property
    def has_source(self) -> bool:
        """Whether a token source says who speaks."""
        return self._source is not None

    @property
    def expires_at(self) -> float | None:
        """When the source's token ends, on the monotonic clock; None for unknown."""
        return None if self._source is None else self._source.expires_at

    async def token(self) -> str | None:
        """Return what the source says now; it asks nobody else."""
        return None if self._source is None else await self._source.token()

    async def evaluate(self, reason: Reason, *, stale: str | None = None) -> Credential:
        """Find out what to present now.

        Args:
            reason: Why. With "expired" and "refused" the source is asked for another token.
            stale: The source's token that is not wanted again.

        Raises:
            AuthUnavailable: The function cannot say now (a network error); trying again may help.
            BadUserInput: The function failed otherwise, or gave something that JSON cannot express.
            GqlinkError: Whatever of ours the function raised.
        """
        try:
            token = await self._ask_source(reason, stale)
            expires_at = self.expires_at  # now: others who use the source may have it move on
            payload = await self._payload(Attempt(reason, token))
            headers = await evaluate_headers(self._headers)
        except GqlinkError:
            raise
        except (OSError, httpx2.TransportError) as exc:
            raise AuthUnavailable(f"connection_params: {type(exc).__name__}") from exc
        except Exception as exc:
            raise BadUserInput(f"connection_params or headers raised {type(exc).__name__}") from exc
        if not isinstance(payload, Mapping | None):
            raise BadUserInput("connection_params must give a mapping or None")
        check_headers(headers)
        # Copied: what is compared later is what was sent, whatever becomes of the caller's mapping.
        return self._credential(None if payload is None else dict(payload), dict(headers), token, expires_at)

    def _credential(
        self, payload: Payload, headers: Mapping[str, str], sourced: str | None, expires_at: float | None
    ) -> Credential:
        identity = fingerprint(payload, headers)  # first: what it lets through, the others can read
        said, found = find_token(payload, headers)
        # A place that only the application knows is one too, if our source's token stands there.
        token = found or (sourced if sourced is not None and stands_in(sourced, [payload, headers]) else None)
        return Credential(
            payload,
            headers,
            identity,
            find_secrets([payload, headers]) | ({sourced} if sourced else set()),
            token=token,
            sourced=sourced,
            frame=without_token(payload, headers, token),
            anonymous=token is None and sourced is None and (said or self._source is not None),
            expires_at=expires_at,
        )

    async def _ask_source(self, reason: Reason, stale: str | None) -> str | None:
        if self._source is None:
            return None
        return await (self._source.refresh(stale) if reason in _ANOTHER else self._source.token())

    async def _payload(self, attempt: Attempt) -> Payload:
        if self._params is None:
            return None if self._source is None else {"accessToken": attempt.token}
        if isinstance(self._params, Mapping):
            return self._params
        function: Callable[..., Any] = self._params  # its shape was looked at when it was given
        given = function(attempt) if self._takes_attempt else function()
        payload: Payload = await given if inspect.isawaitable(given) else given
        return payload


async def evaluate_headers(headers: Headers | None) -> Mapping[str, str]:
    """Return headers that were given as a mapping or as a function, sync or async."""
    if headers is None or isinstance(headers, Mapping):
        return headers or {}
    value = headers()
    return await value if inspect.isawaitable(value) else value


def check_headers(headers: object) -> None:
    """Refuse what would not be a header, or would be several: a line break in a token must not start another one."""
    if not isinstance(headers, Mapping):
        raise BadUserInput("headers must give a mapping")
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str)) or _FORBIDDEN.search(name + value):
            raise BadUserInput(f"header {name!r} must be plain ASCII text on one line")


def _takes_argument(function: Callable[..., object]) -> bool:
    """Say whether a function takes the attempt; a keyword-only or defaulted argument of its own is none of ours."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not tell
        return False
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL}]
    required = [p for p in positional if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    if len(required) > 1:
        raise BadUserInput("connection_params must take no argument, or one: the attempt")
    return bool(required) or any(p.name == "attempt" for p in positional)
