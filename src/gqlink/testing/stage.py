"""What a live server has to serve so that transcripts can be played against it: the standard schema and tokens.

Described in `gqlink/protocol/transcripts/README.md`. It is no part of the room's door, because it needs the `server`
extra: `from gqlink.testing.stage import authenticate, standard_schema`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from graphql import build_schema

from gqlink.auth import ANONYMOUS, Identity
from gqlink.errors import InvalidToken, TokenExpired
from gqlink.pubsub import MemoryBroker, Topic

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from graphql import GraphQLSchema

    from gqlink.auth import Credentials
    from gqlink.pubsub import Stream

__all__ = ("STANDARD_SCHEMA", "authenticate", "standard_schema")

STANDARD_SCHEMA: Final = """
type Query { hello: String! slow: String! fail: String }
type Mutation { bump: Int! }
type Subscription { count(to: Int!): Int! silence: Int told: Int! }
"""
_MOMENT_SECONDS: Final = 0.05
_BRIEF_SECONDS: Final = 3.0


def standard_schema() -> GraphQLSchema:
    """Build the schema with its resolvers; each call gives a new one."""
    schema = build_schema(STANDARD_SCHEMA)
    assert schema.query_type
    assert schema.mutation_type
    assert schema.subscription_type
    schema.query_type.fields["hello"].resolve = lambda _root, _info: "world"
    schema.query_type.fields["slow"].resolve = _slow
    schema.query_type.fields["fail"].resolve = _fail
    schema.mutation_type.fields["bump"].resolve = lambda _root, _info: 1
    for name, source in (("count", _count), ("silence", _silence), ("told", _told)):
        schema.subscription_type.fields[name].subscribe = source
        schema.subscription_type.fields[name].resolve = lambda event, _info, **_arguments: event
    return schema


async def authenticate(credentials: Credentials, *, wall: Callable[[], float] = time.time) -> Identity:
    """Know the standard tokens: "good", "brief", "bad" and "expired"; none is anonymous.

    Args:
        credentials: As they were found.
        wall: Says what time it is, in seconds since the Unix epoch; that of the server's clock.

    Raises:
        TokenExpired: "expired".
        InvalidToken: "bad", or any other.
    """
    match credentials.token.reveal() if credentials.token else None:
        case None:
            return ANONYMOUS
        case "good":
            return Identity(subject="good")
        case "brief":
            return Identity(subject="good", expires_at=wall() + _BRIEF_SECONDS)
        case "expired":
            raise TokenExpired
        case _:
            raise InvalidToken


async def _slow(_root: object, _info: object) -> str:
    await asyncio.sleep(_MOMENT_SECONDS)
    return "at last"


def _fail(_root: object, _info: object) -> str:
    raise RuntimeError("this resolver always fails")


async def _count(_root: object, _info: object, *, to: int) -> AsyncGenerator[int]:
    for number in range(1, to + 1):
        yield number


async def _silence(_root: object, _info: object) -> AsyncGenerator[None]:
    await asyncio.Event().wait()
    yield None


async def _told(_root: object, _info: object) -> Stream:
    """Make a topic of one's own, so that nobody else is told anything there."""
    topic = Topic(MemoryBroker(), "told")
    start = await topic.broker.position(topic.name)
    for number in (1, 2):
        await topic.publish(number)
    return topic.stream(after=start)
