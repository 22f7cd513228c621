"""The chat page as its readers see it: roles, names and texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page


class ChatPage:
    """A tab that shows the chat.

    Args:
        page: Playwright's.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.header = page.get_by_role("banner").first
        self.status = self.header.get_by_role("status")
        self.conversation = page.get_by_role("region", name="Conversation")
        self.box = page.get_by_role("textbox", name=re.compile("^Message as"))
        self.panel = page.get_by_role("complementary", name="WebSocket frames")
        self.frames = self.panel.get_by_role("region", name="List of frames").get_by_role("listitem")
        self.verdict = self.panel.get_by_role("status")
        self.seconds = self.header.get_by_role("timer")
        self.expire = self.panel.get_by_role("button", name="Expire the token")

    async def sign_in(self, name: str) -> None:
        """Press the demo's button, and wait until the socket speaks for them, too."""
        await self.page.get_by_role("main").get_by_role("button", name=f"Sign in as {name}").click()
        await self.has_status(f"Connected as {name}")

    async def sign_out(self) -> None:
        """Press the page's button."""
        await self.header.get_by_role("button", name="Sign out").click()
        await self.has_status("Signed out")

    async def send(self, text: str) -> None:
        """Write a message and press Enter."""
        await self.box.fill(text)
        await self.box.press("Enter")
        await expect(self.box).to_have_value("")

    async def has_status(self, text: str) -> None:
        """Wait until the status line says it."""
        await expect(self.status).to_contain_text(text)

    def message(self, text: str) -> Locator:
        """Find a message by its text."""
        exactly = re.compile(rf"^{re.escape(text)}$")
        return self.conversation.get_by_role("article").filter(has=self.page.get_by_text(exactly))

    async def shows(self, *texts: str) -> None:
        """Wait until these messages are shown, none of them on its way any more."""
        for text in texts:
            await expect(self.message(text)).to_have_count(1)
        await expect(self.conversation.get_by_text("Waiting to be sent")).to_have_count(0)

    async def texts(self) -> list[str]:
        """Return the messages as they stand, from the top."""
        return await self.conversation.locator("article .bubble").all_inner_texts()

    async def frame_lines(self) -> list[str]:
        """Return the lines of the frames panel, without their times."""
        lines = [re.sub(r"\s+", " ", line) for line in await self.frames.all_inner_texts()]
        return [re.sub(r"\d\d:\d\d:\d\d\.\d{3} ?", "", line).strip() for line in lines]
