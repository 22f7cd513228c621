"""Revocation and a policy: `.venv/bin/uvicorn --app-dir examples/howto revoke_app:app`."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from ariadne import QueryType, SubscriptionType, make_executable_schema
from graphql import GraphQLResolveInfo
from starlette.applications import Starlette
from starlette_app import authenticate  # type: ignore[import-not-found] # --app-dir is where it is found

from gqlink.auth import Identity, Revocation
from gqlink.pubsub import Stream
from gqlink.server import Context, GraphQLApp, PolicyEvent, PolicyOperation

query, subscription = QueryType(), SubscriptionType()


@query.field("whoAmI")
def who_am_i(_: object, info: GraphQLResolveInfo[Context]) -> str | None:
    return info.context.identity.subject


@subscription.source("news")
@subscription.source("reports")  # type: ignore[arg-type] # Ariadne's type only knows generators
def source(_: object, info: GraphQLResolveInfo[Context]) -> Stream:
    return graphql.topic(info.field_name).stream()


@subscription.field("news")
@subscription.field("reports")
def resolve(text: str, _: GraphQLResolveInfo[Context]) -> str:
    return text


schema = make_executable_schema(
    """
    type Query { whoAmI: String }
    type Subscription { news: String!  reports: String! }
    """,
    query,
    subscription,
)


# region store
SECONDS = 30 * 24 * 3600.0  # at least as long as any token lives


class SqliteRevocations:
    """A `RevocationStore` in a table of SQLite."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def add(self, revocation: Revocation) -> None:
        """Keep one; it may come twice."""
        await asyncio.to_thread(self._add, revocation)

    async def load(self) -> Sequence[Revocation]:
        """Return what still matters."""
        return await asyncio.to_thread(self._load)

    def _add(self, revocation: Revocation) -> None:
        with closing(self._open()) as database, database:
            database.execute("INSERT INTO revocation VALUES (?, ?, ?, ?)", astuple(revocation))

    def _load(self) -> list[Revocation]:
        with closing(self._open()) as database, database:
            database.execute("DELETE FROM revocation WHERE revoked_at < ?", [time.time() - SECONDS])
            rows = database.execute("SELECT subject, session, token_id, revoked_at FROM revocation").fetchall()
        return [Revocation(subject=who, session=login, token_id=token, revoked_at=at) for who, login, token, at in rows]

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path)
        database.execute("CREATE TABLE IF NOT EXISTS revocation (subject, session, token_id, revoked_at)")
        return database


# endregion

# region policy
moderators = {"ann"}


def policy(identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
    operation = what.operation if isinstance(what, PolicyEvent) else what
    return "reports" not in operation.fields or identity.subject in moderators


# endregion

# region app
graphql = GraphQLApp(
    schema,
    authenticate=authenticate,
    policy=policy,
    revocation_store=SqliteRevocations(Path("revocations.db")),
    revocation_seconds=SECONDS,
)
app = Starlette(routes=graphql.routes("/graphql"), lifespan=graphql.lifespan)
# endregion


# region orders
async def put_out(name: str) -> None:
    await graphql.revoke(subject=name)  # everywhere, whatever was issued until now


async def end_login(identity: Identity) -> None:
    if identity.session is not None:
        await graphql.revoke(session=identity.session)  # one login


async def end_token(identity: Identity) -> None:
    if identity.token_id is not None:
        await graphql.revoke(token_id=identity.token_id)  # one token


# endregion


# region recheck
async def take_the_badge(name: str) -> None:
    moderators.discard(name)
    await graphql.recheck(subject=name)


# endregion
