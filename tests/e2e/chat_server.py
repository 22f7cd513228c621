"""A demo server as a user starts it, and what it stores, seen from outside the browser."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx2

from cli.running import Home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_PAGE: Final = 200
_READ: Final = "query ($before: ID) { messages(last: 200, before: $before) { id from text } }"
_SAY: Final = "mutation ($input: MessageInput!) { addMessage(input: $input) { id } }"


@dataclass
class ChatServer:
    """`gqlink serve --demo` as a process that can be stopped, and started again where it was.

    Attributes:
        url: Where it is, such as "http://localhost:40123".
    """

    home: Home
    url: str = ""
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False)

    async def start(self) -> None:
        """Start it: on a free port at first, later on the same one."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        data = self.home.path / "chat"
        serving = self.home.serving("--demo", "--data", str(data), port=port)
        self.url, self._process = await self._running.enter_async_context(serving)

    async def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        await self._process.stop()
        await self._running.aclose()

    async def say(self, *texts: str, name: str = "charlie") -> None:
        """Add messages over HTTP, in order."""
        async with self._as(name) as client:
            for number, text in enumerate(texts):
                await _execute(client, _SAY, {"input": {"text": text, "clientId": f"{text}-{number}"}})

    async def stored(self) -> list[str]:
        """Return every text that is stored, oldest first."""
        texts: list[str] = []
        before = None
        async with self._as("charlie") as client:
            while True:
                messages = (await _execute(client, _READ, {"before": before}))["messages"]
                texts[:0] = [message["text"] for message in messages]
                if len(messages) < _PAGE:
                    return texts
                before = messages[0]["id"]

    @asynccontextmanager
    async def _as(self, name: str) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(base_url=self.url) as client:
            token, usable_until = self._tokens.get(name, ("", 0.0))
            if time.monotonic() > usable_until:
                grant = (await client.post("/login", json={"name": name, "password": f"{name}123"})).json()
                token = grant["token"]
                self._tokens[name] = token, time.monotonic() + grant["expiresIn"] / 2
            client.headers["authorization"] = f"Bearer {token}"
            yield client


@asynccontextmanager
async def demo_server(folder: Path) -> AsyncIterator[ChatServer]:
    """Serve a demo whose data and configuration are in `folder`."""
    home = Home(folder)
    home.env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}  # of the sources under test
    server = ChatServer(home)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _execute(
    client: httpx2.AsyncClient, query: str, variables: dict[str, object]
) -> dict[str, list[dict[str, str]]]:
    answer = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer["errors"]
    data: dict[str, list[dict[str, str]]] = answer["data"]
    return data
