from __future__ import annotations

import asyncio
from contextvars import ContextVar

from gqlink.server.loop_turn import LoopTurn

somebody: ContextVar[str] = ContextVar("somebody", default="nobody")


class Waiting:
    """Has something to write."""

    def __init__(self, turn: LoopTurn) -> None:
        self.turn = turn
        self.flushed: list[str] = []
        self.again = 0

    def flush(self) -> None:
        """Take note of it, and of whose context it happens in."""
        self.flushed.append(somebody.get())
        if self.again:
            self.again -= 1
            self.turn.add(self)


async def test_everybody_is_flushed_at_the_end_of_the_turn() -> None:
    """Not before, and in the order in which they came."""
    turn = LoopTurn(asyncio.get_running_loop())
    waiting = [Waiting(turn) for _ in range(3)]
    for one in waiting:
        turn.add(one)
    assert [one.flushed for one in waiting] == [[], [], []]
    await asyncio.sleep(0)
    assert [one.flushed for one in waiting] == [["nobody"]] * 3


async def test_one_callback_serves_all_sockets() -> None:
    """What a broadcast to a thousand of them puts into the event loop is one call."""
    scheduled: list[object] = []
    loop = asyncio.get_running_loop()

    class Counting(asyncio.SelectorEventLoop):
        def call_soon(self, callback: object, *args: object, **options: object) -> asyncio.Handle:
            scheduled.append(callback)
            return loop.call_soon(callback, *args, **options)  # type: ignore[arg-type]

    counting = Counting()
    turn = LoopTurn(counting)
    waiting = [Waiting(turn) for _ in range(1000)]
    for one in waiting:
        turn.add(one)
    assert len(scheduled) == 1
    await asyncio.sleep(0)
    assert all(one.flushed for one in waiting)
    counting.close()


async def test_who_writes_while_others_are_flushed_has_the_next_turn() -> None:
    """Nobody can keep the event loop from turning."""
    turn = LoopTurn(asyncio.get_running_loop())
    busy = Waiting(turn)
    busy.again = 2
    turn.add(busy)
    for times in (1, 2, 3):
        await asyncio.sleep(0)
        assert len(busy.flushed) == times


async def test_nothing_is_written_in_the_context_of_whoever_was_first() -> None:
    """What a publisher has in its context variables stays with it."""
    turn = LoopTurn(asyncio.get_running_loop())
    one = Waiting(turn)
    somebody.set("alice")
    turn.add(one)
    await asyncio.sleep(0)
    assert one.flushed == ["nobody"]
