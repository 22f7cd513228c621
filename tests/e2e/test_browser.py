"""The tests' own eyes: what they must notice, they notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.axe import violations

if TYPE_CHECKING:
    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (
            "document.head.append(Object.assign(document.createElement('script'), {text: '1'}))",
            "script-src-elem refused",
        ),
        ("fetch('/nowhere')", "response: GET http://localhost:.*/nowhere: 404"),
        ("fetch('http://127.0.0.1:9/').catch(() => 0)", "connect-src refused"),
        ("setTimeout(() => { throw Error('thrown') })", "error: thrown"),
        ("console.error('said')", "console: said"),
    ],
)
async def test_what_goes_wrong_in_a_page_is_noticed(
    chat: ChatServer, meet: MeetPerson, script: str, problem: str
) -> None:
    """A refusal by the policy, a request that fails, an error that nobody catches."""
    somebody = await meet()
    page = await somebody.tab(f"{chat.url}/")
    async with page.expect_console_message() if "thrown" not in script else page.expect_event("pageerror"):
        await page.evaluate(f"() => {{ {script} }}")
    await page.reload()
    assert somebody.problems != []
    somebody.expects(problem)
    somebody.expects("^console: (Refused|Failed to load|Executing|Connecting|Fetch)")  # the browser's own words for it
    assert somebody.problems == []


async def test_axe_notices_a_picture_without_words(chat: ChatServer, meet: MeetPerson) -> None:
    """So it runs, and sees the page."""
    somebody = await meet()
    page = await somebody.tab(chat.url)
    await page.evaluate("document.body.append(document.createElement('img'))")
    assert any(text.startswith("image-alt: ") for text in await violations(page))
