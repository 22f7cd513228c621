"""Whom the server benchmark measures: how each is started, and what the generator says to it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from load.limits import raised
from load.messages import ISSUER, KEY_ID, SECRET
from load.own_server import MISSING
from load.real_chat import RealChat

from gqlink.auth import SigningKey, TokenSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOAD: Final = Path(__file__).parent
NPM: Final = LOAD / "npm"
TOKEN_SECONDS: Final = 7200.0
# About as long as a message in a chat; "STAMP" becomes 21 characters.
TEXT: Final = "STAMP the quick brown fox jumps over the lazy dog and then runs away again"


@dataclass(frozen=True, slots=True)
class Words:
    """What the generator says, in one schema.

    Args:
        subscription: The document that every client subscribes with.
        mutation: That of a publication, with the variable `$text`.
        query: The document that is asked for over HTTP.
    """

    subscription: str
    mutation: str
    query: str


PLAIN: Final = Words(
    "subscription { messageAdded { id user text } }",
    "mutation ($text: String!) { addMessage(text: $text) { id } }",
    "{ messages { id user text } }",
)
CHAT: Final = Words(
    "subscription { messageAdded { id from text } }",
    "mutation ($text: String!) { addMessage(input: {text: $text}) { id } }",
    "{ messages { id from text } }",
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One server.

    Args:
        key: What it is called in files and options.
        name: In tables.
        command: Starts it, given a port and the number of clients.
        words: What is said to it.
        path: Where it has GraphQL.
        sockets: Whether it is measured over WebSocket.
        queries: Whether over HTTP.
        full_only: Whether a short run leaves it out.
        missing: What has to be built before it can be measured.
        environment: What its process finds there besides.
        chat: The accounts and the data of the real chat.
    """

    key: str
    name: str
    command: Callable[[int, int], Sequence[str]]
    words: Words = PLAIN
    path: str = "/graphql"
    sockets: bool = True
    queries: bool = True
    full_only: bool = False
    missing: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    chat: RealChat | None = None

    def tokens(self, clients: int) -> list[str]:
        """Return what the clients present: each a token of its own, which no server has seen."""
        return _issue(clients) if self.chat is None else self.chat.tokens()


def contestants(folder: Path, *, floor: Path, node: Path) -> list[Contestant]:
    """Return all of them, in the order in which a round takes them.

    Args:
        folder: Where the chat's database may be.
        floor: The compiled program.
        node: That of Node.
    """
    return [
        Contestant("floor", "C, one `send()` a delivery", lambda port, _: [str(floor), str(port)], queries=False),
        *(_own(row, name) for row, name in OWN.items()),
        _chat(RealChat(folder)),
        *(_python(key, name, *rest) for key, (name, *rest) in PEERS.items()),
        _node("graphql-ws", "graphql-ws over ws (Node)", node, "graphql_ws.mjs", queries=False),
        _node("apollo", "Apollo Server (Node)", node, "apollo.mjs", sockets=False, path="/"),
    ]


OWN: Final = {
    "shared": "**gqlink**, with a share key",
    "alone": "**gqlink**, without a share key",
    "plain": "**gqlink**, with a share key, on plain uvicorn",
}
PEERS: Final = {
    "strawberry": ("Strawberry", "strawberry_server", "websockets-sansio", "caches"),
    "strawberry-websockets": ("Strawberry, `--ws websockets`", "strawberry_server", "websockets", "caches"),
    "strawberry-plain": ("Strawberry, without its caches", "strawberry_server", "websockets-sansio", "none"),
    "ariadne": ("Ariadne", "ariadne_server", "websockets-sansio"),
    "ariadne-websockets": ("Ariadne, `--ws websockets`", "ariadne_server", "websockets"),
}
FULL_ONLY: Final = ("strawberry-websockets", "ariadne-websockets")


def _own(row: str, name: str) -> Contestant:
    return Contestant(
        row,
        name,
        lambda port, clients: [sys.executable, "-m", "load.own_server", row, str(port), str(clients)],
        missing=MISSING[row],
    )


def _chat(chat: RealChat) -> Contestant:
    return Contestant(
        "chat",
        "**gqlink**, the chat as `gqlink serve` starts it",
        lambda port, clients: chat.command(port, limits=raised(clients)),
        words=CHAT,
        chat=chat,
    )


def _python(key: str, name: str, module: str, ws: str, *rest: str) -> Contestant:
    return Contestant(
        key,
        name,
        lambda port, _: [sys.executable, "-m", f"load.{module}", str(port), ws, *rest],
        full_only=key in FULL_ONLY,
    )


def _node(
    key: str, name: str, node: Path, program: str, *, sockets: bool = True, queries: bool = True, path: str = "/graphql"
) -> Contestant:
    return Contestant(
        key,
        name,
        lambda port, _: [str(node), str(NPM / program), str(port)],
        sockets=sockets,
        queries=queries,
        path=path,
        environment={"SECRET": SECRET.decode(), "ISSUER": ISSUER, "NODE_ENV": "production"},
    )


def _issue(clients: int) -> list[str]:
    signer = TokenSigner([SigningKey(KEY_ID, SECRET)], issuer=ISSUER, audience=ISSUER, lifetime=TOKEN_SECONDS)
    now = time.time()
    return [signer.issue(f"user{number}", now=now).reveal() for number in range(clients + 1)]
