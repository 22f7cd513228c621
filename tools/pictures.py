"""Make the pictures of the pages in docs/pictures, from this version's own pages.

    .venv/bin/python tools/pictures.py

It starts a demo, lets three people talk, and takes their windows with the machine's Chromium.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.async_api import expect

ROOT: Final = Path(__file__).parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
LARGEST_BYTES: Final = 250_000

sys.path.insert(0, str(ROOT / "tests"))
# The tests' own way to start a server and a browser.
from e2e.browser import PHONE, launched, person  # noqa: E402
from e2e.chat_page import ChatPage  # noqa: E402
from e2e.chat_server import demo_server  # noqa: E402
from e2e.playground_page import PlaygroundPage  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

    from e2e.browser import Person, WindowOptions
    from e2e.chat_server import ChatServer

WIDE: Final[WindowOptions] = {"viewport": {"width": 1200, "height": 760}}
TALL: Final[WindowOptions] = {"viewport": {"width": 1200, "height": 1000}}  # so that both connections are seen
TALK: Final = (
    ("bob", "Morning! Has anybody seen the new schema?"),
    ("charlie", "Yes. Subscriptions work now, over the same socket."),
    ("charlie", "Even after the server was restarted"),
    ("alice", "And after I signed out and in again?"),
    ("bob", "Also then. The token travels with every connection: https://graphql.org/learn/subscriptions/"),
    ("alice", "Then I believe it 🎉"),
)


async def take_all() -> None:
    """Take every picture."""
    with tempfile.TemporaryDirectory() as folder:
        async with demo_server(Path(folder)) as chat, launched() as browser:
            for name, text in TALK:
                await chat.say(text, name=name)
            await take_pages(browser, chat)
            await take_frames(browser, chat)
            await take_expiry(browser, chat)
            await take_playground(browser, chat)


async def take_pages(browser: Browser, chat: ChatServer) -> None:
    """The chat as alice sees it: light, dark, and on a phone."""
    looks: dict[str, WindowOptions] = {
        "page-light": {**WIDE, "color_scheme": "light"},
        "page-dark": {**WIDE, "color_scheme": "dark"},
        "page-phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True},
    }
    for name, look in looks.items():
        async with person(browser, **look) as alice:
            page = await at_chat(alice, chat)
            await page.sign_in("alice")
            await page.shows(TALK[-1][1])
            await take(page.page, name)


async def take_frames(browser: Browser, chat: ChatServer) -> None:
    """The lesson: the socket says null after the login, too; then it says who is signed in."""
    async with person(browser, **TALL) as alice:
        page = await at_chat(alice, chat)
        await page.panel.get_by_role("radio", name="object").check()
        await page.page.get_by_role("main").get_by_role("button", name="Sign in as alice").click()
        await page.has_status("Signed in as alice, but not on the socket")
        await expect(page.frames.last).to_contain_text("You must be logged in")
        await page.shows(TALK[-1][1])
        await take(page.page, "frames-before")
        await page.panel.get_by_role("radio", name="function").check()
        await page.has_status("Connected as alice")
        await chat.say("Now I hear you at once", name="bob")
        await page.shows("Now I hear you at once")
        await expect(page.frames.last).to_contain_text("Now I hear you at once")
        await take(page.page, "frames-after")


async def take_expiry(browser: Browser, chat: ChatServer) -> None:
    """What "Expire the token" shows: the refusal, and the way back."""
    async with person(browser, **TALL) as alice:
        page = await at_chat(alice, chat)
        await page.sign_in("alice")
        await page.shows(TALK[-1][1])
        await page.expire.click()
        await expect(page.frames.filter(has_text="4403 Token invalid")).to_have_count(1)
        await page.has_status("Connected as alice")
        await expect(page.frames.last).to_contain_text("subscribe")
        await take(page.page, "frames-expiry")


async def take_playground(browser: Browser, chat: ChatServer) -> None:
    """A subscription that alice runs, and what came over it."""
    async with person(browser, **WIDE) as alice:
        page = PlaygroundPage(await alice.tab(f"{chat.url}/playground"))
        await page.sign_in("alice")
        await page.run("Listen")
        await expect(page.identity).to_contain_text("Socket open as alice")
        await chat.say("Hello, playground", name="bob")
        await page.answers("Hello,\xa0playground")
        await take(page.page, "playground")


async def at_chat(somebody: Person, chat: ChatServer) -> ChatPage:
    """Open the chat, with nobody signed in."""
    page = ChatPage(await somebody.tab(chat.url))
    await page.has_status("Not signed in")
    return page


async def take(page: Page, name: str) -> None:
    """Write a picture, one pixel of it for one of the page."""
    path = PICTURES / f"{name}.png"
    await page.mouse.move(0, 0)
    await page.screenshot(path=path, animations="disabled", caret="hide")
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        sys.exit(f"{path.name} is too large: {size} bytes")
    print(f"{re.sub('^.*/docs/', 'docs/', path.as_posix())}: {size} bytes")


if __name__ == "__main__":
    asyncio.run(take_all())
