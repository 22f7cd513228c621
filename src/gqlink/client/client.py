"""The client: operations in, data out, over whatever link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit, urlunsplit

from gqlink.client.http import HttpLink
from gqlink.client.request import is_subscription, read_request
from gqlink.client.split import split
from gqlink.client.tokens import as_token_source
from gqlink.client.websocket import WebSocketLink
from gqlink.errors import BadUserInput, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqlink.client.frames import OnFrame
    from gqlink.client.link import EventKey, Link, Subscription, WhenAnonymous
    from gqlink.client.state import OnState
    from gqlink.client.tokens import Auth

__all__ = ("Client",)

_WHEN_ANONYMOUS: Final = ("run", "hold")
_SCHEMES = {"http": ("http", "ws"), "ws": ("http", "ws"), "https": ("https", "wss"), "wss": ("https", "wss")}


class Client:
    """Executes and subscribes; an async context manager that closes what it used.

    Args:
        target: A link, or a URL (`http:`, `https:`, `ws:`, `wss:`) under which the server takes both HTTP and
            WebSocket: then queries and mutations go over HTTP, subscriptions over one lazy WebSocket.
        auth: With a URL: a token source or a function that returns a token or None. HTTP carries it as
            `Authorization: Bearer`, the socket as `{"accessToken": token}`. Links are told themselves.
        on_frame: With a URL: shown every frame of the socket; see `WebSocketLink`.
        on_state: With a URL: told of every change of the socket's state; see `WebSocketLink`.

    Raises:
        BadUserInput: The URL cannot be used, or one of the others was given beside a link.
    """

    def __init__(
        self,
        target: str | Link,
        *,
        auth: Auth | None = None,
        on_frame: OnFrame | None = None,
        on_state: OnState | None = None,
    ) -> None:
        if isinstance(target, str):
            self._link = _links_to(target, auth, on_frame, on_state)
        elif auth is None and on_frame is None and on_state is None:
            self._link = target
        else:
            raise BadUserInput("auth, on_frame and on_state go to the links where the target is a link")

    async def execute(
        self, query: str, variables: Mapping[str, object] | None = None, operation_name: str | None = None
    ) -> object:
        """Execute a query or a mutation.

        Args:
            query: The GraphQL document.
            variables: Values that JSON can express.
            operation_name: Needed where the document holds several operations.

        Returns:
            The response's `data`, such as {"messages": [...]}.

        Raises:
            OperationFailed: The answer holds errors; the exception holds them, and `data` if some came.
            OutcomeUnknown: A mutation was sent, and no answer came.
            RequestFailed: HTTP brought no GraphQL answer.
            ConnectionEnded: The WebSocket could not carry it; the subclass says why.
            BadUserInput: The operation name, the variables or the kind of the operation do not fit.
        """
        request = read_request(query, variables, operation_name)
        if is_subscription(request):
            raise BadUserInput("a subscription is not executed: use subscribe()")
        result = await self._link.execute(request)
        if result.errors:
            raise OperationFailed(result.errors, data=result.data, extensions=result.extensions)
        return result.data

    def subscribe(
        self,
        query: str,
        variables: Mapping[str, object] | None = None,
        operation_name: str | None = None,
        *,
        key: EventKey | None = None,
        when_anonymous: WhenAnonymous = "run",
    ) -> Subscription:
        """Subscribe; `async with client.subscribe(...) as events: async for event in events: ...`.

        Entering it waits until the server has been asked, so that what comes next, such as a mutation over HTTP, is
        not missed; while the server cannot be reached, that is until it can. It may also be iterated over directly:
        then it starts with the first event that is asked for.

        Args:
            query: The GraphQL document.
            variables: Values that JSON can express.
            operation_name: Needed where the document holds several operations.
            key: Tells its events apart: a function from an `Event` to something hashable, such as a message's id. Where
                a renewal takes a second socket (a server other than ours, or the legacy subprotocol), both bring every
                event for a while; with a key none of them comes twice, without one some may. None is ever lost there.
            when_anonymous: "run" asks the server whoever is logged in, and nobody too. With "hold" nothing is asked
                while nobody is: entering it returns at once, it starts when somebody logs in, rests without an error
                from a logout to the next login, and a link on which nothing else runs does not even connect.

        Returns:
            Events. The iterator raises `OperationFailed` if the server refuses the subscription, `SubscriberLagging`
            if the consumer is too slow, and `ConnectionEnded` if there is no connection and will be none.

        Raises:
            OperationFailed: The document has a syntax error.
            BadUserInput: The document asks for no subscription, the link cannot carry it, or `when_anonymous` is
                neither of the two.
        """
        request = read_request(query, variables, operation_name)
        if not is_subscription(request):
            raise BadUserInput(f"a {request.kind} is not subscribed to: use execute()")
        if when_anonymous not in _WHEN_ANONYMOUS:
            raise BadUserInput(f"when_anonymous must be 'run' or 'hold', not {when_anonymous!r}")
        return self._link.subscribe(request, key=key, when_anonymous=when_anonymous)

    async def credentials_changed(self) -> None:
        """Say that a bare function would give another credential now; see `WebSocketLink.credentials_changed`.

        A token source such as `PasswordLogin` says it by itself.

        Raises:
            ConnectionRefused: The server does not accept the new credential.
        """
        await self._link.credentials_changed()

    async def aclose(self) -> None:
        """Close the link; harmless when it is closed."""
        await self._link.aclose()

    async def __aenter__(self) -> Self:
        self._link.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()


def _links_to(url: str, auth: Auth | None, on_frame: OnFrame | None, on_state: OnState | None) -> Link:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise BadUserInput(f"a client needs an http:, https:, ws: or wss: URL, not {url!r}")
    http, websocket = (urlunsplit(parts._replace(scheme=scheme)) for scheme in _SCHEMES[parts.scheme])
    # One source for both: what HTTP learns of a token, the socket knows.
    source = None if auth is None else as_token_source(auth)
    socket = WebSocketLink(websocket, auth=source, on_frame=on_frame, on_state=on_state)
    return split(is_subscription, socket, HttpLink(http, auth=source))
