"""The playground as its users see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

    Operation = Literal["WhoAmI", "Read", "Say", "Listen"]


class PlaygroundPage:
    """A tab that shows the playground, with the operations that it offers at first.

    Args:
        page: Playwright's.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.bar = page.get_by_role("banner")
        self.identity = self.bar.get_by_role("status")
        self.seconds = self.bar.get_by_role("timer")
        self.expire = self.bar.get_by_role("button", name="Expire the token")
        self._execute = page.locator(".graphiql-execute-button")
        self._response = page.get_by_role("region", name="Result Window")

    async def is_ready(self) -> None:
        """Wait until the editor has read its document, so that there are operations to choose from."""
        await expect(self._execute).to_have_attribute("aria-haspopup", "menu")

    async def sign_in(self, name: str) -> None:
        """Press the demo's button."""
        await self.bar.get_by_role("button", name=f"Sign in as {name}").click()
        await expect(self.identity).to_contain_text(f"Signed in as {name}")

    async def run(self, operation: Operation) -> None:
        """Choose one of the operations."""
        await self.is_ready()
        await self._execute.click()
        await self.page.get_by_role("menuitem", name=operation, exact=True).click()

    async def stop(self) -> None:
        """End what runs."""
        await self.page.get_by_role("button", name="Stop query").click()

    async def answers(self, text: str) -> None:
        """Wait until the result has `text` in it."""
        # The editor writes its spaces as no-break spaces.
        await expect(self._response.locator(".view-lines")).to_contain_text(text)
