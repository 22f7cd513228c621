"""How results, frames and states look: readable on a terminal, one JSON object a line in a pipe."""

from __future__ import annotations

import sys
import time
import unicodedata
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.client import Gap, LinkState, SocketFrame

__all__ = (
    "frame_line",
    "gap_note",
    "print_event",
    "print_frame",
    "print_note",
    "print_result",
    "print_table",
    "readable",
    "state_note",
    "visible",
)

# Control characters, bidirectional overrides and other formats, line and paragraph separators, half surrogate pairs.
_CONTROLS: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
_JOINER: Final = "\u200d"  # holds emoji together, and moves no cursor


def print_result(data: object) -> None:
    """Print the result of a query, indented."""
    print(msgspec.json.format(msgspec.json.encode(data), indent=2).decode(), flush=True)


def print_event(data: object) -> None:
    """Print one event of a subscription to standard output."""
    if not sys.stdout.isatty():
        print(msgspec.json.encode(data).decode(), flush=True)
        return
    line = escape(visible(readable(data)))
    Console(highlight=False, soft_wrap=True).print(f"[dim]{time.strftime('%H:%M:%S')}[/] {line}")


def print_frame(frame: SocketFrame) -> None:
    """Print one frame to standard error, as developer tools would."""
    colour = "cyan" if frame.direction == "sent" else "magenta"
    head, _, rest = frame_line(frame).partition("  ")
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[{colour}]{escape(head)}[/]  {escape(rest)}")


def print_note(text: str) -> None:
    """Print a remark that is no result to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[dim]{escape(visible(text))}[/]")


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their titles, in columns as wide as they need, two spaces apart."""
    lines = [[title.upper() for title in titles], *([visible(cell) for cell in row] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def visible(text: str) -> str:
    """Return a text as one line that cannot drive a terminal: control characters become visible escapes.

    What others wrote, a message or a close reason, could otherwise clear the screen, fill the clipboard, or pass for
    a line of ours.
    """
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _CONTROLS or character == _JOINER:
        return character
    return character.encode("unicode_escape").decode()


def frame_line(frame: SocketFrame) -> str:
    """Return one frame as a line: time, socket, direction, type, id, payload.

    Returns:
        Such as `12:03:15.123 #1 ▶ connection_init  {"accessToken":null}`.
    """
    milliseconds = int(frame.time % 1 * 1000)
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time))
    arrow = "▶" if frame.direction == "sent" else "◀"
    identifier = "" if frame.id is None else f" [{frame.id[:8]}]"
    payload = "" if frame.payload is None else msgspec.json.encode(frame.payload).decode()
    return f"{clock}.{milliseconds:03} #{frame.socket} {arrow} {frame.type}{identifier}  {payload}".rstrip()


def readable(data: object) -> str:
    """Return JSON as a person would write it: `messageAdded  from: alice, text: Hello`."""
    match data:
        case {**members} if len(members) == 1:
            ((name, value),) = members.items()
            return f"{name}  {_plain(value)}"
        case _:
            return _plain(data)


def _plain(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
        case list():
            return "[" + "; ".join(_plain(item) for item in value) + "]"
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode()


def state_note(state: LinkState) -> str | None:
    """Return what a person wants to know of a link's state, or None where it is nothing new."""
    match state.phase:
        case "live" if state.renewed:
            return None  # the same socket, or its successor, for the same person
        case "live":
            return f"connected as {state.subject or 'nobody: log in with gqlink login'}"
        case "waiting":
            why = f" ({state.code} {state.reason})".replace(" )", ")") if state.code else ""
            return f"connection lost{why}, next attempt in {state.retry_in or 0:.1f} s"
        case _:
            return None


def gap_note(gap: Gap) -> str:
    """Return what a person wants to know of a place where events may be missing."""
    return f"gap: {'events' if gap.missed is None else f'{gap.missed} events'} may have been missed: {gap.reason}"
