"""Ariadne, as its documentation shows it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jwt
from ariadne import MutationType, QueryType, SubscriptionType, make_executable_schema
from ariadne.asgi import GraphQL
from ariadne.asgi.handlers import GraphQLTransportWSHandler
from ariadne.exceptions import WebSocketConnectionError
from load.messages import SCHEMA, Message, Messages, subject_of
from loopback import run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graphql import GraphQLResolveInfo
    from starlette.websockets import WebSocket

query, mutation, subscription = QueryType(), MutationType(), SubscriptionType()
messages = Messages()


@query.field("messages")
def resolve_messages(_: object, info: GraphQLResolveInfo[Any]) -> list[Message]:
    subject_of(info.context["request"].headers["authorization"])
    return messages.last


@mutation.field("addMessage")
async def resolve_add_message(_: object, info: GraphQLResolveInfo[Any], *, text: str) -> Message:
    return messages.add(info.context["request"].scope["user_name"], text)


@subscription.source("messageAdded")
async def generate_messages(_: object, _info: GraphQLResolveInfo[Any]) -> AsyncGenerator[Message, None]:
    async for message in messages.listen():
        yield message


@subscription.field("messageAdded")
def resolve_message(message: Message, _info: GraphQLResolveInfo[Any]) -> Message:
    return message


async def connect(websocket: WebSocket, params: Any) -> None:
    try:
        websocket.scope["user_name"] = subject_of(params["accessToken"])
    except jwt.PyJWTError:
        raise WebSocketConnectionError({"message": "Token invalid"}) from None


def main(port: str, ws: str) -> None:
    schema = make_executable_schema(SCHEMA, query, mutation, subscription)
    handler = GraphQLTransportWSHandler(on_connect=connect)
    run(GraphQL(schema, websocket_handler=handler), port=int(port), ws=ws)


if __name__ == "__main__":
    main(*sys.argv[1:])
