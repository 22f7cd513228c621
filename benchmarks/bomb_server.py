"""The server of `document_bombs.py`, in a process of its own: two schemas without a database, open to everybody.

The chat's is at /graphql, and one with all that makes validation slow at /intricate.

Started with a JSON object of `Limits`; the address is written to standard output as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import uvloop
from bombs import CHAT, INTRICATE, schemas
from loopback import listen, make_socket, serve
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from gqlink.auth import ANONYMOUS
from gqlink.server import GraphQLApp, Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql import GraphQLSchema
    from starlette.requests import Request

    from gqlink.auth import Credentials, Identity

EVENTS_A_SECOND: Final = 100


def message(number: int, *, text: str) -> dict[str, object]:
    """Make a message as the chat's resolvers would return it."""
    room = {"id": "general", "title": "General"}
    return {"id": str(number), "from": "alice", "text": text, "room": room, "createdAt": "2026-01-31T12:00:00.000Z"}


def _schema() -> GraphQLSchema:
    schema = schemas()[CHAT]
    query, subscription = schema.query_type, schema.subscription_type
    assert query is not None
    assert subscription is not None
    query.fields["messages"].resolve = lambda *_, last, **__: [message(each, text="hello") for each in range(last)]
    query.fields["rooms"].resolve = lambda *_: [{"id": "general", "title": "General"}]
    subscription.fields["messageAdded"].subscribe = _say
    subscription.fields["messageAdded"].resolve = lambda event, _info, **_: event
    return schema


async def _say(_root: object, _info: object, **_arguments: object) -> AsyncIterator[dict[str, object]]:
    """Say at fixed moments what moment it is; whoever hears it knows how late it came."""
    number, due_at = 0, time.monotonic()
    while True:
        due_at += 1 / EVENTS_A_SECOND
        await asyncio.sleep(due_at - time.monotonic())
        number += 1
        yield message(number, text=repr(due_at))


async def _watch(held: list[float]) -> None:
    """Note how much processor time, in milliseconds, goes by while somebody waits for a millisecond."""
    while True:
        began_at = time.thread_time()
        await asyncio.sleep(0.001)
        held.append(1_000 * (time.thread_time() - began_at))


async def _anybody(_credentials: Credentials) -> Identity:
    return ANONYMOUS


def main(limits: dict[str, Any]) -> None:
    """Serve until a signal comes."""
    chat, intricate = (
        GraphQLApp(schema, authenticate=_anybody, limits=Limits(**limits))
        for schema in (_schema(), schemas()[INTRICATE])
    )

    held: list[float] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with chat.lifespan(app), intricate.lifespan(app):
            gc.collect()
            gc.freeze()  # as `gqlink serve` does
            watching = asyncio.create_task(_watch(held))
            yield
            watching.cancel()

    async def tell(_request: Request) -> JSONResponse:
        found = held[:]
        held.clear()
        return JSONResponse(found)

    routes = [*chat.routes("/graphql"), *intricate.routes("/intricate"), Route("/held", tell)]
    app = Starlette(routes=routes, lifespan=lifespan)
    listening = make_socket()
    print(json.dumps({"port": listen(listening)}), flush=True)
    uvloop.run(serve(app, listening))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
