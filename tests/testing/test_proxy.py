"""The fault proxy, against a server that echoes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gqlink.testing import FaultProxy, eventually
from testing.echo import EchoServer, Line, line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.testing import ProxiedConnection


@pytest.fixture
async def server() -> AsyncIterator[EchoServer]:
    """A server that sends back what it gets."""
    async with EchoServer() as server:
        yield server


@pytest.fixture
async def proxy(server: EchoServer) -> AsyncIterator[FaultProxy]:
    """A proxy in front of it."""
    async with FaultProxy(server.target) as proxy:
        yield proxy


async def passed(server: EchoServer) -> None:
    """Let what was on its way arrive: a message to the server and back, past the proxy."""
    async with line(server.target) as direct:
        for _ in range(3):
            await direct.echo(b"marker")


async def test_it_carries_data_both_ways(proxy: FaultProxy) -> None:
    """What a client sends arrives, and so does the answer."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        assert (proxy.accepted, len(proxy.connections)) == (1, 1)


async def test_a_client_that_leaves_is_missed_by_the_server(proxy: FaultProxy, server: EchoServer) -> None:
    """Both ends of its connection are gone."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
    await eventually(lambda: server.sides[0].lost and not proxy.connections)


async def test_a_client_that_says_no_more_still_hears(proxy: FaultProxy, server: EchoServer) -> None:
    """A FIN passes in its direction only."""
    async with line(proxy.authority) as client:
        client.say(b"the end")
        client.writer.write_eof()
        assert await client.end() == b"the end"
        assert server.sides[0].ended


async def test_a_server_that_leaves_is_missed_by_the_client(proxy: FaultProxy, server: EchoServer) -> None:
    """What it said before arrives."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        server.sides[0].transport.write(b"bye")
        server.sides[0].transport.close()
        assert await client.end() == b"bye"


async def test_cutting_breaks_every_open_connection(proxy: FaultProxy, server: EchoServer) -> None:
    """After a cut the client reads no more, and new connections work."""
    async with line(proxy.authority) as first, line(proxy.authority) as second:
        await first.echo(b"hello")
        await second.echo(b"hello")
        proxy.cut()
        assert await first.end() == b""
        assert await second.end() == b""
        await eventually(lambda: all(side.lost for side in server.sides))
    async with line(proxy.authority) as client:
        await client.echo(b"again")


async def test_a_cut_may_be_a_reset(proxy: FaultProxy) -> None:
    """The client is told by its machine that the connection was reset."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.cut(reset=True)
        assert await client.end() == b"reset"


async def test_while_it_refuses_nobody_listens_on_its_port(proxy: FaultProxy) -> None:
    """A client is refused by the machine, and let in again on the same port later."""
    before = proxy.authority
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await line(proxy.authority).__aenter__()
    await proxy.accept()
    await proxy.accept()
    assert proxy.authority == before
    async with line(proxy.authority) as client:
        await client.echo(b"hello")


async def test_a_delay_holds_back_what_passes(server: EchoServer) -> None:
    """Data arrives later by at least the delay."""
    loop = asyncio.get_running_loop()
    async with FaultProxy(server.target, delay_seconds=0.02) as proxy, line(proxy.authority) as client:
        sent = loop.time()
        await client.echo(b"hello")
        assert loop.time() - sent >= 0.04


async def test_a_shorter_delay_holds_for_what_is_on_its_way(proxy: FaultProxy) -> None:
    """Nobody waits for the hour that was set before."""
    proxy.delay_seconds = 3600.0
    async with line(proxy.authority) as client:
        client.say(b"hello")
        await eventually(lambda: holds(proxy.connections[0], b"hello"))
        proxy.delay_seconds = 0.0
        await client.hear(b"hello")
        assert proxy.delay_seconds == 0.0


async def test_a_throttle_lets_so_much_through_in_a_second(proxy: FaultProxy) -> None:
    """What takes a twentieth of a second at that rate does not come sooner; all of it arrives in order."""
    loop = asyncio.get_running_loop()
    text = bytes(range(200)) * 10
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.throttle(40_000)
        sent = loop.time()
        client.say(text)
        await client.hear(text[:-1])
        assert loop.time() - sent >= 0.039  # its first hundredth of a second is free
        proxy.throttle(None)
        await client.hear(text[-1:])


async def test_a_black_hole_lets_nothing_through(proxy: FaultProxy, server: EchoServer) -> None:
    """Neither side hears the other, and both keep their connection."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.black_hole()
        client.say(b"lost?")
        server.sides[0].transport.write(b"lost, too?")
        await passed(server)
        assert client.silent
        assert server.sides[0].heard == b"hello"
        assert len(proxy.connections) == 1


async def test_a_black_hole_that_heals_has_lost_nothing(proxy: FaultProxy, server: EchoServer) -> None:
    """TCP sends again until it arrives: what was said meanwhile comes late and in order."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.black_hole()
        client.say(b"one ")
        await passed(server)
        client.say(b"two")
        proxy.heal()
        await client.hear(b"one two")


async def test_what_a_black_hole_held_is_lost_in_a_cut(proxy: FaultProxy, server: EchoServer) -> None:
    """The connection ends without it, though the proxy heals afterwards."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.black_hole()
        client.say(b"lost")
        await eventually(lambda: holds(proxy.connections[0], b"lost"))
        proxy.cut()
        proxy.heal()
        assert await client.end() in {b"", b"reset"}
        await eventually(lambda: server.sides[0].lost)
        assert server.sides[0].heard == b"hello"


async def test_a_black_hole_accepts_and_swallows_new_connections(proxy: FaultProxy, server: EchoServer) -> None:
    """They reach the server when it heals."""
    proxy.black_hole()
    async with line(proxy.authority) as client:
        client.say(b"anybody there?")
        await eventually(lambda: proxy.connections and holds(proxy.connections[0], b"anybody there?"))
        assert server.sides == []
        proxy.heal()
        await client.hear(b"anybody there?")


async def test_who_gave_up_in_a_black_hole_never_reaches_the_server(proxy: FaultProxy, server: EchoServer) -> None:
    """A client that came and left while nothing passed is forgotten."""
    proxy.black_hole()
    async with line(proxy.authority) as client:
        client.say(b"anybody there?")
    await eventually(lambda: proxy.accepted == 1 and not proxy.connections)
    proxy.heal()
    await passed(server)
    assert len(server.sides) == 1, "the marker's alone"


async def test_a_black_hole_tells_nobody_that_the_other_has_left(proxy: FaultProxy, server: EchoServer) -> None:
    """The server keeps a client that is gone until the proxy heals."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.black_hole()
    await passed(server)
    assert not server.sides[0].ended
    proxy.heal()
    await eventually(lambda: server.sides[0].lost and not proxy.connections)


async def test_a_black_hole_piles_nothing_up(proxy: FaultProxy) -> None:
    """The proxy stops reading when it holds much, so that the sender has to wait; healed, all of it arrives."""
    text = bytes(range(256)) * 32_768  # 8 MiB
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.black_hole()
        client.say(text)
        await eventually(lambda: not reading(proxy.connections[0]))
        assert len(held(proxy.connections[0])) < 500_000
        proxy.heal()
        await client.hear(text)


async def test_half_open_with_a_silent_server(proxy: FaultProxy, server: EchoServer) -> None:
    """What the client says arrives; nothing comes back."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.half_open(silent="server")
        client.say(b", world")
        await eventually(lambda: server.sides[0].heard == b"hello, world")
        await passed(server)
        assert client.silent
        proxy.heal()
        await client.hear(b", world")


async def test_half_open_with_a_silent_client(proxy: FaultProxy, server: EchoServer) -> None:
    """What the server says arrives; nothing gets there."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.half_open(silent="client")
        client.say(b", world")
        server.sides[0].transport.write(b"news")
        await client.hear(b"news")
        await passed(server)
        assert server.sides[0].heard == b"hello"
        proxy.heal()
        await client.hear(b", world")


async def test_swallowed_endings_leave_a_client_alone_with_its_connection(
    proxy: FaultProxy, server: EchoServer
) -> None:
    """The server says something and is gone; the client reads it and learns of the end when the proxy heals."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.swallow_endings()
        server.sides[0].transport.write(b"last")
        server.sides[0].transport.close()
        await client.hear(b"last")
        await passed(server)
        client.say(b"are you there?")
        await passed(server)
        assert client.silent
        proxy.heal()
        assert await client.end() in {b"", b"reset"}


async def test_a_connection_that_both_sides_have_left_is_forgotten(proxy: FaultProxy, server: EchoServer) -> None:
    """Whatever the weather: there is nobody left to be told."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        proxy.black_hole()
        server.sides[0].transport.close()
    await eventually(lambda: not proxy.connections)


async def test_one_connection_can_be_stalled(proxy: FaultProxy) -> None:
    """Its neighbour goes on."""
    async with line(proxy.authority) as first, line(proxy.authority) as second:
        await first.echo(b"hello")
        await second.echo(b"hello")
        proxy.connections[0].stall()
        first.say(b"more")
        await second.echo(b"more")
        await second.echo(b"more")
        assert first.silent
        proxy.connections[0].heal()
        await first.hear(b"more")


async def test_one_connection_can_be_half_open(proxy: FaultProxy, server: EchoServer) -> None:
    """In either way, and healing the proxy heals it, too."""
    async with line(proxy.authority) as client:
        await client.echo(b"hello")
        (connection,) = proxy.connections
        connection.half_open(silent="server")
        client.say(b"1")
        await eventually(lambda: server.sides[0].heard == b"hello1")
        connection.half_open(silent="client")
        await client.hear(b"1")
        client.say(b"2")
        connection.swallow_endings()
        await client.hear(b"2")
        server.sides[0].transport.close()
        await passed(server)
        assert client.silent
        proxy.heal()
        assert await client.end() == b""


async def test_one_connection_can_be_cut(proxy: FaultProxy) -> None:
    """Its neighbour stays, and the list knows who is left."""
    async with line(proxy.authority) as first, line(proxy.authority) as second:
        await first.echo(b"hello")
        await second.echo(b"hello")
        victim, other = proxy.connections
        assert (victim.number, other.number, victim.is_open) == (1, 2, True)
        victim.cut(reset=True)
        assert await first.end() == b"reset"
        await eventually(lambda: proxy.connections == (other,))
        assert (repr(victim), repr(other)) == ("<ProxiedConnection 1 over>", "<ProxiedConnection 2>")
        victim.cut()
        victim.heal()
        await second.echo(b"again")


async def test_a_new_target_concerns_new_connections(proxy: FaultProxy, server: EchoServer) -> None:
    """A server that comes back elsewhere is found."""
    async with line(proxy.authority) as before, EchoServer() as other:
        await before.echo(b"hello")
        proxy.target = other.target
        async with line(proxy.authority) as after:
            await after.echo(b"hello")
            await before.echo(b"again")
            assert (len(server.sides), len(other.sides)) == (1, 1)


async def test_a_target_that_is_not_there_ends_the_connection() -> None:
    """A client of a proxy without a server is let in and parted with."""
    async with EchoServer() as server:
        target = server.target
    async with FaultProxy(target) as proxy, line(proxy.authority) as client:
        assert await client.end() == b""


@pytest.mark.parametrize("fault", ["none", "black_hole", "swallow_endings", "delay", "unconnected"])
async def test_nothing_is_left_when_it_is_closed(server: EchoServer, fault: str) -> None:
    """Closing ends the connections that are open, whatever the weather, and the tasks that carried them."""
    tasks = asyncio.all_tasks()
    async with FaultProxy(server.target) as proxy, line(proxy.authority) as client:
        if fault != "unconnected":
            await client.echo(b"hello")
        await disturb(proxy, fault, client)
        await proxy.aclose()
        assert proxy.connections == ()
        assert await client.end() in {b"", b"reset"}
    assert asyncio.all_tasks() == tasks


async def disturb(proxy: FaultProxy, fault: str, client: Line) -> None:
    """Let something be wrong, and something be held."""
    match fault:
        case "black_hole":
            proxy.black_hole()
        case "swallow_endings":
            proxy.swallow_endings()
        case "delay":
            proxy.delay_seconds = 3600.0
        case _:
            return
    client.say(b"held")
    if fault != "swallow_endings":
        await eventually(lambda: holds(proxy.connections[0], b"held"))


def held(connection: ProxiedConnection) -> bytes:
    """What the client has said and the proxy has not passed on."""
    return b"".join(piece for _, piece in connection.client._pieces)


def holds(connection: ProxiedConnection, data: bytes) -> bool:
    """Whether it is exactly this."""
    return held(connection) == data


def reading(connection: ProxiedConnection) -> bool:
    """Whether the proxy reads what the client says."""
    assert connection.client._transport is not None
    return connection.client._transport.is_reading()
