"""How much comes over the wire, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.chat_page import ChatPage

if TYPE_CHECKING:
    from e2e.browser import MeetPerson
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_first_load_of_the_chat_is_light_and_comes_from_one_place(chat: ChatServer, meet: MeetPerson) -> None:
    """Under 250 KB with all headers, and all of it from the chat's own server."""
    stranger = await meet()
    tab = await stranger.context.new_page()
    bytes_of: dict[str, float] = {}
    urls: list[str] = []
    network = await stranger.context.new_cdp_session(tab)
    await network.send("Network.enable")
    network.on(
        "Network.loadingFinished", lambda event: bytes_of.update({event["requestId"]: event["encodedDataLength"]})
    )
    tab.on("request", lambda request: urls.append(request.url))
    await tab.goto(chat.url)
    await ChatPage(tab).has_status("Not signed in")
    await tab.wait_for_load_state("networkidle")
    assert len(bytes_of) >= 4  # the page, its script, its style, config.json
    assert 50_000 < sum(bytes_of.values()) < 250_000
    assert [url for url in urls if not url.startswith(f"{chat.url}/")] == []
