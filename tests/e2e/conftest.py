"""One browser and one demo for all of these tests; each has people of its own, and a server of its own if it must."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Unpack

import pytest_asyncio
from playwright.async_api import expect

from e2e.browser import WITHIN_MILLISECONDS, launched, person
from e2e.chat_server import demo_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest
    from playwright.async_api import Browser

    from e2e.browser import MeetPerson, Person, WindowOptions
    from e2e.chat_server import ChatServer

expect.set_options(timeout=WITHIN_MILLISECONDS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as chromium:
        yield chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chat(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ChatServer]:
    """A demo that the tests share, so messages of earlier ones are in it."""
    async with demo_server(tmp_path_factory.mktemp("chat")) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def own_chat(tmp_path: Path) -> AsyncIterator[ChatServer]:
    """A demo in which nothing has been said, and which may be restarted."""
    async with demo_server(tmp_path) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def meet(browser: Browser) -> AsyncIterator[MeetPerson]:
    """Opens browsers for people; in the end nothing may have gone wrong in their pages."""
    async with AsyncExitStack() as people:

        async def open_browser(**options: Unpack[WindowOptions]) -> Person:
            return await people.enter_async_context(person(browser, **options))

        yield open_browser
