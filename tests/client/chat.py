"""The HTTP half of a scripted chat: what is added over HTTP is published on the peer's sockets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2

from client.hands import until
from gqlink.client import Client, HttpLink, WebSocketLink, is_subscription, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.peer import Peer
    from gqlink.client import ConnectionParams

SUBSCRIPTION = "subscription { messageAdded { text } }"
QUERY = "{ messages { text } }"
MUTATION = "mutation Add($text: String!) { addMessage(text: $text) { text } }"


class Chat:
    """Messages, and who may read and write them: everybody with a token."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.messages: list[object] = []
        self.transport = httpx2.MockTransport(self.answer)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one POST."""
        body = json.loads(request.content)
        if "authorization" not in request.headers:
            error = {"message": "You must be logged in to do this.", "extensions": {"code": "UNAUTHENTICATED"}}
            return httpx2.Response(200, json={"data": None, "errors": [error]})
        if body["query"].startswith("mutation"):
            message = {"text": body["variables"]["text"]}
            self.messages.append(message)
            self.peer.publish({"messageAdded": message})
            return httpx2.Response(200, json={"data": {"addMessage": message}})
        return httpx2.Response(200, json={"data": {"messages": self.messages}})

    def client(self, params: ConnectionParams, token: Callable[[], str | None]) -> tuple[Client, WebSocketLink]:
        """Make the client of the tutorial: HTTP for queries and mutations, a socket for subscriptions."""

        def headers() -> dict[str, str]:
            present = token()
            return {} if present is None else {"authorization": f"Bearer {present}"}

        http = HttpLink("http://chat.invalid/graphql", headers=headers, transport=self.transport)
        ws = WebSocketLink(self.peer.url, connection_params=params)
        return Client(split(is_subscription, ws, http)), ws


async def subscribed(peer: Peer, number: int = 1) -> None:
    """Wait until so many sockets have a subscription."""
    await until(lambda: len(peer.subscribers) == number)
