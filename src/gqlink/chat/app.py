"""The chat as an ASGI application; the only file that makes the parts and puts them together."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from gqlink.auth import ANONYMOUS, PasswordHasher, TokenSigner
from gqlink.chat.accounts import DEMO_PASSWORDS, Accounts
from gqlink.chat.administration import Administration
from gqlink.chat.context import ChatContext, SharedChatContext
from gqlink.chat.conversation import Conversation
from gqlink.chat.data import KEYS_FILE, prepare_directory
from gqlink.chat.database import database_url
from gqlink.chat.keys import load_signing_keys
from gqlink.chat.login import SessionPosts
from gqlink.chat.login_limit import LoginLimit
from gqlink.chat.login_metrics import LoginMetrics
from gqlink.chat.pages import page_routes
from gqlink.chat.post import Post
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.chat.resolvers import chat_schema
from gqlink.chat.revocation_store import SqlRevocationStore
from gqlink.chat.revocation_watch import RevocationWatch
from gqlink.chat.session_store import SessionStore
from gqlink.chat.sessions import Sessions
from gqlink.chat.store import Store
from gqlink.errors import StoreUnavailable, TokenExpired
from gqlink.pubsub import MemoryBroker
from gqlink.server import CrossOrigin, Doorkeeper, GraphQLApp, Playground

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from gqlink.auth import Authenticate, Credentials, Identity, SigningKey
    from gqlink.chat.settings import ChatSettings
    from gqlink.server import SocketEvent

ISSUER: Final = "gqlink-chat"


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the application is made of, besides its routes."""

    store: Store
    hasher: PasswordHasher
    accounts: Accounts
    sessions: SessionStore
    revocations: SqlRevocationStore
    broker: MemoryBroker
    conversation: Conversation


def create_app(settings: ChatSettings, *, on_socket_event: Callable[[SocketEvent], None] | None = None) -> Starlette:
    """Make the application: /graphql over HTTP and WebSocket, POST /login, /refresh and /logout, the page at /.

    Besides, GET /healthz and /metrics, and the playground where the settings want one.

    Reads the signing keys, or makes the first one; this is a short blocking read of one file. The database is opened
    and migrated when the application starts. An application is started once.

    Args:
        settings: What was chosen.
        on_socket_event: Called with each step in the life of a socket.

    Raises:
        DataUnusable: The data directory, the keys in it, or the database's URL cannot be used. At start-up, which is
            the lifespan's business, it says the same of the database.
    """
    prepare_directory(settings.data_dir)
    keys = load_signing_keys(settings.data_dir / KEYS_FILE)
    signer = TokenSigner(keys, issuer=ISSUER, audience=ISSUER, lifetime=settings.token_seconds)
    parts = _make_parts(settings)
    graphql = _make_graphql(settings, signer=signer, parts=parts, on_socket_event=on_socket_event)
    doorkeeper = Doorkeeper(settings.allowed_hosts, settings.origins)
    sessions = _make_sessions(settings, keys=keys, signer=signer, parts=parts, graphql=graphql)
    limit = LoginLimit()
    watch = RevocationWatch(parts.revocations, apply=graphql.apply_revocation)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # The watch begins before the server loads what was revoked until then: nothing falls between the two.
        async with _started(parts, demo=settings.demo), watch.running(), graphql.lifespan(app):
            yield

    routes = [
        *graphql.routes("/graphql"),
        graphql.metrics_route("/metrics", token=settings.metrics_token, collectors=[LoginMetrics(limit)]),
        *_session_routes(parts.accounts, sessions=sessions, limit=limit, doorkeeper=doorkeeper),
        *page_routes(settings, doorkeeper=doorkeeper),
        Route("/healthz", _health(parts.store)),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(CrossOrigin, doorkeeper=doorkeeper)], lifespan=lifespan)
    app.state.graphql = graphql  # whoever runs a server may want to end sockets before the server drops them
    return app


@asynccontextmanager
async def open_administration(settings: ChatSettings) -> AsyncIterator[Administration]:
    """Open accounts and sessions without a server, for whoever administers them; a running server notices by itself.

    Raises:
        DataUnusable: The data directory or the database cannot be used.
    """
    prepare_directory(settings.data_dir)
    parts = _make_parts(settings)
    async with _started(parts, demo=False):
        yield Administration(
            parts.store, accounts=parts.accounts, sessions=parts.sessions, revocations=parts.revocations
        )


def token_authentication(signer: TokenSigner, *, clock: Callable[[], float] = time.time) -> Authenticate:
    """Make the one coroutine that says whom credentials stand for: absent ones for nobody, others for their subject.

    A token counts no longer than one that the signer would make now. So a server that was started again with a shorter
    lifetime, or shares its database with one that has a longer, may forget a revocation when its own tokens are over.

    It raises `InvalidToken` or `TokenExpired`, and asks no database.
    """

    async def authenticate(credentials: Credentials) -> Identity:
        if credentials.token is None:
            return ANONYMOUS
        now = clock()
        return _shortened(signer.verify(credentials.token, now=now), lifetime=signer.lifetime, now=now)

    return authenticate


def _shortened(identity: Identity, *, lifetime: float, now: float) -> Identity:
    if identity.issued_at is None or identity.expires_at is None:
        return identity  # no token of ours
    end = identity.issued_at + lifetime
    if identity.expires_at <= end:
        return identity
    if end <= now:
        raise TokenExpired(expired_at=end)
    return replace(identity, expires_at=end)


def _make_parts(settings: ChatSettings) -> _Parts:
    store = Store(database_url(settings.data_dir, given=settings.database_url))
    hasher = PasswordHasher()
    broker = MemoryBroker()
    return _Parts(
        store=store,
        hasher=hasher,
        accounts=Accounts(store, hasher=hasher, demo=settings.demo),
        sessions=SessionStore(store),
        revocations=SqlRevocationStore(store, seconds=settings.revocation_seconds),
        broker=broker,
        conversation=Conversation(store, broker=broker),
    )


def _make_graphql(
    settings: ChatSettings,
    *,
    signer: TokenSigner,
    parts: _Parts,
    on_socket_event: Callable[[SocketEvent], None] | None,
) -> GraphQLApp:
    return GraphQLApp(
        chat_schema(),
        authenticate=token_authentication(signer),
        context=lambda identity, _: ChatContext(identity, parts.conversation),
        shared_context=lambda _: SharedChatContext(),
        broker=parts.broker,
        limits=settings.limits,
        allowed_origins=settings.origins,
        allowed_hosts=settings.allowed_hosts,
        debug=settings.debug,
        playground=settings.playground and _playground(settings),
        on_socket_event=on_socket_event,
        revocation_store=parts.revocations,
        revocation_seconds=settings.revocation_seconds,
    )


def _make_sessions(
    settings: ChatSettings,
    *,
    keys: Sequence[SigningKey],
    signer: TokenSigner,
    parts: _Parts,
    graphql: GraphQLApp,
) -> Sessions:
    async def revoke(session_id: str) -> None:
        await graphql.revoke(session=session_id)

    return Sessions(
        parts.sessions,
        accounts=parts.accounts,
        signer=signer,
        refresh_tokens=RefreshTokens(keys),
        revoke=revoke,
        token_lifetime=settings.token_seconds,
        lifetime=settings.session_lifetime,
    )


def _session_routes(
    accounts: Accounts, *, sessions: Sessions, limit: LoginLimit, doorkeeper: Doorkeeper
) -> list[BaseRoute]:
    posts = SessionPosts(accounts, sessions=sessions, limit=limit)
    answers = {"/login": posts.login, "/refresh": posts.refresh, "/logout": posts.logout}
    return [Route(path, Post(answer, doorkeeper=doorkeeper)) for path, answer in answers.items()]


def _playground(settings: ChatSettings) -> Playground:
    accounts = DEMO_PASSWORDS if settings.demo else {}
    return Playground(login="/login", refresh="/refresh", logout="/logout", accounts=accounts)


@asynccontextmanager
async def _started(parts: _Parts, *, demo: bool) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        # Closed from the last to the first: what has been said is still stored and heard.
        for part in (parts.store, parts.hasher, parts.broker, parts.conversation):
            stack.push_async_callback(part.aclose)
        await parts.store.open()
        if demo:
            await parts.accounts.seed_demo()
        yield


def _health(store: Store) -> Callable[[Request], object]:
    async def health(_: Request) -> JSONResponse:
        try:
            await store.check()
        except StoreUnavailable:
            return JSONResponse({"status": "unavailable"}, status_code=503, headers={"cache-control": "no-store"})
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    return health
