"""Hold very many random conversations with the protocol machines, and stop at the first broken promise.

Grammar and promises are those of the state machines, `tests/protocol/grammar.py` and `watched.py`; Hypothesis shrinks
what it finds, this is some fifty times as fast. Each conversation has its own seed, so a find can be replayed alone:

    python tools/fuzz_protocol.py --conversations 100000
    python tools/fuzz_protocol.py --only server/graphql-ws --first 4711 --conversations 1
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from gqlink.protocol import DIALECTS, Close, Dialect
from protocol.grammar import (
    Move,
    Moves,
    Texts,
    client_moves,
    heard_by_a_client,
    heard_by_a_server,
    pair_moves,
    server_moves,
)
from protocol.watched import Watched, WatchedClient, WatchedPair, WatchedServer

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_MOVES = 60
# How often, per move: something that may end the conversation, and in each kind of beginning.
ENDS, BROKEN, ODD, DECIDED = 0.02, 0.04, 0.07, 0.5
ASKED, LET_IN = 0.9, 0.8
BYTES = 0.2
NOISE = ("", "\\", '"', "{", "[", "}", "]", ":", ",", "0", "e9", "\ud83d", "\\ud83d", "\x00", "é", "null", "\n")

Conversation = tuple["list[Watched]", "Callable[[], Move]"]


def server(dialect: Dialect, dice: random.Random, texts: Texts) -> Conversation:
    """Begin a conversation with a server, most often as one should."""
    watched = WatchedServer(dialect)
    moves = server_moves(watched)
    if dice.random() < ASKED:
        watched.hear('{"type": "connection_init"}')
        if dice.random() < LET_IN:
            watched.acknowledge()
    return [watched], lambda: heard_or_decided(watched, dice, texts, moves)


def client(dialect: Dialect, dice: random.Random, texts: Texts) -> Conversation:
    """Begin a conversation with a client."""
    watched = WatchedClient(dialect)
    moves = client_moves(watched)
    if dice.random() < ASKED:
        watched.initialise()
        if dice.random() < LET_IN:
            watched.hear('{"type": "connection_ack"}')
    return [watched], lambda: heard_or_decided(watched, dice, texts, moves)


def joined(dialect: Dialect, dice: random.Random, texts: Texts) -> Conversation:
    """Begin a conversation between both."""
    del texts
    pair = WatchedPair(dialect)
    moves = pair_moves(pair)
    if dice.random() < LET_IN:
        pair.let_in()
    return [pair.client, pair.server], lambda: dice.choice(moves[dice.random() < ENDS])


SIDES = {
    "server": (server, heard_by_a_server),
    "client": (client, heard_by_a_client),
    "joined": (joined, heard_by_a_server),
}


def heard_or_decided(watched: Watched, dice: random.Random, texts: Texts, moves: Moves) -> Move:
    """Draw one move: something is heard, sometimes odd or broken, or something is decided."""
    good, odd = texts
    kind = dice.random()
    if kind < ENDS or kind > DECIDED:
        return dice.choice(moves[kind < ENDS])
    text: bytes | str = dice.choice(odd if BROKEN < kind < ODD else good)
    if kind < BROKEN:
        text = broken(str(text), dice)
    return repr(text[:200]), lambda: watched.hear(text)


def broken(text: str, dice: random.Random) -> bytes | str:
    """Cut something out, put something in, or put a byte in its place."""
    at = dice.randint(0, len(text))
    end = at + dice.choice((0, 1, 1, 3))
    if dice.random() < BYTES:
        data = text.encode("utf-8", "replace")
        return data[:at] + dice.randbytes(1) + data[end:]
    return text[:at] + dice.choice(NOISE) + text[end:]


def converse(name: str, seed: int, texts: Texts, told: Counter[str]) -> None:
    """Hold one conversation.

    Raises:
        AssertionError: A promise was broken, or something raised; it names the seed and the moves.
    """
    side, _, subprotocol = name.partition("/")
    dice = random.Random(f"{name} {seed}")
    said: list[str] = []
    try:
        machines, draw = SIDES[side][0](DIALECTS[subprotocol], dice, texts)
        for _ in range(dice.randint(1, MOST_MOVES)):
            label, do = draw()
            said.append(label)
            do()
    except Exception as exc:
        raise AssertionError(f"{name}, seed {seed}: {exc!r} after\n  " + "\n  ".join(said)) from exc
    told["moves"] += len(said)
    for watched in machines:
        told["acknowledged"] += watched.acknowledged
        told["frames"] += watched.frames
        told.update(f"closes with {frame.code}" for frame in watched.sent if isinstance(frame, Close))


def main() -> None:
    """Read the command line and say what was held and found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--conversations", type=int, default=10_000, help="for each dialect and side")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", help="such as server/graphql-ws")
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else [f"{side}/{word}" for side in SIDES for word in DIALECTS]:
        side, _, subprotocol = name.partition("/")
        texts = SIDES[side][1](DIALECTS[subprotocol])
        told: Counter[str] = Counter()
        began = time.monotonic()
        for seed in range(arguments.first, arguments.first + arguments.conversations):
            converse(name, seed, texts, told)
        print(f"{name}: {arguments.conversations} conversations, {time.monotonic() - began:.0f} s", flush=True)
        print("  " + ", ".join(f"{count} {what}" for what, count in sorted(told.items())), flush=True)


if __name__ == "__main__":
    main()
