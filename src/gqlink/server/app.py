"""The application: one GraphQL schema over HTTP and WebSocket, for any ASGI server or framework."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from graphql import assert_valid_schema
from starlette.routing import Route, WebSocketRoute

from gqlink.auth import Revocation
from gqlink.protocol import CloseCode
from gqlink.pubsub import MemoryBroker, Topic
from gqlink.server.asgi_socket import serve_socket
from gqlink.server.authentication import Authentication
from gqlink.server.clock import SystemClock
from gqlink.server.cors import CrossOrigin
from gqlink.server.execution import Execution
from gqlink.server.host import Host
from gqlink.server.http import serve_http
from gqlink.server.limits import Limits
from gqlink.server.logbook import Throttle, log_event
from gqlink.server.masking import ErrorFormatter
from gqlink.server.origin import Doorkeeper
from gqlink.server.playground import Playground, playground_routes
from gqlink.server.revocations import Revocations
from gqlink.server.schema_names import SchemaNames
from gqlink.server.statistics import Meter
from gqlink.server.tasks import wait_for_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from graphql import GraphQLSchema
    from prometheus_client.registry import Collector
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from gqlink.auth import Authenticate, Identity, Token
    from gqlink.pubsub import Broker
    from gqlink.server.clock import Clock
    from gqlink.server.policy import Policy
    from gqlink.server.revocations import RevocationStore
    from gqlink.server.speaker import Speaker
    from gqlink.server.statistics import ServerStatistics
    from gqlink.server.transport import SocketEvent, Transport

__all__ = ("GraphQLApp",)

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MONTH = 30 * 24 * 3600.0
_RESERVED = "gqlink:"


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
        shared_context: Builds `info.context` from a share key, sync or async, for events that are executed once for
            everybody who gets the same: those of a `topic.stream(share_key=…)`. It never learns who they are. Without
            it nothing is shared.
        broker: What `topic` speaks through; a `MemoryBroker` of its own when None.
        limits: What a client may make the server do or hold.
        allowed_origins: Origins of pages that may ask, beside the same origin; "http://localhost:*" means any port.
            Their browsers are told so (CORS).
        allowed_hosts: Host names that this server answers to; "*" means every one.
        cookie: The name of a cookie that may carry a token; None for no cookie.
        debug: Introspection, suggestions in errors, the text of unexpected exceptions.
        playground: Let `routes` add a page to try the schema in, and allow introspection, which it needs. A
            `Playground` says how one signs in there.
        on_socket_event: Called with a `SocketEvent` for each step in the life of a socket.
        policy: Says what an identity may do, and which events it may get: at the start of every operation, and with
            each event of a subscription, after the schema's directives. Without it everything is allowed that these
            and the resolvers allow.
        revocation_store: Where revocations outlive the process; without it they hold until it ends.
        revocation_seconds: How long a revocation is remembered; at least as long as any credential may live.
        direct: Take sockets over from a server that offers it, so that one that is idle costs no task and no queue:
            uvicorn with `--ws gqlink.server.uvicorn_socket:DirectWebSocket`, and `gqlink serve`. Middleware sees
            their handshake, and nothing after it; False leaves them to `receive` and `send`, as on any other server.
        clock: The time; a test turns its hands.

    Raises:
        TypeError: The schema is not valid, or a directive of `AUTHORIZATION_DIRECTIVES` is not declared or used as it
            is defined.
        ValueError: `revocation_seconds` is not greater than 0; an allowed host or origin is none.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        authenticate: Authenticate,
        context: Callable[[Identity, Transport], object] | None = None,
        shared_context: Callable[[str], object] | None = None,
        broker: Broker | None = None,
        limits: Limits | None = None,
        allowed_origins: Sequence[str] = (),
        allowed_hosts: Sequence[str] = _LOOPBACK,
        cookie: str | None = None,
        debug: bool = False,
        playground: bool | Playground = False,
        on_socket_event: Callable[[SocketEvent], None] | None = None,
        policy: Policy | None = None,
        revocation_store: RevocationStore | None = None,
        revocation_seconds: float = _MONTH,
        direct: bool = True,
        clock: Clock | None = None,
    ) -> None:
        assert_valid_schema(schema)
        limits = limits or Limits()
        clock = clock or SystemClock()
        meter = Meter()
        throttle = Throttle(clock)
        self._owns_broker = broker is None
        self.broker: Broker = MemoryBroker() if broker is None else broker
        self._playground = Playground() if playground is True else playground or None
        introspection = self._playground is not None
        names = None if debug or introspection else SchemaNames(schema)
        errors = ErrorFormatter(debug=debug, names=names, on_limit=meter.refuse, on_masked=meter.mask)
        listeners: set[Speaker] = set()
        revocations = Revocations(
            listeners,
            broker=self.broker,
            store=revocation_store,
            clock=clock,
            remember_seconds=revocation_seconds,
        )
        self._host = Host(
            execution=Execution(schema, limits=limits, errors=errors, debug=debug, introspection=introspection),
            authentication=Authentication(
                authenticate, concurrency=limits.authentications, ready=revocations.ready, throttle=throttle
            ),
            doorkeeper=Doorkeeper(tuple(allowed_hosts), tuple(allowed_origins)),
            errors=errors,
            limits=limits,
            clock=clock,
            build_context=context,
            cookie=cookie,
            on_socket_event=on_socket_event,
            listeners=listeners,
            revocations=revocations,
            policy=policy,
            meter=meter,
            throttle=throttle,
            shared_context=shared_context,
            direct=direct,
            alone=isinstance(self.broker, MemoryBroker),
        )
        self._http = CrossOrigin(
            partial(serve_http, self._host), doorkeeper=self._host.doorkeeper, credentials=cookie is not None
        )

    @property
    def limits(self) -> Limits:
        """The bounds in force."""
        return self._host.limits

    def topic(self, name: str) -> Topic:
        """Return a topic of the application's broker: resolvers publish to it and return its `stream()`.

        Raises:
            ValueError: The name begins with "gqlink:". On such topics nodes give each other orders: a name that a
                client had a say in must not lead there.
        """
        if name.startswith(_RESERVED):
            raise ValueError(f"topics that begin with {_RESERVED!r} are gqlink's own")
        return Topic(self.broker, name)

    async def revoke(
        self, *, subject: str | None = None, session: str | None = None, token_id: str | None = None
    ) -> None:
        """Refuse credentials from now on, on every node, and close their sockets with 4403 "Session revoked".

        On this node it holds when the call first waits; on others as soon as the broker brings it. Harmless to
        repeat. A subject may log in again at once: what is issued from now on counts.

        Args:
            subject: All that was issued to this account until now.
            session: All that belongs to this login.
            token_id: This one credential.

        Raises:
            ValueError: Not exactly one of the three, or an empty one; nothing was done.
            AuthUnavailable: It holds on this node, but the store or the broker failed, so it may not outlive the
                process or not hold elsewhere. Both were tried. Call again.
        """
        revocations = self._host.revocations
        moment = revocations.moment(subject)
        await revocations.revoke(Revocation(subject=subject, session=session, token_id=token_id, revoked_at=moment))

    def apply_revocation(self, revocation: Revocation) -> None:
        """Apply, on this node, an order that came another way, such as one found in a database; it goes no further.

        To be called in the application's event loop.
        """
        self._host.revocations.apply(revocation)

    async def recheck(self, subject: str | None = None) -> None:
        """Ask the policy again about every live operation, on every node; what it no longer allows ends.

        Args:
            subject: Whose operations; None for everybody's.

        Raises:
            AuthUnavailable: It was done on this node, but other nodes could not be told.
        """
        await self._host.revocations.recheck(subject)

    def statistics(self) -> ServerStatistics:
        """Say how many sockets and operations there are, how sockets ended, and what waits to be sent.

        To be called in the application's event loop. Asking costs a microsecond per operation; counting, nothing that
        one could measure.
        """
        return self._host.statistics()

    def routes(self, path: str = "/graphql") -> list[BaseRoute]:
        """Return routes for a Starlette or FastAPI application; a mount would redirect `path` to `path/`.

        Those of the playground, where there is one, are among them.
        """
        routes: list[BaseRoute] = [Route(path, self), WebSocketRoute(path, self)]
        if self._playground is not None:
            routes += playground_routes(self._playground, graphql=path, doorkeeper=self._host.doorkeeper)
        return routes

    def metrics_route(
        self, path: str = "/metrics", *, token: Token | str | None = None, collectors: Sequence[Collector] = ()
    ) -> BaseRoute:
        """Return a route that tells Prometheus what the application does, beside those of `routes`.

        It answers peers on a loopback address that no proxy speaks for, and whoever brings the token.

        Args:
            path: Where; not under that of GraphQL.
            token: What is brought as `Authorization: Bearer …`, at least 16 characters; None for this machine only.
            collectors: Of prometheus-client, with metrics of the application's own; asked in its event loop.

        Raises:
            MissingExtra: prometheus-client is not installed: `gqlink[metrics]`.
            ValueError: The token is too short.
        """
        from gqlink.server.metrics_endpoint import MetricsEndpoint

        return Route(path, MetricsEndpoint(self._host, token=token, collectors=collectors))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
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
        self._host.revocations.start()
        try:
            yield
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close every socket with 1012, end queries, subscriptions and event streams, and wait for mutations.

        Takes at most `execution_seconds`. Harmless to repeat; an application that was closed stays closed.
        """
        host = self._host
        host.closing = True
        speakers = list(host.listeners)
        for speaker in speakers:
            speaker.close(CloseCode.SERVICE_RESTART, "Service restart")
        host.queries.cancel_all()
        tasks = (host.queries.tasks | host.mutations.tasks | host.revocations.tasks | host.shared_runs.tasks).union(
            *(speaker.tasks for speaker in speakers)
        )
        if not await wait_for_tasks(tasks, seconds=host.limits.execution_seconds):
            log_event("not_stopped", "operations did not end in time and are abandoned")
        await host.revocations.aclose()
        if self._owns_broker:
            await self.broker.aclose()

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._host.revocations.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})
