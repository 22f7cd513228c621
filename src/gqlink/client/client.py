"""The client: operations in, data out, over whatever link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit, urlunsplit

from gqlink.client.gaps import SubscribeOptions
from gqlink.client.http import HttpLink
from gqlink.client.request import is_subscription, read_request
from gqlink.client.split import split
from gqlink.client.tokens import as_token_source
from gqlink.client.websocket import WebSocketLink
from gqlink.errors import BadUserInput, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gqlink.client.event import Event
    from gqlink.client.frames import OnFrame
    from gqlink.client.gaps import CatchUp, EventKey, OnGap, Overflow, WhenAnonymous
    from gqlink.client.link import Link, Subscription
    from gqlink.client.state import OnState
    from gqlink.client.tokens import Auth

__all__ = ("Client",)

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
        self,
        query: str,
        variables: Mapping[str, object] | None = None,
        operation_name: str | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 -- it tells the server to stop as well
    ) -> object:
        """Execute a query or a mutation.

        Args:
            query: The GraphQL document.
            variables: Values that JSON can express.
            operation_name: Needed where the document holds several operations.
            timeout: For how many seconds to wait, a connection included; None for as long as it takes. Over a WebSocket
                the server is told to stop, as it is when the caller is cancelled.

        Returns:
            The response's `data`, such as {"messages": [...]}.

        Raises:
            TimeoutError: No answer came within `timeout` seconds, to a query, or to a mutation that was not sent.
            OperationFailed: The answer holds errors; the exception holds them, and `data` if some came.
            OutcomeUnknown: A mutation was sent, and no answer came.
            RequestFailed: HTTP brought no GraphQL answer.
            ConnectionEnded: The WebSocket could not carry it; the subclass says why.
            BadUserInput: The operation name, the variables or the kind of the operation do not fit.
        """
        request = read_request(query, variables, operation_name)
        if is_subscription(request):
            raise BadUserInput("a subscription is not executed: use subscribe()")
        result = await self._link.execute(request, timeout=timeout)
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
        on_gap: OnGap = "log",
        after: str | None = None,
        resume: Callable[[Event], Mapping[str, object]] | None = None,
        catch_up: CatchUp | None = None,
        buffer: int | None = None,
        overflow: Overflow = "fail",
    ) -> Subscription:
        """Subscribe; `async with client.subscribe(...) as events: async for event in events: ...`.

        Entering it waits until events come, or, where the server does not say so, until it has been asked: what is done
        next, such as a mutation over HTTP, is not missed. While the server cannot be reached, that is until it can. It
        may also be iterated over directly: then it starts with the first event that is asked for.

        After a lost connection it goes on behind the last event, where the server gives cursors, as ours does for every
        topic, or with `resume` or `catch_up`. Otherwise there is a gap.

        Args:
            query: The GraphQL document.
            variables: Values that JSON can express.
            operation_name: Needed where the document holds several operations.
            key: Tells its events apart: a function from an `Event` to something hashable, such as a message's id. Where
                a renewal takes a second socket (a server other than ours, or the legacy subprotocol), both bring every
                event for a while; with a key none of them comes twice, without one some may. None is ever lost there.
            on_gap: What to do where nobody can prove that no event is missing. "log" writes a warning; "yield" gives an
                event whose `gap` says so; "raise" ends the subscription with `ContinuityLost`; "ignore" is for servers
                whose events are whole states; a function, sync or async, is called with the `Gap` before the next event
                is given. All but "ignore" count it, in `state` and in the link's.
            after: A cursor that the application has kept, from which to go on; see `Event.cursor`.
            resume: For servers that give no cursors: makes variables from the last event, such as
                `lambda event: {"after": event.data["messageAdded"]["id"]}`. They go over those given.
            catch_up: Likewise: a query for what was missed; see `CatchUp`. Needs `key`.
            buffer: How many events may wait for their consumer; None for what the link says.
            overflow: What happens to one more. "fail" ends the subscription with `SubscriberLagging`; "drop_oldest"
                drops the oldest, which is a gap; "latest" keeps only the newest, which is none.
            when_anonymous: "run" asks the server whoever is logged in, and nobody too. With "hold" nothing is asked
                while nobody is: entering it returns at once, it starts when somebody logs in, rests without an error
                from a logout to the next login, and a link on which nothing else runs does not even connect.

        Returns:
            Events. The iterator raises `OperationFailed` if the server refuses the subscription, `SubscriberLagging`
            if the consumer is too slow, and `ConnectionEnded` if there is no connection and will be none.

        Raises:
            OperationFailed: The document has a syntax error.
            BadUserInput: The document asks for no subscription, the link cannot carry it, or an option cannot be used.
        """
        request = read_request(query, variables, operation_name)
        if not is_subscription(request):
            raise BadUserInput(f"a {request.kind} is not subscribed to: use execute()")
        options = SubscribeOptions(
            key=key,
            when_anonymous=when_anonymous,
            on_gap=on_gap,
            after=after,
            resume=resume,
            catch_up=catch_up,
            buffer=buffer,
            overflow=overflow,
        )
        return self._link.subscribe(request, options)

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
