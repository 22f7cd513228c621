"""Installs the stock clients once, offers them one at a time, and a chat for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interop.harness import DRIVERS, Driver, NodeServer, StockClient, install
from interop.node import FOLDERS, INSTALL_SECONDS
from interop.served_chat import copy_demo_data, make_demo_data, serve_chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from interop.served_chat import ServedChat


pytest.register_assert_rewrite("interop.own_stories")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test time for the installation; every wait in these tests has a bound of its own."""
    for item in items:
        if "node_packages" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(len(FOLDERS) * INSTALL_SECONDS + 60))


@pytest.fixture(scope="session", autouse=True)
def node_packages() -> None:
    """The npm packages are there; fails, saying what is missing, when they cannot be."""
    for folder in FOLDERS:
        install(folder)


@pytest.fixture(params=tuple(DRIVERS.values()), ids=tuple(DRIVERS))
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each of the six stock clients in turn."""
    chosen = request.param
    assert isinstance(chosen, Driver)
    return chosen


@pytest.fixture
async def stock_client(driver: Driver) -> AsyncIterator[StockClient]:
    """A process with that client, nothing created yet."""
    async with StockClient(driver) as client:
        yield client


@pytest.fixture
async def node_server(driver: Driver) -> AsyncIterator[NodeServer]:
    """The stock server that speaks the subprotocol of that client."""
    async with NodeServer(driver.subprotocol) as server:
        yield server


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a chat with alice, bob and charlie, who have said nothing yet."""
    return make_demo_data(tmp_path_factory.mktemp("demo") / "data")


@pytest.fixture
async def chat(demo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedChat]:
    """Our chat, served on a copy of that directory."""
    async with serve_chat(copy_demo_data(demo_data, tmp_path / "data"), monkeypatch=monkeypatch) as served:
        yield served
