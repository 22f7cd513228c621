"""The scripted server, with clients of three kinds: the `websockets` library's, ours, and gql."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import gql
import pytest
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gqlink.client import Client, Retry, WebSocketLink
from gqlink.protocol import DIALECTS, Close
from gqlink.testing import (
    Dialogue,
    Said,
    ScriptedServer,
    ScriptError,
    close,
    drop,
    eventually,
    expect,
    expect_end,
    load_pages,
    parse,
    play_socket,
    raw,
    refuse,
    send,
    wait_for,
)
from gqlink.testing.transcripts import CloseLine, WaitLine
from testing.talker import MODERN, talking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.testing import Script

INIT = {"type": "connection_init"}
ACK = {"type": "connection_ack"}
GREETING = (expect(INIT), send(ACK))
COUNT = "subscription { count }"
EAGER = Retry(first_seconds=0.01, server_stop_seconds=0.01)


def result(number: int, *, operation: str = "1") -> dict[str, object]:
    """An event."""
    return {"type": "next", "id": operation, "payload": {"data": {"count": number}}}


def playable() -> list[Dialogue]:
    """What a client and a server can say to each other over a socket."""
    dialogues = [dialogue for page in load_pages() for dialogue in page.dialogues]
    return [each for each in dialogues if each.suits_client and not (_waits(each) or _goes_on_after_a_close(each))]


def _waits(dialogue: Dialogue) -> bool:
    return any(isinstance(line, WaitLine) for line in dialogue.lines)


def _goes_on_after_a_close(dialogue: Dialogue) -> bool:
    """Only a machine can be told what a socket never carries."""
    return any(isinstance(line, CloseLine) for line in dialogue.lines[:-1])


@pytest.mark.parametrize("dialogue", playable(), ids=lambda dialogue: dialogue.name)
async def test_it_plays_every_transcript(dialogue: Dialogue) -> None:
    """What the transcript's client says is expected, what its server says is said, and so they end."""
    async with (
        ScriptedServer([dialogue]) as server,
        talking(server.url, dialogue.dialect.subprotocol) as talker,
    ):
        await play_socket(dialogue, talker)
        await server.finished()


async def test_the_seconds_of_a_transcript_pass_as_it_is_told_to() -> None:
    """A script may wait; the test says how."""
    page = parse(f"# Patience\n\nMAY · us\n\n```transcript {MODERN}\nC {{}}\nwait 3600\nS {{}}\n```\n")
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    async with ScriptedServer(page.dialogues, wait=wait) as server, talking(server.url) as talker:
        await talker.say({})
        assert await talker.hear() == {}
        await server.finished()
    assert waited == [3600.0]


async def test_our_client_follows_a_script() -> None:
    """It subscribes, hears what the script says, and loses the connection; the next has a script of its own."""
    scripts: list[Script] = [
        [*GREETING, expect(type="subscribe", payload={"query": COUNT}), send(result(1)), drop()],
        [*GREETING, expect(type="subscribe"), send(result(2)), send({"type": "complete", "id": "1"})],
    ]
    async with (
        ScriptedServer(scripts) as server,
        Client(WebSocketLink(server.url, retry=EAGER)) as client,
        client.subscribe(COUNT) as events,
    ):
        heard = [event.data async for event in events]
        await server.finished()
    assert heard == [{"count": 1}, {"count": 2}]
    assert [connection.subprotocol for connection in server.connections] == [MODERN, MODERN]


@pytest.mark.parametrize("subprotocol", DIALECTS)
async def test_gql_follows_a_script(subprotocol: str) -> None:
    """A stock client, in either dialect, with ids of its own."""
    modern = subprotocol == MODERN
    script: Script = [
        *GREETING,
        expect(type="subscribe" if modern else "start", id="a"),
        send({"type": "next" if modern else "data", "id": "a", "payload": {"data": {"count": 1}}}),
        send({"type": "complete", "id": "a"}),
    ]
    async with ScriptedServer([script]) as server:
        transport = WebsocketsTransport(server.url, subprotocols=[subprotocol])
        async with gql.Client(transport=transport) as session:
            heard = [event async for event in session.subscribe(gql.gql(COUNT))]
        await server.finished()
    assert heard == [{"count": 1}]


async def test_an_id_in_a_script_is_a_name_for_the_clients() -> None:
    """Without a name, operations are "1", "2" and so on, in their order; other messages are found by them, too."""
    script: Script = [
        *GREETING,
        expect(type="subscribe"),
        expect(type="subscribe", id="second"),
        send(result(1)),
        send(result(2, operation="second")),
        expect(type="complete", id="1"),
        send(result(3, operation="of nobody")),
    ]
    async with ScriptedServer([script]) as server, talking(server.url) as talker:
        await talker.say(INIT)
        await talker.hear()
        await talker.say({"type": "subscribe", "id": "x", "payload": {"query": COUNT}})
        await talker.say({"type": "subscribe", "id": "y", "payload": {"query": COUNT}})
        assert [await talker.hear(), await talker.hear()] == [result(1, operation="x"), result(2, operation="y")]
        await talker.say({"type": "complete", "id": "x"})
        assert await talker.hear() == result(3, operation="of nobody")
        await server.finished()


async def test_a_deviation_says_where_and_what_was_said_before() -> None:
    """The connection is closed, later ones are refused, and the end of the block raises what a reader understands."""
    with pytest.raises(ScriptError) as left:  # noqa: PT012 -- the block's end is what raises
        async with ScriptedServer([[*GREETING, expect(type="subscribe")]]) as server:
            async with talking(server.url) as talker:
                await talker.say(INIT)
                await talker.hear()
                await talker.say({"type": "ping"})
                assert await talker.hear() == Close(4400, "Not in the script")
            with pytest.raises(InvalidStatus):
                await talking(server.url).__aenter__()
    assert str(left.value).splitlines() == [
        "connection 1, step 3 of 3: the client left the script",
        '  expected: C {"type": "subscribe"}',
        '  got:      C {"type": "ping"}',
        "  on the wire so far:",
        '    C {"type": "connection_init"}',
        '    S {"type": "connection_ack"}',
        '    C {"type": "ping"}',
    ]


async def test_a_deviation_from_a_transcript_names_its_line() -> None:
    """As the players do."""
    page = next(page for page in load_pages() if page.name == "ping.md")
    with pytest.raises(ScriptError, match=r"ping\.md:\d+, line \d+: the client left"):  # noqa: PT012 -- likewise
        async with ScriptedServer([page.dialogues[0]]) as server, talking(server.url) as talker:
            await talker.say({"type": "something else"})
            await server.finished()


async def test_a_deviation_is_shown_with_what_came_of_it() -> None:
    """The block's own failure is the cause in the traceback, and `finished` raises the same deviation once."""
    with pytest.raises(ScriptError, match="step 1 of 2") as left:  # noqa: PT012 -- likewise
        async with ScriptedServer([GREETING]) as server, talking(server.url) as talker:
            await talker.say({"type": "ping"})
            await eventually(lambda: server.connections[0].closed)
            raise LookupError
    assert isinstance(left.value.__cause__, LookupError)


async def test_who_says_nothing_has_left_the_script() -> None:
    """And who does not come; `finished` says so after a while."""
    async with talking_to([GREETING]) as server:
        await server.connection(1)
        with pytest.raises(ScriptError, match=r"connection 1, step 1 of 2: (?s:.*)got:      nothing"):
            await server.finished(seconds=0.01)
    async with ScriptedServer([GREETING, GREETING]) as server, talking(server.url) as talker:
        await talker.say(INIT)
        await talker.hear()
        with pytest.raises(ScriptError, match="connection 2 did not come; scripts left: 1"):
            await server.finished(seconds=0.01)


@asynccontextmanager
async def talking_to(scripts: list[Script]) -> AsyncIterator[ScriptedServer]:
    """Connect somebody who says nothing, not even goodbye."""
    async with AsyncExitStack() as stack, ScriptedServer(scripts) as server:
        await stack.enter_async_context(talking(server.url))
        yield server


@pytest.mark.parametrize(
    ("code", "said", "fits"),
    [
        (1000, expect_end(), True),
        (1000, expect_end(1000, "Bye..."), True),
        (1000, expect_end(1000, "Bye"), False),
        (4000, expect_end(1000), False),
        (1006, expect_end(1006), True),
        (1006, expect_end(1000), False),
    ],
)
async def test_the_clients_end_can_be_expected(code: int, said: object, *, fits: bool) -> None:
    """By code and reason, or any."""
    async with ScriptedServer([[said]]) as server:  # type: ignore[list-item] # a parameter
        async with talking(server.url) as talker:
            await server.connection()
            await talker.close(code, "Bye, bye" if code == 1000 else "")
        if fits:
            await server.finished()
        else:
            with pytest.raises(ScriptError, match="expected: C close 1000"):
                await server.finished()
            server._deviation = None


async def test_every_frame_is_recorded() -> None:
    """In the order of the wire, with who said it; and the request, too."""
    script = [expect("hello?"), expect(b""), raw("no json"), raw(b"\x01"), close(4000, "Enough")]
    async with ScriptedServer([script]) as server, talking(server.url) as talker:
        await talker.send_text("hello?")
        await talker.send_bytes(b"\x02\x03")
        assert [await talker.receive() for _ in range(3)][-1] == Close(4000, "Enough")
        await server.finished()
    (connection,) = server.connections
    assert [str(frame) for frame in connection.frames] == [
        "C hello?",
        "C binary, 2 bytes",
        "S no json",
        "S binary, 1 bytes",
        "S close 4000 Enough",
    ]
    assert connection.frames[0] == Said("client", "hello?")
    assert connection.closed == Close(4000, "Enough")
    assert connection.path == "/graphql"
    assert "Host" in connection.headers
    assert repr(connection) == "<ScriptedConnection 1, 5 frames>"


async def test_a_script_can_refuse_the_upgrade() -> None:
    """With a status and headers; the next connection has its own script, and further ones the default."""
    async with ScriptedServer([refuse(503, headers={"Retry-After": "7"}, body=b"later")], default=GREETING) as server:
        with pytest.raises(InvalidStatus) as refused:
            await talking(server.url).__aenter__()
        response = refused.value.response
        assert (response.status_code, response.headers["Retry-After"], response.body) == (503, "7", b"later")
        for _ in range(2):
            async with talking(server.url) as talker:
                await talker.say(INIT)
                assert await talker.hear() == ACK
        await server.finished()
        assert len(server.connections) == 3


async def test_a_script_can_point_elsewhere() -> None:
    """A redirection is an answer like others."""
    async with ScriptedServer([refuse(307, headers={"Location": "ws://127.0.0.1:1/"})]) as server:
        with pytest.raises(OSError, match="1"):
            await talking(server.url).__aenter__()


async def test_without_a_default_further_connections_are_refused() -> None:
    """With 503, which a client may take for a server that is full."""
    async with ScriptedServer() as server:
        with pytest.raises(InvalidStatus) as refused:
            await talking(server.url).__aenter__()
        assert refused.value.response.status_code == 503
        assert server.connections[0].is_open is False


async def test_connections_at_the_same_time_have_each_their_script() -> None:
    """In the order of their arrival."""
    async with ScriptedServer([[expect(a=1), send({"b": 1})], [expect(a=2), send({"b": 2})]]) as server:
        async with talking(server.url) as first, talking(server.url) as second:
            await second.say({"a": 2})
            assert await second.hear() == {"b": 2}
            await first.say({"a": 1})
            assert await first.hear() == {"b": 1}
        await server.finished()


async def test_a_script_can_wait_for_the_test() -> None:
    """What the client says meanwhile is looked at afterwards."""
    gate = asyncio.Event()
    script = [wait_for(gate), expect(a=1), send({"b": 1})]
    async with ScriptedServer([script]) as server, talking(server.url) as talker:
        await talker.say({"a": 1})
        connection = await server.connection()
        await eventually(lambda: connection.messages == [{"a": 1}])
        gate.set()
        assert await talker.hear() == {"b": 1}


async def test_a_test_may_speak_for_the_server() -> None:
    """Between the steps or after them; and scripts can be added meanwhile."""
    async with ScriptedServer() as server:
        server.add([])
        async with talking(server.url) as talker:
            connection = await server.connection()
            connection.send({"type": "ping"})
            connection.raw("more")
            assert await talker.hear() == {"type": "ping"}
            await talker.receive()
            connection.close(4001, "Bye")
            connection.close(4002, "twice")
            connection.raw("too late")
            assert await talker.hear() == Close(4001, "Bye")
        await server.finished()


async def test_a_close_frame_may_have_no_code() -> None:
    """The client reads 1005; and its own without one is recorded so."""
    async with ScriptedServer([[close(1005)]]) as server, talking(server.url) as talker:
        with pytest.raises(ConnectionClosed) as closed:
            await talker.socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1005


async def test_pings_are_answered_and_pieces_put_together() -> None:
    """The WebSocket's own affairs are no business of a script."""
    async with ScriptedServer([[expect(type="ping"), send({"type": "pong"})]]) as server:
        async with talking(server.url) as talker:
            await (await talker.socket.ping())
            await talker.socket.send(['{"type": ', '"ping"}'])
            assert await talker.hear() == {"type": "pong"}
        assert server.connections[0].pings == 1


async def test_the_subprotocol_is_the_first_that_both_know() -> None:
    """Or none; a transcript has its own."""
    async with ScriptedServer([[], []], speaks=("graphql-ws",)) as server:
        async with talking(server.url, MODERN) as talker:
            assert talker.socket.subprotocol is None
        async with talking(server.url, "graphql-ws") as talker:
            assert talker.socket.subprotocol == "graphql-ws"


async def test_a_script_that_fails_itself_is_no_clients_fault() -> None:
    """The error says so, and does not get lost."""
    with pytest.raises(ScriptError, match="the script failed: TypeError"):
        async with ScriptedServer([[send({"what": object()})]]) as server, talking(server.url):
            await server.finished()


async def test_nothing_is_left_when_the_server_is_closed() -> None:
    """Clients that are connected are cut off, and no task is left."""
    tasks = asyncio.all_tasks()
    async with ScriptedServer([[expect(a=1)]]) as server:
        socket = talking(server.url)
        talker = await socket.__aenter__()
        await server.connection()
        await server.aclose()
        assert not server.connections[0].is_open
        assert await talker.receive() == Close(1006, "")
        await socket.__aexit__(None, None, None)
    assert asyncio.all_tasks() == tasks
