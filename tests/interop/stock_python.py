"""Two servers of others in Python, as their users write them: Strawberry and Ariadne, each in both subprotocols.

Each lets in whoever presents a token that begins with "alice", has a query `hello`, a subscription `ticks` that is fed
by the test, and one that is denied. No `from __future__ import annotations`: Strawberry reads them.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import strawberry
from ariadne import MutationType, QueryType, SubscriptionType, make_executable_schema
from ariadne.asgi import GraphQL as AriadneGraphQL
from ariadne.asgi.handlers import GraphQLTransportWSHandler, GraphQLWSHandler
from ariadne.exceptions import WebSocketConnectionError
from graphql import GraphQLError
from strawberry.asgi import GraphQL as StrawberryGraphQL
from strawberry.exceptions import ConnectionRejectionError

from gqlink.client import presets
from gqlink.protocol import LEGACY, TRANSPORT_WS

_SDL = """
type Query { hello: String! }
type Mutation { greet: String! }
type Subscription { ticks: Int denied: Int }
"""


@dataclass
class Feed:
    """What a server's subscriptions send, and what it has seen."""

    listeners: set[asyncio.Queue[int]] = field(default_factory=set)
    presented: list[str | None] = field(default_factory=list)
    greetings: int = 0

    def publish(self, value: int) -> None:
        """Send a number to every subscription; a negative one fails in the resolver of its event."""
        for queue in self.listeners:
            queue.put_nowait(value)

    async def ticks(self) -> AsyncGenerator[int, None]:
        """Listen."""
        queue: asyncio.Queue[int] = asyncio.Queue()
        self.listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.listeners.discard(queue)

    def admits(self, token: object) -> bool:
        """Say whether somebody is let in."""
        text = token.removeprefix("Bearer ") if isinstance(token, str) else None
        self.presented.append(text)
        return text is not None and text.startswith("alice")


@dataclass(frozen=True)
class StockServer:
    """One server of others.

    Attributes:
        subprotocol: What it speaks.
        preset: What its users give as `connection_params`.
        make: Returns a new ASGI application on a feed.
        refusal: Code and reason of the error that a refused user sees.
        queries: Whether it answers queries over the socket.
        survives_stop: Whether the socket goes on after one of its subscriptions was stopped.
    """

    subprotocol: str
    preset: presets.Preset
    make: Callable[[Feed], Callable[..., Any]]
    refusal: tuple[int, str]
    queries: bool = True
    survives_stop: bool = True


def make_strawberry(feed: Feed, subprotocol: str) -> Callable[..., Any]:
    """Return a Strawberry application."""

    @strawberry.type
    class Query:
        @strawberry.field
        def hello(self) -> str:
            return "world"

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        def greet(self) -> str:
            feed.greetings += 1
            return "hello"

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def ticks(self) -> AsyncGenerator[int | None, None]:
            async for value in feed.ticks():
                yield value

        @strawberry.subscription
        async def denied(self) -> AsyncGenerator[int | None, None]:
            raise GraphQLError("denied")
            yield 0

    class App(StrawberryGraphQL[dict[str, Any], None]):
        async def on_ws_connect(self, context: dict[str, Any]) -> Any:
            if not feed.admits((context["connection_params"] or {}).get("authToken")):
                raise ConnectionRejectionError({"message": "no entry"})
            return await super().on_ws_connect(context)

    schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription)
    return App(schema, subscription_protocols=[subprotocol])


def make_ariadne(feed: Feed, subprotocol: str) -> Callable[..., Any]:
    """Return an Ariadne application."""
    query, mutation, subscription = QueryType(), MutationType(), SubscriptionType()

    @query.field("hello")
    def hello(*_: object) -> str:
        return "world"

    @mutation.field("greet")
    def greet(*_: object) -> str:
        feed.greetings += 1
        return "hello"

    @subscription.source("ticks")
    def listen(*_: object) -> AsyncGenerator[int, None]:
        return feed.ticks()

    @subscription.field("ticks")
    def tick(value: int, *_: object) -> int:
        if value < 0:
            raise GraphQLError("no tick")
        return value

    @subscription.source("denied")
    async def deny(*_: object) -> AsyncGenerator[int, None]:
        raise GraphQLError("denied")
        yield 0

    def on_connect(_socket: object, payload: Mapping[str, object] | None) -> None:
        if not feed.admits((payload or {}).get("Authorization")):
            raise WebSocketConnectionError({"message": "no entry"})

    handler = GraphQLTransportWSHandler if subprotocol == TRANSPORT_WS.subprotocol else GraphQLWSHandler
    schema = make_executable_schema(_SDL, query, mutation, subscription)
    return AriadneGraphQL(schema, websocket_handler=handler(on_connect=on_connect))


def _server(
    make: Callable[[Feed, str], Callable[..., Any]],
    subprotocol: str,
    preset: presets.Preset,
    refusal: tuple[int, str],
    *,
    queries: bool = True,
    survives_stop: bool = True,
) -> StockServer:
    return StockServer(subprotocol, preset, lambda feed: make(feed, subprotocol), refusal, queries, survives_stop)


_NEW, _OLD = TRANSPORT_WS.subprotocol, LEGACY.subprotocol
SERVERS: Mapping[str, StockServer] = {
    "strawberry": _server(make_strawberry, _NEW, presets.strawberry(), (4403, "Forbidden")),
    "strawberry-legacy": _server(make_strawberry, _OLD, presets.strawberry(), (1011, "no entry"), queries=False),
    "ariadne": _server(make_ariadne, _NEW, presets.bearer(), (1000, "")),
    # Ariadne 1.1 with graphql-core 3.3 ends the socket instead of the one subscription.
    "ariadne-legacy": _server(make_ariadne, _OLD, presets.bearer(), (1000, "no entry"), survives_stop=False),
}
