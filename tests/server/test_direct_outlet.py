from __future__ import annotations

import asyncio

import pytest

from gqlink.protocol import Close, Text
from gqlink.server import Limits, direct_outlet
from gqlink.server.direct_outlet import DirectOutlet
from gqlink.server.frame_bytes import PONG, close_frame, control_frame, text_frame
from gqlink.server.loop_turn import LoopTurn
from gqlink.server.statistics import Meter
from server.eventually import eventually, goes_on, turns


class Line(asyncio.Transport):
    """A transport whose kernel takes everything, or nothing until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.outlet: DirectOutlet
        self.writes: list[bytes] = []
        """What came in one call each."""
        self.taken = b""
        self.left = b""
        self.open = True
        self.high = 65_536
        self.paused = False
        self.aborted = False
        self.failing: Exception | None = None

    def write(self, data: object) -> None:
        """Take bytes, as a transport does."""
        if self.failing:
            raise self.failing
        assert isinstance(data, bytes)
        self.writes.append(data)
        if self.open:
            self.taken += data
            return
        self.left += data
        if len(self.left) >= self.high and not self.paused:
            self.paused = True
            self.outlet.pause_writing()

    def take(self) -> None:
        """Let the client read what is stuck, but nothing that comes later."""
        self.taken += self.left
        self.left = b""
        self.paused = False
        self.outlet.resume_writing()

    def flow(self) -> None:
        """Let the client read from now on."""
        self.open = True
        self.take()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep the limit."""
        assert high is not None
        assert low == 0
        self.high = high

    def get_write_buffer_size(self) -> int:
        """Say what is stuck."""
        return len(self.left)

    def is_closing(self) -> bool:
        """Tell whether it is over."""
        return self.aborted

    def abort(self) -> None:
        """Be over."""
        self.aborted = True


class Bench:
    """An outlet, what it writes to, and what its owner hears."""

    def __init__(self, limits: Limits) -> None:
        self.meter = Meter()
        self.line = Line()
        loop = asyncio.get_running_loop()
        self.outlet = DirectOutlet(self.line, LoopTurn(loop), limits=limits, meter=self.meter)
        self.line.outlet = self.outlet
        self.outlet.own(self)
        self.stalls = 0
        self.rooms = 0
        self.answer: Close | None = Close(4490, "Slow consumer")

    def stalled(self) -> None:
        """Close, as a socket does."""
        self.stalls += 1
        if self.answer is not None:
            self.outlet.write([self.answer])

    def room(self) -> None:
        """Take note."""
        self.rooms += 1

    async def stick(self, size: int = 60) -> None:
        """Let a frame get stuck."""
        self.line.open = False
        self.outlet.write([text(size)])
        await turns()
        assert self.outlet.is_stuck

    @property
    def waits(self) -> bool:
        """Whether an operation would have to wait."""
        return not goes_on(self.outlet.wait_writable())


def text(length: int = 10) -> Text:
    """Make a frame that has so many bytes on the wire."""
    return Text(b"x" * (length - 2))


async def test_what_one_turn_says_leaves_in_one_write() -> None:
    """In order, messages and what answers pings, and the close last."""
    bench = Bench(Limits())
    bench.outlet.write([Text("é".encode()), Text(b"x")])
    bench.outlet.write_text(b"y")
    bench.outlet.write_control(control_frame(PONG, b"!"))
    bench.outlet.write([Text(b"z")])
    assert bench.line.writes == []
    await turns()
    said = [text_frame("é".encode()), text_frame(b"x"), text_frame(b"y"), control_frame(PONG, b"!"), text_frame(b"z")]
    assert bench.line.writes == [b"".join(said)]
    assert bench.meter.messages_sent == 4
    assert bench.meter.most_waiting_bytes == sum(map(len, said))
    bench.outlet.write([Text(b"last"), Close(4403, "Token invalid")])
    await turns()
    assert bench.line.writes[1:] == [text_frame(b"last") + close_frame(4403, "Token invalid")]
    assert bench.meter.messages_sent == 5
    assert bench.meter.waiting_bytes == 0


async def test_nothing_follows_a_close() -> None:
    """Neither what was written with it nor what comes later."""
    bench = Bench(Limits())
    bench.outlet.write([Text(b"1"), Close(1000), Text(b"2")])
    bench.outlet.write([Text(b"3")])
    bench.outlet.write_text(b"4")
    bench.outlet.write_control(control_frame(PONG, b""))
    bench.outlet.finish(b"5")
    await turns()
    assert bench.line.taken == text_frame(b"1") + close_frame(1000)
    assert bench.outlet.is_closing
    assert not bench.waits


async def test_what_waits_is_handed_over_in_chunks() -> None:
    """So that most of it can still be dropped when a client is revoked, however much one turn has said."""
    bench = Bench(Limits(send_buffer_bytes=10_000_000))
    bench.line.open = False
    bench.outlet.write([text(30_000) for _ in range(10)])
    await turns()
    assert [len(data) for data in bench.line.writes] == [60_004]
    assert bench.meter.waiting_bytes == 300_020
    bench.line.take()
    assert [len(data) for data in bench.line.writes] == [60_004] * 2
    bench.line.flow()
    assert len(bench.line.taken) == 300_020
    assert bench.meter.messages_sent == 10
    assert bench.meter.waiting_bytes == 0


async def test_a_frame_that_is_larger_than_a_chunk_is_handed_over_whole() -> None:
    """Where it is cut the peer would not know."""
    bench = Bench(Limits(send_buffer_bytes=10_000_000))
    bench.outlet.write([text(200_000), text(10), text(200_000)])
    await turns()
    assert [len(data) for data in bench.line.writes] == [200_008, 10, 200_008]


async def test_writers_wait_while_too_much_waits() -> None:
    """Also within one turn of the event loop; they go on when it has left."""
    bench = Bench(Limits(send_buffer_bytes=100))
    bench.outlet.write([text(60)])
    assert not bench.waits
    bench.outlet.write([text(60)])
    assert bench.outlet.is_full
    waiting = asyncio.create_task(bench.outlet.wait_writable())
    await asyncio.sleep(0)
    await waiting
    assert not bench.outlet.is_full
    assert bench.rooms == 1


async def test_nothing_is_executed_for_a_client_that_is_stuck() -> None:
    """Behind what the kernel does not take, operations wait at a sixteenth of the buffer; reading goes on."""
    bench = Bench(Limits(send_buffer_bytes=1600))
    await bench.stick(60)
    bench.outlet.write([text(40)])
    assert not bench.waits
    bench.outlet.write([text(2)])
    assert bench.waits
    assert not bench.outlet.is_full
    waiting = asyncio.create_task(bench.outlet.wait_writable())
    await turns()
    assert not waiting.done()
    bench.line.take()
    await waiting
    assert bench.meter.waiting_bytes == 42
    bench.line.flow()
    assert bench.meter.waiting_bytes == 0


async def test_all_go_on_when_a_sixteenth_waits() -> None:
    """Not only when nothing does: a client that asks as fast as it reads wants its events, too."""
    bench = Bench(Limits(send_buffer_bytes=1_600_000))
    await bench.stick(70_000)
    bench.outlet.write([text(60_000) for _ in range(30)])
    assert bench.outlet.is_full
    assert bench.waits
    for _ in range(30):
        assert bench.outlet.is_full
        bench.line.take()
        if bench.meter.waiting_bytes <= 100_000:
            break
    assert bench.meter.waiting_bytes > 0
    assert not bench.outlet.is_full
    assert bench.rooms == 1
    assert not bench.waits


async def test_a_client_that_takes_nothing_is_reported_once_and_closed() -> None:
    """What waited is dropped; the close is what is sent next, if anything is."""
    bench = Bench(Limits(send_buffer_bytes=100, stall_seconds=0.05))
    await bench.stick(60)
    bench.outlet.write([text(60)])
    async with asyncio.timeout(10):
        await bench.outlet.wait_writable()
    bench.line.flow()
    assert bench.stalls == 1
    assert bench.line.taken == text_frame(b"x" * 58) + close_frame(4490, "Slow consumer")
    assert (bench.meter.slow_consumers, bench.meter.refusals["stall_seconds"]) == (1, 1)
    assert not bench.line.aborted


async def test_a_client_that_takes_something_now_and_then_is_not_stalled() -> None:
    """The time counts from what got stuck last."""
    bench = Bench(Limits(stall_seconds=0.2))
    for _ in range(30):
        await bench.stick(60)
        await asyncio.sleep(0)
        bench.line.take()
    assert bench.stalls == 0
    assert bench.outlet._timer is None


@pytest.mark.parametrize("answer", [Close(4490), None])
async def test_a_client_that_takes_not_even_the_close_is_given_up(
    answer: Close | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a second; at once, where the conversation was over already."""
    monkeypatch.setattr(direct_outlet, "_CLOSE_SECONDS", 0.05)
    bench = Bench(Limits(stall_seconds=0.05))
    bench.answer = answer
    await bench.stick(60)
    await eventually(lambda: bench.line.aborted)
    assert bench.meter.slow_consumers == (0 if answer is None else 1)


async def test_a_peer_that_does_not_answer_a_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a second of our writing it, although it has left."""
    monkeypatch.setattr(direct_outlet, "_CLOSE_SECONDS", 0.05)
    bench = Bench(Limits())
    bench.outlet.write([Close(1012, "Service restart")])
    await turns()
    assert not bench.line.aborted
    await eventually(lambda: bench.line.aborted)


async def test_a_close_has_a_second_however_long_a_client_may_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stuck before it is no reason to wait for `stall_seconds`; and whoever waited goes on at once."""
    monkeypatch.setattr(direct_outlet, "_CLOSE_SECONDS", 0.05)
    bench = Bench(Limits(stall_seconds=1000, send_buffer_bytes=100))
    await bench.stick(200)
    assert bench.waits
    bench.outlet.write([Close(1012)])
    assert not bench.waits
    await eventually(lambda: bench.line.aborted)
    assert bench.stalls == 0


async def test_what_waits_can_be_dropped() -> None:
    """What is stuck goes on; a close, and what was written with it, stays."""
    bench = Bench(Limits(send_buffer_bytes=15))
    await bench.stick(3)
    bench.outlet.write([Text(b"333")])
    assert bench.meter.waiting_bytes == 8
    bench.outlet.drop()
    assert bench.meter.waiting_bytes == 3
    bench.outlet.write([Text(b"4444"), Close(4403)])
    bench.outlet.drop()
    bench.line.flow()
    assert bench.line.taken == text_frame(b"x") + text_frame(b"4444") + close_frame(4403)
    assert bench.meter.waiting_bytes == 0


async def test_what_was_written_in_the_turn_of_a_drop_leaves_if_it_leaves_at_once() -> None:
    """The client has kept up: it had no chance to take it before. Otherwise only what gets stuck first does."""
    bench = Bench(Limits(send_buffer_bytes=1_000_000))
    bench.outlet.write([Text(b"1"), Text(b"2")])
    bench.outlet.drop()
    bench.outlet.write([Text(b"3"), Close(4403)])
    await turns()
    assert bench.line.taken == text_frame(b"1") + text_frame(b"2") + text_frame(b"3") + close_frame(4403)
    late = Bench(Limits(send_buffer_bytes=1_000_000))
    late.line.open = False
    late.outlet.write([text(60_000), text(60_000)])
    late.outlet.drop()
    assert late.meter.waiting_bytes == 60_002


async def test_a_clients_own_close_is_answered_behind_what_was_said() -> None:
    """Where something is stuck it is answered all the same, and what waited is dropped."""
    bench = Bench(Limits())
    bench.outlet.write([Text(b"1")])
    bench.outlet.finish(close_frame(1000))
    assert bench.line.taken == text_frame(b"1") + close_frame(1000)
    late = Bench(Limits())
    await late.stick(10)
    late.outlet.write([Text(b"2")])
    late.outlet.finish(close_frame(1000))
    late.line.flow()
    assert late.line.taken == text_frame(b"x" * 8) + close_frame(1000)


async def test_two_closes_that_cross_are_both_written() -> None:
    """Ours waited for the end of the turn; it is the answer to theirs."""
    bench = Bench(Limits())
    bench.outlet.write([Close(1012, "Service restart")])
    bench.outlet.finish(close_frame(1000))
    assert bench.line.taken == close_frame(1012, "Service restart")


async def test_when_the_transport_is_gone_nothing_waits_any_more() -> None:
    """Whoever waited goes on, no timer is left, and nothing is counted as waiting."""
    bench = Bench(Limits(send_buffer_bytes=100))
    await bench.stick(200)
    bench.outlet.write([text(10)])
    waiting = asyncio.create_task(bench.outlet.wait_writable())
    await turns()
    bench.outlet.end()
    await waiting
    bench.outlet.write([text(10)])
    assert bench.meter.waiting_bytes == 0
    assert bench.outlet._timer is None
    closing = Bench(Limits())
    await closing.stick(200)
    closing.outlet.write([Close(1000)])
    closing.outlet.end()
    assert closing.meter.waiting_bytes == 0
    assert closing.outlet._timer is None


async def test_a_transport_that_cannot_be_written_to_ends_its_socket_alone() -> None:
    """The others of the same turn are flushed."""
    loop = asyncio.get_running_loop()
    turn = LoopTurn(loop)
    benches = [Bench(Limits()) for _ in range(3)]
    for bench in benches:
        bench.outlet._turn = turn
    benches[1].line.failing = RuntimeError("the transport is closed")
    for bench in benches:
        bench.outlet.write([text()])
    await turns()
    assert [bench.line.aborted for bench in benches] == [False, True, False]
    assert all(bench.line.taken for bench in (benches[0], benches[2]))
