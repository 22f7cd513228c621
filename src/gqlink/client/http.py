"""GraphQL over HTTP.

Source: GraphQL over HTTP (draft), sections 5 and 6.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import httpx2
import msgspec

from gqlink.client.bearer import Bearer
from gqlink.client.http_client import http_client, no_answer
from gqlink.client.http_log import short_addresses
from gqlink.client.link import PLAIN
from gqlink.client.params import check_headers, evaluate_headers
from gqlink.client.proxy_url import check_http_proxy
from gqlink.client.quoting import conceal_request, quote_errors
from gqlink.client.request import OperationKind
from gqlink.client.tokens import as_token_source
from gqlink.client.tracing import trace_headers, trace_operation
from gqlink.errors import (
    AuthUnavailable,
    BadUserInput,
    ConnectionClosed,
    GqlinkError,
    OperationFailed,
    OutcomeUnknown,
    RequestFailed,
)
from gqlink.protocol import ExecutionResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from gqlink.client.clock import Clock
    from gqlink.client.gaps import SubscribeOptions
    from gqlink.client.link import Subscription
    from gqlink.client.params import Headers
    from gqlink.client.request import Request
    from gqlink.client.tokens import Auth

__all__ = ("HttpLink",)

_ACCEPT: Final = "application/graphql-response+json, application/json;q=0.9"
_RESULT: Final = msgspec.json.Decoder(ExecutionResult)
# With a body in GraphQL's form, too: it is the server as a whole that cannot now, not the operation that failed.
_TRY_LATER: Final = {httpx2.codes.TOO_MANY_REQUESTS, httpx2.codes.SERVICE_UNAVAILABLE}
# Nothing has been sent when one of these is raised.
_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class HttpLink:
    """One POST for each query or mutation; a second one where the token turned out to be of no use.

    A token that the server answers with 401 is remembered as refused and never sent again. If the source has another
    one, the operation is sent once more with it, mutations as well: 401 says that nothing was executed. It is not, if
    somebody logged in or out meanwhile, or `credentials_changed()` was called: what one person asked for is not done in
    the name of another.

    Args:
        url: An `http:` or `https:` URL.
        headers: A mapping, or a function called for every request, sync or async.
        auth: A token source or a function that returns a token or None; its token is asked for at every request and
            goes into `Authorization: Bearer`, unless `headers` has an `authorization` of its own.
        timeout: Seconds for each of connecting, writing, and waiting for the answer; None for ever.
        ssl_context: For `https:`; None for the system's.
        proxy: The URL of an HTTP proxy, or of a SOCKS5 one, which needs `pip install "httpx2[socks]"`; None for what
            the environment says (`HTTP_PROXY` and the like).
        transport: Instead of the network, such as `httpx2.ASGITransport(app)`.
        clock: For tests.

    Raises:
        BadUserInput: An argument that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Headers | None = None,
        auth: Auth | None = None,
        timeout: float | None = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadUserInput(f"an HTTP link needs an http: or https: URL, not {url!r}")
        check_http_proxy(proxy)
        self._url = url
        self._headers = headers
        self._bearer = None if auth is None else Bearer(as_token_source(auth), clock=clock)
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None
        self._closed = False

    def open(self) -> None:
        """Do nothing: there is no connection to keep."""

    async def execute(self, request: Request, *, timeout: float | None = None) -> ExecutionResult:  # noqa: ASYNC109 -- see `Link`
        """Send a query or a mutation and wait for its result, which may hold errors.

        Args:
            request: What it asks.
            timeout: For how many seconds to wait, all in all; None for what the link allows.

        Raises:
            TimeoutError: No answer came to a query in `timeout` seconds.
            RequestFailed: The answer is no GraphQL answer, or none came.
            OutcomeUnknown: A mutation was sent, and no answer came.
            AuthUnavailable: Another token is needed, and cannot be had now.
            SessionRevoked: The login ended before the operation was sent.
            OperationFailed: The token is one that the server has refused, and there is no other; nothing was sent.
            BadUserInput: The variables are not what JSON can express, or `headers` or `auth` failed.
            ConnectionClosed: The link was closed.
        """
        with trace_operation(request, self._url) as answered:
            return answered(await self._execute_within(timeout, request))

    async def _execute_within(self, timeout: float | None, request: Request) -> ExecutionResult:  # noqa: ASYNC109 -- see `Link`
        if timeout is None:
            return await self._execute(request)
        try:
            async with asyncio.timeout(timeout):
                return await self._execute(request)
        except TimeoutError:
            if request.kind is OperationKind.MUTATION:
                reason = f"no answer within {timeout:g} seconds"
                raise OutcomeUnknown(request.operation_name, reason=reason) from None
            raise

    async def _execute(self, request: Request) -> ExecutionResult:
        content = _encode(request)
        headers = await self._own_headers()
        if self._bearer is None or "authorization" in headers:
            return _read(await self._post(request, content, headers))
        changes = self._bearer.changes  # before the token is asked for, which may take a while
        token = await self._bearer.present()
        response = await self._post(request, content, headers | _authorization(token))
        if token is None or response.status_code != httpx2.codes.UNAUTHORIZED:
            return _read(response)
        fresh = await self._bearer.replace(token, error=_refusal(response))
        if fresh is None or changes != self._bearer.changes:
            return _read(response)
        response = await self._post(request, content, headers | _authorization(fresh))
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            self._bearer.refused(fresh, error=_refusal(response))
        return _read(response)

    def subscribe(self, request: Request, options: SubscribeOptions = PLAIN) -> Subscription:
        """Refuse: HTTP brings one answer.

        Raises:
            BadUserInput: Always.
        """
        del options
        raise BadUserInput(f"an HTTP link cannot carry a {request.kind}; split it off to a WebSocketLink")

    async def credentials_changed(self) -> None:
        """Take note that a bare function may speak for somebody else now: what was sent before is not sent again.

        Otherwise there is nothing to do, because every request asks for its credential.
        """
        if self._bearer is not None:
            self._bearer.changed()

    async def aclose(self) -> None:
        """Close the connections; requests that run fail."""
        self._closed = True
        if self._bearer is not None:
            self._bearer.close()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def _own_headers(self) -> dict[str, str]:
        """Return the headers without the source's token."""
        self._require_open()
        try:
            given = await evaluate_headers(self._headers)
        except GqlinkError:
            raise
        except (OSError, httpx2.TransportError) as exc:
            raise AuthUnavailable(f"headers: {type(exc).__name__}") from exc
        except Exception as exc:
            raise BadUserInput(f"headers raised {type(exc).__name__}") from exc
        check_headers(given)
        headers = trace_headers() | {name.lower(): value for name, value in given.items()}
        return headers | {"accept": _ACCEPT, "content-type": "application/json"}

    async def _post(self, request: Request, content: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        try:
            with short_addresses():
                return await self._open_client().post(self._url, content=content, headers=headers)
        except httpx2.TransportError as exc:
            raise _failure(exc, request, request_url=self._url) from exc
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            raise RequestFailed(f"{type(exc).__name__}: {exc}") from exc

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionClosed(None, "the link was closed")

    def _open_client(self) -> httpx2.AsyncClient:
        self._require_open()
        if self._client is None:
            self._client = http_client(
                timeout=self._timeout, ssl_context=self._ssl_context, proxy=self._proxy, transport=self._transport
            )
        return self._client


def _encode(request: Request) -> bytes:
    message = request.message
    members = {"query": message.query, "variables": message.variables, "operationName": message.operation_name}
    try:
        return msgspec.json.encode({name: value for name, value in members.items() if value is not None})
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise BadUserInput("variables must be values that JSON can express") from exc


def _failure(exc: httpx2.TransportError, request: Request, *, request_url: str) -> GqlinkError:
    """Say what is known of a request without an answer."""
    if request.kind is OperationKind.MUTATION and not isinstance(exc, _NOT_SENT):
        return OutcomeUnknown(request.operation_name, reason=type(exc).__name__)
    return no_answer(request_url, exc)


def _authorization(token: str | None) -> dict[str, str]:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    check_headers(headers)
    return headers


def _read(response: httpx2.Response) -> ExecutionResult:
    """Read a GraphQL answer, whatever the status; 401 and 400 carry one as well."""
    try:
        result = _RESULT.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestFailed(_describe(response), status=response.status_code) from None
    if result.data is None and not result.errors:
        raise RequestFailed(_describe(response), status=response.status_code)
    if result.errors:
        conceal_text = partial(conceal_request, request=response.request)
        result = ExecutionResult(result.data, quote_errors(result.errors, conceal_text), result.extensions)
    if result.data is None and result.errors and response.status_code in _TRY_LATER:
        raise RequestFailed(str(OperationFailed(result.errors)), status=response.status_code)
    return result


def _refusal(response: httpx2.Response) -> GqlinkError:
    """Return what the next user of a refused token is told."""
    try:
        result = _read(response)
    except RequestFailed as exc:
        return exc
    return OperationFailed(result.errors or [], data=result.data, extensions=result.extensions)


def _describe(response: httpx2.Response) -> str:
    kind = response.headers.get("content-type", "nothing").partition(";")[0]
    return f"the answer is not GraphQL but {kind}"
