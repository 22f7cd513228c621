"""Where well-known servers look for the token in `connection_init`: ready-made `connection_params`.

    WebSocketLink(url, auth=source, connection_params=presets.hasura())

Each returns a function that is called at every connection and takes the token from the link's token source. While
nobody is logged in it gives an empty object, never null: some servers close on that.

Over HTTP all of these servers read `Authorization: Bearer ...`, which `HttpLink(auth=source)` sends by itself; what
`hasura` takes as `headers` goes to `HttpLink(headers=...)` as it is.

A server whose application decides about the name (Apollo, graphql-ws, Strawberry) has the one of its documentation
here; `bearer` and `plain` take any. AWS AppSync has no preset: it wants the credential in the URL and in every
operation, in a dialect of its own, which this client does not speak.

Source: docs/reference/servers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from gqlink.client.params import Attempt
from gqlink.errors import BadUserInput

__all__ = (
    "Preset",
    "apollo",
    "bearer",
    "directus",
    "gqlgen",
    "graphql_ws",
    "hasura",
    "plain",
    "spring",
    "strawberry",
)

Preset: TypeAlias = Callable[[Attempt], Mapping[str, object]]
"""What `connection_params` takes."""


def bearer(name: str = "Authorization") -> Preset:
    """Give the token with its scheme, under a name.

    Shape:
        {"<name>": "Bearer <token>"}
    """

    def params(attempt: Attempt) -> dict[str, object]:
        return {} if attempt.token is None else {name: f"Bearer {attempt.token}"}

    return params


def plain(name: str) -> Preset:
    """Give the token alone, under a name.

    Shape:
        {"<name>": "<token>"}
    """

    def params(attempt: Attempt) -> dict[str, object]:
        return {} if attempt.token is None else {name: attempt.token}

    return params


def hasura(*, headers: Mapping[str, str] | None = None) -> Preset:
    """Give what Hasura reads instead of HTTP headers.

    Args:
        headers: Others beside `Authorization`, such as `x-hasura-role`; they are also sent while nobody is logged in.

    Shape:
        {"headers": {"Authorization": "Bearer <token>", ...}}

    Raises:
        BadUserInput: `headers` names `Authorization`, which is the token's.
    """
    others = dict(headers or {})
    if any(name.lower() == "authorization" for name in others):
        raise BadUserInput("presets.hasura takes the Authorization header from the token source")

    def params(attempt: Attempt) -> dict[str, object]:
        present = {} if attempt.token is None else {"Authorization": f"Bearer {attempt.token}"}
        return {"headers": present | others}

    return params


def apollo() -> Preset:
    """Give what Apollo's servers are mostly written to read: `authorization`, as the HTTP header is called in Node."""
    return bearer("authorization")


def directus() -> Preset:
    """Give what Directus reads in its "handshake" mode.

    Shape:
        {"access_token": "<token>"}
    """
    return plain("access_token")


def gqlgen() -> Preset:
    """Give what gqlgen's `InitPayload.Authorization()` reads."""
    return bearer()


def graphql_ws() -> Preset:
    """Give what servers with npm's graphql-ws are mostly written to read in `onConnect`."""
    return bearer()


def spring() -> Preset:
    """Give what Spring's `AuthenticationWebSocketInterceptor` reads."""
    return bearer()


def strawberry() -> Preset:
    """Give what Strawberry's documentation reads from `connection_params`.

    Shape:
        {"authToken": "Bearer <token>"}
    """
    return bearer("authToken")
