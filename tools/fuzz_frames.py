"""Compare our reader of WebSocket frames with `websockets`, on very many random streams, cut anywhere.

Whatever a client sends, both have to hear the same, segment by segment: the messages, the answers to pings, and how it
ends, with the same close code. Streams and comparison are those of `tests/server/streams.py` and `hearing.py`;
Hypothesis shrinks what it finds, this is some ten times as fast. Each stream has its own seed, so a find can be
replayed alone:

    python tools/fuzz_frames.py --streams 1000000
    python tools/fuzz_frames.py --first 4711 --streams 1
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from server.hearing import ours, theirs
from server.streams import segments, stream


def main() -> int:
    """Compare, and say what was heard; 1 as soon as something was not the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first stream")
    options = parser.parse_args()
    began_at = time.perf_counter()
    counts: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.streams):
        chance = random.Random(seed)
        cut = segments(chance, stream(chance))
        here, there = ours(cut), theirs(cut)
        if here != there:
            print(f"seed {seed}, segments {cut}", f"we heard         {here}", f"websockets heard {there}", sep="\n")
            return 1
        counts.update(_name(word) for heard in there for word in heard)
    print(f"{options.streams} streams, the same; {time.perf_counter() - began_at:.0f} seconds")
    print(", ".join(f"{count} x {what}" for what, count in sorted(counts.items())))
    return 0


def _name(word: tuple[object, ...]) -> str:
    kind, what = word[0], word[1] if len(word) > 1 else ""
    return f"{kind} {what:d}" if isinstance(what, int) else str(kind)


if __name__ == "__main__":
    sys.exit(main())
