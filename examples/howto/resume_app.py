"""Store, publish, resume: `.venv/bin/uvicorn --app-dir examples/howto resume_app:app`."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from ariadne import MutationType, QueryType, SubscriptionType, make_executable_schema
from graphql import GraphQLResolveInfo
from starlette.applications import Starlette
from starlette_app import authenticate  # type: ignore[import-not-found] # --app-dir is where it is found

from gqlink.pubsub import Stream, Topic
from gqlink.server import Context, GraphQLApp

PATH = Path("notes.sqlite3")

query, mutation, subscription = QueryType(), MutationType(), SubscriptionType()


# region section
class Notes:
    """Notes in a table; what is stored is heard by whoever listens, in the order of the table."""

    def __init__(self, path: Path, topic: Topic) -> None:
        self._path = path
        self._topic = topic
        self._lock = asyncio.Lock()
        self._sections: set[asyncio.Task[str]] = set()

    async def add(self, text: str) -> str:
        """Store a note and let everybody hear it, although whoever asked may be gone by then."""
        section = asyncio.create_task(self._store_and_publish(text))
        self._sections.add(section)
        section.add_done_callback(self._sections.discard)
        return await asyncio.shield(section)

    async def _store_and_publish(self, text: str) -> str:
        async with self._lock:  # the next one is stored only when this one was published
            await asyncio.to_thread(self._store, text)
            try:
                await self._topic.publish(text)
            except Exception:
                await self._topic.reset()  # stored, and not heard: whoever listens has to know
                raise
            return text

    # endregion

    def all(self) -> list[str]:
        """Read what was stored, in its order."""
        with closing(self._connect()) as connection:
            return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]

    def _store(self, text: str) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        connection.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        return connection


@query.field("notes")
async def all_notes(_: object, __: GraphQLResolveInfo[Context]) -> list[str]:
    return await asyncio.to_thread(notes.all)


@mutation.field("addNote")
async def add_note(_: object, __: GraphQLResolveInfo[Context], *, text: str) -> str:
    return await notes.add(text)


# region stream
@subscription.source("noteAdded")  # type: ignore[arg-type] # Ariadne's type only knows generators
def hear_notes(_: object, __: GraphQLResolveInfo[Context]) -> Stream:
    return topic.stream()


# endregion


@subscription.field("noteAdded")
def resolve_note_added(text: str, _: GraphQLResolveInfo[Context]) -> str:
    return text


schema = make_executable_schema(
    """
    type Query { notes: [String!]! }
    type Mutation { addNote(text: String!): String! }
    type Subscription { noteAdded: String! }
    """,
    query,
    mutation,
    subscription,
)

graphql = GraphQLApp(schema, authenticate=authenticate)
topic = graphql.topic("notes")
notes = Notes(PATH, topic)
app = Starlette(routes=graphql.routes("/graphql"), lifespan=graphql.lifespan)
