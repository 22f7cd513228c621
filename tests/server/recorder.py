"""A listener without a socket: what it says is recorded, and a test turns the clock."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, ClassVar

from gqlink.auth import Credentials, Token
from gqlink.protocol import Close, Dialect, Frame, Kind, Side, Text
from gqlink.server.frame_bytes import FINAL, LENGTH_IN_16_BITS, TEXT
from gqlink.server.listener import SocketListener
from gqlink.server.transport import Transport
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.server import SocketEvent
    from gqlink.server.host import Host
    from server.world import World


class Recorder:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.writable = asyncio.Event()
        self.writable.set()

    def write(self, frames: Sequence[Frame]) -> None:
        """Keep frames."""
        self.frames.extend(frames)

    def write_texts(self, texts: Sequence[bytes]) -> None:
        """Keep whole messages."""
        self.write([Text(text) for text in texts])

    has_lane: ClassVar[bool] = False
    """Whether it is as that of the direct path; see gqlink.server.broadcast."""

    def as_lane(self) -> Recorder | None:
        """Let results pass by, or not."""
        return self if self.has_lane else None

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits, and nothing has ended."""
        return self.is_writable and not any(isinstance(frame, Close) for frame in self.frames)

    @is_clear.setter
    def is_clear(self, clear: bool) -> None:
        raise NotImplementedError

    def write_now(self, data: bytes) -> None:
        """Keep whole frames (RFC 6455, section 5.2)."""
        assert self.is_clear
        while data:
            length, at = data[1], 2
            if length == LENGTH_IN_16_BITS:
                length, at = int.from_bytes(data[2:4], "big"), 4
            assert data[0] == FINAL | TEXT
            self.frames.append(Text(data[at : at + length]))
            data = data[at + length :]

    @property
    def is_writable(self) -> bool:
        """What the test has set."""
        return self.writable.is_set()

    def drop(self) -> None:
        """Find nothing: what it was given has left."""

    async def wait_writable(self) -> None:
        """Wait for the test."""
        await self.writable.wait()


class Scene:
    """One listener, the outlet it speaks to, and the clock it reads."""

    def __init__(self, world: World, dialect: Dialect, *, token: str | None = None, **options: Any) -> None:
        self.world = world
        self.dialect = dialect
        self.clock = FakeClock()
        self.events: list[SocketEvent] = []
        self.app = world.app(clock=self.clock, on_socket_event=self.events.append, **options)
        self.host: Host = self.app._host
        self._connect(token)

    def another(self, dialect: Dialect) -> Scene:
        """Return another socket of the same application."""
        scene = Scene.__new__(Scene)
        scene.__dict__.update(self.__dict__)
        scene.dialect = dialect
        scene._connect(None)
        return scene

    def _connect(self, token: str | None) -> None:
        dialect = self.dialect
        self.outlet = Recorder()
        handshake = Credentials(Token(token), "header") if token else Credentials()
        transport = Transport("websocket", subprotocol=dialect.subprotocol, socket=7)
        self.place = self.host.admission.enter(None)
        self.listener = SocketListener(
            self.host, self.outlet, dialect, transport=transport, handshake=handshake, place=self.place
        )

    def say(self, kind: Kind, **members: object) -> None:
        """Let the client say something."""
        self.listener.on_text(json.dumps({"type": self.dialect.types[Side.CLIENT, kind], **members}))

    def start(self, query: str, *, id: str = "1", **payload: object) -> None:  # noqa: A002 -- the member's name
        """Let the client start an operation."""
        self.say(Kind.SUBSCRIBE, id=id, payload={"query": query, **payload})

    def stop(self, id: str = "1") -> None:  # noqa: A002 -- the member's name
        """Let the client end an operation."""
        self.say(Kind.COMPLETE, id=id)

    async def admitted(self, token: str | None = None) -> Scene:
        """Let the client in, and forget what was said until then."""
        self.say(Kind.CONNECTION_INIT, payload={"accessToken": token})
        await self.until(lambda: bool(self.said))
        assert self.said[0]["type"] == "connection_ack"
        self.outlet.frames.clear()
        return self

    async def until(self, condition: Any) -> None:
        """Turn the event loop until a condition holds."""
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError([self.said, self.world.happened])

    async def until_said(self, count: int) -> list[dict[str, Any]]:
        """Turn the event loop until so many messages were said, and return them."""
        await self.until(lambda: len(self.said) >= count)
        return self.said

    async def settle(self) -> None:
        """Let everything happen that is ready to."""
        for _ in range(30):
            await asyncio.sleep(0)

    @property
    def said(self) -> list[dict[str, Any]]:
        """The messages, each with the type that the newer dialect has for its kind."""
        kinds = {word: kind for (side, kind), word in self.dialect.types.items() if side is Side.SERVER}
        messages = [json.loads(frame.data) for frame in self.outlet.frames if not isinstance(frame, Close)]
        return [{**message, "type": kinds[message["type"]].value} for message in messages]

    @property
    def types(self) -> list[str]:
        """The types of the messages."""
        return [message["type"] for message in self.said]

    @property
    def close(self) -> tuple[int, str] | None:
        """The close, which nothing may follow."""
        closes = [(index, frame) for index, frame in enumerate(self.outlet.frames) if isinstance(frame, Close)]
        if not closes:
            return None
        [(index, frame)] = closes
        assert index == len(self.outlet.frames) - 1
        return frame.code, frame.reason

    @property
    def kinds(self) -> list[str]:
        """The kinds of the socket events."""
        return [event.kind for event in self.events]
