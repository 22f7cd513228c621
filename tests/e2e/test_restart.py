"""The server goes away and comes back, while somebody writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from e2e.chat_page import ChatPage

if TYPE_CHECKING:
    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVER_IS_AWAY = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")


async def test_a_restart_of_the_server_loses_nothing_that_was_written(own_chat: ChatServer, meet: MeetPerson) -> None:
    """The box keeps its text; what was sent meanwhile waits, and is stored once, before what is sent later."""
    alice = await meet()
    alice.expects(*SERVER_IS_AWAY)
    page = ChatPage(await alice.tab(own_chat.url))
    await page.sign_in("alice")
    await page.box.fill("Written while all was well")
    await own_chat.stop()
    await page.has_status("Reconnecting")
    await expect(page.box).to_have_value("Written while all was well")
    await page.box.press("Enter")
    await expect(page.conversation.get_by_text("Waiting to be sent")).to_be_visible()
    await page.box.fill("Begun while the server was away")
    await own_chat.start()
    # As the browser says when a network is back; the page may have found the server by itself already.
    await page.page.evaluate("dispatchEvent(new Event('online'))")
    await page.has_status("Connected as alice")
    await page.shows("Written while all was well")
    await expect(page.box).to_have_value("Begun while the server was away")
    await page.box.press("Enter")
    await page.shows("Written while all was well", "Begun while the server was away")
    assert await own_chat.stored() == ["Written while all was well", "Begun while the server was away"]
    await own_chat.say("And it listens again")
    await page.shows("And it listens again")
