"""The lesson as the page shows it: `connectionParams` as an object, and as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from e2e.chat_page import ChatPage

if TYPE_CHECKING:
    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_object_says_null_again_after_the_login(chat: ChatServer, meet: MeetPerson) -> None:
    """The page is alice's, the socket is nobody's: its subscription is refused, and nothing comes by itself."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.panel.get_by_role("radio", name="object").check()
    await page.page.get_by_role("main").get_by_role("button", name="Sign in as alice").click()
    await page.has_status("Signed in as alice, but not on the socket")
    await expect(page.verdict).to_have_text(
        "alice is signed in, yet the socket said accessToken: null. No new messages arrive."
    )
    await expect(page.frames.last).to_contain_text("You must be logged in")
    lines = await page.frame_lines()
    assert sum(line.endswith("connection_init accessToken: null") for line in lines) == 3  # loaded, switched, signed in
    last = alice.sockets[-1]
    assert [frame.type for frame in last.frames] == ["connection_init", "connection_ack", "subscribe", "error"]
    assert last.payloads("connection_init") == [{"accessToken": None}]
    assert "'code': 'UNAUTHENTICATED'" in str(last.payloads("error"))


async def test_a_function_says_who_is_signed_in(chat: ChatServer, meet: MeetPerson) -> None:
    """Switching to it is all that the page with the object needs."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.panel.get_by_role("radio", name="object").check()
    await page.page.get_by_role("main").get_by_role("button", name="Sign in as alice").click()
    await page.has_status("Signed in as alice, but not on the socket")
    await page.panel.get_by_role("radio", name="function").check()
    await page.has_status("Connected as alice")
    await expect(page.frames.last).to_contain_text("subscribe")
    await chat.say("The function has it")
    await page.shows("The function has it")
    [init] = [line for line in await page.frame_lines() if "token of alice" in line]
    assert "s left" in init
    assert "eyJ" not in await page.panel.inner_text()


async def test_a_dropped_connection_comes_back_and_the_function_is_called_again(
    chat: ChatServer, meet: MeetPerson
) -> None:
    """What was said meanwhile is there; what is said then comes by itself."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.sign_in("alice")
    await page.panel.get_by_role("button", name="Drop the connection").click()
    await page.has_status("Reconnecting in")
    await chat.say("Said while alice was away")
    await page.has_status("Connected as alice")
    await chat.say("Said when alice was back")
    await page.shows("Said while alice was away", "Said when alice was back")
    inits = [init for socket in alice.sockets for init in socket.payloads("connection_init")]
    assert [init != {"accessToken": None} for init in inits] == [False, True, True]


async def test_the_panel_signs_in_as_another_and_out(chat: ChatServer, meet: MeetPerson) -> None:
    """Its buttons do what the page's do; the socket follows each time."""
    somebody = await meet()
    page = ChatPage(await somebody.tab(chat.url))
    await page.sign_in("alice")
    await page.panel.get_by_role("button", name="Sign in as charlie").click()
    await page.has_status("Connected as charlie")
    await page.panel.get_by_role("button", name="Sign out").click()
    await page.has_status("Signed out")
    await expect(page.verdict).to_have_text("Nobody has signed in yet, so accessToken is null. Right so far.")
