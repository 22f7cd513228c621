"""A schema of your own in a Starlette application: `.venv/bin/uvicorn --app-dir examples/howto starlette_app:app`."""

import secrets
import time

from ariadne import MutationType, QueryType, SubscriptionType, make_executable_schema
from graphql import GraphQLResolveInfo
from starlette.applications import Starlette

from gqlink.auth import ANONYMOUS, Credentials, Identity, SigningKey, TokenSigner
from gqlink.errors import LoginRequired
from gqlink.pubsub import Stream
from gqlink.server import Context, GraphQLApp

# region schema
query, mutation, subscription = QueryType(), MutationType(), SubscriptionType()


@query.field("whoAmI")
def who_am_i(_: object, info: GraphQLResolveInfo[Context]) -> str | None:
    return info.context.identity.subject  # None: nobody is logged in


@mutation.field("ring")
async def ring(_: object, info: GraphQLResolveInfo[Context]) -> bool:
    if info.context.identity.is_anonymous:
        raise LoginRequired
    await graphql.topic("bell").publish(info.context.identity.subject)
    return True


@subscription.source("bell")  # type: ignore[arg-type] # Ariadne's type only knows generators
def bell(*_: object) -> Stream:
    return graphql.topic("bell").stream()


@subscription.field("bell")
def resolve_bell(ringer: str, _: GraphQLResolveInfo[Context]) -> str:
    return ringer


schema = make_executable_schema(
    """
    type Query { whoAmI: String }
    type Mutation { ring: Boolean! }
    type Subscription { bell: String! }
    """,
    query,
    mutation,
    subscription,
)
# endregion

# region authenticate
signer = TokenSigner([SigningKey("1", secrets.token_bytes(32))], issuer="example", audience="example")


async def authenticate(credentials: Credentials) -> Identity:
    if credentials.token is None:
        return ANONYMOUS
    return signer.verify(credentials.token, now=time.time())  # raises InvalidToken or TokenExpired


# endregion

# region app
graphql = GraphQLApp(schema, authenticate=authenticate)
app = Starlette(routes=graphql.routes("/graphql"), lifespan=graphql.lifespan)
# endregion
