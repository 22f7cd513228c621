"""One conversation over a WebSocket, drawn from a seed: what is said, in which pieces, and what must come back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gqlink.protocol import DIALECTS, Dialect, Kind, Side
from protocol.grammar import heard_by_a_server
from security.fuzzing.documents import DocumentMaker
from security.fuzzing.promises import Broken, Listener, look_at_close, look_at_handshake
from security.fuzzing.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, dialled, frame

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from security.fuzzing.target import Target
    from security.fuzzing.wire import Line

MOST_BATCHES: Final = 12
MOST_FRAMES: Final = 60
"""In one write."""
STARTING: Final = ("init", "init", "init", "init", "init", "none", "odd")
# How likely a frame is one of these; the rest is a message that is most often legal.
ODD, BROKEN, BAD_FRAME, SPLIT, SIGN = 0.001, 0.002, 0.001, 0.05, 0.05
PATIENT: Final = 0.9
CUT: Final = 0.15
SAME_ID: Final = 0.01
BAD_CODES: Final = (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
GOOD_CODES: Final = (1000, 1001, 1011, 3000, 4000, 4403, 4999)


@dataclass
class Plan:
    """What a client will say.

    Attributes:
        dialect: Its subprotocol.
        logged_in: Whether it shows a credential that is somebody's.
        batches: The frames, as they are written together.
        patient: Whether it waits for the ack before it goes on.
        cut: Whether its last frame is not whole, so that nothing can be expected any more.
    """

    dialect: Dialect
    logged_in: bool = False
    batches: list[list[bytes]] = field(default_factory=list)
    patient: bool = False
    cut: bool = False


class SocketFuzzer:
    """Holds conversations.

    Args:
        target: With whom.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._texts = {dialect.subprotocol: _encoded(dialect) for dialect in DIALECTS.values()}

    def plan(self, dice: random.Random) -> Plan:
        """Draw what a client will say."""
        return _Drawing(self._target, dice, self._texts).plan

    async def converse(
        self, plan: Plan, told: Callable[[str, bytes], None], sent: Callable[[int], None], *, careful: bool = False
    ) -> str:
        """Say it, and look at everything that comes back.

        Args:
            plan: What to say.
            told: Is told of everything that is said by either side.
            sent: Is told how many frames of the plan were written.
            careful: Say one frame at a time, so that a close is read before the next frame can cross it.

        Returns:
            How it ended.

        Raises:
            Broken: A promise was.
            ConnectionError: The connection was reset: what the server said last may be lost.
        """
        async with dialled(self._target.authority, source=self._target.source) as line:
            return await _Conversation(line, plan, told, sent, self._target).hold(careful=careful)


class _Drawing:
    """Draws one plan."""

    def __init__(self, target: Target, dice: random.Random, texts: dict[str, tuple[list[bytes], list[bytes]]]) -> None:
        self._target = target
        self._dice = dice
        self._maker = DocumentMaker(target.schema, dice)
        self._number = 0
        dialect = dice.choice(list(DIALECTS.values()))
        self._good, self._odd = texts[dialect.subprotocol]
        self.plan = Plan(dialect)
        self._start()
        for _ in range(dice.randint(1, MOST_BATCHES)):
            self.plan.batches.append([each for _ in range(dice.randint(1, MOST_FRAMES)) for each in self._next()])
            if self.plan.cut:
                break

    def _start(self) -> None:
        match self._dice.choice(STARTING):
            case "init":
                self.plan.patient = self._dice.random() < PATIENT
                self._say(self._init())
            case "odd":
                self._say({"type": "connection_init", "payload": self._maker.any_json()})

    def _say(self, message: object) -> None:
        self.plan.batches.append([frame(TEXT, json.dumps(message).encode())])

    def _init(self) -> dict[str, object]:
        token = self._token()
        payload = self._dice.choice(
            ({"accessToken": token}, {"accessToken": token}, {"headers": {"Authorization": f"Bearer {token}"}})
        )
        return {"type": "connection_init", "payload": payload} if token else {"type": "connection_init"}

    def _token(self) -> str | None:
        chance = self._dice.random()
        if chance < 0.6:
            self.plan.logged_in = True
            return self._target.token
        return None if chance < 0.95 else self._dice.choice(("x", "a.b.c", self._target.token[:-3] + "AAA", "x" * 9000))

    def _next(self) -> Iterator[bytes]:
        chance = self._dice.random()
        for share, draw in ((BAD_FRAME, self._bad_frame), (ODD, self._odd_text), (BROKEN, self._broken_text)):
            if chance < share:
                yield draw()
                return
            chance -= share
        if chance < SPLIT:
            yield from self._split(self._text())
        elif chance < SPLIT + SIGN:
            yield frame(self._dice.choice((PING, PONG)), self._dice.randbytes(self._dice.choice((0, 1, 125))))
        else:
            yield frame(TEXT, self._text(), mask=self._dice.choice((bytes(4), bytes(4), self._dice.randbytes(4))))

    def _text(self) -> bytes:
        """Draw a message that is most often legal after an ack."""
        if self._dice.random() < 0.25:
            return self._dice.choice(self._good)
        word, payload = self._message()
        return json.dumps({"type": word, **payload}, ensure_ascii=self._dice.random() < 0.5).encode("utf-8", "replace")

    def _message(self) -> tuple[str, dict[str, object]]:
        words = self.plan.dialect.types
        chance = self._dice.random()
        if chance < 0.35:
            self._number += self._dice.random() > SAME_ID
            return words[Side.CLIENT, Kind.SUBSCRIBE], {
                "id": f"n{self._number}",
                "payload": self._target.request(self._dice),
            }
        if chance < 0.8 or (Side.CLIENT, Kind.PING) not in words:
            return words[Side.CLIENT, Kind.COMPLETE], {"id": f"n{self._dice.randint(0, self._number)}"}
        return self._dice.choice(("ping", "pong")), {"payload": self._renewal()}

    def _renewal(self) -> object:
        if self._dice.random() < 0.5:
            return self._dice.choice((None, {}, {"a": 1}, {"gqlink": self._maker.any_json()}))
        return {"gqlink": {"accessToken": self._token(), "seq": self._dice.choice((1, 2, -1, 2**70))}}

    def _odd_text(self) -> bytes:
        return frame(TEXT, self._dice.choice(self._odd))

    def _broken_text(self) -> bytes:
        text = self._text()
        at = self._dice.randint(0, len(text))
        inside = self._dice.choice((b"", b'"', b"{", b"}", b"[", b"\\", b",", b"\x00", b"\xff", b"\xed\xa0\xbd", b"e9"))
        return frame(TEXT, text[:at] + inside + text[at + self._dice.choice((0, 1, 1, 3)) :])

    def _split(self, text: bytes) -> Iterator[bytes]:
        """Say a message in fragments, now and then with a ping between them."""
        at = sorted(self._dice.randint(0, len(text)) for _ in range(self._dice.choice((1, 1, 2, 5))))
        pieces = [text[start:end] for start, end in zip([0, *at], [*at, len(text)], strict=True)]
        for number, piece in enumerate(pieces):
            final = number == len(pieces) - 1
            yield frame(CONTINUATION if number else TEXT, piece, final=final)
            if not final and self._dice.random() < 0.2:
                yield frame(PING, b"between")

    def _bad_frame(self) -> bytes:
        """Draw a frame that is none, or one that has no place in a conversation."""
        if self._dice.random() < CUT:
            self.plan.cut = True
            return _cut_frame(self._dice, self._text())
        return self._dice.choice(_bad_frames(self._dice, self._text()))


class _Conversation:
    """Holds one."""

    def __init__(
        self,
        line: Line,
        plan: Plan,
        told: Callable[[str, bytes], None],
        sent: Callable[[int], None],
        target: Target,
    ) -> None:
        self._line = line
        self._plan = plan
        self._told = told
        self._sent = sent
        self._target = target
        self._listener = Listener(plan.dialect, logged_in=plan.logged_in)
        self._ending: str | None = None

    async def hold(self, *, careful: bool) -> str:
        await self._shake_hands()
        for batch in self._plan.batches:
            for frames in [[each] for each in batch] if careful else [batch]:
                if not await self._say(frames, last=batch is self._plan.batches[-1]):
                    return await self._end()
            if self._plan.patient and batch is self._plan.batches[0]:
                await self._hear_until(lambda *_: self._listener.let_in)
        if self._listener.let_in and not self._plan.cut:
            await self._ask_whether_it_lives()
        if self._ending is None and not self._plan.cut:
            self._write([frame(CLOSE, (1000).to_bytes(2, "big"))])
        return await self._end()

    async def _shake_hands(self) -> None:
        self._line.write(self._target.upgrade(self._plan.dialect.subprotocol))
        answer = await self._line.receive_answer()
        if answer.status != 101:
            look_at_handshake(answer)
            raise Broken("a handshake that is right is accepted", answer)

    def _write(self, frames: list[bytes]) -> None:
        for each in frames:
            self._told("says", each)
        self._line.write(b"".join(frames))

    async def _say(self, frames: list[bytes], *, last: bool) -> bool:
        """Write frames, and wait until they have been read; False where the conversation has ended by then."""
        self._sent(len(frames))
        if last and self._plan.cut:
            self._write(frames)
            return True  # what is not whole swallows whatever follows it
        self._write([*frames, frame(PING, b"sync")])
        return await self._hear_until(lambda opcode, payload: opcode == PONG and payload == b"sync")

    async def _ask_whether_it_lives(self) -> None:
        """What has been let in is answered to the end, unless it was ended."""
        word = self._plan.dialect.types[Side.CLIENT, Kind.SUBSCRIBE]
        message = {"type": word, "id": "lives?", "payload": {"query": "{ __typename }"}}
        self._write([frame(TEXT, json.dumps(message).encode())])
        await self._hear_until(lambda opcode, payload: opcode == TEXT and b'"lives?"' in payload)

    async def _hear_until(self, condition: Callable[[int, bytes], bool]) -> bool:
        while self._ending is None:
            opcode, payload = await self._hear()
            if condition(opcode, payload):
                return True
        return False

    async def _hear(self) -> tuple[int, bytes]:
        try:
            opcode, payload = await self._line.receive_frame()
        except (EOFError, ConnectionError) as exc:
            if self._plan.cut:
                self._ending = "cut off by us"
                return -1, b""
            if isinstance(exc, ConnectionError):
                raise
            raise Broken("every conversation ends with a close") from None
        except TimeoutError:
            raise Broken("every client is answered") from None
        self._told("hears", bytes([opcode]) + payload)
        if opcode == TEXT:
            self._listener.hear(payload)
        elif opcode == CLOSE:
            self._ending = self._look_at_close(payload)
        elif opcode not in {PING, PONG}:
            raise Broken("the server says texts", (opcode, payload))
        return opcode, payload

    def _look_at_close(self, payload: bytes) -> str:
        for own in self._said_closes():
            if payload == own:
                return "closed by us"
        return look_at_close(payload, own=1000)

    def _said_closes(self) -> Iterator[bytes]:
        """Return what came with our own closes: the server may give it back."""
        for batch in self._plan.batches:
            for each in batch:
                if each[0] == 128 | CLOSE:
                    yield each[6:]

    async def _end(self) -> str:
        """Read up to the end of the connection."""
        if self._plan.cut:
            self._line.write_eof()
        while self._ending is None:
            await self._hear()
        if not self._plan.cut:
            self._line.write(frame(CLOSE, b""))
        await self._read_up_to_the_end()
        return self._ending

    async def _read_up_to_the_end(self) -> None:
        """Nothing follows a close but pongs, which are still due (RFC 6455, section 5.5.2), and then the end."""
        try:
            while True:
                opcode, payload = await self._line.receive_frame()
                if opcode not in {PING, PONG}:
                    raise Broken("nothing follows a close", (opcode, payload[:200]))
        except (EOFError, ConnectionError):
            return
        except TimeoutError:
            raise Broken("a connection ends after its close") from None


def _bad_frames(dice: random.Random, text: bytes) -> list[bytes]:
    """Return frames that are whole, one of each kind."""
    return [
        frame(dice.choice((3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), text[:125]),
        frame(TEXT, text, reserved=dice.randint(1, 7)),
        frame(TEXT, text, mask=None),
        frame(PING, dice.randbytes(126)),
        frame(dice.choice((PING, PONG, CLOSE)), b"", final=False),
        frame(CONTINUATION, text),
        frame(TEXT, text, final=False) + frame(TEXT, text),
        frame(BINARY, dice.randbytes(dice.choice((0, 1, 1000)))),
        frame(CLOSE, dice.choice(_closes(dice))),
        frame(TEXT, b"x" * dice.choice((65_536, 65_537, 131_073))),
    ]


def _cut_frame(dice: random.Random, text: bytes) -> bytes:
    """Return what does not end, or is no frame at all."""
    if dice.random() < 0.5:
        return frame(TEXT, text, claimed=dice.choice((len(text) + 1, 2**16, 2**31, 2**63 - 1, 2**63)))
    # No close: one that happens to be right may come back with any code.
    return bytes([dice.randrange(256) & 0xF7]) + dice.randbytes(dice.choice((0, 2, 20, 200)))


def _closes(dice: random.Random) -> list[bytes]:
    codes = [dice.choice(BAD_CODES), dice.choice(GOOD_CODES)]
    reasons = (b"", b"bye", "é".encode() * 61, b"\xff", b"x" * 123)
    return [b"", b"\x03", *(code.to_bytes(2, "big") + dice.choice(reasons) for code in codes)]


def _encoded(dialect: Dialect) -> tuple[list[bytes], list[bytes]]:
    """Write the grammar's texts as bytes; half a surrogate pair makes bytes that are no UTF-8, which ends a socket."""
    good, odd = ([each.encode("utf-8", "surrogatepass") for each in texts] for texts in heard_by_a_server(dialect))
    broken = {each for each in good if b"\xed\xa0\xbd" in each}
    return [each for each in good if each not in broken], [*odd, *broken]
