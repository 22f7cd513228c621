"""Our chat under uvicorn, with what a story watches of it: the life of its sockets, and who began to listen."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gqlink.chat import ChatSettings, create_app
from gqlink.server.following import Following
from interop.chat_http import ChatHttp
from interop.forging import TokenMint
from interop.line_process import PATIENCE
from interop.prompt_server import serving_promptly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gqlink.server import SocketEvent
    from gqlink.server.observing import Observation


class ServedChat:
    """A running chat with the people of the demo.

    Args:
        authority: Where it is, such as "127.0.0.1:40123".
        watch: What it told of itself so far.
        tokens: Made with its signing key.
    """

    def __init__(self, authority: str, *, watch: Watch, tokens: TokenMint) -> None:
        self.url = f"ws://{authority}/graphql"
        self.http_url = f"http://{authority}/graphql"
        self.base_url = f"http://{authority}"
        self.port = int(authority.rpartition(":")[2])
        self.http = ChatHttp(self.base_url)
        self.tokens = tokens
        self._watch = watch

    def token(self, name: str) -> str:
        """A token for somebody, without the time that a login takes."""
        return self.tokens.genuine(name)

    async def fresh_token(self, name: str) -> str:
        """As `token`; what every server of the stories can do."""
        return self.token(name)

    @property
    def sockets_opened(self) -> int:
        """How many sockets there have been."""
        return len(self.seen("opened"))

    @property
    def listeners(self) -> int:
        """How many subscriptions have ever begun to listen: 0 means that none was executed."""
        return self._watch.listeners

    def seen(self, kind: str) -> tuple[SocketEvent, ...]:
        """The events of sockets so far, of one kind."""
        return tuple(event for event in self._watch.events if event.kind == kind)

    async def wait_listening(self) -> None:
        """Wait until one more subscription listens: what is said from then on reaches it."""
        self._watch.expected += 1
        wanted = self._watch.expected
        await self._watch.until(lambda: self._watch.listeners >= wanted, what=f"subscription {wanted}")

    async def wait_closed(self, socket: int) -> None:
        """Wait until one socket has ended."""
        await self.wait_for("closed", socket=socket)

    async def wait_for(self, kind: str, *, socket: int) -> SocketEvent:
        """Wait for one step in the life of one socket; they are counted from 1."""

        def found() -> list[SocketEvent]:
            return [event for event in self.seen(kind) if event.socket == socket]

        await self._watch.until(lambda: bool(found()), what=f"socket {socket} {kind}")
        return found()[0]


class Watch:
    """Notes what happens inside the server, and wakes whoever waits for it."""

    def __init__(self) -> None:
        self.events: list[SocketEvent] = []
        self.listeners = 0
        self.expected = 0
        self._news = asyncio.Event()

    def socket_event(self, event: SocketEvent) -> None:
        """Take one step in the life of a socket."""
        self.events.append(event)
        self._news.set()

    def listening(self) -> None:
        """Take note of one more subscription."""
        self.listeners += 1
        self._news.set()

    async def until(self, condition: Callable[[], bool], *, what: str) -> None:
        """Wait for a condition that only these two can make true."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            story = "\n".join(map(str, self.events))
            pytest.fail(f"no {what} within {PATIENCE} s; {self.listeners} subscriptions;\n{story}")


@asynccontextmanager
async def serve_chat(data_dir: Path, *, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedChat]:
    """Serve the chat on a data directory."""
    watch = Watch()

    go_on = Following.go_on

    def tell(following: Following, observation: Observation) -> None:
        """Tell when a subscription is live: no protocol tells its client."""
        go_on(following, observation)
        watch.listening()

    monkeypatch.setattr(Following, "go_on", tell)
    app = create_app(ChatSettings(data_dir=data_dir, demo=True), on_socket_event=watch.socket_event)
    async with serving_promptly(app) as authority:
        chat = ServedChat(authority, watch=watch, tokens=TokenMint(data_dir))
        async with chat.http:
            yield chat


def make_demo_data(folder: Path) -> Path:
    """Start the chat once, so that every test can copy its data instead of hashing passwords."""
    app = create_app(ChatSettings(data_dir=folder, demo=True))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(start())
    return folder


def copy_demo_data(source: Path, target: Path) -> Path:
    """A data directory of a test's own; the keys keep their mode."""
    shutil.copytree(source, target)
    return target
