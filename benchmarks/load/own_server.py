"""gqlink, in each of the ways that the tables show: the bare `GraphQLApp`, under uvicorn.

python -m load.own_server shared|alone|plain PORT CLIENTS
"""

from __future__ import annotations

import inspect
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from graphql import build_schema
from load.limits import raised
from load.messages import ISSUER, KEY_ID, SCHEMA, SECRET, Message, Messages
from loopback import run

from gqlink.auth import ANONYMOUS, SigningKey, TokenSigner
from gqlink.pubsub import Topic
from gqlink.server import GraphQLApp, Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graphql import GraphQLResolveInfo, GraphQLSchema

    from gqlink.auth import Credentials, Identity
    from gqlink.pubsub import Stream
    from gqlink.server import Context

# Where a part is not there, a row says so instead of showing another one's figures. This is the one place that looks.
_DIRECT: Final = "gqlink.server.uvicorn_socket"
_HAS_SHARING: Final = "share_key" in inspect.signature(Topic.stream).parameters
_HAS_DIRECT: Final = find_spec(_DIRECT) is not None
_SHARING_MISSING: Final = [] if _HAS_SHARING else ["shared execution"]
_DIRECT_MISSING: Final = [] if _HAS_DIRECT else ["the direct path"]
MISSING: Final = {"shared": _SHARING_MISSING + _DIRECT_MISSING, "alone": [], "plain": _SHARING_MISSING}


class OwnServer:
    """One application.

    Args:
        shares: Whether the subscription declares a share key: its results are the same for everybody.
        clients: How many there will be.
    """

    def __init__(self, *, shares: bool, clients: int) -> None:
        self._messages = Messages()
        self._stream_options: dict[str, Any] = {"share_key": "everybody"} if shares and _HAS_SHARING else {}
        options: dict[str, Any] = {"shared_context": lambda _key: None} if shares and _HAS_SHARING else {}
        self.app = GraphQLApp(
            self._schema(), authenticate=_authentication(), limits=Limits(**raised(clients)), **options
        )

    def _schema(self) -> GraphQLSchema:
        schema = build_schema(SCHEMA)
        assert schema.query_type
        assert schema.mutation_type
        assert schema.subscription_type
        schema.query_type.fields["messages"].resolve = self._last
        schema.mutation_type.fields["addMessage"].resolve = self._add
        field = schema.subscription_type.fields["messageAdded"]
        field.subscribe = self._listen
        field.resolve = lambda message, _info: message
        return schema

    def _last(self, _root: object, _info: GraphQLResolveInfo[Any]) -> list[Message]:
        return self._messages.last

    async def _add(self, _root: object, info: GraphQLResolveInfo[Context], *, text: str) -> Message:
        message = self._messages.add(info.context.identity.subject or "", text)
        await self.app.topic("messages").publish(message)
        return message

    def _listen(self, _root: object, _info: GraphQLResolveInfo[Any]) -> Stream:
        return self.app.topic("messages").stream(**self._stream_options)


def _authentication() -> Callable[[Credentials], Awaitable[Identity]]:
    signer = TokenSigner([SigningKey(KEY_ID, SECRET)], issuer=ISSUER, audience=ISSUER)

    async def authenticate(credentials: Credentials) -> Identity:
        return signer.verify(credentials.token, now=time.time()) if credentials.token else ANONYMOUS

    return authenticate


def main(row: str, port: str, clients: str) -> None:
    """Serve one row."""
    server = OwnServer(shares=row != "alone", clients=int(clients))
    is_direct = row != "plain" and _HAS_DIRECT
    run(server.app, port=int(port), ws=f"{_DIRECT}:DirectWebSocket" if is_direct else "websockets-sansio")


if __name__ == "__main__":
    main(*sys.argv[1:])
