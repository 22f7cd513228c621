"""The stories of the lesson, through the page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from e2e.chat_page import ChatPage

if TYPE_CHECKING:
    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_stranger_sees_whom_one_may_be_and_nothing_that_was_said(chat: ChatServer, meet: MeetPerson) -> None:
    """The socket is open and speaks for nobody; no message comes over it, and there is no box to write in."""
    await chat.say("Not for strangers")
    before = await chat.stored()
    stranger = await meet()
    page = ChatPage(await stranger.tab(chat.url))
    await page.has_status("Not signed in")
    for name in ("alice", "bob", "charlie"):
        await expect(page.page.get_by_role("button", name=f"Sign in as {name}")).to_be_visible()
    await expect(page.verdict).to_have_text("Nobody has signed in yet, so accessToken is null. Right so far.")
    await expect(page.conversation).to_have_count(0)
    await expect(page.page.get_by_role("textbox")).to_have_count(0)
    [socket] = stranger.sockets
    assert [frame.type for frame in socket.frames] == ["connection_init", "connection_ack"]
    assert socket.payloads("connection_init") == [{"accessToken": None}]
    assert "Not for strangers" not in await page.page.content()
    assert await chat.stored() == before


async def test_who_signs_in_reads_what_was_said_and_hears_what_is_said(chat: ChatServer, meet: MeetPerson) -> None:
    """The new connection carries the token; what others say comes by itself, once."""
    await chat.say("Said before alice came")
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.sign_in("alice")
    await page.shows("Said before alice came")
    await chat.say("Said while alice listens")
    await page.shows("Said while alice listens")
    await expect(page.verdict).to_have_text("New messages reach alice as they are said.")


async def test_what_one_writes_is_stored_and_shown_once(chat: ChatServer, meet: MeetPerson) -> None:
    """It is shown at once, and takes the place of itself when it comes back."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.sign_in("alice")
    await page.send("Alice says this once")
    await page.shows("Alice says this once")
    assert (await chat.stored()).count("Alice says this once") == 1


async def test_after_signing_out_one_may_sign_in_as_somebody_else(chat: ChatServer, meet: MeetPerson) -> None:
    """The page forgets what it showed; the next connection, and the next message, are the other's."""
    somebody = await meet()
    page = ChatPage(await somebody.tab(chat.url))
    await page.sign_in("alice")
    await page.sign_out()
    await expect(page.conversation).to_have_count(0)
    await expect(page.verdict).to_have_text("Nobody has signed in yet, so accessToken is null. Right so far.")
    await page.sign_in("bob")
    await page.send("Bob, formerly alice")
    await page.shows("Bob, formerly alice")
    lines = [line for line in await page.frame_lines() if "connection_init" in line]
    assert [line.partition("accessToken: ")[2].partition(",")[0] for line in lines] == [
        "null",
        "token of alice",
        "null",
        "token of bob",
    ]


async def test_a_wrong_password_is_said_in_a_sentence(chat: ChatServer, meet: MeetPerson) -> None:
    """Nobody is signed in by it."""
    somebody = await meet()
    somebody.expects("401")
    page = ChatPage(await somebody.tab(chat.url))
    await page.page.get_by_text("Use a name and a password").click()
    await page.page.get_by_label("Name").fill("alice")
    await page.page.get_by_label("Password").fill("not hers")
    await page.page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.page.get_by_role("alert")).to_have_text("This name and password do not fit together.")
    await page.has_status("Not signed in")


async def test_two_people_see_each_message_once_and_in_one_order(chat: ChatServer, meet: MeetPerson) -> None:
    """Also when both write at the same time."""
    pages = {}
    for name in ("alice", "bob"):
        somebody = await meet()
        pages[name] = ChatPage(await somebody.tab(chat.url))
        await pages[name].sign_in(name)

    async def talk(name: str) -> None:
        for number in range(5):
            await pages[name].send(f"{name} says {number}")

    await asyncio.gather(talk("alice"), talk("bob"))
    said = [f"{name} says {number}" for name in pages for number in range(5)]
    for page in pages.values():
        await page.shows(*said)
    stored = [text for text in await chat.stored() if text in said]
    assert sorted(stored) == said
    for page in pages.values():
        assert [text for text in await page.texts() if text in said] == stored


async def test_moments_are_shown_in_the_readers_zone(chat: ChatServer, meet: MeetPerson) -> None:
    """Half an hour apart, where the zones are."""
    await chat.say("What time is it?")
    shown = []
    for zone in ("Asia/Kolkata", "Asia/Karachi"):
        reader = await meet(timezone_id=zone)
        page = ChatPage(await reader.tab(f"{chat.url}/?as=alice"))
        await page.shows("What time is it?")
        title = await page.message("What time is it?").locator(".bubble").get_attribute("title")
        assert title is not None
        hours, minutes, _ = title.rpartition(" ")[2].split(":")
        shown.append(60 * int(hours) + int(minutes))
    assert (shown[0] - shown[1]) % (24 * 60) == 30


async def test_signing_out_in_one_tab_signs_out_the_other(chat: ChatServer, meet: MeetPerson) -> None:
    """Two tabs share a login; signing in is shared as well."""
    alice = await meet()
    one = ChatPage(await alice.tab(chat.url))
    await one.sign_in("alice")
    other = ChatPage(await alice.tab(chat.url))
    await other.has_status("Connected as alice")
    await one.sign_out()
    await other.has_status("Signed out elsewhere")
    await expect(other.conversation).to_have_count(0)
    await other.sign_in("bob")
    await one.has_status("Connected as bob")


async def test_a_window_of_its_own_is_somebody_else(chat: ChatServer, meet: MeetPerson) -> None:
    """The link in the page opens one, in which bob neither signs alice out nor is signed out by her."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.sign_in("alice")
    async with alice.context.expect_page() as opened:
        await page.panel.get_by_role("link", name="Second window as bob").click()
    bob = ChatPage(await opened.value)
    await bob.has_status("Connected as bob")
    await page.send("Hello, window of bob")
    await bob.shows("Hello, window of bob")
    await page.sign_out()
    await bob.send("Alice has left")
    await bob.shows("Alice has left")
    await bob.has_status("Connected as bob")


async def test_a_reload_keeps_who_is_signed_in(chat: ChatServer, meet: MeetPerson) -> None:
    """The token was in memory and is gone; the cookie brings another."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.sign_in("alice")
    await page.page.reload()
    await page.has_status("Connected as alice")
