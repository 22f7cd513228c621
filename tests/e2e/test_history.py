"""Reading back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from e2e.chat_page import ChatPage

if TYPE_CHECKING:
    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_scrolling_back_loads_what_was_said_before(own_chat: ChatServer, meet: MeetPerson) -> None:
    """Page by page, to the very beginning, each message once; who reads back is not torn away by news."""
    said = [f"Message {number}" for number in range(120)]
    await own_chat.say(*said)
    alice = await meet()
    page = ChatPage(await alice.tab(own_chat.url))
    await page.sign_in("alice")
    messages = page.conversation.get_by_role("article")
    await expect(messages).to_have_count(50)
    await expect(page.message("Message 119")).to_be_in_viewport()
    for count in (100, 120):
        await page.conversation.hover()
        await page.page.mouse.wheel(0, -100_000)
        await expect(messages).to_have_count(count)
    await page.page.mouse.wheel(0, -100_000)
    await expect(page.message("Message 0")).to_be_in_viewport()
    await expect(page.conversation.get_by_text("This is where the conversation begins.")).to_be_visible()
    assert await page.texts() == said
    await own_chat.say("News")
    await page.page.get_by_role("button", name="1 new message").click()
    await expect(page.message("News")).to_be_in_viewport()
