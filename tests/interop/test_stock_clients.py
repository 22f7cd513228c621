"""The stories S1 to S9: each of the six stock JavaScript clients with our chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gqlink.testing import FaultProxy
from interop.chat_http import ADD_MESSAGE, MESSAGES
from interop.forging import REASONS
from interop.harness import LEGACY, StockClient, fingerprint

if TYPE_CHECKING:
    from interop.served_chat import ServedChat

LIVE = "subscription { messageAdded { from text } }"
VIEWER = "{ viewer { name } }"
STRANGER = ("UNAUTHENTICATED",)
# Long enough that no client closes an idle socket by itself while a test looks elsewhere; in milliseconds.
STAY = 60_000


def said(author: str, text: str) -> dict[str, object]:
    """The data of one event."""
    return {"messageAdded": {"from": author, "text": text}}


async def connect_anew(client: StockClient) -> None:
    """Do what a user of this client does to have its next operation on a new socket."""
    client.close_socket()
    if client.driver.reconnects_idle:
        await client.wait_for("acked")


async def test_s1_a_plain_object_without_a_token_reads_and_changes_nothing(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S1: the socket is acknowledged as anonymous, and every operation is answered with UNAUTHENTICATED."""
    await stock_client.create(chat.url, params="object", inactivity_timeout=STAY)
    stock_client.subscribe("live", LIVE)
    assert (await stock_client.outcome("live")).error_codes == STRANGER
    stock_client.execute("read", MESSAGES)
    assert (await stock_client.outcome("read")).error_codes == STRANGER
    stock_client.execute("write", ADD_MESSAGE, variables={"text": "hello"})
    assert (await stock_client.outcome("write")).error_codes == STRANGER
    assert await chat.http.error_codes(MESSAGES) == STRANGER
    assert await chat.http.error_codes(ADD_MESSAGE, variables={"text": "hello"}) == STRANGER

    init = await stock_client.wait_for("sent", type="connection_init")
    assert (init.keys, init.token) == (("accessToken",), None)
    admitted = await chat.wait_for("acknowledged", socket=1)
    assert (admitted.identity.is_anonymous, admitted.subprotocol) == (True, stock_client.driver.subprotocol)
    assert (chat.sockets_opened, chat.listeners) == (1, 0)
    assert await chat.http.texts(token=chat.token("alice")) == []


async def test_s2_a_plain_object_stays_null_after_login(stock_client: StockClient, chat: ServedChat) -> None:
    """S2: what was written into the object is sent again at a reconnection."""
    await stock_client.create(chat.url, params="object", inactivity_timeout=STAY)
    stock_client.subscribe("before", LIVE)
    assert (await stock_client.outcome("before")).error_codes == STRANGER
    await stock_client.wait_for("acked")

    stock_client.set_token(await chat.http.login("alice"))
    await connect_anew(stock_client)
    stock_client.subscribe("after", LIVE)
    assert (await stock_client.outcome("after")).error_codes == STRANGER
    assert [init.token for init in stock_client.seen("sent", type="connection_init")] == [None, None]
    assert [event.identity.is_anonymous for event in chat.seen("acknowledged")] == [True, True]
    assert chat.listeners == 0


async def test_s3_a_function_brings_the_token_at_the_first_connection_after_login(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S3: the client was made before anybody had logged in; a message added over HTTP arrives once."""
    await stock_client.create(chat.url)
    alice = await chat.http.login("alice")
    stock_client.set_token(alice)
    stock_client.subscribe("live", LIVE)
    await chat.wait_listening()
    await chat.http.say("one", token=alice)
    await chat.http.say("two", token=alice)

    # "two" is what comes next: "one" came once.
    assert (await stock_client.outcome("live")).data == said("alice", "one")
    assert (await stock_client.outcome("live")).data == said("alice", "two")
    assert [call.token for call in stock_client.seen("params_called")] == [fingerprint(alice)]
    assert [event.identity.subject for event in chat.seen("acknowledged")] == ["alice"]


async def test_s4_a_lazy_client_has_a_socket_only_while_it_subscribes(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S4: it closes when the last subscription ends, not before; legacy clients once `inactivityTimeout` is set."""
    alice = chat.token("alice")
    await stock_client.create(chat.url, token=alice, inactivity_timeout=1)
    assert await chat.http.execute(VIEWER, token=alice) == {"viewer": {"name": "alice"}}
    assert (chat.sockets_opened, stock_client.seen("dialling")) == (0, ())

    stock_client.subscribe("first", "subscription { messageAdded { id } }")  # Apollo merges two that are the same
    stock_client.subscribe("last", LIVE)
    await chat.wait_listening()
    await chat.wait_listening()
    stock_client.unsubscribe("first")
    await chat.http.say("still open", token=alice)
    assert (await stock_client.outcome("last")).data == said("alice", "still open")
    assert chat.seen("closed") == ()
    stock_client.unsubscribe("last")
    assert (await chat.wait_for("closed", socket=1)).code in {1000, 1005}
    assert (await stock_client.wait_for("closed")).socket == chat.sockets_opened == 1


async def test_s4_without_lazy_a_client_connects_at_once(stock_client: StockClient, chat: ServedChat) -> None:
    """S4, the other way round: which shows that the absence of a socket was no accident."""
    await stock_client.create(chat.url, lazy=False)
    assert (await chat.wait_for("acknowledged", socket=1)).identity.is_anonymous


async def test_s5_a_cut_connection_is_dialled_again_with_what_the_function_says_then(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S5: the function is called a second time, and the same subscription goes on."""
    alice = chat.token("alice")
    async with FaultProxy(f"127.0.0.1:{chat.port}") as proxy:
        await stock_client.create(f"ws://{proxy.authority}/graphql", token=alice)
        stock_client.subscribe("live", LIVE)
        await chat.wait_listening()
        await chat.http.say("before the cut", token=alice)
        assert (await stock_client.outcome("live")).data == said("alice", "before the cut")
        fresh = chat.token("alice")
        stock_client.set_token(fresh)
        proxy.cut()
        assert (await stock_client.wait_for("closed")).code == 1006
        await chat.wait_listening()
        await chat.http.say("still here", token=alice)

        assert (await stock_client.outcome("live")).data == said("alice", "still here")
        calls = [(call.count, call.token) for call in stock_client.seen("params_called")]
        assert calls == [(1, fingerprint(alice)), (2, fingerprint(fresh))]
        assert proxy.accepted == chat.sockets_opened == chat.listeners == 2
    assert (await chat.wait_for("closed", socket=1)).code in {1005, 1006}  # uvicorn says 1005 of a reset


async def test_s6_the_next_connection_acts_as_whoever_is_logged_in_then(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S6: alice logs out, bob logs in, the socket is closed as a user of this client would close it."""
    await stock_client.create(chat.url, token=chat.token("alice"), inactivity_timeout=STAY)
    stock_client.subscribe("live", LIVE)
    await chat.wait_listening()
    bob = chat.token("bob")
    stock_client.set_token(bob)
    stock_client.close_socket()

    await chat.wait_listening()
    stock_client.execute("write", ADD_MESSAGE, variables={"text": "it is me"})
    assert (await stock_client.outcome("live")).data == said("bob", "it is me")
    assert [event.identity.subject for event in chat.seen("acknowledged")] == ["alice", "bob"]
    assert (await chat.wait_for("closed", socket=1)).identity.subject == "alice"


async def test_s7_a_bad_token_is_refused_with_its_reason_and_nothing_is_executed(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S7: 4403 with the reason; a legacy client is told in a `connection_error` first."""
    for socket, (forgery, reason) in enumerate(REASONS.items(), start=1):
        await stock_client.create(chat.url, token=chat.tokens.forged(forgery), reconnect=False)
        stock_client.subscribe(forgery, LIVE)
        stock_client.execute(f"write, {forgery}", ADD_MESSAGE, variables={"text": forgery})
        await expect_refusal(stock_client, forgery, socket=socket, reason=reason)
    assert (stock_client.seen("acked"), chat.seen("acknowledged"), chat.listeners) == ((), (), 0)
    assert [(event.code, event.reason) for event in chat.seen("refused")] == [(4403, each) for each in REASONS.values()]
    assert await chat.http.texts(token=chat.token("bob")) == []


async def expect_refusal(client: StockClient, operation: str, *, socket: int, reason: str) -> None:
    """See a socket refused as each subprotocol does it, and what becomes of the subscription."""
    end = await client.wait_for("closed", socket=socket)
    assert (end.code, end.reason) == (4403, reason)
    if client.driver.subprotocol == LEGACY:
        (told,) = client.seen("refused", socket=socket)
        assert msgspec.json.decode(told.reason or "") == {"message": reason}
        assert client.events.index(told) < client.events.index(end)
    else:
        error = await client.wait_for("error", id=operation)
        assert f"4403 {reason}" in f"{error.code} {error.reason}"  # Apollo has both in a sentence


async def test_s8_two_users_see_each_others_messages_at_once_in_order_each_exactly_once(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S8: they speak at the same time, and everybody hears what was stored, as it was stored."""
    async with StockClient(stock_client.driver) as other_client:
        people = {"alice": stock_client, "bob": other_client}
        for name, client in people.items():
            await client.create(chat.url, token=chat.token(name))
            client.subscribe("live", LIVE)
            await chat.wait_listening()
        for number in range(5):
            for name, client in people.items():
                client.execute(f"write {number}", ADD_MESSAGE, variables={"text": f"{name} {number}"})
        for number in range(5):
            for client in people.values():
                assert (await client.outcome(f"write {number}")).error_codes == ()
        await chat.http.say("that was all", token=chat.token("alice"))

        stored = await chat.http.texts(token=chat.token("bob"))
        assert sorted(stored[:-1]) == sorted(f"{name} {number}" for name in people for number in range(5))
        for client in people.values():
            for text in stored:
                author = "alice" if text == "that was all" else text.split()[0]
                assert (await client.outcome("live")).data == said(author, text)
            assert len(client.seen("next", id="live")) == len(stored)


async def test_s9_a_login_reaches_an_open_anonymous_socket_only_when_it_is_closed(
    stock_client: StockClient, chat: ServedChat
) -> None:
    """S9: the function is not called for a socket that is open; the user closes it and subscribes anew."""
    await stock_client.create(chat.url, inactivity_timeout=STAY)
    stock_client.subscribe("too early", LIVE)
    assert (await stock_client.outcome("too early")).error_codes == STRANGER

    alice = await chat.http.login("alice")
    stock_client.set_token(alice)
    stock_client.subscribe("logged in, but", LIVE)
    assert (await stock_client.outcome("logged in, but")).error_codes == STRANGER
    assert ([call.token for call in stock_client.seen("params_called")], chat.sockets_opened) == ([None], 1)

    await stock_client.wait_for("acked")
    await connect_anew(stock_client)
    stock_client.subscribe("live", LIVE)
    await chat.wait_listening()
    await chat.http.say("at last", token=alice)
    assert (await stock_client.outcome("live")).data == said("alice", "at last")
    assert [event.identity.subject for event in chat.seen("acknowledged")] == [None, "alice"]
