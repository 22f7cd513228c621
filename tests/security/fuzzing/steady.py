"""A client that keeps to the rules beside all that: logged in, it says something and hears it, over and over."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import websockets

from gqlink.protocol import Kind, Side
from security.fuzzing.promises import STEADY, Broken
from security.fuzzing.target import log_in
from server.peer import member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.protocol import Dialect
    from server.peer import Peer

SUBSCRIPTION: Final = "subscription { messageAdded { from text } }"
MUTATION: Final = "mutation Say($text: String!) { addMessage(input: { text: $text }) { id } }"


class Steady:
    """One such client; over each subprotocol there is one.

    Args:
        authority: Where the chat is.
        dialect: What it speaks.
        name: Its account.
        password: The account's.
    """

    def __init__(self, authority: str, dialect: Dialect, *, name: str, password: str) -> None:
        self.heard = 0
        """How many of its own messages it has heard, each once and in order."""
        self._authority = authority
        self._dialect = dialect
        self._name = name
        self._password = password
        self._peer: Peer
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Connect and subscribe; at the end everything that was said has been heard."""
        try:
            async with self._stack:
                await self._connect()
                yield
        except (websockets.WebSocketException, OSError, TimeoutError) as exc:
            raise Broken("another client is served meanwhile", repr(exc)) from exc

    async def renew(self) -> None:
        """Show a fresh credential: on the live socket where that can be done, else on a new one.

        Raises:
            Broken: It was not taken.
        """
        if (Side.CLIENT, Kind.PING) not in self._dialect.types:
            await self._stack.aclose()
            await self._connect()
            return
        token = await log_in(self._authority, self._name, password=self._password)
        await self._peer.say(Kind.PING, payload={"gqlink": {"accessToken": token, "seq": 1}})
        while (message := await self._peer.receive())["type"] != "pong" or "payload" not in message:
            self._hear(message)
        if "expiresIn" not in message["payload"]["gqlink"]:
            raise Broken("a credential is renewed meanwhile", message)

    async def _connect(self) -> None:
        """Subscribe, and wait until the subscription is live: nothing that is said from then on may be missed."""
        token = await log_in(self._authority, self._name, password=self._password)
        self._peer = await self._stack.enter_async_context(member(self._authority, self._dialect, token))
        await self._peer.start(SUBSCRIPTION, id="all", extensions={"gqlink": {"cursor": True}})
        first = await self._peer.receive()
        if first["type"] != "next" or "cursor" not in first["payload"]["extensions"]["gqlink"]:
            raise Broken("another client is served meanwhile", first)

    async def say(self) -> None:
        """Say the next thing, and wait until it comes back, by itself and as the answer.

        Raises:
            Broken: Something else comes, or nothing, or it comes twice or not in its turn.
        """
        text = f"{self._prefix}{self.heard + 1}"
        expected = self.heard + 1
        try:
            await self._peer.start(MUTATION, id=text, variables={"text": text})
            answered = False
            while not answered or self.heard < expected:
                message = await self._peer.receive()
                answered |= message["type"] == "complete" and message.get("id") == text
                self._hear(message)
        except (websockets.WebSocketException, OSError, TimeoutError) as exc:
            raise Broken("another client is served meanwhile", (self._dialect.subprotocol, repr(exc))) from exc

    @property
    def _prefix(self) -> str:
        return f"{STEADY.decode()}{self._dialect.subprotocol} "

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "error" or message.get("payload", {}).get("errors"):
            raise Broken("another client is served meanwhile", message)
        if message["type"] != "next" or message["id"] != "all":
            return
        text = message["payload"]["data"]["messageAdded"]["text"]
        if text.startswith(self._prefix):
            self.heard += 1
            if text != f"{self._prefix}{self.heard}":
                raise Broken("every message comes once and in order", (text, self.heard))
