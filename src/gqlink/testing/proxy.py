"""A TCP proxy that fails on request: for what a network does and a server cannot be asked to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, Self

from gqlink.testing.flow import Weather
from gqlink.testing.proxied import Faults, ProxiedConnection

if TYPE_CHECKING:
    from gqlink.testing.flow import End

__all__ = ("FaultProxy",)


class FaultProxy:
    """Stands between clients and a server on loopback; an async context manager.

    What is held back is bounded: about 64 KiB for each direction, after which the proxy stops reading and the sender
    has to wait, as on a network that does not answer. TCP loses nothing by itself: what was held back arrives when
    the proxy is healed, and is lost when the connection is cut. The proxy has no chance of its own: who wants random
    victims chooses them from `connections`.

    Args:
        target: The server's address, such as "127.0.0.1:9000"; setting it concerns connections that come later.
        delay_seconds: How long every piece of data is held back, in both directions; it may be set at any time.
    """

    def __init__(self, target: str, *, delay_seconds: float = 0.0) -> None:
        self.target = target
        self.accepted = 0
        self._weather = Weather(delay_seconds=delay_seconds)
        self._faults = Faults()
        self._port = 0
        self._server: asyncio.Server | None = None
        self._connections: dict[int, ProxiedConnection] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def authority(self) -> str:
        """Where clients connect to, such as "127.0.0.1:40123"; it stays the same."""
        return f"127.0.0.1:{self._port}"

    @property
    def connections(self) -> tuple[ProxiedConnection, ...]:
        """The connections that are open, the oldest first."""
        return tuple(self._connections.values())

    @property
    def delay_seconds(self) -> float:
        """How long every piece of data is held back, in seconds."""
        return self._weather.delay_seconds

    @delay_seconds.setter
    def delay_seconds(self, seconds: float) -> None:
        self._weather = Weather(delay_seconds=seconds, bytes_per_second=self._weather.bytes_per_second)
        self._look()

    def throttle(self, bytes_per_second: float | None) -> None:
        """Slow every connection down, each direction for itself.

        Args:
            bytes_per_second: How much gets through, more than 0; None for as much as there is.
        """
        self._weather = Weather(delay_seconds=self._weather.delay_seconds, bytes_per_second=bytes_per_second)
        self._look()

    def black_hole(self) -> None:
        """Let nothing through any more, in either direction; connections stay open, and new ones are accepted.

        Neither side learns that the other has ended. A new connection is carried to the server when the proxy is
        healed, unless its client has given up by then.
        """
        self._suffer(Faults(held=frozenset({"client", "server"})))

    def half_open(self, *, silent: Literal["client", "server"]) -> None:
        """Let nothing through that one side says; what the other says arrives. It replaces `black_hole` and the like.

        Args:
            silent: Whose bytes, FIN and RST do not get through.
        """
        self._suffer(Faults(held=frozenset({silent})))

    def swallow_endings(self) -> None:
        """Tell neither side that the other has ended: data gets through, FIN and RST do not.

        So a client keeps a connection whose server is gone, which is what TCP calls half-open.
        """
        self._suffer(Faults(endings_held=True))

    def heal(self) -> None:
        """End `black_hole`, `half_open`, `swallow_endings`, and what was done to single connections.

        What was held back arrives, in order, FIN and RST too. Delay and throttle stay as they are.
        """
        self._suffer(Faults())
        for connection in self.connections:
            connection.heal()

    def cut(self, *, reset: bool = False) -> None:
        """Break all connections, without a word to either side: what is held back is lost.

        Args:
            reset: With RST, so that both sides read "connection reset by peer", instead of a FIN.
        """
        for connection in self.connections:
            connection.cut(reset=reset)

    async def refuse(self) -> None:
        """Refuse new connections, as a port does on which nobody listens; those that are open stay."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await asyncio.sleep(0)  # the listening socket is closed in the next turn of the loop

    async def accept(self) -> None:
        """Accept new connections, on the same port as before; harmless when it does."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._admit, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Refuse, cut, and wait until nothing is left."""
        await self.refuse()
        self.cut()
        await self._empty.wait()

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def _suffer(self, faults: Faults) -> None:
        self._faults = faults
        self._look()

    def _look(self) -> None:
        for connection in self.connections:
            connection.look()

    def _admit(self) -> End:
        self.accepted += 1
        connection = ProxiedConnection(
            self.accepted,
            dial=self._dial,
            weather=lambda: (self._faults, self._weather),
            finished=self._forget,
        )
        self._connections[connection.number] = connection
        self._empty.clear()
        return connection.client

    def _dial(self, end: End) -> asyncio.Task[None]:
        host, _, port = self.target.rpartition(":")
        loop = asyncio.get_running_loop()

        async def dial() -> None:
            await loop.create_connection(lambda: end, host.strip("[]"), int(port))

        return loop.create_task(dial())

    def _forget(self, connection: ProxiedConnection) -> None:
        del self._connections[connection.number]
        if not self._connections:
            self._empty.set()
