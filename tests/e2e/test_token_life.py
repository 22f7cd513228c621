"""The life of a token, as the page shows it: renewal, expiry, and an end that somebody else has made."""

from __future__ import annotations

import base64
import itertools
import json
import re
from typing import TYPE_CHECKING, Final

import pytest
from playwright.async_api import expect

from e2e.axe import has_no_barriers
from e2e.brief_chat import brief_chat
from e2e.chat_page import ChatPage

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page, Request, Route, WebSocketRoute

    from e2e.browser import MeetPerson, Person, Socket
    from e2e.chat_server import ChatServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENDED_ELSEWHERE: Final = "Your session was ended elsewhere. Sign in again to go on."
# What the status line says, and each second that is shown, from now on; and how wide the seconds are.
WATCH: Final = """() => {
    const status = document.querySelector("header p.status");
    const timers = [...document.querySelectorAll("[role=timer]")];
    const seen = window.seen = { said: [], seconds: timers.map(() => []), widths: [], live: 0 };
    const add = (list, value) => list.at(-1) !== value && list.push(value);
    const look = () => {
        add(seen.said, `${status.dataset.tone}: ${status.querySelector("[role=status]").textContent}`);
        timers.forEach((timer, index) => add(seen.seconds[index], Number(timer.textContent.match(/\\d+/)[0])));
        add(seen.widths, timers[0].getBoundingClientRect().width);
        seen.live += timers.filter((timer) => timer.closest("[role=status], [role=alert], [role=log]")).length;
    };
    look();
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


@pytest.mark.timeout(90)
async def test_a_renewal_is_not_noticed(tmp_path: Path, meet: MeetPerson) -> None:
    """One socket through three tokens: the same words in the same green, each message once, no history read again."""
    async with brief_chat(tmp_path, token_seconds=5) as chat:
        alice = await meet()
        page = ChatPage(await alice.tab(chat.url))
        await page.sign_in("alice")
        await chat.say("Before")
        await page.shows("Before")
        socket = alice.sockets[-1]
        await renewals(socket, count=1)
        reads = requests_for(page.page, "messages(")
        await page.page.evaluate(WATCH)
        said: list[str] = []
        while len(outcomes(socket)) < 4:
            said.append(f"Message {len(said)}")
            await chat.say(said[-1])
        await page.shows(*said)
        assert alice.sockets[-1] is socket
        assert await page.texts() == ["Before", *said]
        assert reads == []
        assert all("error" not in outcome for outcome in outcomes(socket))
        seen = await page.page.evaluate("window.seen")
        assert seen["said"] == ["good: Connected as alice"]
        assert (len(seen["widths"]), seen["live"]) == (1, 0)
        for seconds in seen["seconds"]:  # in the status line, and in the panel
            steps = [after - before for before, after in itertools.pairwise(seconds)]
            assert sum(step > 0 for step in steps) >= 3
            assert max(seconds) == 5


async def test_seconds_count_down_in_the_status_line_and_in_the_panel(chat: ChatServer, meet: MeetPerson) -> None:
    """Of the token on the socket: two minutes in the demo; a stranger's socket has none, and nothing to count."""
    alice = await meet()
    page = ChatPage(await alice.tab(chat.url))
    await page.has_status("Not signed in")
    await expect(page.seconds).to_have_count(0)
    await expect(page.expire).to_be_disabled()
    await page.sign_in("alice")
    for timer in (page.seconds, page.panel.get_by_role("timer")):
        first = int(re.findall(r"\d+", await timer.inner_text())[0])
        assert 100 < first <= 120
        await expect(timer).to_contain_text(f"{first - 2} s")


async def test_expire_the_token_shows_the_refusal_and_the_way_back(chat: ChatServer, meet: MeetPerson) -> None:
    """The server refuses what the page presents; another token is had, and everything is back at once."""
    alice = await meet()
    alice.expects("401")  # what the page asks for over HTTP at that moment is refused too, and asked again
    page = ChatPage(await alice.tab(chat.url))
    await page.sign_in("alice")
    await chat.say("Said before the token was of no use")
    await page.shows("Said before the token was of no use")
    await page.box.fill("Half a sen")
    await page.page.evaluate(WATCH)
    async with page.page.expect_response("**/refresh"):
        await page.expire.click()
    await expect(page.frames.filter(has_text="4403 Token invalid")).to_have_count(1)
    await page.has_status("Connected as alice")
    await expect(page.expire).to_be_enabled()
    await chat.say("Said when all was well again")
    await page.shows("Said before the token was of no use", "Said when all was well again")
    await expect(page.box).to_have_value("Half a sen")
    assert [refused.payloads("connection_ack") for refused in alice.sockets[-2:-1]] == [[]]
    said = (await page.page.evaluate("window.seen"))["said"]
    assert not [text for text in said if "Reconnecting" in text]


async def test_a_token_that_has_really_expired_is_presented_where_there_is_one(
    tmp_path: Path, meet: MeetPerson
) -> None:
    """After a renewal the page has one: the server says that it is expired."""
    async with brief_chat(tmp_path, token_seconds=6) as chat:
        alice = await meet()
        page = ChatPage(await alice.tab(chat.url))
        await page.sign_in("alice")
        await renewals(alice.sockets[-1], count=1)
        await expect(page.seconds).to_contain_text(re.compile("[1-3] s"))  # so the former token's last fifth is over
        await page.expire.click()
        await expect(page.frames.filter(has_text="4403 Token expired")).to_have_count(1)
        await page.has_status("Connected as alice")
        await expect(page.expire).to_be_enabled()


async def test_a_token_that_cannot_be_exchanged_ends_the_socket_when_it_ends(tmp_path: Path, meet: MeetPerson) -> None:
    """Nobody is signed out by that, what is over is not presented again, and nothing that was said is lost."""
    async with brief_chat(tmp_path, token_seconds=4) as chat:
        alice = await meet()
        alice.expects("ERR_FAILED")
        page = ChatPage(await alice.tab(chat.url))
        await page.sign_in("alice")
        socket = alice.sockets[-1]
        await page.page.route("**/refresh", lambda route: route.abort())
        await expect(page.frames.filter(has_text="4403 Token expired")).to_have_count(1)
        await page.has_status("Reconnecting")
        await page.box.fill("Begun meanwhile")
        await chat.say("Said meanwhile")
        await page.page.unroute("**/refresh")
        await page.page.evaluate("dispatchEvent(new Event('online'))")
        await page.has_status("Connected as alice")
        await page.shows("Said meanwhile")
        await expect(page.box).to_have_value("Begun meanwhile")
        presented = [str(init) for each in alice.sockets for init in each.payloads("connection_init")]
        assert len(presented) == len(set(presented))
        assert socket.payloads("complete") == []


async def test_a_session_that_was_ended_elsewhere_says_so(tmp_path: Path, meet: MeetPerson) -> None:
    """On the open socket: a sentence, and who signs in again finds what was being typed."""
    async with brief_chat(tmp_path, token_seconds=120) as chat:
        alice = await meet()
        alice.expects("401")
        page = ChatPage(await alice.tab(chat.url))
        await page.sign_in("alice")
        await page.box.fill("Half a sentence")
        await chat.graphql.revoke(session=session_of(alice.sockets[-1]))
        await is_ended_elsewhere(page)
        await expect(page.frames.filter(has_text="4403 Session revoked")).to_have_count(1)
        await has_no_barriers(page.page)
        await page.sign_in("alice")
        await expect(page.box).to_have_value("Half a sentence")
        await page.box.press("Enter")
        await page.shows("Half a sentence")


async def test_signing_out_in_another_browser_of_the_session_is_said(chat: ChatServer, meet: MeetPerson) -> None:
    """One session in two browsers, as after a restored profile: the server tells the other one."""
    one, other = await meet(), await meet()
    for each in (one, other):
        each.expects("401")
    page = ChatPage(await one.tab(chat.url))
    await page.sign_in("alice")
    await take_session(one, other, url=chat.url)
    copy = ChatPage(await other.tab(chat.url))
    await copy.has_status("Connected as alice")
    await copy.sign_out()
    await is_ended_elsewhere(page)


async def test_users_revoke_signs_the_page_out(own_chat: ChatServer, meet: MeetPerson) -> None:
    """The command is another process; the server finds the order in the database."""
    alice = await meet()
    alice.expects("401")
    page = ChatPage(await alice.tab(own_chat.url))
    await page.sign_in("alice")
    answer = await own_chat.home.run("users", "revoke", "alice", "--data", str(own_chat.home.path / "chat"))
    assert (answer.code, answer.out) == (0, "Ended 1 session of alice.\n")
    await is_ended_elsewhere(page)


async def test_two_tabs_and_hasty_reloads_stay_signed_in(chat: ChatServer, meet: MeetPerson) -> None:
    """Each exchange changes the cookie that they share, and a reload may come before its answer."""
    alice = await meet()
    pages = [ChatPage(await alice.tab(chat.url)) for _ in range(2)]
    await pages[0].sign_in("alice")
    await pages[1].has_status("Connected as alice")
    for _ in range(3):
        for page in pages:
            async with page.page.expect_request("**/refresh"):  # asked, and perhaps not answered
                await page.page.reload(wait_until="commit")
    for page in pages:
        await page.has_status("Connected as alice")


async def test_a_lost_answer_to_an_exchange_signs_nobody_out(tmp_path: Path, meet: MeetPerson) -> None:
    """The server has changed the refresh token, and the page has not heard of it: the former one still counts."""
    async with brief_chat(tmp_path, token_seconds=5) as chat:
        bob = await meet()
        bob.expects("ERR_FAILED")
        tab = await bob.context.new_page()
        await tab.route("**/refresh", lose, times=1)
        await tab.goto(f"{chat.url}/?as=bob")
        page = ChatPage(tab)
        await page.has_status("Connected as bob")
        async with tab.expect_event("requestfailed"):
            pass
        async with tab.expect_response("**/refresh") as asked_again:
            pass
        assert (await asked_again.value).ok
        await page.has_status("Connected as bob")
        await chat.say("Bob is still here")
        await page.shows("Bob is still here")


async def test_a_revocation_is_heard_over_http_too(tmp_path: Path, meet: MeetPerson) -> None:
    """Where no socket is to be had, the answer to a question says it."""
    async with brief_chat(tmp_path, token_seconds=120) as chat:
        alice = await meet()
        alice.expects("401")
        page = ChatPage(await alice.tab(chat.url))
        await page.sign_in("alice")
        await page.page.route_web_socket("**/graphql", close)
        await page.panel.get_by_role("button", name="Drop the connection").click()
        await page.has_status("Reconnecting")
        await chat.graphql.revoke(subject="alice")
        await page.box.fill("Not for everybody any more")
        await page.box.press("Enter")
        await is_ended_elsewhere(page)


async def test_a_revocation_is_heard_when_the_token_is_exchanged(tmp_path: Path, meet: MeetPerson) -> None:
    """Where neither a socket nor a question is under way."""
    async with brief_chat(tmp_path, token_seconds=3_600) as chat:
        alice = await meet()
        alice.expects("401")
        page = ChatPage(await alice.tab(chat.url))
        await page.sign_in("alice")
        await page.page.route("**/refresh", revoked)
        await page.expire.click()
        await is_ended_elsewhere(page)


async def is_ended_elsewhere(page: ChatPage) -> None:
    """Wait until the page has signed out, and says why."""
    await expect(page.page.get_by_text(ENDED_ELSEWHERE)).to_be_visible()
    await page.has_status("Signed out elsewhere")
    await expect(page.conversation).to_have_count(0)


async def take_session(one: Person, other: Person, *, url: str) -> None:
    """Give somebody's cookies, and the note that there are some, to another browser."""
    cookies = [cookie for path in ("refresh", "logout") for cookie in await one.context.cookies(f"{url}/{path}")]
    await other.context.add_cookies(cookies)  # type: ignore[arg-type]
    await other.context.add_init_script(
        "location.origin === 'null' || localStorage.setItem('gqlink.session', 'signed-in')"
    )


def session_of(socket: Socket) -> str:
    """Return the session of the token that a socket was opened with."""
    [init] = socket.payloads("connection_init")
    _, claims, _ = init["accessToken"].split(".")  # type: ignore[index]
    session: str = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"]
    return session


async def renewals(socket: Socket, *, count: int) -> None:
    """Wait until the server has renewed a socket so often."""
    await socket.wait_until(lambda: len(outcomes(socket)) >= count)


def outcomes(socket: Socket) -> list[dict[str, object]]:
    """Return what the server has said of renewals."""
    pongs = [frame.payload for frame in socket.frames if frame.type == "pong" and frame.direction == "received"]
    return [pong["gqlink"] for pong in pongs if isinstance(pong, dict)]


def requests_for(page: Page, text: str) -> list[str]:
    """Return a list to which every body is added that asks for `text`, from now on."""
    bodies: list[str] = []

    def look(request: Request) -> None:
        body = request.post_data or ""
        if text in body:
            bodies.append(body)

    page.on("request", look)
    return bodies


async def close(route: WebSocketRoute) -> None:
    """Close a socket as soon as it is opened."""
    await route.close()


async def lose(route: Route) -> None:
    """Let a request reach the server, and its answer nobody."""
    await route.fetch()
    await route.abort()


async def revoked(route: Route) -> None:
    """Answer as a server that has ended the session."""
    await route.fulfill(status=401, json={"error": {"code": "UNAUTHENTICATED", "message": "Session revoked."}})
