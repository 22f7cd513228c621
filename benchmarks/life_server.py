"""The server of `credential_life.py`, in a process of its own: the chat's logins, and a subscription that tells on us.

Every event says for which identity it was executed and when, so that its receiver can judge whether it should have
come. The chat, which takes logouts, and the schema here are two applications on one broker, as on two nodes: a logout
at one has to end the sockets of the other.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import uvloop
from graphql import build_schema
from loopback import listen, make_socket, serve
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from gqlink.auth import TokenSigner
from gqlink.chat import ChatSettings, create_app, open_administration
from gqlink.chat.app import ISSUER, token_authentication
from gqlink.chat.data import KEYS_FILE
from gqlink.chat.keys import load_signing_keys
from gqlink.errors import LoginRequired
from gqlink.server import GraphQLApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql import GraphQLSchema
    from starlette.requests import Request

    from gqlink.pubsub import Stream
    from gqlink.server import SocketEvent

SCHEMA = """
type Query { ready: Boolean! }
type Subscription { beat: Beat! }
type Beat { number: Int! at: Float! subject: String! session: String! tokenId: String! expiresAt: Float! }
"""
CONTROL = "gqlink:control"
PASSWORD = "correct horse"


class LifeServer:
    """The chat, the telling schema, a heart that beats, and an executioner.

    Args:
        data_dir: For the chat's keys and database.
        token_seconds: How long an access token lasts.
        events: Beats a second.
        revocations: Revocations a second, on average.
    """

    def __init__(self, data_dir: Path, *, token_seconds: float, events: float, revocations: float) -> None:
        self.settings = ChatSettings(data_dir=data_dir, token_lifetime=token_seconds)
        self._period = 1 / events
        self._revocations = revocations
        self._chat = create_app(self.settings)
        signer = TokenSigner(load_signing_keys(data_dir / KEYS_FILE), issuer=ISSUER, audience=ISSUER)
        self._node = GraphQLApp(
            self._schema(),
            authenticate=token_authentication(signer),
            broker=self._chat.state.graphql.broker,
            on_socket_event=self._note,
        )
        self._orders: list[dict[str, Any]] = []
        self._strict: list[dict[str, object]] = []
        self._seen: dict[int, Any] = {}
        self._sockets: Counter[str] = Counter()
        routes = [*self._node.routes("/life"), Route("/facts", self._facts), Mount("/", self._chat)]
        self.app = Starlette(routes=routes, lifespan=self._lifespan)

    def _schema(self) -> GraphQLSchema:
        schema = build_schema(SCHEMA)
        assert schema.subscription_type
        field = schema.subscription_type.fields["beat"]
        field.subscribe = self._listen
        field.resolve = _beat
        return schema

    def _listen(self, _root: object, info: Any) -> Stream:
        if info.context.identity.is_anonymous:
            raise LoginRequired
        return self._node.topic("beat").stream()

    def _note(self, event: SocketEvent) -> None:
        self._sockets[f"{event.kind} {event.reason}".strip()] += 1
        if event.kind in {"acknowledged", "renewed"} and not event.identity.is_anonymous:
            self._seen[event.socket] = event.identity
        if event.kind == "closed":
            self._seen.pop(event.socket, None)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self._chat.router.lifespan_context(self._chat), self._node.lifespan(app):
            work = (self._heart(), self._executioner(), self._clerk())
            tasks = [asyncio.create_task(each) for each in work]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _heart(self) -> None:
        topic = self._node.topic("beat")
        loop = asyncio.get_running_loop()
        began_at, number = loop.time(), 0
        while True:
            number += 1
            await topic.publish(number)
            await asyncio.sleep(max(0.0, began_at + number * self._period - loop.time()))

    async def _executioner(self) -> None:
        """Revoke somebody who is connected, now and then, in each of the three ways, on either node."""
        dice = random.Random(4)
        while self._revocations:
            await asyncio.sleep(dice.expovariate(self._revocations))
            if not self._seen:
                continue
            identity = dice.choice(list(self._seen.values()))
            ways = {"subject": identity.subject, "session": identity.session, "token_id": identity.token_id}
            kind = dice.choice(list(ways))
            if dice.choice([True, False]):
                # Here it holds from the first step of the call; on the other node as soon as the order has come.
                name = "tokenId" if kind == "token_id" else kind
                self._strict.append({name: ways[kind], "at": time.time()})
                await self._node.revoke(**{kind: ways[kind]})
            await self._chat.state.graphql.revoke(**{kind: ways[kind]})  # which keeps it, too

    async def _clerk(self) -> None:
        """Write down every order that travels between the nodes."""
        async with await self._node.broker.subscribe(CONTROL) as orders:
            async for publication in orders:
                self._orders.append(dict(publication.data) | {"heard_at": time.time()})  # type: ignore[call-overload] # JSON

    async def _facts(self, _: Request) -> JSONResponse:
        return JSONResponse({"orders": self._orders, "strict": self._strict, "sockets": self._sockets})


def _beat(number: int, info: Any) -> dict[str, object]:
    identity = info.context.identity
    return {
        "number": number,
        "at": time.time(),
        "subject": identity.subject,
        "session": identity.session,
        "tokenId": identity.token_id,
        "expiresAt": identity.expires_at,
    }


async def _main(options: dict[str, Any]) -> None:
    with TemporaryDirectory() as directory:
        life = LifeServer(
            Path(directory),
            token_seconds=options["token_seconds"],
            events=options["events"],
            revocations=options["revocations"],
        )
        async with open_administration(life.settings) as administration:
            for number in range(options["accounts"]):
                await administration.accounts.create(f"user{number}", password=PASSWORD)
        listening = make_socket()
        print(json.dumps({"port": listen(listening)}), flush=True)
        await serve(life.app, listening)


if __name__ == "__main__":
    uvloop.run(_main(json.loads(sys.argv[1])))
