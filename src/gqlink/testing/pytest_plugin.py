"""Fixtures for pytest; whoever installs gqlink has them.

They are plain fixtures: what is asynchronous about them is done by `async with` in the test. So they work with
pytest-asyncio in both its modes, with anyio's plugin on its asyncio backend, and without either.
Nothing is imported before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gqlink.testing import FakeClock, FaultProxy, ScriptedServer
    from gqlink.testing.served import ServedApp

__all__ = ("gqlink_clock", "gqlink_fault_proxy", "gqlink_scripted_server", "gqlink_server")


@pytest.fixture
def gqlink_clock() -> FakeClock:
    """A clock whose hands the test turns: for `GraphQLApp(clock=...)`, `WebSocketLink(clock=...)`, or both."""
    from gqlink.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def gqlink_server() -> type[ServedApp]:
    """Serve an ASGI application: in the test's event loop, or in a thread.

    `async with gqlink_server(app) as server:` and `with gqlink_server(app) as server:`.
    """
    from gqlink.testing.served import ServedApp

    return ServedApp


@pytest.fixture
def gqlink_scripted_server() -> type[ScriptedServer]:
    """Play scripts to clients.

    `async with gqlink_scripted_server([[expect(type="connection_init"), close(4403)]]) as server:`.
    """
    from gqlink.testing.scripted_server import ScriptedServer

    return ScriptedServer


@pytest.fixture
def gqlink_fault_proxy() -> type[FaultProxy]:
    """Stand between a client and a server, and fail on request.

    `async with gqlink_fault_proxy(server.authority) as proxy:`.
    """
    from gqlink.testing.proxy import FaultProxy

    return FaultProxy
