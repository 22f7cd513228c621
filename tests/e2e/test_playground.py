"""The playground: a page like any other client, with no right that its user has not logged in for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from e2e.playground_page import PlaygroundPage

if TYPE_CHECKING:
    from playwright.async_api import Request

    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_stranger_in_the_playground_is_refused(chat: ChatServer, meet: MeetPerson) -> None:
    """Over HTTP and over the socket; what is stored stays what it is."""
    before = await chat.stored()
    stranger = await meet()
    page = PlaygroundPage(await stranger.tab(f"{chat.url}/playground"))
    await expect(page.identity).to_contain_text("You are a stranger")
    await page.run("Say")
    await page.answers("addMessage")
    await page.answers("UNAUTHENTICATED")
    await page.run("Read")
    await page.answers('"data":\xa0null')
    await page.answers("messages")
    await page.run("Listen")
    await page.answers("messageAdded")
    await page.answers("UNAUTHENTICATED")
    assert await chat.stored() == before


async def test_who_signed_in_in_the_playground_is_known_over_http_and_on_one_socket(
    chat: ChatServer, meet: MeetPerson
) -> None:
    """The query carries the header, the subscription the token in connection_init."""
    alice = await meet()
    tab = await alice.tab(f"{chat.url}/playground")
    page = PlaygroundPage(tab)
    await page.sign_in("alice")
    async with tab.expect_request("**/graphql") as asked:
        await page.run("WhoAmI")
    request: Request = await asked.value
    assert (request.headers["authorization"][:7], "cookie" in request.headers) == ("Bearer ", False)
    await page.answers('"alice"')
    await page.run("Listen")
    await expect(page.identity).to_contain_text("Socket open as alice")
    await chat.say("Heard in the playground")
    await page.answers("Heard\xa0in\xa0the\xa0playground")
    [socket] = alice.sockets
    assert [frame.type for frame in socket.frames] == ["connection_init", "connection_ack", "subscribe", "next"]
    assert socket.payloads("connection_init") == [{"accessToken": request.headers["authorization"][7:]}]
    await page.stop()
    await expect(page.identity).to_contain_text("No socket open")


async def test_what_runs_in_the_playground_goes_on_as_whoever_signs_in(chat: ChatServer, meet: MeetPerson) -> None:
    """The socket introduces itself again; signed out, the subscription is refused."""
    somebody = await meet()
    page = PlaygroundPage(await somebody.tab(f"{chat.url}/playground"))
    await page.sign_in("alice")
    await page.run("Listen")
    await expect(page.identity).to_contain_text("Socket open as alice")
    await page.sign_in("bob")
    await expect(page.identity).to_contain_text("Socket open as bob")
    await chat.say("Bob hears this in the playground")
    await page.answers("Bob\xa0hears\xa0this")
    await page.bar.get_by_role("button", name="Sign out").click()
    await expect(page.identity).to_contain_text("You are a stranger")
    await page.answers("UNAUTHENTICATED")
