from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gqlink.protocol import Close, Text
from gqlink.server import Limits, send_queue
from gqlink.server.send_queue import SendQueue
from gqlink.server.statistics import Meter
from server.eventually import eventually, goes_on, turns

LIMITS = Limits(send_buffer_bytes=100, stall_seconds=0.05)


class Wire:
    """An ASGI server's `send`, which takes something only while it is open."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failing: Exception | None = None

    async def send(self, message: Any) -> None:
        """Take a message."""
        await self.open.wait()
        if self.failing:
            raise self.failing
        self.taken.append(message.get("text") or message.get("code"))


def text(length: int = 10) -> Text:
    """Make a frame."""
    return Text(b"x" * length)


async def test_frames_leave_in_order() -> None:
    """As text, and a close with code and reason."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with SendQueue(send, limits=LIMITS) as queue:
        queue.write([Text("é".encode()), text(1)])
        queue.write([Close(4403, "Token invalid")])
    assert sent == [
        {"type": "websocket.send", "text": "é"},
        {"type": "websocket.send", "text": "x"},
        {"type": "websocket.close", "code": 4403, "reason": "Token invalid"},
    ]


async def test_answers_to_a_client_that_reads_starve_no_subscription() -> None:
    """A client that takes one frame after another, but asks as fast, gets its events too: some room is enough."""
    taken: list[Any] = []

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        taken.append(message)
        queue.write([text(10)])  # the answer to the client's next question

    async with SendQueue(send, limits=Limits(send_buffer_bytes=1600)) as queue:
        queue.write([text(10)])
        await eventually(lambda: queue._patience is not None)
        queue.write([text(100)])
        event = asyncio.create_task(queue.wait_writable())
        await eventually(lambda: len(taken) >= 100)
        assert event.done()
        queue._writer.cancel()


async def test_events_to_a_client_that_reads_leave_room_for_its_messages() -> None:
    """The other way round: a busy subscription, of which something waits always, does not end all reading."""
    taken: list[Any] = []

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        taken.append(message)
        queue.write([text(10)])  # the next event

    async with SendQueue(send, limits=Limits(send_buffer_bytes=1600)) as queue:
        queue.write([text(1000), text(1000)])
        message = asyncio.create_task(queue.wait_room())
        await eventually(lambda: len(taken) >= 100)
        assert message.done()
        queue._writer.cancel()


async def test_nothing_follows_a_close() -> None:
    """Neither what was written with it nor what comes later."""
    wire = Wire()
    async with SendQueue(wire.send, limits=LIMITS) as queue:
        queue.write([text(1), Close(1000), text(2)])
        await eventually(lambda: wire.taken == ["x", 1000])
        await turns()
        queue.write([text(3)])
        await queue.wait_writable()
    assert wire.taken == ["x", 1000]


async def test_what_was_said_last_gets_a_moment_to_leave() -> None:
    """Also when the close is on its way already."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits()) as queue:
        queue.write([Close(1012)])
        await turns()
        asyncio.get_running_loop().call_later(0.05, wire.open.set)
    assert wire.taken == [1012]


async def test_writers_wait_while_too_much_waits() -> None:
    """What is being sent counts as well as what has not begun."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits(send_buffer_bytes=100)) as queue:
        queue.write([text(60)])
        await turns()
        await queue.wait_room()
        queue.write([text(60)])
        waiting = asyncio.gather(queue.wait_writable(), queue.wait_room())
        await turns()
        assert not waiting.done()
        wire.open.set()
        await waiting
        await turns()
        assert len(wire.taken) == 2


async def test_nothing_is_executed_for_a_client_that_is_stuck() -> None:
    """Behind a frame that the server does not take, operations wait at a sixteenth of the buffer; reading goes on."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits(send_buffer_bytes=1600)) as queue:
        queue.write([text(60)])
        await turns()
        queue.write([text(40)])
        await queue.wait_writable()
        queue.write([text(1)])
        waiting = asyncio.create_task(queue.wait_writable())
        await turns()
        assert not waiting.done()
        await queue.wait_room()
        wire.open.set()
        await waiting
    assert [len(each) for each in wire.taken] == [60, 40, 1]


async def test_a_client_that_reads_has_the_whole_buffer() -> None:
    """What is written in one turn of the event loop leaves in the next: nobody has to wait for it."""
    wire = Wire()
    async with SendQueue(wire.send, limits=Limits(send_buffer_bytes=100)) as queue:
        for _ in range(10):
            queue.write([text(10)])
            assert goes_on(queue.wait_writable())
        queue.write([text(10)])
        assert not goes_on(queue.wait_writable())
        assert not goes_on(queue.wait_room())
        await queue.wait_writable()
    assert len(wire.taken) == 11


async def test_a_client_that_takes_nothing_is_reported_once_and_closed() -> None:
    """What waited is dropped; the close is what is sent next, if anything is."""
    wire = Wire()
    reports: list[str] = []
    async with SendQueue(wire.send, limits=LIMITS) as queue:

        def stalled() -> None:
            reports.append("stalled")
            queue.write([Close(4490, "Slow consumer")])
            wire.open.set()

        queue.when_stalled(stalled)
        wire.open.clear()
        queue.write([text(60), text(60)])
        await turns()
        queue.write([text(60)])
        await queue.wait_writable()
    assert reports == ["stalled"]
    assert wire.taken == [4490]


async def test_a_client_that_takes_not_even_the_close_is_given_up() -> None:
    """After a second; whoever waited goes on."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=LIMITS) as queue:
        queue.when_stalled(lambda: queue.write([Close(4490)]))
        queue.write([text(200)])
        async with asyncio.timeout(5):
            await queue.wait_writable()
    assert wire.taken == []


async def test_what_waits_can_be_dropped() -> None:
    """What has begun to leave goes on; a close, and what was written with it, stays."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits(send_buffer_bytes=15)) as queue:
        queue.write([text(1), text(2)])
        await turns()
        queue.write([text(3)])
        queue.drop()
        queue.write([text(4), Close(4403)])
        queue.write([text(5)])
        queue.drop()
        wire.open.set()
    assert wire.taken == ["x", "xxxx", 4403]


async def test_what_was_written_in_the_turn_of_a_drop_leaves() -> None:
    """The client has kept up: it had no chance to take it before."""
    wire = Wire()
    async with SendQueue(wire.send, limits=Limits()) as queue:
        await turns()
        queue.write([text(1)])
        queue.write([text(2)])
        queue.drop()
        queue.write([text(3), Close(4403)])
    assert wire.taken == ["x", "xx", "xxx", 4403]


async def test_what_was_written_in_the_turn_of_a_drop_leaves_at_once_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once a frame is stuck, the rest is dropped."""
    monkeypatch.setattr(send_queue, "_DROP_SECONDS", 0.0)
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits()) as queue:
        queue.write([text(1), text(2)])
        queue.drop()
        queue.write([text(3), Close(4403)])
        await turns()
        wire.open.set()
    assert wire.taken == ["x", "xxx", 4403]


async def test_what_was_dropped_makes_room() -> None:
    """Whoever waits goes on when the rest has left."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits(send_buffer_bytes=100)) as queue:
        queue.write([text(60), text(60), text(60)])
        await turns()
        queue.drop()
        wire.open.set()
        await queue.wait_writable()
        queue.write([text(90)])
        await queue.wait_writable()
        await eventually(lambda: len(wire.taken) == 2)


async def test_what_waits_leaves_before_a_close_when_the_client_reads() -> None:
    """In order, also what was written in the same turn of the event loop."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits()) as queue:
        queue.write([text(1)])
        queue.write([text(2)])
        queue.write([text(3), Close(4403, "Token expired")])
        await turns()
        wire.open.set()
    assert wire.taken == ["x", "xx", "xxx", 4403]


async def test_a_close_and_all_before_it_have_one_moment_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast a client takes each frame: a second from the close, and no `stall_seconds` in between."""
    monkeypatch.setattr(send_queue, "_CLOSE_SECONDS", 0.05)
    taken: list[Any] = []

    async def send(message: Any) -> None:
        await asyncio.sleep(0.01)
        taken.append(message)

    told: list[str] = []
    async with SendQueue(send, limits=Limits(stall_seconds=1000)) as queue:
        queue.write([text() for _ in range(10_000)])
        await eventually(lambda: bool(taken))
        queue.write([Close(1012)])
        with queue.ending(lambda: told.append("closing")):
            await eventually(lambda: not queue._bytes)
    assert len(taken) < 5_000
    assert told == ["closing"]


async def test_a_frame_that_is_stuck_when_the_close_comes_has_that_moment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not `stall_seconds`; and whoever waited goes on at once, so that the client's own close is read."""
    monkeypatch.setattr(send_queue, "_CLOSE_SECONDS", 0.05)
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits(stall_seconds=1000, send_buffer_bytes=100)) as queue:
        queue.write([text(200)])
        await turns()
        queue.write([Close(1012)])
        await queue.wait_writable()
        await eventually(lambda: not queue._bytes)
    assert wire.taken == []


async def test_a_client_that_stalls_before_a_close_that_was_written_still_gets_the_close() -> None:
    """What waits before it is dropped, as for any client that stalls."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=LIMITS) as queue:
        queue.when_stalled(wire.open.set)
        queue.write([text(), text(), Close(1012)])
        queue.write([text()])
    assert wire.taken in ([1012], ["x" * 10, 1012])


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("after close"), ValueError("whatever")])
async def test_a_server_that_cannot_send_any_more_ends_the_queue(error: Exception) -> None:
    """Quietly: the peer is gone, and everybody is told by the reading side."""
    wire = Wire()
    wire.failing = error
    told: list[str] = []
    async with SendQueue(wire.send, limits=LIMITS) as queue:
        with queue.ending(lambda: told.append("ended")):
            queue.write([text(200)])
            await queue.wait_writable()
            queue.write([text()])
            await turns()
        with queue.ending(lambda: told.append("had ended")):
            pass
    assert told == ["ended", "had ended"]
    assert wire.taken == []


async def test_nobody_is_told_of_an_end_that_comes_later() -> None:
    """The block is over."""
    told: list[str] = []
    async with SendQueue(Wire().send, limits=LIMITS) as queue:
        with queue.ending(lambda: told.append("ended")):
            pass
    assert told == []


async def test_leaving_in_a_hurry_leaves_no_task() -> None:
    """Cancelled while it waits for a stalled client, it ends all the same."""
    wire = Wire()
    wire.open.clear()

    async def use() -> None:
        async with SendQueue(wire.send, limits=Limits()) as queue:
            queue.write([text()])
            await asyncio.Event().wait()

    before = asyncio.all_tasks()
    task = asyncio.create_task(use())
    await turns()
    task.cancel()
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before


async def test_a_conversation_in_which_all_was_said_ends_when_the_client_has_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However slowly: it is not broken off, so it needs no hurry."""
    monkeypatch.setattr(send_queue, "_CLOSE_SECONDS", 0.0)
    wire, ended = Wire(), asyncio.Event()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits()) as queue:
        with queue.ending(ended.set):
            queue.write([text(1), text(2)])
            queue.end()
            await turns(50)
            assert not ended.is_set()
            wire.open.set()
            await ended.wait()
    assert wire.taken == ["x", "xx", 1000]


@pytest.mark.parametrize("dropped", [False, True])
async def test_a_close_hurries_a_conversation_in_which_all_was_said(*, dropped: bool) -> None:
    """There is one close in the end, whoever was first, and what waits is dropped where that is asked for."""
    wire = Wire()
    wire.open.clear()
    async with SendQueue(wire.send, limits=Limits()) as queue:
        queue.write([text(1), text(2)])
        queue.end()
        await turns()
        if dropped:
            queue.drop()
        queue.write([Close(4403)])
        queue.end()
        wire.open.set()
    assert wire.taken == (["x", 4403] if dropped else ["x", "xx", 1000])


async def test_a_client_that_does_not_read_the_last_of_it_is_given_up() -> None:
    """The end has as much patience as anything before it, and no more."""
    wire = Wire()
    wire.open.clear()
    meter = Meter()
    async with SendQueue(wire.send, limits=LIMITS, meter=meter) as queue:
        queue.when_stalled(lambda: queue.write([Close(4490)]))
        queue.write([text(1), text(2)])
        queue.end()
        await eventually(lambda: meter.slow_consumers == 1)
        wire.open.set()
        await eventually(lambda: not queue._bytes)
    assert (wire.taken, meter.waiting_bytes) == ([4490], 0)


async def test_frames_may_be_written_as_other_messages() -> None:
    """An event stream's are the body of an answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with SendQueue(send, limits=LIMITS, write=lambda frame: {"frame": frame}) as queue:
        queue.write([text(1), Close(1000)])
    assert sent == [{"frame": text(1)}, {"frame": Close(1000)}]
