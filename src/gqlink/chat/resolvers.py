"""Joins `schema.graphql` to the conversation: each resolver checks the login, then asks the domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ariadne import InputType, MutationType, ObjectType, QueryType, ScalarType, SubscriptionType, make_executable_schema

if TYPE_CHECKING:
    from datetime import datetime

    from graphql import GraphQLResolveInfo, GraphQLSchema

    from gqlink.chat.context import ChatContext, SharedChatContext
    from gqlink.chat.records import Message, Room
    from gqlink.pubsub import Stream

query = QueryType()
mutation = MutationType()
subscription = SubscriptionType()
message_type = ObjectType("Message")
date_time = ScalarType("DateTime")

message_type.set_alias("clientId", "client_id")
message_type.set_alias("from", "author")
message_type.set_alias("createdAt", "created_at")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking, as the type User shows it."""

    name: str


@dataclass(frozen=True, slots=True)
class NewMessage:
    """The input type MessageInput."""

    text: str
    room: str
    client_id: str | None = None


message_input = InputType("MessageInput", lambda fields: NewMessage(**fields), {"clientId": "client_id"})


@cache
def chat_schema() -> GraphQLSchema:
    """Make the executable schema, once."""
    text = resources.files("gqlink.chat").joinpath("schema.graphql").read_text("utf-8")
    return make_executable_schema(text, query, mutation, subscription, message_type, message_input, date_time)


@query.field("viewer")
def resolve_viewer(_: object, info: GraphQLResolveInfo[ChatContext]) -> Viewer | None:
    """Tell who is logged in; the only field that a stranger may read."""
    subject = info.context.identity.subject
    return None if subject is None else Viewer(subject)


@query.field("messages")
async def resolve_messages(
    _: object, info: GraphQLResolveInfo[ChatContext], *, room: str, last: int, before: str | None = None
) -> list[Message]:
    """Read the newest messages of a room."""
    info.context.require_login()
    return await info.context.conversation.messages(room, last=last, before=before)


@query.field("rooms")
async def resolve_rooms(_: object, info: GraphQLResolveInfo[ChatContext]) -> list[Room]:
    """List the rooms."""
    info.context.require_login()
    return await info.context.conversation.rooms()


@mutation.field("addMessage")
async def resolve_add_message(_: object, info: GraphQLResolveInfo[ChatContext], *, input: NewMessage) -> Message:  # noqa: A002 -- the schema's word
    """Say something."""
    author = info.context.require_login()
    return await info.context.conversation.add_message(
        input.text, author=author, room_id=input.room, client_id=input.client_id
    )


@subscription.source("messageAdded")  # type: ignore[arg-type]  # Ariadne's type only knows generators
async def hear_messages(_: object, info: GraphQLResolveInfo[ChatContext], *, room: str) -> Stream:
    """Hear what is said in a room; the server resumes the stream where the client left off, so it goes out as it is."""
    info.context.require_login()
    return await info.context.conversation.listen(room)


@subscription.field("messageAdded")
def resolve_message_added(message: Message, _info: GraphQLResolveInfo[SharedChatContext], *, room: str) -> Message:  # noqa: ARG001
    """Hand on the message, once for all who hear it; whose login has ended hears nothing, because the socket ends."""
    return message


@date_time.serializer
def serialise_moment(moment: datetime) -> str:
    """Write an aware moment in UTC, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
