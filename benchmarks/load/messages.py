"""What every contestant serves: the same schema, the same messages, and the same token to check.

The servers in Node have it again in npm/messages.mjs.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import jwt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SCHEMA: Final = """
type Query { messages: [Message!] }
type Mutation { addMessage(text: String!): Message }
type Subscription { messageAdded: Message }
type Message { id: ID! user: String! text: String! }
"""
SECRET: Final = b"the secret that all contestants check their tokens with"
KEY_ID: Final = "1"
ISSUER: Final = "gqlink-benchmark"
STORED: Final = 50


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    id: str
    user: str
    text: str


class Messages:
    """Those that there are, and whoever waits for the next: a queue each, as the peers' documentation shows it."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._queues: set[asyncio.Queue[Message]] = set()
        self._all = [self._make(f"user{number % 7}", "x" * 100) for number in range(STORED)]

    @property
    def last(self) -> list[Message]:
        """The newest, as many as are asked for in the benchmark."""
        return self._all[-STORED:]

    def add(self, user: str, text: str) -> Message:
        """Store a message, and give it to everybody who waits."""
        message = self._make(user, text)
        self._all.append(message)
        for queue in self._queues:
            queue.put_nowait(message)
        return message

    async def listen(self) -> AsyncGenerator[Message, None]:
        """Wait for messages."""
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    def _make(self, user: str, text: str) -> Message:
        return Message(str(next(self._ids)), user, text)


def subject_of(token: object) -> str:
    """Say whom a token stands for, as an application on PyJWT does it.

    Raises:
        jwt.PyJWTError: It is not to be trusted.
    """
    text = str(token or "").removeprefix("Bearer ")
    claims = jwt.decode(text, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=ISSUER)
    return str(claims["sub"])
