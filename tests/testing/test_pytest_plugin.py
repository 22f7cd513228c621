"""The fixtures, in this very run, and in runs of pytest with other plugins."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

from gqlink.client import Client
from gqlink.server import GraphQLApp
from gqlink.testing import FakeClock, FaultProxy, ScriptedServer, expect, send
from gqlink.testing.stage import authenticate, standard_schema

if TYPE_CHECKING:
    from pathlib import Path

    from gqlink.testing.served import ServedApp

HELLO = "{ hello }"
SCOPE = "asyncio_default_fixture_loop_scope=function"
BODY = """
import asyncio
import urllib.request

import pytest
from gqlink.client import Client
from gqlink.server import GraphQLApp
from gqlink.testing.stage import authenticate, standard_schema

{mark}
async def test_in_the_loop(gqlink_server, gqlink_fault_proxy, gqlink_clock):
    async with gqlink_server(GraphQLApp(standard_schema(), authenticate=authenticate, clock=gqlink_clock)) as server:
        async with (
            gqlink_fault_proxy(server.authority) as proxy,
            Client(f"ws://{{proxy.authority}}/graphql") as client,
        ):
            assert await client.execute("{{ hello }}") == {{"hello": "world"}}
            assert len(proxy.connections) == 1

def test_without_a_loop(gqlink_server):
    with gqlink_server(GraphQLApp(standard_schema(), authenticate=authenticate)) as server:
        assert asyncio.run(ask(server.url)) == {{"hello": "world"}}

async def ask(url):
    async with Client(url) as client:
        return await client.execute("{{ hello }}")
"""


async def test_an_application_is_served_in_the_tests_loop(gqlink_server: type[ServedApp]) -> None:
    """It has a URL for either transport, and a lifespan where it has one."""
    app = GraphQLApp(standard_schema(), authenticate=authenticate)
    async with gqlink_server(app, lifespan="off") as server:
        assert server.url == f"http://{server.authority}/graphql"
        async with Client(server.url) as http, Client(server.ws_url) as socket:
            assert await http.execute(HELLO) == await socket.execute(HELLO) == {"hello": "world"}


def test_an_application_is_served_in_a_thread(gqlink_server: type[ServedApp]) -> None:
    """A test that is no coroutine asks it as it likes."""
    with gqlink_server(GraphQLApp(standard_schema(), authenticate=authenticate)) as server:
        answer = httpx2.post(server.url, json={"query": HELLO})
    assert answer.json() == {"data": {"hello": "world"}}


async def failing(scope: object, receive: object, send: object) -> None:
    """An application whose lifespan does not start."""
    raise LookupError(scope, receive, send)


async def test_an_application_that_does_not_start_says_so(gqlink_server: type[ServedApp]) -> None:
    """In the loop."""
    with pytest.raises(RuntimeError, match="did not start"):
        await gqlink_server(failing, lifespan="on").__aenter__()


def test_an_application_that_does_not_start_in_a_thread_says_so(gqlink_server: type[ServedApp]) -> None:
    """And leaves no thread."""
    with pytest.raises(RuntimeError, match="did not start"):
        gqlink_server(failing, lifespan="on").__enter__()


async def test_the_other_fixtures_are_what_they_are_called(
    gqlink_clock: FakeClock, gqlink_scripted_server: type[ScriptedServer], gqlink_fault_proxy: type[FaultProxy]
) -> None:
    """A clock of the test's own, and two that are made with what they need."""
    gqlink_clock.advance(1.0)
    script = [expect(type="connection_init"), send({"type": "connection_ack"})]
    async with (
        gqlink_scripted_server([script]) as server,
        gqlink_fault_proxy(server.authority) as proxy,
        Client(f"ws://{proxy.authority}/graphql") as client,
        client.subscribe("subscription { count }"),
    ):
        await server.finished()


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        (("-p", "no:anyio", "-o", "asyncio_mode=strict", "-o", SCOPE), "@pytest.mark.asyncio"),
        (("-p", "no:anyio", "-o", "asyncio_mode=auto", "-o", SCOPE), ""),
        (("-p", "no:asyncio", "-p", "anyio"), "@pytest.mark.anyio"),
    ],
    ids=["pytest-asyncio strict", "pytest-asyncio auto", "anyio"],
)
def test_the_plugin_works_beside_others(tmp_path: Path, options: tuple[str, ...], mark: str) -> None:
    """Without any configuration but theirs, and with warnings as errors."""
    (tmp_path / "test_mine.py").write_text(BODY.format(mark=mark))
    if "anyio" in mark:
        (tmp_path / "conftest.py").write_text(
            "import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
        )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options, "test_mine.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout


def test_the_plugin_costs_a_run_nothing() -> None:
    """Neither the wire nor a server is imported before a fixture is asked for."""
    code = (
        "import sys, gqlink.testing.pytest_plugin;"
        "print(sorted(name for name in sys.modules if name.startswith(('gqlink.', 'picows', 'msgspec', 'uvicorn'))))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['gqlink.testing', 'gqlink.testing.pytest_plugin']"


def test_without_the_server_extra_only_the_server_is_missing() -> None:
    """The others need no more than the client does."""
    code = (
        "import sys; sys.modules['uvicorn'] = sys.modules['starlette'] = None;"
        "from gqlink.testing import FakeClock, FaultProxy, ScriptedServer;"
        "import gqlink.testing.served"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in answer.stderr.splitlines()[-1]


def test_the_door_has_only_what_it_says() -> None:
    """As any module's."""
    with pytest.raises(ImportError, match="nothing_of_the_kind"):
        from gqlink.testing import nothing_of_the_kind  # type: ignore[attr-defined] # noqa: F401
