"""GraphQL over HTTP: POST for everything, GET for queries and event streams, one answer each.

Where the client takes events, and for a subscription, the answer is an event stream; see asgi_event_stream.py.

Source: GraphQL over HTTP (draft), sections 5 and 6.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from gqlink.errors import (
    AuthError,
    AuthUnavailable,
    LimitExceeded,
    LoginRequired,
    PermissionDenied,
    SessionRevoked,
    TokenExpired,
)
from gqlink.server.admission import RETRY_SECONDS
from gqlink.server.asgi_event_stream import EventStreamAnswer, refused_in_events
from gqlink.server.documents import is_mutation, is_subscription
from gqlink.server.executor import Unbegun
from gqlink.server.expiry import accept
from gqlink.server.handshake import credentials_of, facts_of, peer_of, refusal_of
from gqlink.server.http_request import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    JSON,
    BadRequest,
    accepts_events,
    negotiate,
    read_body,
    read_query_string,
    read_request,
)
from gqlink.server.observing import Observation
from gqlink.server.policy import authorize
from gqlink.server.results import RequestError, encode_request_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from starlette.types import Receive, Scope, Send

    from gqlink.auth import Identity
    from gqlink.protocol import Request
    from gqlink.server.expiry import Expiry
    from gqlink.server.host import Host
    from gqlink.server.operation import Operation
    from gqlink.server.tasks import TaskSet
    from gqlink.server.transport import Transport

__all__ = ("serve_http",)

_ALWAYS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


async def serve_http(host: Host, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one HTTP request."""
    http = HttpRequest(scope, receive)
    try:
        with host.admission.request():
            response = await _respond(host, http)
            if isinstance(response, Response):
                await response(scope, receive, send)
                return
    except ClientDisconnect:
        return  # nobody is left to answer
    except LimitExceeded as exc:
        response = _failed(host, _full(exc), media_type=JSON)
    # Also what is answered for hours, which has a place of its own.
    await response(scope, receive, send)


async def _respond(host: Host, http: HttpRequest) -> Response | EventStreamAnswer:
    """Turn whatever happens into an answer; the media type falls back to JSON where none was agreed on."""
    media_type = JSON
    try:
        _check_door(host, http)
        media_type = negotiate(",".join(http.headers.getlist("accept")))
        request = await _read(host, http)
        standing = await _identify(host, http)
        return await _execute(host, http, request, standing, media_type)
    except BadRequest as exc:
        return _failed(host, exc, media_type=media_type)
    except AuthError as exc:
        return _failed(host, _refused(host, exc, client=peer_of(http.scope)), media_type=media_type)
    except AuthUnavailable as exc:
        return _failed(host, _unavailable(exc.retry_after), media_type=media_type)
    except RequestError as exc:
        return _not_executed(exc, media_type=media_type)
    except ClientDisconnect:
        raise
    except Exception as exc:  # noqa: BLE001 -- a bug of ours; its text is for the log
        body = msgspec.json.encode({"errors": [host.errors.format(exc)]})
        return _answer(500, body, media_type=media_type)


def _check_door(host: Host, http: HttpRequest) -> None:
    refusal = refusal_of(host, http.scope)
    if refusal is not None:
        raise BadRequest(refusal.status, refusal.message, code="FORBIDDEN")
    if host.closing:
        raise _restarting()


async def _read(host: Host, http: HttpRequest) -> Request:
    match http.method:
        case "POST":
            limits = host.limits
            body = await read_body(http, max_bytes=limits.message_bytes, seconds=limits.init_seconds)
            return read_request(body)
        case "GET":
            allowed, actual = host.limits.message_bytes, len(http.scope["query_string"])
            if actual > allowed:
                raise BadRequest.over(LimitExceeded("message_bytes", allowed=allowed, actual=actual), status=414)
            return read_query_string(http.query_params)
        case _:
            raise BadRequest(405, "Use POST, or GET for a query.", headers={"allow": "GET, POST"})


class Standing:
    """Whom a request speaks for; looked at again whenever something depends on it.

    Args:
        host: What the application shares between all transports.
        identity: As the application has said.

    Raises:
        AuthError: It was revoked, or has ended, whether the application has looked or not.
        AuthUnavailable: It cannot be said when it ends.
    """

    def __init__(self, host: Host, identity: Identity) -> None:
        self.identity = identity
        self._host = host
        self._expiry = accept(host, identity)

    @property
    def expiry(self) -> Expiry | None:
        """When it ends; None for never."""
        return self._expiry

    def require(self) -> None:
        """Let what depends on it happen.

        Raises:
            AuthError: It was revoked, or has ended, in the meantime.
        """
        if self._host.revocations.denies(self.identity):
            raise SessionRevoked("denied during a request")
        if self._expiry is not None and self._expiry.passed(self._host.clock):
            raise TokenExpired("past its end during a request", expired_at=self._expiry.expires_at)


async def _identify(host: Host, http: HttpRequest) -> Standing:
    try:
        standing = await _stand(host, http)
    except (AuthError, AuthUnavailable) as exc:
        host.meter.not_authenticated("http", exc)
        raise
    host.meter.authenticated("http", standing.identity)
    return standing


async def _stand(host: Host, http: HttpRequest) -> Standing:
    credentials = credentials_of(host, http.scope)
    try:
        return Standing(host, await host.authentication.identify(credentials, seconds=host.limits.init_seconds))
    except TimeoutError as exc:
        host.meter.refuse("init_seconds")
        raise AuthUnavailable("it takes too long") from exc


def _refused(host: Host, exc: AuthError, *, client: str | None) -> BadRequest:
    text, reason = "a credential was refused: %s", exc.reason
    host.throttle.log("credential_refused", text, exc, sort=reason, reason=reason, client=client)
    challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
    return BadRequest(exc.status, exc.reason, code=exc.extension_code, headers=challenge)


def _unavailable(retry_after: float) -> BadRequest:
    return _try_again("Who you are cannot be found out at the moment; try again later.", seconds=retry_after)


def _full(exceeded: LimitExceeded) -> BadRequest:
    return BadRequest.over(exceeded, status=503, headers={"retry-after": str(RETRY_SECONDS)})


def _restarting() -> BadRequest:
    return _try_again("The server restarts; try again later.", seconds=1.0)


def _try_again(message: str, *, seconds: float) -> BadRequest:
    headers = {"retry-after": str(max(1, round(seconds)))}
    return BadRequest(503, message, code="INTERNAL_SERVER_ERROR", headers=headers)


class NotExecuted(RequestError):
    """The one who asked lost their standing before anything of theirs was executed.

    Args:
        cause: How.
    """

    def __init__(self, cause: AuthError) -> None:
        super().__init__([])
        self.cause = cause


async def _execute(
    host: Host, http: HttpRequest, request: Request, standing: Standing, media_type: str
) -> Response | EventStreamAnswer:
    try:
        operation = host.execution.prepare(request)
    except RequestError:
        host.meter.rejected("event_stream" if media_type == EVENT_STREAM else "http")
        raise
    if is_mutation(operation.node) and http.method == "GET":
        raise BadRequest(405, "A mutation needs a POST.", headers={"allow": "POST"})
    if media_type == EVENT_STREAM or is_subscription(operation.node):
        return _stream(host, http, operation, standing)
    transport, identity = facts_of(http.scope), standing.identity
    with Observation(host, operation, transport=transport, label="http", identity=identity):
        try:
            payload = await _run(host, http, operation, _context(host, transport, operation, standing))
        except NotExecuted as exc:
            raise exc.cause from None
        if not is_mutation(operation.node):
            # A mutation has taken effect, and its client must know: to be told 401 would be to be told that it has not.
            payload = _still_allowed(host, operation, standing, payload)
    return _answer(200, payload, media_type=media_type)


def _stream(host: Host, http: HttpRequest, operation: Operation, standing: Standing) -> EventStreamAnswer:
    """Answer with events, to whoever stands as they do in this very step."""
    if not accepts_events(",".join(http.headers.getlist("accept"))):
        message = f"A subscription needs a WebSocket, or Accept: {EVENT_STREAM}."
        raise BadRequest(400, message, code="BAD_USER_INPUT")
    if host.closing:
        raise _restarting()
    return EventStreamAnswer(host, operation, identity=standing.identity, expiry=standing.expiry)


def _still_allowed(host: Host, operation: Operation, standing: Standing, payload: bytes) -> bytes:
    """Return a query's answer, or what stands in its place when the policy has changed its mind.

    Raises:
        AuthError: The credential was revoked, or has ended, in the meantime.
    """
    try:
        authorize(host.policy, standing.identity, operation)
    except (LoginRequired, PermissionDenied) as exc:
        payload = msgspec.json.encode({"data": None, "errors": [host.errors.format(exc)]})
    standing.require()
    return payload


def _context(host: Host, transport: Transport, operation: Operation, standing: Standing) -> Callable[[], object]:
    """Build what resolvers see, for somebody who may ask, in the step in which execution begins.

    What the policy raises becomes the operation's answer, like what a resolver raises. What is returned is an awaitable
    only where the application's own context is one.
    """

    def look() -> None:
        _require(standing)
        if authorize(host.policy, standing.identity, operation):
            _require(standing)  # the policy's hook may have taken its time

    async def wait(context: Awaitable[object]) -> object:
        built = await context
        look()
        return built

    def build() -> object:
        look()
        context = host.context(standing.identity, transport)
        return Unbegun(wait(context), context) if inspect.isawaitable(context) else context

    return build


def _require(standing: Standing) -> None:
    try:
        standing.require()
    except AuthError as exc:
        raise NotExecuted(exc) from exc


async def _run(host: Host, http: HttpRequest, operation: Operation, context: Callable[[], object]) -> bytes:
    """Run an operation while the client is there; one who leaves ends a query, never a mutation."""
    if is_mutation(operation.node):
        return await _wait(host, http, host.mutations, host.execution.run(operation, context))
    # It needs a task of its own, and somebody to see whether the client leaves, only once it waits for something.
    begun = host.execution.begin(operation, context)
    return begun if isinstance(begun, bytes) else await _wait(host, http, host.queries, begun)


async def _wait(host: Host, http: HttpRequest, owner: TaskSet, running: Coroutine[Any, Any, bytes]) -> bytes:
    work = owner.spawn(running, name="gqlink http operation", report=False)
    leaving = host.queries.spawn(_wait_disconnect(http), name="gqlink http disconnect")
    try:
        await asyncio.wait([work, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and owner is host.mutations:
            # Whoever stops the server waits for this request, and so for what it began.
            await asyncio.wait([work])
        if not work.done():
            raise ClientDisconnect
        if work.cancelled():
            raise _restarting()
        return work.result()
    finally:
        host.queries.cancel(leaving)
        host.queries.cancel(work)


async def _wait_disconnect(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _not_executed(failure: RequestError, *, media_type: str) -> Response:
    body = encode_request_error(failure)
    if media_type == EVENT_STREAM:
        return refused_in_events(body)
    # The draft wants 400; clients older than its media type take anything but 200 for a broken server.
    return _answer(400 if media_type == GRAPHQL_RESPONSE else 200, body, media_type=media_type)


def _failed(host: Host, failure: BadRequest, *, media_type: str) -> Response:
    error: dict[str, object] = {"message": failure.message, "extensions": {"code": failure.code}}
    if failure.exceeded is not None:
        error = host.errors.format(failure.exceeded)  # with its details, and counted
    body = msgspec.json.encode({"errors": [error]})
    return _answer(failure.status, body, media_type=media_type, headers=failure.headers)


def _answer(status: int, body: bytes, *, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    # Who takes nothing but events still gets a status with its reason as JSON: it is no event of theirs.
    media_type = JSON if media_type == EVENT_STREAM else media_type
    return _Answer(status, body, media_type=media_type, headers=headers or {})


class _Answer(Response):
    """One whose head need not be put together anew.

    Args:
        status: The HTTP status.
        body: JSON, in UTF-8.
        media_type: One that we can write.
        headers: Further ones, in lower case.
    """

    def __init__(self, status: int, body: bytes, *, media_type: str, headers: Mapping[str, str]) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [
            (b"content-type", b"%b; charset=utf-8" % media_type.encode()),
            *_ALWAYS,
            *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
            (b"content-length", b"%d" % len(body)),
        ]
