"""The server of `slow_consumers.py`, in a process of its own: one topic that is busy, one that is calm.

The address is written to standard output as JSON; what it counts of itself is under /facts.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import uvloop
from graphql import build_schema
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
    from gqlink.pubsub import Stream

SCHEMA: Final = """
type Query { ready: Boolean! }
type Subscription { said(topic: String!): Event! }
type Event { number: Int! dueAt: Float! text: String! }
"""
# As `gqlink serve` sets it: the kernel drops what it holds for a client that has not read for so long.
UNREAD_MILLISECONDS: Final = 20_000


class SlowServer:
    """One application and the two who speak on its topics.

    Args:
        busy: Publications a second on the topic "busy".
        calm: On the topic "calm".
        text_bytes: How long the text of a busy one is.
        limits: The server's.
    """

    def __init__(self, *, busy: float, calm: float, text_bytes: int, limits: Limits) -> None:
        self._speakers = {"busy": (busy, "x" * text_bytes), "calm": (calm, "hello")}
        self._node = GraphQLApp(self._schema(), authenticate=_anybody, limits=limits)
        routes = [*self._node.routes("/graphql"), Route("/facts", self._facts)]
        self.app = Starlette(routes=routes, lifespan=self._lifespan)

    def _schema(self) -> GraphQLSchema:
        schema = build_schema(SCHEMA)
        assert schema.subscription_type
        field = schema.subscription_type.fields["said"]
        field.subscribe = self._listen
        field.resolve = lambda event, _info, **_arguments: event
        return schema

    def _listen(self, _root: object, _info: object, *, topic: str) -> Stream:
        return self._node.topic(topic).stream()

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self._node.lifespan(app):
            tasks = [asyncio.create_task(self._speak(topic)) for topic in self._speakers]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _speak(self, name: str) -> None:
        rate, text = self._speakers[name]
        topic = self._node.topic(name)
        began_at, number = time.monotonic(), 0
        while True:
            number += 1
            due_at = began_at + number / rate
            # Even when it is late it lets others have their turn in between.
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            await topic.publish({"number": number, "dueAt": due_at, "text": text})

    async def _facts(self, _: Request) -> JSONResponse:
        found = self._node.statistics()
        return JSONResponse(
            {
                "sockets": found.sockets,
                "opened": found.sockets_opened,
                "slow": found.slow_consumers,
                "operations": found.operations,
                "sent": found.messages_sent,
                "waiting": found.waiting_bytes,
                "most_waiting": found.most_waiting_bytes,
            }
        )


async def _anybody(_: Credentials) -> Identity:
    return ANONYMOUS


async def _main(options: dict[str, Any]) -> None:
    limits = Limits(stall_seconds=options.pop("stall_seconds"))
    unsent_bytes = options.pop("unsent_bytes")
    slow = SlowServer(**options, limits=limits)
    listening = make_socket()
    if unsent_bytes:
        # What the kernel takes comes before what we keep; on loopback that would be four megabytes a client.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent_bytes)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
    print(json.dumps({"port": listen(listening)}), flush=True)
    await serve(slow.app, listening, stop_seconds=2)


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
