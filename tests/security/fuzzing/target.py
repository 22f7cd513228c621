"""Whom the fuzzer talks to, and what it has to show there."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Final

from security.fuzzing.documents import DocumentMaker
from security.fuzzing.wire import dialled

if TYPE_CHECKING:
    from graphql import GraphQLSchema

HOME: Final = "127.0.0.1"
ABROAD: Final = "127.0.0.2"
"""Where the fuzzer comes from: what is held against that address is held against nobody else."""

_REQUESTS: Final = 600  # fewer than the server keeps in its cache: most of the time it has seen a document before
_FRESH: Final = 0.05


class Target:
    """A running chat.

    Args:
        authority: Where it is, such as "127.0.0.1:40123".
        name: An account of which the fuzzer has the password.
        password: It.
        schema: The chat's.
        seed: Of the requests that come again and again.
    """

    source = ABROAD

    def __init__(self, authority: str, *, name: str, password: str, schema: GraphQLSchema, seed: int = 0) -> None:
        self.authority = authority
        self.schema = schema
        self.token = ""
        self._name = name
        self._password = password
        maker = DocumentMaker(schema, random.Random(f"requests {seed}"))
        self._requests = [maker.request() for _ in range(_REQUESTS)]

    async def log_in(self) -> None:
        """Get a token; once more before it ends."""
        self.token = await log_in(self.authority, self._name, password=self._password)

    def request(self, dice: random.Random) -> dict[str, object]:
        """Draw one of the requests that come again and again, or now and then one that is new."""
        return DocumentMaker(self.schema, dice).request() if dice.random() < _FRESH else dice.choice(self._requests)

    def upgrade(self, subprotocol: str) -> bytes:
        """Write the request of a handshake that is right."""
        return (
            f"GET /graphql HTTP/1.1\r\nHost: {self.authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        ).encode()


async def log_in(authority: str, name: str, *, password: str) -> str:
    """Log in from home, and return the access token."""
    body = json.dumps({"name": name, "password": password}).encode()
    head = f"POST /login HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    async with dialled(authority, source=HOME) as line:
        line.write(f"{head}\r\n\r\n".encode() + body)
        answer = await line.receive_answer()
    if answer.status != 200:
        raise RuntimeError(f"{name} cannot log in: {answer}")
    token: str = json.loads(answer.body)["token"]
    return token
