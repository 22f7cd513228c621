"""Many conversations at a time, each from its own seed, beside clients that keep to the rules."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, deque
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from security.fuzzing.promises import Broken
from security.fuzzing.requests import RequestFuzzer
from security.fuzzing.sockets import SocketFuzzer
from security.fuzzing.steady import Steady
from server.peer import BOTH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from security.fuzzing.target import Target

MOST_FINDS: Final = 10
LAST: Final = 40
"""So many of the last things that were said are shown."""
OVER_SOCKETS: Final = 0.6
STEADY_EVERY: Final = 25
"""After so many conversations the steady clients have their turn."""
RENEW_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Find:
    """A promise that was broken.

    Attributes:
        number: Of the conversation, which its seed is made of; None where it was in none.
        promise: Which.
        evidence: What shows it.
        said: What was said last, by both sides.
    """

    number: int | None
    promise: str
    evidence: str
    said: tuple[str, ...] = ()


@dataclass
class Report:
    """What came of it.

    Attributes:
        messages: WebSocket frames and HTTP requests that were sent.
        conversations: Connections, counted once however often they were dialled.
        outcomes: By kind and outcome.
        finds: What was found.
        heard: What the steady clients have heard of themselves.
        replayed: Conversations that a reset cut short, and that ended properly when they were held once more, frame by
            frame: what the server says last is lost where a client goes on to send.
    """

    messages: int = 0
    conversations: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    finds: list[Find] = field(default_factory=list)
    heard: int = 0
    replayed: int = 0


class Fuzzer:
    """Fuzzes one running server.

    Args:
        target: It.
        seed: Everything is drawn from this.
        sockets: How many conversations are held at a time.
        most_finds: After so many it is enough.
        watch: Called now and then with what there is so far; what it raises as `Broken` is a find.
    """

    def __init__(
        self,
        target: Target,
        *,
        seed: object,
        sockets: int = 8,
        most_finds: int = MOST_FINDS,
        watch: Callable[[Report], Awaitable[None]] | None = None,
    ) -> None:
        self.report = Report()
        self._target = target
        self._seed = seed
        self._sockets = sockets
        self._most_finds = most_finds
        self._watch = watch
        self._socket_fuzzer = SocketFuzzer(target)
        self._request_fuzzer = RequestFuzzer(target)
        self._numbers = itertools.count()
        self._steady: list[Steady] = []
        self._turn = asyncio.Lock()
        self._renew_at = 0.0
        self._is_over = False

    async def run(
        self, *, messages: int, steady: tuple[str, str], first: int = 0, conversations: int | None = None
    ) -> Report:
        """Go on until so many messages were sent, so many conversations held, or too much was found.

        Args:
            messages: WebSocket frames and HTTP requests.
            steady: Name and password of an account for the clients that keep to the rules.
            first: The number of the first conversation.
            conversations: How many at most.
        """
        self._numbers = itertools.count(first)
        most = first + conversations if conversations is not None else None
        name, password = steady
        try:
            async with AsyncExitStack() as stack:
                await self._target.log_in()
                self._renew_at = asyncio.get_running_loop().time() + RENEW_SECONDS
                for dialect in BOTH:
                    client = Steady(self._target.authority, dialect, name=name, password=password)
                    await stack.enter_async_context(client.listening())
                    self._steady.append(client)
                await asyncio.gather(*(self._work(messages, most) for _ in range(self._sockets)))
                await self._let_steady_speak()
        except Broken as exc:
            self._find(None, exc, ())
        self.report.heard = sum(client.heard for client in self._steady)
        return self.report

    async def _work(self, messages: int, most: int | None) -> None:
        report = self.report
        while report.messages < messages and len(report.finds) < self._most_finds and not self._is_over:
            number = next(self._numbers)
            if most is not None and number >= most:
                return
            report.conversations += 1
            await self._hold(number)
            if report.conversations % STEADY_EVERY == 0 and not self._is_over:
                await self._let_steady_speak()

    async def _let_steady_speak(self) -> None:
        try:
            async with self._turn:
                await self._take_turn()
        except Broken as exc:  # what would come now is only what follows from it
            self._is_over = True
            self._find(None, exc, ())

    async def _take_turn(self) -> None:
        if not self._is_over:
            for client in self._steady:
                await client.say()
            now = asyncio.get_running_loop().time()
            if now >= self._renew_at:
                self._renew_at = now + RENEW_SECONDS
                await self._target.log_in()
                for client in self._steady:
                    await client.renew()
            if self._watch is not None:
                await self._watch(self.report)

    async def _hold(self, number: int) -> None:
        """Hold one conversation, whatever it is."""
        said: deque[tuple[str, bytes]] = deque(maxlen=LAST)

        def told(who: str, what: bytes) -> None:
            said.append((who, what))

        dice = random.Random(f"{self._seed} {number}")
        try:
            if dice.random() < OVER_SOCKETS:
                await self._converse(dice, told)
            else:
                plan = self._request_fuzzer.plan(dice)
                self.report.messages += len(plan)
                await self._request_fuzzer.ask(plan, told, self._count)
        except Broken as exc:
            self._find(number, exc, said)

    async def _converse(self, dice: random.Random, told: Callable[[str, bytes], None]) -> None:
        plan = self._socket_fuzzer.plan(dice)
        kind = plan.dialect.subprotocol

        def sent(count: int) -> None:
            self.report.messages += count
            self._count(kind, "frames", count)

        try:
            ending = await self._socket_fuzzer.converse(plan, told, sent)
        except ConnectionError:
            self.report.replayed += 1
            try:
                ending = await self._socket_fuzzer.converse(plan, told, sent, careful=True)
            except ConnectionError as exc:
                raise Broken("every conversation ends with a close", repr(exc)) from exc
        self._count(kind, ending)

    def _count(self, kind: str, outcome: str, count: int = 1) -> None:
        self.report.outcomes[kind, outcome] += count

    def _find(self, number: int | None, broken: Broken, said: deque[tuple[str, bytes]] | tuple[()]) -> None:
        lines = tuple(f"{who:5} {what[:1000]!r}" for who, what in said)
        self.report.finds.append(Find(number, broken.promise, repr(broken.evidence)[:9000], lines))
