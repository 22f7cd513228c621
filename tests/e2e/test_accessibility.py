"""Nobody is kept out: no barrier that axe-core knows, and a keyboard does for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from e2e.axe import has_no_barriers
from e2e.browser import PHONE
from e2e.chat_page import ChatPage
from e2e.playground_page import PlaygroundPage

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_axe_finds_nothing_on_page_and_panel(chat: ChatServer, meet: MeetPerson) -> None:
    """Signed out, signed in, with a link in a message, with a frame unfolded, and with the object's verdict."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.has_status("Not signed in")
    await has_no_barriers(page.page)
    await page.sign_in("alice")
    await page.send("See https://graphql.org/learn/ for more")
    await page.shows("See https://graphql.org/learn/ for more")
    await page.frames.last.get_by_role("group").click()
    await has_no_barriers(page.page)
    await page.panel.get_by_role("radio", name="object").check()
    await page.has_status("Signed in as alice, but not on the socket")
    await has_no_barriers(page.page)


async def test_axe_finds_nothing_on_a_phone(chat: ChatServer, meet: MeetPerson) -> None:
    """Where the panel covers the page, and nothing is wider than the screen."""
    bob = await meet(viewport=PHONE, has_touch=True)
    page = ChatPage(await bob.tab(chat.url))
    await page.has_status("Not signed in")
    await has_no_barriers(page.page)
    await page.sign_in("bob")
    await has_no_barriers(page.page)
    await page.header.get_by_role("button", name="WebSocket frames").tap()
    await expect(page.panel).to_be_visible()
    await has_no_barriers(page.page)
    assert await page.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    await page.panel.get_by_role("button", name="Close the frames panel").tap()
    await expect(page.panel).to_be_hidden()


async def test_axe_finds_nothing_in_the_playground(chat: ChatServer, meet: MeetPerson) -> None:
    """Nor in GraphiQL's part of it: no rule is switched off."""
    alice = await meet()
    page = PlaygroundPage(await alice.tab(f"{chat.url}/playground"))
    await page.is_ready()
    await has_no_barriers(page.page)
    await page.sign_in("alice")
    await page.run("WhoAmI")
    await page.answers('"alice"')
    await has_no_barriers(page.page)


async def test_a_keyboard_is_enough(chat: ChatServer, meet: MeetPerson) -> None:
    """Tab and Enter sign in, write, send, reach every button of the panel, and sign out; focus is always seen."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.has_status("Not signed in")
    await tab_to(page.page, page.page.get_by_role("button", name="Sign in as alice"))
    await page.page.keyboard.press("Enter")
    await page.has_status("Connected as alice")
    await expect(page.box).to_be_focused()
    await page.page.keyboard.type("Typed by hand")
    await tab_to(page.page, page.page.get_by_role("button", name="Send"))
    await page.page.keyboard.press("Enter")
    await page.shows("Typed by hand")
    buttons = page.panel.get_by_role("button")
    for index in range(await buttons.count()):
        await tab_to(page.page, buttons.nth(index))
    await tab_to(page.page, page.panel.get_by_role("link", name="Second window"))
    await tab_to(page.page, page.panel.get_by_role("button", name="Drop the connection"))
    await page.page.keyboard.press("Enter")
    await page.has_status("Reconnecting")
    await page.has_status("Connected as alice")
    await tab_to(page.page, page.header.get_by_role("button", name="Sign out"))
    await page.page.keyboard.press("Enter")
    await page.has_status("Signed out")
    await expect(page.page.get_by_role("heading", name="Who are you today?")).to_be_focused()


async def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until `target` has the focus, and see that one can see it."""
    for _ in range(80):
        if await target.evaluate("(element) => element === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await expect(target).to_be_focused()
    looks = "(element) => { const style = getComputedStyle(element); return style.outlineStyle + style.boxShadow }"
    assert await target.evaluate(looks) != "nonenone"
