"""A socket of the direct path on a transport of ours: whatever comes, it ends in order and holds nothing afterwards."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from gqlink.auth import Credentials
from gqlink.server import Limits
from gqlink.server.direct_socket import DirectServer, DirectSocket
from gqlink.server.frame_reader import FrameReader
from gqlink.server.listener import Outlet, SocketListener
from gqlink.server.transport import Transport
from server.eventually import eventually, turns
from server.hearing import MOST_BYTES, theirs
from server.peer import NEWER
from server.raw import CLOSE, PING, TEXT, frame
from server.streams import segments, stream

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from server.world import World


class Line(asyncio.Transport):
    """A transport whose other end takes everything, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.socket: DirectSocket | None = None
        self.taken = b""
        self.reading = True
        self.over = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Belong to it from now on."""
        assert isinstance(protocol, DirectSocket)
        self.socket = protocol

    def write(self, data: object) -> None:
        """Take bytes."""
        assert isinstance(data, bytes)
        assert not self.over
        self.taken += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Need none."""

    def get_write_buffer_size(self) -> int:
        """Hold nothing."""
        return 0

    def is_closing(self) -> bool:
        """Tell whether it is over."""
        return self.over

    def pause_reading(self) -> None:
        """Bring nothing more."""
        self.reading = False

    def resume_reading(self) -> None:
        """Bring more."""
        self.reading = True

    def close(self) -> None:
        """End it, as a transport does: later."""
        if not self.over:
            self.over = True
            asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        """End it."""
        self.close()

    def lose(self) -> None:
        """Have ended."""
        self.over = True
        if self.socket is not None:
            socket, self.socket = self.socket, None
            socket.connection_lost(None)

    def bring(self, data: bytes) -> None:
        """Let the peer say something, if anybody listens."""
        if self.socket is not None and not self.over:
            self.socket.data_received(data)


def attached(world: World, dialect: Dialect, **options: Any) -> tuple[Line, DirectSocket]:
    """Begin with a socket whose handshake is over."""
    host = world.app(**options)._host
    line = Line()
    place = host.admission.enter(None)

    def listen(outlet: Outlet) -> SocketListener:
        transport = Transport("websocket", subprotocol=dialect.subprotocol, socket=host.number_socket())
        return SocketListener(host, outlet, dialect, transport=transport, handshake=Credentials(), place=place)

    server = DirectServer.begin(set(), set(), ping_interval=20.0, ping_timeout=20.0)
    reader = FrameReader(most_bytes=MOST_BYTES)
    socket = DirectSocket(server, host, transport=line, reader=reader, listen=listen, place=place)
    socket.begin()
    return line, socket


async def test_whatever_a_client_sends_its_socket_ends_in_order(world: World, dialect: Dialect) -> None:
    """As `websockets` hears it, the close is answered or said; afterwards nothing is held."""
    ended = 0
    for seed in range(300):
        chance = random.Random(seed)
        cut = segments(chance, stream(chance))
        line, socket = attached(world, dialect, limits=Limits(messages_per_second=100_000))
        host, server = socket._host, socket._server
        for segment in cut:
            line.bring(segment)
            await turns(3)
        words = [word for heard in theirs(cut) for word in heard]
        last = words[-1] if words else ("nothing",)
        said = any(word[0] in {"text", "binary"} for word in words)
        # The listener closes for what it cannot read; where there was nothing of that, the last word decides.
        if last[0] == "close" and not said:
            ended += 1
            assert line.taken.endswith(last[3])
            assert line.over
        elif last[0] == "nonsense" and not said:
            ended += 1
            assert b"\x88" in line.taken
            assert int(last[1]).to_bytes(2, "big") in line.taken
        line.lose()
        await eventually(lambda host=host: host.admission.sockets == 0)  # type: ignore[misc] # a lambda's default
        assert (host.listeners, host.meter.waiting_bytes, server.connections) == (set(), 0, set())
        await eventually(lambda server=server: not server.tasks)  # type: ignore[misc]
    assert ended > 20


async def test_a_socket_is_one_of_its_servers_connections_while_it_is_there(world: World) -> None:
    """So that uvicorn shuts it down; that is harmless when it has just gone."""
    line, socket = attached(world, NEWER)
    assert socket._server.connections == {socket}
    socket.shutdown()
    await turns()
    assert line.taken.endswith(b"\x03\xf4Service restart")
    line.lose()
    assert socket._server.connections == set()
    socket.shutdown()
    await turns()


async def test_a_flood_leaves_the_rest_of_its_segment_unread(world: World) -> None:
    """1008, and the connection ends at once."""
    line, socket = attached(world, NEWER, limits=Limits(messages_per_second=5))
    line.bring(frame(PING, b"") * 1000)
    await eventually(lambda: line.over)  # where the machine is busy, others have a turn in between
    assert 20 <= line.taken.count(b"\x8a\x00") <= 25  # time passes, and makes room for one more
    assert b"\x03\xf0Too many messages" in line.taken
    await turns()
    assert socket.is_gone


async def test_nothing_is_read_while_too_much_waits_to_be_sent(world: World) -> None:
    """The client takes its answers first; then what it has said meanwhile is heard, in order."""
    line, socket = attached(world, NEWER, limits=Limits(send_buffer_bytes=64))
    line.bring(frame(TEXT, b'{"type":"connection_init"}'))
    await eventually(lambda: b"connection_ack" in line.taken)
    line.taken = b""
    pings = [frame(TEXT, b'{"type":"ping","payload":{"number":%d,"pad":"0123456789"}}' % number) for number in range(9)]
    line.bring(b"".join(pings))
    assert not line.reading
    assert socket.is_deaf
    line.bring(frame(TEXT, b'{"type":"ping"}'))
    await eventually(lambda: line.taken.count(b"pong") == 10)
    await eventually(lambda: line.reading)
    assert not socket.is_deaf
    numbers = [line.taken.index(b'"number":%d' % number) for number in range(9)]
    assert numbers == sorted(numbers)
    line.lose()


@pytest.mark.parametrize("how", ["close", "lost"])
async def test_a_mutation_keeps_the_place_until_it_has_finished(world: World, how: str) -> None:
    """One task waits for it then, and the server for that."""
    line, socket = attached(world, NEWER)
    host, server = socket._host, socket._server
    line.bring(frame(TEXT, b'{"type":"connection_init"}'))
    await eventually(lambda: b"connection_ack" in line.taken)
    query = b'{"type":"subscribe","id":"1","payload":{"query":"mutation { slowAdd(text: \\"a\\") }"}}'
    line.bring(frame(TEXT, query))
    await eventually(lambda: world.happened == ["slowAdd begins"])
    if how == "close":
        line.bring(frame(CLOSE, b"\x03\xe8"))
    else:
        line.lose()
    await turns()
    assert socket.is_gone
    assert (len(server.tasks), host.admission.sockets, len(host.listeners)) == (1, 1, 1)
    world.gate.set()
    await eventually(lambda: host.admission.sockets == 0)
    assert "add a" in world.happened
    await eventually(lambda: not server.tasks)
    assert not host.listeners
