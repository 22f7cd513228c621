"""What a peer can do to uvicorn before the application hears of it, and what `gqlink serve` lets it."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gqlink.cli.uvicorn_protocol import bounded_protocols
from gqlink.server import Limits
from server.eventually import eventually
from server.peer import NEWER, member
from server.raw import CLOSE, PING, PONG, TEXT, dialled, frame, let_in
from server.world import World
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.server import GraphQLApp
    from server.raw import RawSocket

BODY = b'{"query":"{ hello }"}'


class Bounded:
    """An application behind a uvicorn with our protocols.

    Args:
        limits: In force.
        direct: Whether the application takes its sockets over.
    """

    def __init__(self, limits: Limits, *, direct: bool = True) -> None:
        self.app: GraphQLApp = World().app(limits=limits, direct=direct)
        self.http, self.ws = bounded_protocols(limits)

    @asynccontextmanager
    async def serving(self, **options: Any) -> AsyncIterator[str]:
        """Serve it; afterwards nobody waits for a head."""
        async with serving(self.app, http=self.http, ws=self.ws, **options) as authority:
            yield authority
        assert not self.http.waiting


both_roads = pytest.mark.parametrize("direct", [False, True], ids=["plain", "direct"])


def head(authority: str, *, length: int = len(BODY)) -> bytes:
    """Write the head of a request."""
    fields = f"Host: {authority}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    return f"POST /graphql HTTP/1.1\r\n{fields}".encode()


async def answer(raw: RawSocket) -> tuple[int, bytes]:
    """Read an answer: its status and its body."""
    async with asyncio.timeout(10):
        text = (await raw.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(text.split(b"content-length:")[1].split(b"\r\n")[0])
        return int(text.split(b" ", 2)[1]), await raw.reader.readexactly(length)


async def ended(raw: RawSocket) -> bool:
    """Wait until the connection has ended."""
    async with asyncio.timeout(10):
        try:
            return await raw.reader.read() == b""
        except ConnectionError:
            return True


@pytest.mark.parametrize("sent", [b"", b"P", b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Pad: aaaa"])
async def test_a_head_that_does_not_come_in_time_ends_the_connection(sent: bytes) -> None:
    """Also one of which nothing came: to wait costs a file descriptor, and there are not many."""
    bounded = Bounded(Limits(init_seconds=0.1))
    async with bounded.serving() as authority, dialled(authority) as raw:
        raw.writer.write(sent)
        assert await ended(raw)


async def test_bytes_between_two_requests_do_not_keep_a_connection() -> None:
    """Uvicorn's own wait ends with any byte; then ours begins."""
    bounded = Bounded(Limits(init_seconds=0.2))
    async with bounded.serving() as authority, dialled(authority) as raw:
        raw.writer.write(head(authority) + BODY)
        assert (await answer(raw))[0] == 200
        raw.writer.write(b"\r\n")
        assert await ended(raw)


async def test_a_body_that_nobody_waits_for_does_not_keep_a_connection() -> None:
    """Its request was answered with 413, and what comes of it in drops is no reason to stay."""
    bounded = Bounded(Limits(init_seconds=0.2, message_bytes=100))
    async with bounded.serving() as authority, dialled(authority) as raw:
        raw.writer.write(head(authority, length=1_000_000) + b"x" * 200)
        assert (await answer(raw))[0] == 413
        raw.writer.write(b"x")
        assert await ended(raw)


async def test_a_body_that_does_not_come_is_answered_in_time() -> None:
    """With 408, by the application, where a byte now and then has not helped."""
    bounded = Bounded(Limits(init_seconds=0.2))
    async with bounded.serving() as authority, dialled(authority) as raw:
        raw.writer.write(head(authority) + BODY[:5])
        assert (await answer(raw))[0] == 408


async def test_requests_one_after_another_and_a_slow_answer_are_not_disturbed() -> None:
    """Only heads are waited for: what the application does takes as long as it takes."""
    bounded = Bounded(Limits(init_seconds=0.3))
    async with bounded.serving() as authority, dialled(authority) as raw:
        for _ in range(3):
            whole = head(authority) + BODY
            raw.writer.write(whole[:20])
            raw.writer.write(whole[20:])
            assert await answer(raw) == (200, b'{"data":{"hello":"world"}}')
            assert not bounded.http.waiting


@both_roads
async def test_an_upgraded_connection_is_waited_for_no_more(*, direct: bool) -> None:
    """A socket lives as long as the application lets it."""
    bounded = Bounded(Limits(), direct=direct)
    async with bounded.serving() as authority, member(authority, NEWER) as client:
        assert not bounded.http.waiting
        assert await client.is_well()
        assert not bounded.http.waiting


async def test_of_too_many_that_wait_the_oldest_goes() -> None:
    """A flood of connections without a request stays small, and those that ask are answered meanwhile."""
    bounded = Bounded(Limits(requests=10))
    async with bounded.serving() as authority, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(dialled(authority)) for _ in range(50)]
        await eventually(lambda: len(bounded.http.waiting) == 10)
        assert await ended(silent[0])
        async with dialled(authority) as raw:
            raw.writer.write(head(authority) + BODY)
            assert (await answer(raw))[0] == 200
        assert len(bounded.http.waiting) <= 10


@both_roads
@pytest.mark.parametrize(
    ("what", "flood"),
    [
        ("pings", frame(PING, b"")),
        ("pongs", frame(PONG, b"")),
        ("empty fragments", frame(0, b"", final=False)),
        ("messages", frame(TEXT, b'{"type":"ping"}')),
    ],
)
async def test_a_flood_of_frames_ends_a_socket_and_nobody_else(what: str, flood: bytes, *, direct: bool) -> None:
    """1008 for whatever comes too often, before or after the ack; another client is answered meanwhile."""
    bounded = Bounded(Limits(messages_per_second=10), direct=direct)
    async with bounded.serving() as authority, member(authority, NEWER) as good, let_in(authority, NEWER) as raw:
        first = frame(TEXT, b"{", final=False) if what == "empty fragments" else b""
        raw.writer.write(first + flood * 20_000)
        async with asyncio.timeout(10):
            code, _ = await raw.closed()
        assert code in {1008, 1006}  # the close is lost where the kernel answers the rest of the flood with a reset
        await good.send({"type": "ping"})
        assert (await good.receive())["type"] == "pong"
        await eventually(lambda: bounded.app.statistics().sockets == 1)
        found = bounded.app.statistics()
        assert found.closed == {1008: 1}
        assert found.refusals["messages_per_second"] >= 1


@both_roads
async def test_a_client_that_pings_within_reason_is_answered(*, direct: bool) -> None:
    """Each ping, and what comes between them."""
    bounded = Bounded(Limits(), direct=direct)
    async with bounded.serving() as authority, let_in(authority, NEWER) as raw:
        for number in range(100):
            raw.writer.write(frame(PING, b"%d" % number))
            assert await raw.receive() == (PONG, b"%d" % number)


@both_roads
async def test_answers_that_are_not_read_do_not_pile_up(*, direct: bool) -> None:
    """Who asks whether we live and does not listen is dropped, whatever the rate."""
    bounded = Bounded(Limits(messages_per_second=1_000_000), direct=direct)
    async with bounded.serving() as authority, let_in(authority, NEWER, receive_bytes=1024) as raw:
        for _ in range(400):
            raw.writer.write(frame(PING, b"x" * 125) * 100)
            await asyncio.sleep(0)
        await eventually(lambda: bounded.app.statistics().sockets == 0)


@both_roads
async def test_a_frame_that_does_not_end_is_ended_by_the_pings(*, direct: bool) -> None:
    """Nobody can answer a ping in the middle of a frame: uvicorn's keep-alive gives up on it, with 1011."""
    bounded = Bounded(Limits(), direct=direct)
    async with bounded.serving(ws_ping_interval=0.1, ws_ping_timeout=0.1) as authority:
        async with let_in(authority, NEWER) as raw:
            raw.writer.write(frame(TEXT, json.dumps({"type": "ping", "payload": {"a": "b" * 1000}}).encode())[:100])
            async with asyncio.timeout(10):
                opcode, payload = await raw.receive()
                while opcode == PING:
                    raw.writer.write(b"b")  # a byte a minute
                    opcode, payload = await raw.receive()
            assert (opcode, payload[:2]) == (CLOSE, (1011).to_bytes(2, "big"))
        await eventually(lambda: bounded.app.statistics().sockets == 0)


async def test_who_only_says_that_they_were_flooding_is_not_counted() -> None:
    """A close with the same code and reason, from a client, is the client's own."""
    bounded = Bounded(Limits())
    async with bounded.serving() as authority, let_in(authority, NEWER) as raw:
        raw.writer.write(frame(CLOSE, (1008).to_bytes(2, "big") + b"Too many messages"))
        assert (await raw.closed())[0] == 1008
        await eventually(lambda: bounded.app.statistics().sockets == 0)
    assert bounded.app.statistics().refusals == {}


async def test_a_client_that_does_not_answer_a_close_is_cut_off_soon() -> None:
    """After a second; uvicorn would wait for ten, and longer for one who does not read."""
    bounded = Bounded(Limits())
    async with bounded.serving() as authority, let_in(authority, NEWER) as raw:
        raw.writer.write(frame(TEXT, b"[]"))
        assert (await raw.closed())[0] == 4400
        async with asyncio.timeout(8):
            assert await raw.reader.read() == b""


@pytest.mark.parametrize(
    "frames",
    [
        frame(TEXT, b'{"type":"\xff"}'),
        frame(TEXT, b'{"type":"\xed\xa0\xbd"}'),
        frame(TEXT, "\N{PILE OF POO}".encode()[:2], final=False) + frame(0, b"}"),
    ],
    ids=["a byte that is none", "half a surrogate pair", "a character cut by its fragment's end"],
)
async def test_text_that_is_no_utf8_ends_a_socket_and_is_no_error_in_the_log(
    frames: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """1007, once, whatever follows in the segment: a client must not fill the log with tracebacks."""
    bounded = Bounded(Limits())
    async with bounded.serving(log_config=None) as authority, let_in(authority, NEWER) as raw:
        raw.writer.write(frames + frame(TEXT, b'{"type":"ping"}') * 5)
        assert await raw.closed() == (1007, "Text that is not UTF-8")
        await eventually(lambda: bounded.app.statistics().sockets == 0)
    assert bounded.app.statistics().closed == {1007: 1}
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_character_may_be_cut_between_two_fragments() -> None:
    """Only the whole message has to be UTF-8."""
    bounded = Bounded(Limits())
    text = json.dumps({"type": "ping", "payload": {"a": "\N{PILE OF POO}"}}, ensure_ascii=False).encode()
    middle = text.index(b"\xf0") + 2
    async with bounded.serving() as authority, let_in(authority, NEWER) as raw:
        raw.writer.write(frame(TEXT, text[:middle], final=False) + frame(0, text[middle:]))
        assert (await raw.message())["type"] == "pong"


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": ""}, {"Host": "evil.example"}])
async def test_a_handshake_that_is_refused_is_no_error_in_the_log(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Uvicorn would say that the application has not answered it."""
    bounded = Bounded(Limits())
    async with bounded.serving(log_config=None) as authority, dialled(authority) as raw:
        assert await raw.shake_hands(authority, subprotocol=NEWER.subprotocol, **headers) in {400, 403}
        await raw.reader.read()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Authorization": f"Bearer {'x' * 9000}"}, 431), ({f"X-{number}": "y" for number in range(200)}, 400)],
    ids=["one too long", "too many"],
)
async def test_a_handshake_whose_headers_are_too_much_is_answered_and_ended(
    headers: dict[str, str], status: int
) -> None:
    """Uvicorn would say nothing, and keep the connection for ever, for which nobody has counted it."""
    bounded = Bounded(Limits())
    async with bounded.serving() as authority, dialled(authority) as raw:
        async with asyncio.timeout(10):
            assert await raw.shake_hands(authority, subprotocol=NEWER.subprotocol, **headers) == status
            await raw.reader.read()  # what is left of the answer, and the end


async def test_whoever_leaves_during_the_handshake_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Uvicorn drops the answer to somebody who is leaving, and would say that the application gave none."""
    bounded = Bounded(Limits())
    leaving = asyncio.Event()

    async def slowly(scope: Any, receive: Any, send: Any) -> None:
        await leaving.wait()
        await bounded.app(scope, receive, send)

    class Watched(bounded.ws):  # type: ignore[name-defined, misc] # a class of each server
        def eof_received(self) -> None:
            leaving.set()

    async with serving(slowly, http=bounded.http, ws=Watched, lifespan="off", log_config=None) as authority:
        async with dialled(authority) as raw:
            raw.ask_for_upgrade(authority, subprotocol=NEWER.subprotocol)
            raw.writer.write_eof()
            assert await ended(raw)
        await eventually(lambda: bounded.app._host.admission.sockets == 0)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
