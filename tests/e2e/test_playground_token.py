"""The life of a token in the playground: what runs there runs on, or says why not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from e2e.axe import has_no_barriers
from e2e.brief_chat import brief_chat
from e2e.playground_page import PlaygroundPage
from e2e.test_token_life import ENDED_ELSEWHERE, outcomes, renewals

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_subscription_in_the_playground_lives_longer_than_its_token(tmp_path: Path, meet: MeetPerson) -> None:
    """One socket through three tokens, with the seconds of the present one beside it."""
    async with brief_chat(tmp_path, token_seconds=5) as chat:
        alice = await meet()
        page = PlaygroundPage(await alice.tab(f"{chat.url}/playground"))
        await page.sign_in("alice")
        await page.run("Listen")
        await expect(page.identity).to_contain_text("Socket open as alice")
        await expect(page.seconds).to_have_text(re.compile(r"[1-5] s left"))
        [socket] = alice.sockets
        await renewals(socket, count=2)
        await chat.say("Heard under the third token")
        await page.answers("Heard\xa0under\xa0the\xa0third\xa0token")
        assert alice.sockets == [socket]
        assert all("error" not in outcome for outcome in outcomes(socket))


async def test_expire_the_token_in_the_playground_shows_the_refusal_and_the_way_back(
    chat: ChatServer, meet: MeetPerson
) -> None:
    """On the socket with the refusal's name; over HTTP the question is asked again with another token."""
    alice = await meet()
    alice.expects("401")
    page = PlaygroundPage(await alice.tab(f"{chat.url}/playground"))
    await page.sign_in("alice")
    await page.expire.click()
    await page.run("WhoAmI")
    await page.answers('"alice"')
    await page.run("Listen")
    await expect(page.identity).to_contain_text("Socket open as alice")
    await page.expire.click()
    await expect(page.identity).to_contain_text("Socket open as alice, after 4403 Token invalid")
    await chat.say("Heard when all was well again")
    await page.answers("Heard\xa0when\xa0all\xa0was\xa0well")
    await has_no_barriers(page.page)


async def test_a_session_that_was_ended_elsewhere_is_said_in_the_playground(tmp_path: Path, meet: MeetPerson) -> None:
    """On the open socket, and over HTTP where there is none; what was written in the editor stays."""
    async with brief_chat(tmp_path, token_seconds=120) as chat:
        alice = await meet()
        alice.expects("401")
        page = PlaygroundPage(await alice.tab(f"{chat.url}/playground"))
        await page.sign_in("alice")
        await page.run("Listen")
        await expect(page.identity).to_contain_text("Socket open as alice")
        await chat.graphql.revoke(subject="alice")
        await says_ended_elsewhere(page)
        await page.answers("UNAUTHENTICATED")  # it went on as a stranger's
        await page.sign_in("bob")
        await expect(page.bar.get_by_role("alert")).to_have_count(0)
        await chat.graphql.revoke(subject="bob")
        await page.run("WhoAmI")
        await says_ended_elsewhere(page)
        await has_no_barriers(page.page)


async def says_ended_elsewhere(page: PlaygroundPage) -> None:
    """Wait until nobody is signed in any more, and the bar says why."""
    await expect(page.bar.get_by_role("alert")).to_have_text(ENDED_ELSEWHERE)
    await expect(page.identity).to_contain_text("You are a stranger")
