"""GraphQL over WebSocket, in both subprotocols, with the present credential on every connection."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from gqlink.client.clock import SystemClock
from gqlink.client.keeper import Keeper
from gqlink.client.link import PLAIN
from gqlink.client.params import Params
from gqlink.client.refusals import refusals_of
from gqlink.client.request import read_request
from gqlink.client.retry import Retry
from gqlink.client.settings import LinkSettings
from gqlink.client.subscription import SocketSubscription
from gqlink.client.tokens import FunctionSource, TokenSource, as_token_source
from gqlink.client.tracing import trace_operation
from gqlink.errors import BadUserInput, OperationFailed, OutcomeUnknown, RemoteProtocolError
from gqlink.protocol import DIALECTS, ExecutionResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from gqlink.client.clock import Clock
    from gqlink.client.event import Event
    from gqlink.client.frames import OnFrame
    from gqlink.client.gaps import CatchUp, SubscribeOptions
    from gqlink.client.operations import Operation
    from gqlink.client.params import ConnectionParams, Headers
    from gqlink.client.request import Request
    from gqlink.client.state import LinkState
    from gqlink.client.tokens import Auth, Unsubscribe

__all__ = ("WebSocketLink",)

_SUBPROTOCOLS: Final = tuple(DIALECTS)
_RETRY: Final = Retry()


class WebSocketLink:
    """One socket for all operations, opened when it is needed and opened again when it was lost.

    What a connection presents is evaluated anew for every connection, before dialling. After a reconnection
    subscriptions are asked for again under fresh ids, from the last event on where the server can do that, and queries
    are sent again; a mutation that was written is never sent twice: it raises `OutcomeUnknown`. A credential that the
    server refused is not sent again: unless evaluating gives another one, everything that needs the connection raises
    `ConnectionRefused`.

    The credential is renewed between 65 and 80 % of its life, as the server tells it in its ack, or the token source:
    by a ping where the server offers it, otherwise by a second socket, which is acknowledged before the first one is
    closed; what runs is handed over. Neither can be noticed but in `state`. What fails is tried again as long as the
    old token lives. A mapping has nothing else to say, so with one there is no renewal.

    Args:
        url: A `ws:` or `wss:` URL.
        connection_params: The payload of `connection_init`: a mapping, which is what it says each time, or a function
            that is called at every connection, sync or async, without an argument or with one `Attempt`. Whether it
            takes one is looked at once, here. None sends no payload.
        auth: A token source or a function that returns a token or None. Its token is `attempt.token`; without
            `connection_params` the payload is `{"accessToken": token}`, null while there is none. When a token source
            says that the credential changed, the link follows.
        lazy: Connect with the first operation; otherwise when the client or the link is entered, and stay connected.
        reconnect: Connect again after a loss; otherwise operations raise `ConnectionLost`.
        idle_seconds: Close a lazy link's socket so long after its last operation ended; None for never.
        subprotocols: What to offer, preferred first. If the server accepts one and then rejects the first message
            (4400, 4406), or answers without any, another one is tried once, and remembered if it works.
        headers: For the handshake: a mapping, or a function called at every connection.
        retry: How long to wait before connecting again.
        connect_seconds: How long TCP, TLS and the handshake may take together.
        ack_seconds: How long the server may take from the handshake to `connection_ack`.
        ping_seconds: Ping a silent server so often, and give it as long to answer; None for never.
        buffer: How many events of a subscription may wait for their consumer, unless the subscription says so itself;
            its `overflow` says what happens to one more.
        overlap_seconds: For how long two sockets carry every subscription, where a renewal takes a second one. It must
            be longer than the server takes from being asked to a subscription that is live, and than an event takes to
            arrive: then none is lost, unless the first socket's line has died and nobody has noticed yet. Where our
            server ends the first one with its token, at most 80 % of what is left of that. See `Client.subscribe`,
            `key`.
        message_bytes: The most that one message from the server may have; more ends the connection with 1009.
        ssl_context: For `wss:`; None for the system's.
        proxy: The URL of an HTTP or SOCKS proxy.
        on_frame: Shown every frame, secrets redacted. What it raises is logged and ignored.
        on_state: Told of every change of `state`. What it raises is logged and ignored.
        clock: For tests.

    Raises:
        BadUserInput: An argument that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        connection_params: ConnectionParams | None = None,
        auth: Auth | None = None,
        lazy: bool = True,
        reconnect: bool = True,
        idle_seconds: float | None = 0.0,
        subprotocols: Sequence[str] = _SUBPROTOCOLS,
        headers: Headers | None = None,
        retry: Retry = _RETRY,
        connect_seconds: float = 10.0,
        ack_seconds: float = 10.0,
        ping_seconds: float | None = 20.0,
        buffer: int = 1000,
        overlap_seconds: float = 1.0,
        message_bytes: int = 10 * 1024 * 1024,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        on_frame: OnFrame | None = None,
        on_state: Callable[[LinkState], object] | None = None,
        clock: Clock | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname or parts.fragment:
            raise BadUserInput(f"a WebSocket link needs a ws: or wss: URL without a fragment, not {url!r}")
        if not 0 <= overlap_seconds < math.inf:
            raise BadUserInput("overlap_seconds must be a number of seconds, 0 or more")
        if not subprotocols or not set(subprotocols) <= set(DIALECTS):
            raise BadUserInput(f"subprotocols must be some of {', '.join(DIALECTS)}")
        clock = clock or SystemClock()
        self._url = url
        self._source = _source_of(auth, clock)
        self._lazy = lazy
        self._unsubscribe: Unsubscribe | None = None
        self._keeper = Keeper(
            LinkSettings(
                url=url,
                params=Params(connection_params, headers=headers, source=self._source),
                clock=clock,
                retry=retry,
                dialects=tuple(DIALECTS[name] for name in subprotocols),
                reconnect=reconnect,
                idle_seconds=idle_seconds,
                connect_seconds=connect_seconds,
                ack_seconds=ack_seconds,
                ping_seconds=ping_seconds,
                buffer=buffer,
                message_bytes=message_bytes,
                overlap_seconds=overlap_seconds,
                refusals=None if self._source is None else refusals_of(self._source),
                ssl_context=ssl_context,
                proxy=proxy,
                on_frame=on_frame,
                on_state=on_state,
            )
        )

    @property
    def state(self) -> LinkState:
        """What the link is doing now."""
        return self._keeper.state

    def open(self) -> None:
        """Connect now and stay connected, if the link is not lazy; it does not wait for the connection.

        Raises:
            ConnectionClosed: The link was closed.
        """
        if not self._lazy:
            self._follow()
            self._keeper.open()

    async def execute(self, request: Request, *, timeout: float | None = None) -> ExecutionResult:  # noqa: ASYNC109 -- see `Link`
        """Send an operation and wait for its first result; a caller that is cancelled ends it on the server too.

        Args:
            request: What it asks.
            timeout: For how many seconds to wait, a connection included; then the server is told to stop as well.

        Raises:
            TimeoutError: No answer came in time, to a query, or to a mutation that was not written.
            OperationFailed: The server refused the operation as a whole.
            OutcomeUnknown: A mutation was written, and its answer did not come in time, or before the connection's end.
            ConnectionEnded: There is no connection; the subclass says why, and whether trying again may help.
            RemoteProtocolError: The server broke the protocol.
            BadUserInput: The variables are not what JSON can express, or `connection_params` failed.
        """
        with trace_operation(request, self._url) as answered:
            return answered(await self._execute(request, timeout))

    async def _execute(self, request: Request, timeout: float | None) -> ExecutionResult:  # noqa: ASYNC109 -- see `Link`
        operation = self._start(request)
        try:
            async with asyncio.timeout(timeout):
                result = await operation.queue.get()
        except StopAsyncIteration:
            raise RemoteProtocolError("the server completed the operation without a result") from None
        except TimeoutError:
            if operation.once and operation.written:
                reason = f"no answer within {timeout:g} seconds"
                raise OutcomeUnknown(request.operation_name, reason=reason) from None
            raise
        finally:
            self._keeper.release(operation)
        assert isinstance(result, ExecutionResult), "only subscriptions have gaps"
        return result

    def subscribe(self, request: Request, options: SubscribeOptions = PLAIN) -> SocketSubscription:
        """Prepare a subscription; its iterator raises what `execute` raises, `SubscriberLagging`, `ContinuityLost`.

        Args:
            request: What it asks.
            options: What the subscriber wants beside events; `Client.subscribe` says what each means.
        """
        start = partial(self._start, request, options)
        return SocketSubscription(start=start, stop=self._keeper.stop, options=options, run=self._catch_up)

    async def credentials_changed(self) -> None:
        """Bring the connection to the credential that holds now.

        `connection_params` are evaluated again. If they give what the open socket presented, it is kept. Otherwise
        it is closed, and everything that runs goes on over a new one. Changes that come together are followed once.

        When it returns, the server has seen the old socket go, and the new one is acknowledged, or there is none and
        the next one will present the new credential. **No event that an older socket brought reaches a consumer after
        that**, unless the server says that both speak for the same subject: what waited in the buffers is discarded,
        with a line in the log. Mutations that the old socket had not answered raise `OutcomeUnknown`.

        Raises:
            ConnectionRefused: The server does not accept the new credential; running operations were told as well.
            GqlinkError: `connection_params` failed.
        """
        await self._keeper.credentials_changed()

    async def aclose(self) -> None:
        """End all operations with `ConnectionClosed` and the socket with 1000; it takes two seconds at most.

        What nobody has taken yet is discarded: a link that is closed hears of no logout any more.
        """
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        await self._keeper.aclose()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def _catch_up(self, catch_up: CatchUp, last: Event) -> object:
        """Run the query for what was missed, and return its data."""
        variables = catch_up.variables(last) if callable(catch_up.variables) else catch_up.variables
        result = await self.execute(read_request(catch_up.query, variables))
        if result.errors:
            raise OperationFailed(result.errors, data=result.data, extensions=result.extensions)
        return result.data

    def _start(self, request: Request, options: SubscribeOptions = PLAIN) -> Operation:
        operation = self._keeper.start(request, options)
        self._follow()
        return operation

    def _follow(self) -> None:
        """Listen to the token source from the first connection on."""
        if self._source is not None and self._unsubscribe is None:
            self._unsubscribe = self._source.subscribe(self._keeper.credential_changed)


def _source_of(auth: Auth | None, clock: Clock) -> TokenSource | None:
    """Return the token source; a function's tokens end on the link's own clock."""
    if auth is None:
        return None
    if callable(auth) and not isinstance(auth, TokenSource):
        return FunctionSource(auth, clock=clock)
    return as_token_source(auth)
