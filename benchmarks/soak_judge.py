"""The judge of `soak.py`: what was heard and answered, compared with what is stored."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NEAR: Final = 60.0
"""Seconds round a loss in which its cause is looked for."""


@dataclass(slots=True)
class Sent:
    """One message that somebody wanted to say.

    Args:
        client_id: Its id, unique for its author.
        author: Who was logged in.
        text: The words.
        room: Where.
        attempts: How often it was asked for: again only where the outcome was unknown.
        unknown: How often the outcome was.
        refused: The error, where there was another one than that.
        answer: The message as the server answered it.
    """

    client_id: str
    author: str
    text: str
    room: str
    attempts: int = 0
    unknown: int = 0
    refused: str | None = None
    answer: dict[str, Any] | None = None


@dataclass(slots=True)
class Segment:
    """What was heard in one piece: between two gaps, in one login, of one subscription."""

    generation: int
    ids: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Heard:
    """What one client heard.

    Args:
        number: The client's.
        room: Where it listened.
    """

    number: int
    room: str
    segments: list[Segment] = field(default_factory=list)
    gaps: list[tuple[float, float, str]] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    strangers: int = 0
    count: int = 0
    last_text: str = ""
    _open: bool = False
    _sure_at: float = 0.0

    def message(self, message: dict[str, Any], *, generation: int, stranger: bool, at: float) -> None:
        """Take note of a message."""
        if not self._open or self.segments[-1].generation != generation:
            self.segments.append(Segment(generation))
            self._open = True
        self.segments[-1].ids.append(int(message["id"]))
        self.segments[-1].moments.append(at)
        self.strangers += stranger
        self.count += 1
        self.last_text = message["text"]
        self._sure_at = at

    def gap(self, reason: str, *, at: float) -> None:
        """Take note of a gap that was reported."""
        self.gaps.append((self._sure_at, at, reason))
        self._open = False
        self._sure_at = at

    def ended(self, how: str) -> None:
        """Take note that the subscription ended, and was asked for anew."""
        self.endings.append(how)
        self._open = False


def judge(
    database: Path,
    *,
    heard: Sequence[Heard],
    sent: Sequence[Sent],
    kills: Sequence[float],
    memory: Sequence[tuple[float, float]],
) -> int:
    """Print what was right and wrong.

    Returns:
        How much was wrong.
    """
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT messages.id, client_id, users.name, room_id, text FROM messages JOIN users ON users.id = author_id"
        ).fetchall()
    wrong = _judge_hearing(rows, heard, kills) + _judge_saying(rows, sent)
    quarter = len(memory) // 4
    for place, where in enumerate(("clients", "server")):
        early = [each[place] for each in memory[quarter : 2 * quarter]] or [0.0]
        late = [each[place] for each in memory[-max(1, quarter) :]] or [0.0]
        print(f"memory of the {where}: {max(early):.0f} MiB in the second quarter, {max(late):.0f} MiB in the last")
    wrong_words = f"{sum(wrong.values())} WRONG: " + ", ".join(f"{name} {number}" for name, number in wrong.items())
    print(wrong_words if sum(wrong.values()) else "nothing was wrong")
    return sum(wrong.values())


def _judge_hearing(rows: list[tuple[Any, ...]], heard: Sequence[Heard], kills: Sequence[float]) -> Counter[str]:
    wrong: Counter[str] = Counter()
    of_room: dict[str, list[int]] = defaultdict(list)
    for number, _, _, room, _ in sorted(rows):
        of_room[room].append(number)
    for client in heard:
        wrong["for somebody else"] += client.strangers
        wrong["events with errors"] += len(client.errors)
        wrong["subscriptions ended"] += len(client.endings)
        wrong["gaps without a restart"] += sum(
            not any(before - 10.0 <= kill <= at for kill in kills) for before, at, _ in client.gaps
        )
        ids = [each for segment in client.segments for each in segment.ids]
        wrong["doubled"] += len(ids) - len(set(ids))
        wrong["out of order"] += sum(later <= former for former, later in pairwise(ids))
        for segment in client.segments:
            first, last = segment.ids[0], segment.ids[-1]
            expected = [each for each in of_room[client.room] if first <= each <= last]
            lost = sorted(set(expected) - set(segment.ids))
            wrong["lost"] += len(lost)
            if lost:
                _show_loss(client, segment, lost, kills)
        if ids and ids[-1] != of_room[client.room][-1]:
            wrong["clients without the last word"] += 1
    reasons = Counter(reason for client in heard for _, _, reason in client.gaps)
    endings = Counter(ending for client in heard for ending in client.endings)
    print(f"heard {sum(client.count for client in heard)} events in {sum(len(each.segments) for each in heard)} pieces")
    print(f"gaps reported: {sum(reasons.values())} {dict(reasons)}")
    if endings:
        print(f"endings: {dict(endings)}")
    for client in heard:
        for text in client.errors[:1]:
            print(f"client {client.number}: an event with errors: {text}")
    return wrong


def _show_loss(client: Heard, segment: Segment, lost: list[int], kills: Sequence[float]) -> None:
    """Print where a client was when it lost something: what it heard on both sides, its gaps, and the restarts."""
    before = max((n for n, each in enumerate(segment.ids) if each < lost[0]), default=0)
    after = min((n for n, each in enumerate(segment.ids) if each > lost[-1]), default=-1)
    begun, over = segment.moments[before], segment.moments[after]
    near = [f"gap {at - begun:+.1f}: {reason}" for _, at, reason in client.gaps if abs(at - begun) < _NEAR]
    near += [f"killed {kill - begun:+.1f}" for kill in kills if abs(kill - begun) < _NEAR]
    print(
        f"  client {client.number}, generation {segment.generation} lost {lost} between {segment.ids[before]} and "
        f"{segment.ids[after]} {over - begun:.1f} s later; the piece lasts from {segment.moments[0] - begun:+.1f} to "
        f"{segment.moments[-1] - begun:+.1f} s; {near}"
    )


def _judge_saying(rows: list[tuple[Any, ...]], sent: Sequence[Sent]) -> Counter[str]:
    wrong: Counter[str] = Counter()
    stored: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    authors: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        stored[row[2], row[1]].append(row)
        authors[row[1]].append(row[2])
    refusals: Counter[str] = Counter()
    for message in sent:
        found = stored[message.author, message.client_id]
        wrong["stored twice"] += len(found) > 1
        wrong["stored as somebody else"] += any(author != message.author for author in authors[message.client_id])
        if any(author != message.author for author in authors[message.client_id]):
            print(f"  for somebody else: {message}, stored for {authors[message.client_id]}")
        if message.answer is not None:
            row = (int(message.answer["id"]), message.answer["clientId"], message.answer["from"])
            right = [each for each in found if each[:3] == row and each[3:] == (message.room, message.text)]
            wrong["answered and not so stored"] += not right
            wrong["answered after it was refused, though stored before"] += bool(message.refused and not right)
        elif message.refused is not None and not message.unknown:
            refusals[message.refused[:90]] += 1
            wrong["refused and stored"] += bool(found)
    answered = sum(message.answer is not None for message in sent)
    unknown = sum(message.unknown for message in sent)
    open_end = sum(message.answer is None and bool(message.unknown) for message in sent)
    print(
        f"said {len(sent)}: {answered} answered, {sum(refusals.values())} refused, {unknown} outcomes unknown, "
        f"of which {open_end} messages were never asked about again with success; {len(rows)} stored"
    )
    for text, number in refusals.most_common(8):
        print(f"  {number} x {text}")
    return wrong
