"""Logging in and out, and who follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2
import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import until
from gqlink.client import Client, PasswordLogin, WebSocketLink
from gqlink.errors import BadUserInput, ConnectionRefused, InvalidCredentials, OperationFailed, RequestFailed
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    from client.peer import Peer
    from gqlink.client import Change


def login_server(request: httpx2.Request) -> httpx2.Response:
    """Know one password for everybody, and count nothing."""
    body = json.loads(request.content)
    if body["password"] != "right":
        return httpx2.Response(401, json={"error": {"code": "UNAUTHENTICATED", "message": "no"}})
    return httpx2.Response(200, json={"token": f"{body['name']}-1", "expiresIn": 60})


def account(answer: httpx2.Response | Exception | None = None) -> PasswordLogin:
    """Make a login with a server behind it."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        assert str(request.url) == "http://chat.invalid/login"
        if isinstance(answer, Exception):
            raise answer
        return answer or login_server(request)

    return PasswordLogin("http://chat.invalid/", transport=httpx2.MockTransport(handler), clock=FakeClock())


async def test_a_login_brings_a_token_and_an_identity() -> None:
    """Nobody at first; after a login somebody, until the logout."""
    login = account()
    assert (await login.token(), login.identity) == (None, None)
    identity = await login.login("alice", "right")
    assert (identity.subject, identity.expires_at) == ("alice", 1060.0)
    assert (await login.token(), login.identity) == ("alice-1", identity)
    await login.logout()
    await login.logout()
    assert (await login.token(), login.identity) == (None, None)


async def test_a_wrong_password_changes_nothing() -> None:
    """Whoever was logged in stays so, and nobody is told."""
    login = account()
    await login.login("alice", "right")

    async def changed(_change: Change) -> None:
        raise AssertionError

    login.subscribe(changed)
    with pytest.raises(InvalidCredentials) as refused:
        await login.login("bob", "wrong")
    assert "wrong" not in repr(refused.value)
    assert await login.token() == "alice-1"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (httpx2.Response(500), 500),
        (httpx2.Response(429, headers={"retry-after": "30"}), 429),
        (httpx2.Response(200, json={"token": 7}), 200),
        (httpx2.Response(200, json={"token": "", "expiresIn": 1}), 200),
        (httpx2.Response(200, content=b"\xff"), 200),
        (httpx2.ConnectError("refused"), None),
    ],
)
async def test_any_other_answer_is_no_login(answer: httpx2.Response | Exception, status: int | None) -> None:
    """The status says what came."""
    with pytest.raises(RequestFailed) as failed:
        await account(answer).login("alice", "right")
    assert failed.value.status == status
    assert ("try again in 30 seconds" in str(failed.value)) == (status == 429)


async def test_followers_are_told_before_login_returns_and_not_after_they_left() -> None:
    """One that fails does not keep the others, or the login, from going on."""
    login, told = account(), list[str]()

    async def good(_change: Change) -> None:
        told.append(str(await login.token()))

    async def refused(_change: Change) -> None:
        raise ConnectionRefused(4403, "Token invalid")

    async def broken(_change: Change) -> None:
        raise KeyError

    for follower in (refused, broken):
        login.subscribe(follower)
    leave = login.subscribe(good)
    await login.login("alice", "right")
    await login.logout()
    leave()
    leave()
    await login.login("bob", "right")
    assert told == ["alice-1", "None"]


def test_it_needs_a_url_of_http() -> None:
    """Not a path, not a socket's."""
    with pytest.raises(BadUserInput, match="http:"):
        PasswordLogin("localhost:9000")


async def test_a_url_that_is_none_is_the_callers_fault() -> None:
    """It is said when it is used."""
    with pytest.raises(BadUserInput, match="needs a URL"):
        await PasswordLogin("http://a:port").login("alice", "right")


async def test_the_socket_follows_login_switch_and_logout(peer: Peer) -> None:
    """When each returns, the socket speaks for whoever it is now, and nothing of the one before comes through."""
    login = account()
    link = WebSocketLink(peer.url, auth=login, lazy=False)
    async with Client(link) as client:
        await until(lambda: link.state.phase == "live")
        with pytest.raises(OperationFailed):
            await anext(client.subscribe(SUBSCRIPTION))
        await login.login("alice", "right")
        assert link.state.subject == "alice"
        async with client.subscribe(SUBSCRIPTION) as events:
            await subscribed(peer)
            for number in range(5):
                peer.publish(f"for alice {number}")
            assert (await anext(events)).data == "for alice 0"
            await login.login("bob", "right")
            assert link.state.subject == "bob"
            await until(lambda: peer.subscribers and peer.subscribers[0].subject == "bob")
            peer.publish("for bob")
            assert (await anext(events)).data == "for bob"
            peer.publish("still for bob")
            await login.logout()
            assert link.state.subject is None
            with pytest.raises(OperationFailed):  # the same subscription, as a stranger
                await anext(events)
    assert peer.tokens == [None, "alice-1", "bob-1", None]
    login_followers_left = await login.login("carol", "right")
    assert login_followers_left.subject == "carol"
    assert len(peer.sockets) == 4
