"""Strawberry, as its documentation shows it, with its own caches of parsed and validated documents.

No `from __future__ import annotations`: Strawberry reads them.
"""

import sys
from collections.abc import AsyncGenerator
from typing import Any

import jwt
import strawberry
from load.messages import Messages, subject_of
from loopback import run
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

messages = Messages()


@strawberry.type
class Message:
    """One message."""

    id: strawberry.ID
    user: str
    text: str


@strawberry.type
class Query:
    """What is read."""

    @strawberry.field
    def messages(self, info: strawberry.Info) -> list[Message] | None:
        """Return the newest."""
        _check(info)
        return messages.last  # type: ignore[return-value] # it has what the type has


@strawberry.type
class Mutation:
    """What is said."""

    @strawberry.mutation
    async def add_message(self, info: strawberry.Info, text: str) -> Message | None:
        """Store a message, and let everybody hear it."""
        return messages.add(info.context["user"], text)  # type: ignore[return-value]


@strawberry.type
class Subscription:
    """What is heard."""

    @strawberry.subscription
    async def message_added(self) -> AsyncGenerator[Message | None, None]:
        """Hear every message."""
        async for message in messages.listen():
            yield message  # type: ignore[misc]


class Server(GraphQL[Any, Any]):
    """Lets in who has a token."""

    async def on_ws_connect(self, context: Any) -> Any:
        """Verify the token of `connection_init`."""
        try:
            context["user"] = subject_of(context["connection_params"]["accessToken"])
        except jwt.PyJWTError:
            raise ConnectionRejectionError from None
        return await super().on_ws_connect(context)


def _check(info: strawberry.Info) -> None:
    if "user" not in info.context:  # over HTTP nobody has looked at it yet
        info.context["user"] = subject_of(info.context["request"].headers["authorization"])


def main(port: str, ws: str, caches: str) -> None:
    schema = strawberry.Schema(
        Query, Mutation, Subscription, extensions=[ParserCache, ValidationCache] if caches == "caches" else []
    )
    run(Server(schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL]), port=int(port), ws=ws)


if __name__ == "__main__":
    main(*sys.argv[1:])
