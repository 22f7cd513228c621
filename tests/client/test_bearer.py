"""What HTTP does with a token that is of no use, or will soon be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest

from client.hands import turns, until
from client.sessions import URL, SessionServer
from gqlink.client import AccessToken, Client, HttpLink, PasswordLogin
from gqlink.errors import AuthUnavailable, OperationFailed, RequestFailed, SessionRevoked
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from gqlink.client import Auth

REFUSAL = {"errors": [{"message": "Token invalid", "extensions": {"code": "UNAUTHENTICATED"}}]}


class Graphql:
    """Takes the tokens that it is told to, and nobody else's; keeps what was presented.

    Args:
        accepts: Says whether a token is good.
        refusal: What the others are answered.
    """

    def __init__(self, accepts: Callable[[str], bool], refusal: Mapping[str, object] | None = None) -> None:
        self.accepts = accepts
        self.refusal = REFUSAL if refusal is None else refusal
        self.presented: list[str | None] = []
        self.gate: asyncio.Event | None = None
        self.transport = httpx2.MockTransport(self._answer)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        header = request.headers.get("authorization")
        token = None if header is None else header.removeprefix("Bearer ")
        self.presented.append(token)
        if self.gate is not None:
            await self.gate.wait()
        if token is not None and not self.accepts(token):
            return httpx2.Response(401, json=self.refusal)
        return httpx2.Response(200, json={"data": {"viewer": token}})

    def client(self, auth: Auth, clock: FakeClock | None = None) -> Client:
        """Make a client of it."""
        link = HttpLink(f"{URL}/graphql", auth=auth, transport=self.transport, clock=clock or FakeClock())
        return Client(link)


@pytest.fixture
async def sessions() -> SessionServer:
    """Give out tokens."""
    return SessionServer()


@pytest.fixture
async def clock() -> FakeClock:
    """Stand still."""
    return FakeClock()


@pytest.fixture
async def login(sessions: SessionServer, clock: FakeClock) -> AsyncIterator[PasswordLogin]:
    """Be alice."""
    async with PasswordLogin(URL, transport=sessions.transport, clock=clock) as login:
        await login.login("alice", "right")
        yield login


@pytest.mark.parametrize("document", ["{ viewer }", "mutation { viewer }"])
async def test_a_refused_token_is_replaced_and_the_operation_sent_once_more(
    login: PasswordLogin, document: str
) -> None:
    """Mutations as well: a 401 says that nothing was executed."""
    graphql = Graphql(lambda token: token == "alice-2")
    async with graphql.client(login) as client:
        assert await client.execute(document) == {"viewer": "alice-2"}
    assert graphql.presented == ["alice-1", "alice-2"]


async def test_a_hundred_refusals_are_one_refresh(login: PasswordLogin, sessions: SessionServer) -> None:
    """Each operation is sent at most twice."""
    graphql = Graphql(lambda token: token == "alice-2")
    graphql.gate = asyncio.Event()
    async with graphql.client(login) as client:
        answers = asyncio.gather(*(client.execute("{ viewer }") for _ in range(100)))
        await until(lambda: len(graphql.presented) == 100)
        graphql.gate.set()
        assert await answers == [{"viewer": "alice-2"}] * 100
    assert (len(graphql.presented), sessions.asked.count("/refresh")) == (200, 1)


async def test_a_second_refusal_is_the_answer(login: PasswordLogin) -> None:
    """It never loops; and what was refused is not sent by the next operation either."""
    graphql = Graphql(lambda _: False)
    async with graphql.client(login) as client:
        with pytest.raises(OperationFailed) as failed:
            await client.execute("{ viewer }")
        assert failed.value.codes == ("UNAUTHENTICATED",)
        assert graphql.presented == ["alice-1", "alice-2"]
        graphql.accepts = lambda _: True
        assert await client.execute("{ viewer }") == {"viewer": "alice-3"}


@pytest.mark.parametrize(("refusal", "error"), [(REFUSAL, OperationFailed), ({}, RequestFailed)])
async def test_a_refused_token_without_another_is_never_sent_again(
    refusal: Mapping[str, object], error: type[Exception]
) -> None:
    """Every operation raises what the server said, whether that was GraphQL or not."""
    token = "a"
    graphql = Graphql(lambda token: token != "a", refusal)

    def function() -> str:
        return token

    async with graphql.client(function) as client:
        for _ in range(3):
            with pytest.raises(error) as failed:
                await client.execute("{ viewer }")
            assert failed.value.__traceback__ is not None
        assert graphql.presented == ["a"]
        token = "b"
        assert await client.execute("{ viewer }") == {"viewer": "b"}


async def test_links_learn_from_each_other_what_was_refused() -> None:
    """The memory belongs to the source."""
    sessions = SessionServer(refreshes=False)
    login = PasswordLogin(URL, transport=sessions.transport, clock=FakeClock())
    await login.login("alice", "right")
    graphql, other = Graphql(lambda _: False), Graphql(lambda _: True)
    async with graphql.client(login) as client, other.client(login) as second:
        with pytest.raises(OperationFailed):
            await client.execute("{ viewer }")
        with pytest.raises(OperationFailed):
            await second.execute("{ viewer }")
    assert other.presented == []


async def test_a_provider_that_is_away_is_a_temporary_error(login: PasswordLogin, sessions: SessionServer) -> None:
    """The refused token is not sent meanwhile; when the provider is back, everything goes on."""
    graphql = Graphql(lambda token: token == "alice-2")
    sessions.spoilt["/refresh"] = httpx2.Response(503)
    async with graphql.client(login) as client:
        for _ in range(2):
            with pytest.raises(AuthUnavailable) as away:
                await client.execute("{ viewer }")
            assert away.value.temporary
        assert graphql.presented == ["alice-1"]
        del sessions.spoilt["/refresh"]
        assert await client.execute("{ viewer }") == {"viewer": "alice-2"}


async def test_a_token_that_has_ended_is_renewed_before_it_is_sent(login: PasswordLogin, clock: FakeClock) -> None:
    """Not a moment before."""
    graphql = Graphql(lambda _: True)
    async with graphql.client(login, clock) as client:
        clock.advance(59.9)
        await client.execute("{ viewer }")
        clock.advance(0.1)
        await client.execute("{ viewer }")
    assert graphql.presented == ["alice-1", "alice-2"]


async def test_a_token_that_has_ended_is_sent_where_there_is_no_other(clock: FakeClock) -> None:
    """Our count may be wrong: the server decides."""
    graphql = Graphql(lambda _: True)
    async with graphql.client(lambda: AccessToken("a", 0.0), clock) as client:
        assert await client.execute("{ viewer }") == {"viewer": "a"}


async def test_a_session_that_is_over_ends_the_operation_and_the_login(
    login: PasswordLogin, sessions: SessionServer, clock: FakeClock
) -> None:
    """What alice asked for is not executed for nobody; the next operation is nobody's."""
    graphql = Graphql(lambda token: token != "alice-1")
    sessions.sessions.clear()
    async with graphql.client(login, clock) as client:
        with pytest.raises(OperationFailed):
            await client.execute("{ viewer }")
        assert await client.execute("{ viewer }") == {"viewer": None}
        assert graphql.presented == ["alice-1", None]
        await login.login("bob", "right")
        clock.advance(60)
        sessions.sessions.clear()
        with pytest.raises(SessionRevoked):
            await client.execute("{ viewer }")
    assert graphql.presented == ["alice-1", None]


async def test_what_alice_asked_for_is_not_done_in_bobs_name(login: PasswordLogin) -> None:
    """After a switch the refusal of the old token is the answer."""
    graphql = Graphql(lambda token: token == "bob-1")
    graphql.gate = asyncio.Event()
    async with graphql.client(login) as client:
        mutation = asyncio.create_task(client.execute("mutation { viewer }"))
        await until(lambda: graphql.presented)
        await login.login("bob", "right")
        graphql.gate.set()
        with pytest.raises(OperationFailed):
            await mutation
        assert await client.execute("{ viewer }") == {"viewer": "bob-1"}
    assert graphql.presented == ["alice-1", "bob-1"]


@pytest.mark.parametrize("document", ["{ viewer }", "mutation { viewer }"])
async def test_a_bare_function_that_speaks_for_somebody_else_changes_what_follows_only(document: str) -> None:
    """Once `credentials_changed()` was called, what alice sent before is not sent again, also if her token was slow."""
    token, asked, slow = "alice-1", 0, asyncio.Event()

    async def function() -> str:
        nonlocal asked
        asked += 1
        said = token
        if asked == 2:
            await slow.wait()
        return said

    graphql = Graphql(lambda token: token == "bob-1")
    graphql.gate = asyncio.Event()
    async with graphql.client(function) as client:
        sent = asyncio.create_task(client.execute(document))
        await until(lambda: graphql.presented)
        unsent = asyncio.create_task(client.execute(document))
        await until(lambda: asked == 2)
        token = "bob-1"
        await client.credentials_changed()
        slow.set()
        graphql.gate.set()
        for operation in (sent, unsent):
            with pytest.raises(OperationFailed):
                await operation
        assert await client.execute(document) == {"viewer": "bob-1"}
    assert graphql.presented == ["alice-1", "alice-1", "bob-1"]


async def test_a_switch_while_a_token_is_renewed_ends_the_operation(
    login: PasswordLogin, sessions: SessionServer, clock: FakeClock
) -> None:
    """It had not been sent, and is not."""
    graphql = Graphql(lambda _: True)
    gate = sessions.hold("/refresh")
    clock.advance(60)
    async with graphql.client(login, clock) as client:
        mutation = asyncio.create_task(client.execute("mutation { viewer }"))
        await until(lambda: "/refresh" in sessions.asked)
        await login.login("bob", "right")
        gate.set()
        with pytest.raises(SessionRevoked):
            await mutation
    assert graphql.presented == []


async def test_nobodys_refusal_is_nobodys_to_mend() -> None:
    """A 401 for no token, or for a header of the user's own, is the answer."""
    sessions = SessionServer()
    login = PasswordLogin(URL, transport=sessions.transport)
    answer = httpx2.MockTransport(lambda _: httpx2.Response(401, json=REFUSAL))
    async with Client(HttpLink(f"{URL}/graphql", auth=login, transport=answer)) as client:
        with pytest.raises(OperationFailed):
            await client.execute("{ viewer }")
    headers = {"authorization": "Basic eA=="}
    async with Client(HttpLink(f"{URL}/graphql", headers=headers, auth=lambda: "t", transport=answer)) as client:
        for _ in range(2):
            with pytest.raises(OperationFailed):
                await client.execute("{ viewer }")
    assert sessions.asked == []


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_cannot_now_is_a_temporary_error_also_in_graphql(
    login: PasswordLogin, sessions: SessionServer, clock: FakeClock, status: int
) -> None:
    """It says what the server said; the token is not suspected."""
    answer = httpx2.MockTransport(lambda _: httpx2.Response(status, json=REFUSAL, headers={"retry-after": "1"}))
    async with Client(HttpLink(f"{URL}/graphql", auth=login, transport=answer, clock=clock)) as client:
        with pytest.raises(RequestFailed, match="Token invalid") as failed:
            await client.execute("{ viewer }")
    assert (failed.value.status, failed.value.temporary) == (status, True)
    assert "/refresh" not in sessions.asked


async def test_the_link_leaves_its_source() -> None:
    """Once closed it is told nothing."""
    sessions = SessionServer()
    login = PasswordLogin(URL, transport=sessions.transport)
    graphql = Graphql(lambda _: True)
    async with graphql.client(login) as client:
        await client.execute("{ viewer }")
        assert len(login._audience._followers) == 1
    assert login._audience._followers == []
    await turns()
