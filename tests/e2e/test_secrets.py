"""Where the tokens are: in the page's memory, in an HttpOnly cookie, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.chat_page import ChatPage
from e2e.playground_page import PlaygroundPage

if TYPE_CHECKING:
    from playwright.async_api import Page

    from e2e.browser import MeetPerson, Person
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEPT = """async () => JSON.stringify([
    Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href,
    history.state, window.name, await indexedDB.databases(), await caches.keys(), document.documentElement.outerHTML,
])"""


async def test_the_chat_page_keeps_no_token_where_a_script_or_a_log_finds_it(
    chat: ChatServer, meet: MeetPerson
) -> None:
    """Only the refresh token is in a cookie, for /refresh and /logout, out of reach of scripts and other sites."""
    alice = await meet()
    urls = requested(alice)
    page = ChatPage(await alice.tab(chat.url))
    await page.sign_in("alice")
    await page.send("My token is mine")
    await page.shows("My token is mine")
    tokens = [str(init["accessToken"]) for init in inits(alice) if init["accessToken"]]
    cookies = await alice.context.cookies([f"{chat.url}/refresh", f"{chat.url}/logout", f"{chat.url}/graphql"])
    assert {(each["httpOnly"], each["sameSite"]) for each in cookies} == {(True, "Strict")}
    assert await alice.context.cookies([chat.url, f"{chat.url}/graphql", f"{chat.url}/login"]) == []
    secrets = [*tokens, *(each["value"] for each in cookies)]
    assert len(secrets) >= 2
    assert_unknown(secrets, await page.page.evaluate(KEPT), *urls, *(socket.url for socket in alice.sockets))


async def test_the_playground_keeps_no_token_where_a_script_or_a_log_finds_it(
    chat: ChatServer, meet: MeetPerson
) -> None:
    """It takes no cookie at all."""
    alice = await meet()
    urls = requested(alice)
    page = PlaygroundPage(await alice.tab(f"{chat.url}/playground"))
    await page.sign_in("alice")
    await page.run("WhoAmI")
    await page.answers('"alice"')
    await page.run("Listen")
    await page.page.get_by_text("Socket open as alice").wait_for()
    [init] = inits(alice)
    assert await alice.context.cookies() == []
    kept = await page.page.evaluate(KEPT)
    assert_unknown([str(init["accessToken"])], kept, *urls, *(socket.url for socket in alice.sockets))


def requested(somebody: Person) -> list[str]:
    """Return a list to which every address is added that the pages ask for."""
    urls: list[str] = []

    def follow(page: Page) -> None:
        page.on("request", lambda request: urls.append(request.url))

    somebody.context.on("page", follow)
    return urls


def inits(somebody: Person) -> list[dict[str, object]]:
    """Return the payload of each connection_init."""
    return [payload for socket in somebody.sockets for payload in socket.payloads("connection_init")]  # type: ignore[misc]


def assert_unknown(secrets: list[str], *texts: str) -> None:
    """See that no part of a secret that would be of use is in a text."""
    for secret in secrets:
        end = secret[-20:]
        assert [text for text in texts if end in text] == []
