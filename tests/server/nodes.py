"""Several nodes of one deployment, in one process: applications that share a broker, and perhaps a store."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gqlink.auth import ANONYMOUS, Credentials, Identity
from gqlink.server.listener import SocketListener
from gqlink.server.transport import Transport
from gqlink.testing import FakeClock
from server.eventually import turns
from server.recorder import Recorder, Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gqlink.auth import Revocation
    from gqlink.protocol import Dialect
    from gqlink.server import GraphQLApp, SocketEvent
    from server.world import World


class ListStore:
    """A store in memory that fails or waits when the test says so."""

    def __init__(self) -> None:
        self.kept: list[Revocation] = []
        self.loads = 0
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def add(self, revocation: Revocation) -> None:
        """Keep it."""
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.kept.append(revocation)

    async def load(self) -> Sequence[Revocation]:
        """Return everything."""
        self.loads += 1
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return list(self.kept)


class Node:
    """One application; a token is "subject/session/token id/issued at/lives for", and what is left out is not said."""

    def __init__(self, world: World, *, clock: FakeClock | None = None, **options: Any) -> None:
        self.world = world
        self.clock = clock or FakeClock()
        self.events: list[SocketEvent] = []
        self.tells = False
        """Whether the world is told which session was read, and has a few turns to do something about it."""
        settings = {"authenticate": self.authenticate, "clock": self.clock, "on_socket_event": self.events.append}
        self.app: GraphQLApp = world.app(**settings | options)

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Read a token; one whose session is "slow" waits for the world's gate."""
        if credentials.token is None:
            return ANONYMOUS
        subject, session, token_id, issued, lives = (credentials.token.reveal() + "////").split("/")[:5]
        identity = Identity(
            subject=subject or None,
            session=session or None,
            token_id=token_id or None,
            issued_at=float(issued) if issued else None,
            expires_at=self.clock.wall() + float(lives) if lives else None,
        )
        if self.tells:
            self.world.happened.append(f"read {session}")
            await turns(3)  # a database takes longer
        if session == "slow":
            self.world.authenticating += 1
            await self.world.gate.wait()
        return identity

    def call(self, dialect: Dialect) -> Member:
        """Connect one more socket."""
        return Member(self, dialect)

    async def admit(self, dialect: Dialect, token: str | None = None) -> Member:
        """Connect one more socket, and let it in."""
        member = self.call(dialect)
        await member.admitted(token)
        return member


class Member(Scene):
    """One socket of a node."""

    def __init__(self, node: Node, dialect: Dialect) -> None:
        self.world = node.world
        self.dialect = dialect
        self.clock = node.clock
        self.events = node.events
        self.app = node.app
        self.host = node.app._host
        self.outlet = Recorder()
        transport = Transport("websocket", subprotocol=dialect.subprotocol, socket=self.host.number_socket())
        place = self.host.admission.enter(None)
        self.listener = SocketListener(
            self.host, self.outlet, dialect, transport=transport, handshake=Credentials(), place=place
        )
        self.host.listeners.add(self.listener)


@asynccontextmanager
async def nodes(world: World, count: int, **options: Any) -> AsyncIterator[list[Node]]:
    """Run some nodes with one broker and one clock, ready to hear each other; close them afterwards."""
    clock = FakeClock()
    running = [Node(world, clock=clock, **options) for _ in range(count)]
    try:
        for node in running:
            await node.app._host.revocations.ready()
        yield running
    finally:
        world.gate.set()
        for node in running:
            await node.app.aclose()
