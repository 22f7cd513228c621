"""The one place that finds a credential, wherever the peer has put it.

Three rules decide which one counts (design: "auth"):

* **Explicit beats ambient.** What the client itself wrote, in an `Authorization` header or in the payload of
  `connection_init`, counts before a cookie, which the browser adds unasked.
* **What is explicit must agree.** Two places that say different things are an error, and so is a token in one place
  beside an explicit null in another: whichever we chose might be somebody else than the client means.
* **Absent is anonymous, bad is an error.** Absent means missing, null or empty. An explicit null is anonymous even
  beside a cookie.

The same grammar holds everywhere: a token with or without `Bearer` before it. No message of an error raised here
contains any part of a credential.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gqlink.auth.identity import Identity
from gqlink.auth.token import MAX_TOKEN_BYTES, Token
from gqlink.errors import MalformedCredentials

__all__ = ("Authenticate", "Credentials", "credentials_from_http", "credentials_from_init")

Source: TypeAlias = Literal["header", "cookie", "init"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a peer presents to prove who it is.

    Args:
        token: The secret, or None.
        source: Where it was found. "header" or "init" without a token is an explicit null: somebody says that they are
            anonymous. None: nothing was said at all.
    """

    token: Token | None = None
    source: Source | None = None

    @property
    def is_absent(self) -> bool:
        """Whether there is nothing to verify: the peer is anonymous."""
        return self.token is None


_ABSENT: Final = Credentials()

Authenticate: TypeAlias = Callable[[Credentials], Awaitable[Identity]]
"""The application's own coroutine: says whom credentials stand for, or raises `AuthError` or `AuthUnavailable`."""

# In the order in which clients are known to use them.
_NAMES: Final = ("accessToken", "authorization", "Authorization", "authToken")
_NAMES_IN_HEADERS: Final = frozenset(name.lower() for name in _NAMES)

# Wider than the b64token of RFC 6750, section 2.1, because issuers are: Laravel puts a bar into its tokens.
_BEARER: Final = re.compile(r"(?:bearer(?:[ \t]+|$))?(?P<token>[\x21-\x7e]*)", re.ASCII | re.IGNORECASE)
_BLANK: Final = " \t"


def credentials_from_http(*, authorization: Sequence[str], cookie: str | None = None) -> Credentials:
    """Find the credential of an HTTP request, or of the request that opens a WebSocket.

    Args:
        authorization: The values of all `Authorization` headers, as they came.
        cookie: The value of the one cookie that the application allows, or None.

    Returns:
        The credential with its source, or absent credentials.

    Raises:
        MalformedCredentials: The one that counts cannot be read, or two headers disagree.

    Source: RFC 6750, section 2.1; RFC 9110, section 11.6.2.
    """
    if authorization:
        return _agreed([_read(value, where="the Authorization header") for value in authorization], source="header")
    token = _read(cookie, where="the cookie")
    # An empty cookie is what a logout leaves behind: nothing was said.
    return Credentials(token, "cookie") if token else _ABSENT


def credentials_from_init(payload: Mapping[str, object] | None, *, handshake: Credentials) -> Credentials:
    """Find the credential of a WebSocket, now that `connection_init` has come.

    Args:
        payload: The payload of `connection_init`, or None where there was none.
        handshake: What `credentials_from_http` found in the request that opened the socket.

    Returns:
        The credential that counts: the payload's, else the handshake's.

    Raises:
        MalformedCredentials: The payload's credential cannot be read, or two explicit ones disagree.

    Shape:
        {"accessToken" | "authorization" | "Authorization" | "authToken"?: str | null, "headers"?: {...the same}}
        In "headers" the names' case does not matter. Other keys are the application's.

    Source: docs/reference/wire.md, "Credentials".
    """
    said = [_read(value, where=where) for where, value in _candidates(payload or {})]
    if not said:
        return handshake
    if handshake.source == "header":
        said.append(handshake.token)
    return _agreed(said, source="init")


def _candidates(payload: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name in _NAMES:
        if name in payload:
            yield name, payload[name]
    headers = payload.get("headers")
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise MalformedCredentials("headers is not an object")
    for name, value in headers.items():
        if isinstance(name, str) and name.lower() in _NAMES_IN_HEADERS:
            yield f"headers.{name}", value


def _read(value: object, *, where: str) -> Token | None:
    """Read one credential; None stands for null, empty, and `Bearer` without anything after it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedCredentials(f"{where} is neither a string nor null")
    match = _BEARER.fullmatch(value.strip(_BLANK))
    if match is None:
        raise MalformedCredentials(f"{where} is neither a token nor 'Bearer' and a token")
    text = match["token"]
    if len(text) > MAX_TOKEN_BYTES:
        raise MalformedCredentials(f"{where} is longer than {MAX_TOKEN_BYTES} bytes")
    return Token(text) if text else None


def _agreed(said: Sequence[Token | None], *, source: Source) -> Credentials:
    first, *others = said
    if any(other != first for other in others):
        raise MalformedCredentials("two explicit credentials disagree")
    return Credentials(first, source)
