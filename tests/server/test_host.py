from __future__ import annotations

from typing import TYPE_CHECKING

from gqlink.auth import ANONYMOUS
from gqlink.server import Context, SocketEvent, Transport

if TYPE_CHECKING:
    import pytest

    from server.world import World


async def test_sockets_are_numbered_from_one(world: World) -> None:
    """Each number once."""
    host = world.app()._host
    assert [host.number_socket() for _ in range(3)] == [1, 2, 3]


async def test_without_a_builder_resolvers_see_the_default_context(world: World) -> None:
    """Who and how."""
    transport = Transport("http")
    assert world.app()._host.context(ANONYMOUS, transport) == Context(ANONYMOUS, transport)


async def test_a_builder_takes_the_place_of_the_default(world: World) -> None:
    """With the same two facts."""
    host = world.app(context=lambda identity, transport: (identity, transport))._host
    transport = Transport("http")
    assert host.context(ANONYMOUS, transport) == (ANONYMOUS, transport)


async def test_each_event_is_passed_on(world: World) -> None:
    """To the application, where it wants to know; without a hook nothing happens."""
    events: list[SocketEvent] = []
    event = SocketEvent(1, "opened")
    world.app(on_socket_event=events.append)._host.notify(event)
    world.app()._host.notify(event)
    assert events == [event]


async def test_a_hook_that_fails_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What the application does wrong there is no business of the socket's."""

    def fail(_: SocketEvent) -> None:
        raise RuntimeError("the terminal is gone")

    world.app(on_socket_event=fail)._host.notify(SocketEvent(1, "opened"))
    assert "on_socket_event failed" in caplog.text
    assert "the terminal is gone" in caplog.text
