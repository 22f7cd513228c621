"""The stories with gql, the stock client of Python, and our chat: both its transports, both subprotocols.

gql has neither a function for the payload nor a subscription that survives its socket: where a story needs one, the
test does what a user of gql does instead. Its payload is looked at at each connection, so a new dict is S3.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest
from gql import Client, GraphQLRequest
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportConnectionFailed, TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from gqlink.testing import FaultProxy
from interop.chat_http import ADD_MESSAGE, MESSAGES
from interop.forging import REASONS
from interop.harness import LEGACY, MODERN
from interop.line_process import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gql.client import AsyncClientSession

    from interop.served_chat import ServedChat

Transport: TypeAlias = WebsocketsTransport | AIOHTTPWebsocketsTransport
MakeTransport: TypeAlias = "Callable[[str, str | None], Transport]"
Heard: TypeAlias = "asyncio.Queue[dict[str, object] | TransportError]"

LIVE = GraphQLRequest("subscription { messageAdded { from text } }")
READ = GraphQLRequest(MESSAGES)
STRANGER = ["UNAUTHENTICATED"]


def write(text: str) -> GraphQLRequest:
    """A mutation."""
    return GraphQLRequest(ADD_MESSAGE, variable_values={"text": text})


def said(author: str, text: str) -> dict[str, object]:
    """The data of one event."""
    return {"messageAdded": {"from": author, "text": text}}


def codes(refused: pytest.ExceptionInfo[TransportQueryError]) -> list[object]:
    """The `extensions.code` of each error."""
    return [error["extensions"]["code"] for error in refused.value.errors or []]


@pytest.fixture(params=[MODERN, LEGACY])
def subprotocol(request: pytest.FixtureRequest) -> str:
    """What the client offers."""
    return str(request.param)


@pytest.fixture(params=[WebsocketsTransport, AIOHTTPWebsocketsTransport], ids=["websockets", "aiohttp"])
def make_transport(request: pytest.FixtureRequest, subprotocol: str) -> MakeTransport:
    """Make one of gql's transports, from a URL and a token."""
    kind: type[Transport] = request.param

    def make(url: str, token: str | None) -> Transport:
        return kind(url, init_payload={"accessToken": token}, subprotocols=[subprotocol])

    return make


@asynccontextmanager
async def listening(session: AsyncClientSession, chat: ServedChat) -> AsyncIterator[Heard]:
    """Subscribe, and go on when the server says that it is so; gql itself asks only with the first event."""
    heard: Heard = asyncio.Queue()

    async def listen() -> None:
        try:
            async for event in session.subscribe(LIVE):
                heard.put_nowait(event)
        except TransportError as exc:
            heard.put_nowait(exc)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(listen())
        await chat.wait_listening()
        yield heard
        task.cancel()


async def refuse_everything(session: AsyncClientSession) -> None:
    """Subscribe, read and write, and be refused each time."""
    with pytest.raises(TransportQueryError) as refused:
        await anext(session.subscribe(LIVE))
    assert codes(refused) == STRANGER
    for request in (READ, write("hello")):
        with pytest.raises(TransportQueryError) as refused:
            await session.execute(request)
        assert codes(refused) == STRANGER


async def test_s1_a_stranger_reads_and_changes_nothing(
    make_transport: MakeTransport, chat: ServedChat, subprotocol: str
) -> None:
    """S1: the socket is acknowledged as anonymous, and every operation is answered with UNAUTHENTICATED."""
    async with Client(transport=make_transport(chat.url, None)) as session:
        await refuse_everything(session)
        admitted = await chat.wait_for("acknowledged", socket=1)
        assert (admitted.identity.is_anonymous, admitted.subprotocol) == (True, subprotocol)
    assert (chat.sockets_opened, chat.listeners) == (1, 0)
    assert await chat.http.texts(token=chat.token("alice")) == []


async def test_s2_the_payload_stays_null_after_login(make_transport: MakeTransport, chat: ServedChat) -> None:
    """S2: the same client connects again, and says null again."""
    client = Client(transport=make_transport(chat.url, None))
    async with client as session:
        await refuse_everything(session)
    await chat.http.login("alice")
    async with client as session:
        await refuse_everything(session)
    assert [event.identity.subject for event in chat.seen("acknowledged")] == [None, None]


async def test_s3_a_new_payload_brings_the_token_at_the_next_connection(
    make_transport: MakeTransport, chat: ServedChat
) -> None:
    """S3: the same client and transport, made before login, with a new dict; a message arrives once."""
    transport = make_transport(chat.url, None)
    client = Client(transport=transport)
    alice = await chat.http.login("alice")
    transport.init_payload = {"accessToken": alice}
    async with client as session, listening(session, chat) as heard:
        await chat.http.say("one", token=alice)
        await chat.http.say("two", token=alice)
        assert [await heard.get(), await heard.get()] == [said("alice", "one"), said("alice", "two")]
    assert [event.identity.subject for event in chat.seen("acknowledged")] == ["alice"]


async def test_s4_there_is_a_socket_only_inside_the_clients_block(
    make_transport: MakeTransport, chat: ServedChat
) -> None:
    """S4: gql is neither lazy nor closed by its last subscription; its block begins and ends the socket."""
    client = Client(transport=make_transport(chat.url, chat.token("alice")))
    assert await chat.http.texts(token=chat.token("alice")) == []
    assert chat.sockets_opened == 0
    async with client as session:
        async with listening(session, chat):
            pass
        assert await session.execute(READ) == {"messages": []}
        assert chat.seen("closed") == ()
    assert (await chat.wait_for("closed", socket=1)).code == 1000
    assert chat.sockets_opened == 1


async def test_s5_a_cut_connection_ends_the_subscription_and_the_same_client_connects_again(
    make_transport: MakeTransport, chat: ServedChat
) -> None:
    """S5: the iterator raises, the user enters the client once more, with the payload of then."""
    async with FaultProxy(f"127.0.0.1:{chat.port}") as proxy:
        transport = make_transport(f"ws://{proxy.authority}/graphql", chat.token("alice"))
        client = Client(transport=transport)
        async with client as session, listening(session, chat) as heard:
            await chat.http.say("before the cut", token=chat.token("bob"))
            assert await heard.get() == said("bob", "before the cut")
            proxy.cut()
            assert isinstance(await heard.get(), TransportConnectionFailed)
        transport.init_payload = {"accessToken": chat.token("alice")}
        async with client as session, listening(session, chat) as heard:
            await chat.http.say("still here", token=chat.token("bob"))
            assert await heard.get() == said("bob", "still here")
    assert [event.identity.subject for event in chat.seen("acknowledged")] == ["alice", "alice"]


async def test_s6_the_next_connection_acts_as_whoever_is_logged_in_then(
    make_transport: MakeTransport, chat: ServedChat
) -> None:
    """S6: alice logs out, bob logs in, the client is left and entered again."""
    transport = make_transport(chat.url, chat.token("alice"))
    client = Client(transport=transport)
    async with client as session:
        await session.execute(write("I am alice"))
    transport.init_payload = {"accessToken": chat.token("bob")}
    async with client as session, listening(session, chat) as heard:
        await session.execute(write("it is me"))
        assert await heard.get() == said("bob", "it is me")
    assert [event.identity.subject for event in chat.seen("acknowledged")] == ["alice", "bob"]


async def test_s7_a_bad_token_is_refused_with_its_reason_and_nothing_is_executed(
    make_transport: MakeTransport, chat: ServedChat, subprotocol: str
) -> None:
    """S7: entering the client fails; nobody is acknowledged."""
    for forgery, reason in REASONS.items():
        with pytest.raises(TransportError) as refused:
            async with Client(transport=make_transport(chat.url, chat.tokens.forged(forgery))):
                pytest.fail("the client was let in")
        if subprotocol == LEGACY:  # gql shows a close code nowhere, a `connection_error` it does
            assert reason in str(refused.value)
    assert [(event.code, event.reason) for event in chat.seen("refused")] == [(4403, each) for each in REASONS.values()]
    assert chat.seen("acknowledged") == ()


async def test_s8_two_users_see_each_others_messages_at_once_in_order_each_exactly_once(
    make_transport: MakeTransport, chat: ServedChat
) -> None:
    """S8: they speak at the same time, and both hear what was stored, as it was stored."""
    alice, bob = (Client(transport=make_transport(chat.url, chat.token(name))) for name in ("alice", "bob"))
    async with alice as alices, bob as bobs, listening(alices, chat) as one, listening(bobs, chat) as other:
        sessions = {"alice": alices, "bob": bobs}
        texts = [(name, f"{name} {number}") for number in range(5) for name in sessions]
        await asyncio.gather(*(sessions[name].execute(write(text)) for name, text in texts))
        await alices.execute(write("alice says that was all"))
        stored = await chat.http.texts(token=chat.token("alice"))
        assert len(stored) == 11
        for heard in (one, other):
            assert [await heard.get() for _ in stored] == [said(text.split()[0], text) for text in stored]
            assert heard.empty()


async def test_s9_a_login_reaches_an_open_anonymous_socket_only_when_it_is_closed(
    make_transport: MakeTransport, chat: ServedChat
) -> None:
    """S9: a new payload says nothing to a socket that is open; the client is left and entered again."""
    transport = make_transport(chat.url, None)
    client = Client(transport=transport)
    async with client as session:
        await refuse_everything(session)
        transport.init_payload = {"accessToken": chat.token("alice")}
        await refuse_everything(session)
    async with client as session, listening(session, chat) as heard:
        await chat.http.say("at last", token=chat.token("alice"))
        assert await heard.get() == said("alice", "at last")
    assert [event.identity.subject for event in chat.seen("acknowledged")] == [None, "alice"]


@pytest.mark.parametrize("kind", [WebsocketsTransport, AIOHTTPWebsocketsTransport])
async def test_offered_both_subprotocols_in_gqls_order_the_server_takes_the_newer(
    chat: ServedChat, kind: type[Transport]
) -> None:
    """Gql offers the legacy one first, as it comes; both sides then speak the newer."""
    transport = kind(chat.url, init_payload={"accessToken": chat.token("alice")})
    async with Client(transport=transport) as session, listening(session, chat) as heard:
        await session.execute(write("hello"))
        assert await heard.get() == said("alice", "hello")
    assert [event.subprotocol for event in chat.seen("acknowledged")] == [MODERN]
