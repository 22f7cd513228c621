"""The application: one GraphQL schema over HTTP and WebSocket, for any ASGI server or framework."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from graphql import assert_valid_schema
from starlette.routing import Route, WebSocketRoute

from gqlink.protocol import CloseCode
from gqlink.pubsub import MemoryBroker, Topic
from gqlink.server.asgi_socket import serve_socket
from gqlink.server.authentication import Authentication
from gqlink.server.clock import SystemClock
from gqlink.server.execution import Execution
from gqlink.server.host import Host
from gqlink.server.http import serve_http
from gqlink.server.limits import Limits
from gqlink.server.masking import ErrorFormatter
from gqlink.server.origin import Doorkeeper
from gqlink.server.playground import Playground, playground_routes
from gqlink.server.tasks import wait_for_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from graphql import GraphQLSchema
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from gqlink.auth import Authenticate, Identity
    from gqlink.pubsub import Broker
    from gqlink.server.clock import Clock
    from gqlink.server.transport import SocketEvent, Transport

__all__ = ("GraphQLApp",)

_log = logging.getLogger("gqlink.server")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class GraphQLApp:
    """An ASGI application that serves one GraphQL schema, and knows who speaks.

    It needs no lifespan of its own: it starts with the first request, because a mounted application gets none. Put
    `lifespan` into the parent's, so that a shutdown ends subscriptions and waits for mutations.

    Args:
        schema: Any graphql-core schema.
        authenticate: Says whom credentials stand for; serves HTTP headers, a cookie, and `connection_init`. Raises
            `AuthError` for a bad credential, `AuthUnavailable` when it cannot tell.
        context: Builds `info.context` from identity and transport, sync or async; for each operation, and for each
            event of a subscription. Without it resolvers see a `Context`.
        broker: What `topic` speaks through; a `MemoryBroker` of its own when None.
        limits: What a client may make the server do or hold.
        allowed_origins: Origins of pages that may ask, beside the same origin; "http://localhost:*" means any port.
        allowed_hosts: Host names that this server answers to; "*" means every one.
        cookie: The name of a cookie that may carry a token; None for no cookie.
        debug: Introspection, suggestions in errors, the text of unexpected exceptions.
        playground: Let `routes` add a page to try the schema in, and allow introspection, which it needs. A
            `Playground` says how one signs in there.
        on_socket_event: Called with a `SocketEvent` for each step in the life of a socket.
        clock: The time; a test turns its hands.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        authenticate: Authenticate,
        context: Callable[[Identity, Transport], object] | None = None,
        broker: Broker | None = None,
        limits: Limits | None = None,
        allowed_origins: Sequence[str] = (),
        allowed_hosts: Sequence[str] = _LOOPBACK,
        cookie: str | None = None,
        debug: bool = False,
        playground: bool | Playground = False,
        on_socket_event: Callable[[SocketEvent], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        assert_valid_schema(schema)
        limits = limits or Limits()
        errors = ErrorFormatter(debug=debug)
        self._owns_broker = broker is None
        self.broker: Broker = MemoryBroker() if broker is None else broker
        self._playground = Playground() if playground is True else playground or None
        introspection = self._playground is not None
        self._host = Host(
            execution=Execution(schema, limits=limits, errors=errors, debug=debug, introspection=introspection),
            authentication=Authentication(authenticate, concurrency=limits.authentications),
            doorkeeper=Doorkeeper(tuple(allowed_hosts), tuple(allowed_origins)),
            errors=errors,
            limits=limits,
            clock=clock or SystemClock(),
            build_context=context,
            cookie=cookie,
            on_socket_event=on_socket_event,
        )

    @property
    def limits(self) -> Limits:
        """The bounds in force."""
        return self._host.limits

    def topic(self, name: str) -> Topic:
        """Return a topic of the application's broker: resolvers publish to it and return its `stream()`."""
        return Topic(self.broker, name)

    def routes(self, path: str = "/graphql") -> list[BaseRoute]:
        """Return routes for a Starlette or FastAPI application; a mount would redirect `path` to `path/`.

        Those of the playground, where there is one, are among them.
        """
        routes: list[BaseRoute] = [Route(path, self), WebSocketRoute(path, self)]
        if self._playground is not None:
            routes += playground_routes(self._playground, graphql=path, doorkeeper=self._host.doorkeeper)
        return routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        match scope["type"]:
            case "http":
                await serve_http(self._host, scope, receive, send)
            case "websocket":
                await serve_socket(self._host, scope, receive, send)
            case "lifespan":
                await self._serve_lifespan(receive, send)

    @asynccontextmanager
    async def lifespan(self, parent: object = None) -> AsyncIterator[None]:
        """Run the application's life inside the parent's: `Starlette(lifespan=app.lifespan)`.

        Args:
            parent: The parent application, which Starlette and FastAPI pass; not used.
        """
        del parent
        try:
            yield
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close every socket with 1012, end queries and subscriptions, and wait for mutations.

        Takes at most `execution_seconds`. Harmless to repeat; an application that was closed stays closed.
        """
        host = self._host
        host.closing = True
        sockets = list(host.listeners)
        for socket in sockets:
            socket.close(CloseCode.SERVICE_RESTART, "Service restart")
        host.queries.cancel_all()
        tasks = (host.queries.tasks | host.mutations.tasks).union(*(socket.tasks for socket in sockets))
        if not await wait_for_tasks(tasks, seconds=host.limits.execution_seconds):
            _log.error("operations did not end in time and are abandoned")
        if self._owns_broker:
            await self.broker.aclose()

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})
