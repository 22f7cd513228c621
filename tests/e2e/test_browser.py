"""The tests' own eyes: what they must notice, they notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import pytest

from e2e.axe import violations

if TYPE_CHECKING:
    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG: Final[tuple[tuple[str, Literal["console", "pageerror"], str], ...]] = (
    ("document.head.append(Object.assign(document.createElement('script'), {text: '1'}))", "console", "script-src"),
    ("fetch('http://127.0.0.1:9/').catch(() => 0)", "console", "connect-src"),
    ("fetch('/nowhere')", "console", "status of 404"),
    ("setTimeout(() => { throw Error('thrown') })", "pageerror", "error: thrown"),
    ("console.error('said')", "console", "console: said"),
)


async def test_what_goes_wrong_in_a_page_is_noticed(chat: ChatServer, meet: MeetPerson) -> None:
    """A refusal by the policy, a request that fails, an error that nobody catches."""
    somebody = await meet()
    page = await somebody.tab(chat.url)
    await page.wait_for_load_state("networkidle")
    assert somebody.problems == []
    for script, event, problem in WRONG:
        async with page.expect_event(event, lambda _, problem=problem: problem in str(somebody.problems)):
            await page.evaluate(f"() => {{ {script} }}")
    somebody.expects("")


async def test_axe_notices_a_picture_without_words(chat: ChatServer, meet: MeetPerson) -> None:
    """So it runs, and sees the page."""
    somebody = await meet()
    page = await somebody.tab(chat.url)
    await page.evaluate("document.body.append(document.createElement('img'))")
    assert any(text.startswith("image-alt: ") for text in await violations(page))
