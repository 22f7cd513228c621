"""How servers differ, as values; `DIALECTS` is the table.

Each row says what a server was seen or read to do towards its clients, in sources and issue threads;
docs/reference/servers.md tells which cells of its table rest on these fixtures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gqlink.client import presets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("DIALECTS", "LEGACY", "MODERN", "NO_EXPIRY", "Closing", "Dialect")

MODERN = "graphql-transport-ws"
LEGACY = "graphql-ws"


@dataclass(frozen=True)
class Closing:
    """The end of a socket.

    Attributes:
        code: Of the close; None where the server does not close.
        reason: Of the close.
        texts: What it says before.
        told: The reason that the client's user shall see; the close's where it is None.
        heard: The code that the client's user shall see; `code` where it is None.
    """

    code: int | None
    reason: str = ""
    texts: tuple[str, ...] = ()
    told: str | None = None
    heard: int | None = None

    def __str__(self) -> str:
        return f"{self.code} {self.reason}{' after words' if self.texts else ''}"


NO_EXPIRY = Closing(1000)
"""Where a server leaves expiry to its application, which then closes as it likes."""


def words(payload: str | None = None, *, kind: str = "connection_error") -> tuple[str, ...]:
    """Return one message before the end; its payload is JSON."""
    return (f'{{"type": "{kind}"}}' if payload is None else f'{{"type": "{kind}", "payload": {payload}}}',)


def named(*path: str) -> Callable[[Mapping[str, Any]], str | None]:
    """Find the token at a path in the payload of `connection_init`, without its scheme."""

    def find(payload: Mapping[str, Any]) -> str | None:
        value: Any = payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value.removeprefix("Bearer ") if isinstance(value, str) else None

    return find


@dataclass(frozen=True)
class Dialect:
    """What a server does.

    Attributes:
        subprotocols: What it understands.
        preset: What our users give as `connection_params`.
        token: Where it looks for the token.
        refusals: How it turns a credential away, in its several versions or modes.
        expiry: How it ends a live socket whose token has expired.
        answers: The subprotocol of its handshake, whatever was offered.
        prefers: The one that it takes where several are offered, though it may not understand it.
        rejects: Subprotocols that it takes in the handshake, and how it then closes.
        null_closes: How it closes where the payload of `connection_init` is null.
        greetings: What it says before it has heard anything, by subprotocol.
        noise: What it says after the ack, that nobody needs.
        error: The payload of a failed operation.
        completes_errors: Whether `complete` follows it.
        names_errors: Whether it says which operation failed.
        answers_stop: Whether it completes what the client has stopped.
        confirms: Whether a subscription begins with an event of null.
        numeric_ids: Whether it turns ids into numbers.
        null_payloads: Whether it says `"payload": null` where there is none.
    """

    subprotocols: tuple[str, ...]
    preset: presets.Preset
    token: Callable[[Mapping[str, Any]], str | None]
    refusals: tuple[Closing, ...]
    expiry: Closing = NO_EXPIRY
    answers: str | None = None
    prefers: str | None = None
    rejects: Mapping[str, Closing] = field(default_factory=dict)
    null_closes: Closing | None = None
    greetings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    noise: tuple[str, ...] = ()
    error: object = None
    completes_errors: bool = False
    names_errors: bool = True
    answers_stop: bool = True
    confirms: bool = False
    numeric_ids: bool = False
    null_payloads: bool = False

    def choose(self, offered: list[str]) -> str | None:
        """Answer a handshake."""
        if self.answers is not None:
            return self.answers
        if self.prefers in offered:
            return self.prefers
        return next((name for name in offered if name in {*self.subprotocols, *self.rejects}), None)


_NO = {"message": "denied"}
_JWT = "Could not verify JWT: JWTExpired"
_HASURA_1000 = '{"server_error_msg":"4400: Connection initialization failed: Missing Authorization"}'
_SAYS_NO = '{"message": "no entry"}'

DIALECTS: Mapping[str, Dialect] = {
    "hasura": Dialect(
        subprotocols=(MODERN, LEGACY),
        preset=presets.hasura(),
        token=named("headers", "Authorization"),
        greetings={MODERN: ('{"type": "ping"}', '{"type": "ka"}'), LEGACY: ('{"type": "ka"}',)},
        refusals=(
            Closing(4400, _JWT),
            Closing(None, texts=words(f'"{_JWT}"'), told=_JWT, heard=1000),
            Closing(1000, _HASURA_1000),
        ),
        expiry=Closing(1000, f'{{"server_error_msg":"4400: {_JWT}"}}', texts=words(f'"{_JWT}"')),
        error=[_NO],
    ),
    "hasura-legacy": Dialect(
        subprotocols=(LEGACY,),
        preset=presets.hasura(),
        token=named("headers", "Authorization"),
        greetings={LEGACY: ('{"type": "ka"}',)},
        refusals=(Closing(1000, texts=words(f'"{_JWT}"'), told=_JWT),),
        expiry=Closing(1000, f"4400: {_JWT}"),
        error={"errors": [_NO]},
    ),
    "apollo-server-2": Dialect(
        subprotocols=(LEGACY,),
        rejects={MODERN: Closing(1002)},
        preset=presets.apollo(),
        token=named("authorization"),
        refusals=(Closing(1011, texts=words(_SAYS_NO), told="no entry"),),
        noise=('{"type": "ka"}',),
        error=_NO,
    ),
    "graphql-ws": Dialect(
        subprotocols=(MODERN,),
        preset=presets.graphql_ws(),
        token=named("Authorization"),
        refusals=(Closing(4403, "Forbidden"), Closing(4500, "jwt malformed")),
        expiry=Closing(4403, "Token expired"),
        error=[_NO],
        answers_stop=False,
    ),
    "strawberry": Dialect(
        subprotocols=(MODERN,),
        preset=presets.strawberry(),
        token=named("authToken"),
        null_closes=Closing(4400, "Invalid connection init payload"),
        refusals=(Closing(4403, "Forbidden"),),
        error=[_NO],
        answers_stop=False,
    ),
    "strawberry-legacy": Dialect(
        subprotocols=(LEGACY,),
        preset=presets.strawberry(),
        token=named("authToken"),
        refusals=(Closing(1011, texts=words()), Closing(1000, texts=words(_SAYS_NO), told="no entry")),
        error=_NO,
    ),
    "ariadne": Dialect(
        subprotocols=(MODERN,),
        answers=MODERN,
        preset=presets.bearer(),
        token=named("Authorization"),
        refusals=(Closing(1000),),
        error=[_NO],
        answers_stop=False,
    ),
    "ariadne-legacy": Dialect(
        subprotocols=(LEGACY,),
        answers=LEGACY,
        preset=presets.bearer(),
        token=named("Authorization"),
        refusals=(Closing(1000, texts=words(_SAYS_NO), told="no entry"),),
        error=_NO,
        answers_stop=False,
    ),
    "gqlgen": Dialect(
        subprotocols=(MODERN, LEGACY),
        preset=presets.gqlgen(),
        token=named("Authorization"),
        refusals=(
            Closing(1000, "terminated", texts=words(_SAYS_NO), told="no entry"),
            Closing(1006, texts=words(_SAYS_NO), told="no entry"),
        ),
        expiry=Closing(1006),
        error=[_NO],
        completes_errors=True,
    ),
    "gqlgen-legacy": Dialect(
        subprotocols=(LEGACY,),
        answers=LEGACY,
        preset=presets.gqlgen(),
        token=named("Authorization"),
        refusals=(Closing(1000, "terminated", texts=words(_SAYS_NO), told="no entry"),),
        error=[_NO],
        completes_errors=True,
    ),
    "spring": Dialect(
        subprotocols=(MODERN,),
        prefers=LEGACY,
        rejects={LEGACY: Closing(4400, "Invalid message")},
        preset=presets.spring(),
        token=named("Authorization"),
        refusals=(Closing(4401, "Unauthorized"),),
        error=[_NO],
        answers_stop=False,
    ),
    "directus": Dialect(
        subprotocols=(MODERN,),
        preset=presets.directus(),
        token=named("access_token"),
        refusals=(
            Closing(4403, "Forbidden"),
            Closing(None, texts=words(_SAYS_NO, kind="error"), told="no entry", heard=1000),
            Closing(4400, texts=words(_SAYS_NO, kind="error"), told="no entry"),
        ),
        error=_NO,
        answers_stop=False,
    ),
    "django-channels": Dialect(
        subprotocols=(MODERN,),
        preset=presets.bearer(),
        token=named("Authorization"),
        refusals=(Closing(4403, "Forbidden"),),
        error=[_NO],
        confirms=True,
    ),
    "django-channels-legacy": Dialect(
        subprotocols=(LEGACY,),
        preset=presets.bearer(),
        token=named("Authorization"),
        refusals=(Closing(4000, texts=words(_SAYS_NO), told="no entry"),),
        error={"errors": [_NO]},
        confirms=True,
    ),
    # No server in particular: what several are loose with, together.
    "loose": Dialect(
        subprotocols=(MODERN, LEGACY),
        preset=presets.bearer(),
        token=named("Authorization"),
        refusals=(Closing(1005, texts=words('["no entry"]'), told="no entry"),),
        noise=('{"type": "news", "payload": 1}', '{"type": "complete", "id": "999"}', '{"type": "pong", "payload": 1}'),
        error="denied",
        completes_errors=True,
        numeric_ids=True,
        null_payloads=True,
    ),
}
