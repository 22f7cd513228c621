"""Random bytes of a client that is mostly right, cut into random segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from websockets.frames import Close, apply_mask  # type: ignore[attr-defined] # in C where that is installed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
# Around each border: of the two longer forms of a length, of a control frame, and of the longest message there.
LENGTHS = (0, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 80, 100, 124, 125, 126, 127, 128, 200, 299, 300, 301)
CODES = (1000, 1001, 1002, 1003, 1005, 1006, 1007, 1011, 1012, 1015, 2999, 3000, 4000, 4999, 5000, 0, 65_535)
PAYLOADS = (b"x", "é".encode(), b"\xc3", b"\xff", b"\xed\xa0\x80", "\N{PILE OF POO}".encode(), b"\x00")


class Chance(Protocol):
    """What is asked of `random.Random`."""

    def random(self) -> float:
        """Return a number from 0 to below 1."""

    def randrange(self, stop: int, /) -> int:
        """Return a whole number below `stop`."""


def stream(chance: Chance) -> bytes:
    """Make up what a client sends: some frames, most of them plain texts, few of them wrong."""
    return b"".join(_frame(chance) for _ in range(1 + chance.randrange(8)))


def segments(chance: Chance, data: bytes) -> list[bytes]:
    """Cut bytes anywhere, often where it hurts: after each byte."""
    longest = (1, 3, 20, 4_000)[chance.randrange(4)]
    found = []
    while data:
        size = 1 + chance.randrange(longest)
        found.append(data[:size])
        data = data[size:]
    return found


def _frame(chance: Chance) -> bytes:
    if chance.random() < 0.02:
        return bytes(chance.randrange(256) for _ in range(1 + chance.randrange(12)))
    kind = _one(chance, _KINDS)
    return kind(chance)


def _text(chance: Chance) -> bytes:
    return _masked(chance, 0x80 | TEXT, _payload(chance))


def _fragment(chance: Chance) -> bytes:
    opcode = _one(chance, (TEXT, CONTINUATION, CONTINUATION, BINARY))
    return _masked(chance, opcode | (0x80 if chance.random() < 0.4 else 0), _payload(chance)[:50])


def _binary(chance: Chance) -> bytes:
    return _masked(chance, 0x80 | BINARY, _payload(chance))


def _control(chance: Chance) -> bytes:
    opcode = _one(chance, (PING, PONG))
    payload = _payload(chance)
    return _masked(chance, 0x80 | opcode, payload if chance.random() < 0.1 else payload[:125])


def _close(chance: Chance) -> bytes:
    if chance.random() < 0.3:
        return _masked(chance, 0x80 | CLOSE, _payload(chance)[:125])
    code, reason = _one(chance, CODES), _one(chance, PAYLOADS)
    return _masked(chance, 0x80 | CLOSE, code.to_bytes(2, "big") + reason)


def _good_close(chance: Chance) -> bytes:
    return _masked(chance, 0x80 | CLOSE, Close(1000, "bye").serialize())


def _odd(chance: Chance) -> bytes:
    """Make a frame whose first two bytes are anything, and whose length may be written longer than it needs to be."""
    payload = _payload(chance)[:60]
    length = len(payload)
    head = chance.randrange(256) if chance.random() < 0.5 else 0x81
    forms = (bytes((length | 128,)), b"\xfe" + length.to_bytes(2, "big"), b"\xff" + length.to_bytes(8, "big"))
    wrong = (bytes((length,)), b"\xff" + (1 << 63 | length).to_bytes(8, "big"), b"\xff" + b"\xff" * 8)
    written = _one(chance, forms) if chance.random() < 0.7 else _one(chance, wrong)
    return bytes((head,)) + written + bytes(4) + payload


_KINDS: tuple[Callable[[Chance], bytes], ...] = (
    *(_text,) * 10,
    *(_control,) * 5,
    *(_fragment,) * 3,
    _binary,
    _close,
    _good_close,
    _odd,
)


def _payload(chance: Chance) -> bytes:
    length = _one(chance, LENGTHS)
    if chance.random() < 0.95:
        return b'{"type":"ping"}'.ljust(length)[:length]
    return (_one(chance, PAYLOADS) * (length + 1))[:length]


def _masked(chance: Chance, first: int, payload: bytes) -> bytes:
    mask = chance.randrange(1 << 32).to_bytes(4, "big")
    length = len(payload)
    head = bytes((first, 128 | length)) if length < 126 else bytes((first, 254)) + length.to_bytes(2, "big")
    return head + mask + apply_mask(payload, mask)


def _one(chance: Chance, among: Sequence[T]) -> T:
    return among[chance.randrange(len(among))]
