"""One token source, several links, and the real chat."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import until
from client.peer import Peer, Script
from client.sessions import URL, SessionServer
from gqlink.chat import ChatSettings, create_app
from gqlink.client import Client, HttpLink, LinkPhase, PasswordLogin, RefreshTokenLogin, TokenFile, WebSocketLink
from gqlink.errors import AuthUnavailable, DataUnusable, RequestFailed
from gqlink.testing import FakeClock
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VIEWER = "{ viewer { name } }"
ALICE = {"viewer": {"name": "alice"}}


def graphql(request: httpx2.Request) -> httpx2.Response:
    """Refuse the first token of everybody."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token.endswith("-1"):
        error = {"message": "Token expired", "extensions": {"code": "TOKEN_EXPIRED"}}
        return httpx2.Response(401, json={"errors": [error]})
    return httpx2.Response(200, json={"data": {"viewer": token}})


def renewals(peer: Peer) -> list[object]:
    """Return the tokens that came after the first two: over the sockets that there were, or with others."""
    return [*(token for socket in peer.sockets for token in socket.renewals), *peer.tokens[2:]]


async def test_http_and_two_sockets_share_one_refresh(subprotocol: str) -> None:
    """HTTP because of a 401, the sockets ahead of the end, all at once: one request, and nobody waits for another."""
    sessions, clock = SessionServer(), FakeClock()
    renewal = "ping" if subprotocol == "graphql-transport-ws" else None
    login = PasswordLogin(URL, transport=sessions.transport, clock=clock)
    await login.login("alice", "right")
    script = Script(speaks=(subprotocol,), expires_in=60.0, renewal=renewal)
    async with (
        asyncio.timeout(20),
        Peer(script) as peer,
        Client(WebSocketLink(peer.url, auth=login, clock=clock)) as one,
        Client(WebSocketLink(peer.url, auth=login, clock=clock)) as two,
        Client(HttpLink(f"{URL}/graphql", auth=login, clock=clock, transport=httpx2.MockTransport(graphql))) as http,
        one.subscribe(SUBSCRIPTION),
        two.subscribe(SUBSCRIPTION),
    ):
        await subscribed(peer, 2)
        gate = sessions.hold("/refresh")
        query = asyncio.create_task(http.execute("{ viewer }"))
        await until(lambda: "/refresh" in sessions.asked)
        clock.advance(55)
        gate.set()
        assert await query == {"viewer": "alice-2"}
        await until(lambda: renewals(peer) == ["alice-2", "alice-2"])
        assert sessions.asked == ["/login", "/refresh"]
        await login.logout()
        assert sessions.asked[-1] == "/logout"


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[str]:
    """Serve the chat; yield its address."""
    async with serving(create_app(ChatSettings(data_dir=tmp_path / "chat", demo=True))) as authority:
        yield f"http://{authority}"


async def ask(url: str, source: PasswordLogin | RefreshTokenLogin | TokenFile) -> object:
    """Ask the chat who we are."""
    async with Client(f"{url}/graphql", auth=source) as client:
        return await client.execute(VIEWER)


async def test_a_password_lasts_until_the_logout(chat: str) -> None:
    """Renewed as often as wanted; switched, and logged out, also at the server."""
    async with PasswordLogin(chat) as login:
        await login.login("alice", "alice123")
        for _ in range(3):
            token = await login.token()
            assert await login.refresh(token) != token
            assert await ask(chat, login) == ALICE
        session = login._session
        assert session is not None
        kept = str(session._refresh_token)
        await login.login("bob", "bob123")
        assert await ask(chat, login) == {"viewer": {"name": "bob"}}
        assert await RefreshTokenLogin(chat, kept).token() is None
        await login.logout()
        assert await ask(chat, login) == {"viewer": None}


async def test_a_session_goes_on_from_its_last_refresh_token(chat: str) -> None:
    """Each source hands it on to the next."""
    kept: list[str] = []
    async with PasswordLogin(chat) as login:
        await login.login("alice", "alice123")
        assert login._session is not None
        kept.append(str(login._session._refresh_token))
    for _ in range(3):
        async with RefreshTokenLogin(chat, kept[-1], on_rotated=kept.append) as source:
            assert await ask(chat, source) == ALICE
            await source.refresh(await source.token())
    await RefreshTokenLogin(chat, kept[-1]).logout()
    assert await RefreshTokenLogin(chat, kept[-1]).token() is None


async def test_a_file_is_shared_by_several_at_the_chat(chat: str, tmp_path: Path) -> None:
    """Ten at once, three times in a row; one logs out, and it is over for all."""
    sources = [TokenFile(chat, path=tmp_path / "tokens.json") for _ in range(10)]
    await sources[0].login("alice", "alice123")
    for _ in range(3):
        token = await sources[0].token()
        fresh = {*await asyncio.gather(*(source.refresh(token) for source in sources))}
        assert len(fresh) == 1
        assert fresh != {token}
    assert await ask(chat, sources[9]) == ALICE
    await sources[9].logout()
    assert await ask(chat, sources[0]) == {"viewer": None}


async def test_a_subscription_goes_on_as_whoever_logs_in_elsewhere(chat: str, tmp_path: Path, subprotocol: str) -> None:
    """The login in another process ends the session before at the chat, which closes its socket."""
    mine, other = (TokenFile(chat, path=tmp_path / "tokens.json") for _ in range(2))
    await mine.login("alice", "alice123")
    url = f"{chat.replace('http', 'ws', 1)}/graphql"
    link = WebSocketLink(url, auth=mine, subprotocols=[subprotocol])
    async with (
        asyncio.timeout(20),
        mine,
        Client(link) as client,
        client.subscribe("subscription { messageAdded { text } }") as events,
    ):
        await until(lambda: link.state.subject == "alice")
        await other.login("bob", "bob123")
        await until(lambda: link.state.phase is LinkPhase.LIVE and link.state.subject == "bob")
        async with Client(HttpLink(f"{chat}/graphql", auth=other)) as http:
            await http.execute('mutation { addMessage(input: {text: "hello"}) { id } }')
        assert (await anext(events)).data == {"messageAdded": {"text": "hello"}}


async def test_an_answer_that_was_lost_is_made_up_for(chat: str, tmp_path: Path) -> None:
    """Whoever dies between the answer and the file leaves the refresh token before; the chat takes it once more."""
    path = tmp_path / "tokens.json"
    source = TokenFile(chat, path=path)
    await source.login("alice", "alice123")
    token, before = await source.token(), path.read_bytes()
    await source.refresh(token)
    path.write_bytes(before)
    restarted = TokenFile(chat, path=path)
    assert await restarted.refresh(token) not in {token, None}
    assert await ask(chat, restarted) == ALICE


async def test_a_chat_that_is_gone_is_a_temporary_error(tmp_path: Path) -> None:
    """For the logout it is one that says what may live on."""
    async with serving(create_app(ChatSettings(data_dir=tmp_path / "chat", demo=True))) as authority:
        login = PasswordLogin(f"http://{authority}")
        await login.login("alice", "alice123")
        token = await login.token()
    with pytest.raises(AuthUnavailable, match="no answer"):
        await login.refresh(token)
    assert await login.token() == token
    with pytest.raises(RequestFailed, match="may live on"):
        await login.logout()
    with pytest.raises(RequestFailed):
        await login.login("alice", "alice123")


async def test_a_file_that_is_damaged_while_connected_is_an_error_for_everybody(tmp_path: Path) -> None:
    """Whoever listens is told, and so is whoever asks later; nobody waits."""
    sessions, clock, path = SessionServer(), FakeClock(chance=0.0), tmp_path / "tokens.json"
    async with (
        asyncio.timeout(20),
        Peer() as peer,
        TokenFile(URL, path=path, transport=sessions.transport, clock=clock) as login,
    ):
        await login.login("alice", "right")
        link = WebSocketLink(peer.url, auth=login, clock=clock)
        async with Client(link) as client, client.subscribe(SUBSCRIPTION) as events:
            await subscribed(peer)
            path.write_text("{damaged")
            peer.sockets[0].drop()
            await until(lambda: link.state.phase is LinkPhase.FAILED)
            with pytest.raises(DataUnusable, match="damaged"):
                await anext(events)
            with pytest.raises(DataUnusable, match="damaged"):
                await client.execute("{ open }")
