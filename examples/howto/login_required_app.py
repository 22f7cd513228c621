"""A schema that says who may ask for what: `.venv/bin/uvicorn --app-dir examples/howto login_required_app:app`."""

from ariadne import MutationType, QueryType, SubscriptionType, make_executable_schema
from graphql import GraphQLResolveInfo
from starlette.applications import Starlette
from starlette_app import authenticate  # type: ignore[import-not-found] # --app-dir is where it is found

from gqlink.auth import Identity
from gqlink.pubsub import Stream
from gqlink.server import AUTHORIZATION_DIRECTIVES, Context, GraphQLApp, PolicyEvent, PolicyOperation

query, mutation, subscription = QueryType(), MutationType(), SubscriptionType()


@query.field("motto")
def motto(*_: object) -> str:
    return "Sell nothing twice"


@query.field("account")
def account(_: object, info: GraphQLResolveInfo[Context]) -> dict[str, object]:
    return {"name": info.context.identity.subject, "balance": 100}


@mutation.field("sell")
async def sell(_: object, __: GraphQLResolveInfo[Context], item: str) -> bool:
    await graphql.topic("sales").publish(item)
    return True


@subscription.source("sales")  # type: ignore[arg-type] # Ariadne's type only knows generators
def sales(*_: object) -> Stream:
    return graphql.topic("sales").stream()


@subscription.field("sales")
def resolve_sale(item: str, _: GraphQLResolveInfo[Context]) -> str:
    return item


# region schema
SDL = """
type Query {
  motto: String!
  account: Account!
}

type Account @authenticated {
  name: String!
  balance: Int! @requiresScopes(scopes: [["account:read"], ["admin"]])
}

type Mutation {
  sell(item: String!): Boolean! @requiresScopes(scopes: [["shop:sell"]])
}

type Subscription {
  sales: String! @requiresScopes(scopes: [["shop:sell", "shop:watch"], ["admin"]])
}
"""

schema = make_executable_schema([AUTHORIZATION_DIRECTIVES, SDL], query, mutation, subscription)
# endregion


# region policy
closed = False


def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
    operation = what.operation if isinstance(what, PolicyEvent) else what
    return not (closed and operation.requirements)  # at night only what anybody may have


# endregion

# region app
graphql = GraphQLApp(schema, authenticate=authenticate, policy=policy)
app = Starlette(routes=graphql.routes("/graphql"), lifespan=graphql.lifespan)
# endregion
