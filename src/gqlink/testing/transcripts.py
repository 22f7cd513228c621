"""Transcripts: Markdown pages that state a rule of the wire and show a dialogue which anybody can replay.

A page is a heading (the rule), a line with its force and source, a sentence or two, and one or more dialogues:

    # A client cannot acknowledge itself

    MUST · graphql-ws PROTOCOL.md, "ConnectionAck"

    ```transcript graphql-transport-ws server-only
    C {"type": "connection_init"}
    C {"type": "connection_ack"}
    S close 4400 ...
    ```

The notation is described in `gqlink/protocol/transcripts/README.md`; `gqlink.testing.players` plays it.
"""

from __future__ import annotations

import json
import re
from dataclasses import KW_ONLY, dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from gqlink.protocol import DIALECTS, ConnectionLimits, Dialect, Side

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = (
    "CloseLine",
    "Dialogue",
    "FrameLine",
    "Line",
    "Page",
    "WaitLine",
    "load_pages",
    "parse",
)

TAGS: Final = frozenset({"client-only", "machine-only", "server-only"})


@dataclass(frozen=True, slots=True)
class FrameLine:
    """Somebody sends a text or binary frame.

    Args:
        number: The line in the file, from 1.
        speaker: Whose frame it is.
        text: The frame as it goes out, or None for a binary one.
        value: The JSON that an incoming frame must match, or None where `text` is no JSON.
        decided: Whether the application decided to send it; otherwise the machine owes it by the rules.
    """

    number: int
    speaker: Side
    text: str | None
    value: object
    _: KW_ONLY
    decided: bool


@dataclass(frozen=True, slots=True)
class CloseLine:
    """Somebody closes; code 1006 means that the connection broke.

    Args:
        number: The line in the file, from 1.
        speaker: Who closes.
        code: The close code.
        reason: The reason; one that ends in `...` is only the beginning of it.
        decided: Whether the application decided it.
    """

    number: int
    speaker: Side
    code: int
    reason: str
    _: KW_ONLY
    decided: bool


@dataclass(frozen=True, slots=True)
class WaitLine:
    """Time passes; `seconds` of it."""

    number: int
    seconds: float


Line = FrameLine | CloseLine | WaitLine


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One fenced dialogue.

    Args:
        name: The page's name and the line of the fence, such as `duplicate-id.md:9`.
        dialect: The subprotocol it is spoken in.
        tags: Who can play it: `server-only`, `client-only`, `machine-only`, or none for everybody.
        limits: The server machine's bounds; the defaults but for what the fence sets.
        lines: What happens, in order.
    """

    name: str
    dialect: Dialect
    tags: frozenset[str]
    limits: ConnectionLimits
    lines: tuple[Line, ...]

    @property
    def suits_server(self) -> bool:
        """Whether a server machine can play it."""
        return "client-only" not in self.tags

    @property
    def suits_client(self) -> bool:
        """Whether a client machine can play it; both joined can if this and `suits_server` hold."""
        return "server-only" not in self.tags

    @property
    def suits_live_server(self) -> bool:
        """Whether a real server with the standard schema, its own bounds and its own clock can play it."""
        waits = any(isinstance(line, WaitLine) for line in self.lines)
        return self.suits_server and "machine-only" not in self.tags and self.limits == ConnectionLimits() and not waits


@dataclass(frozen=True, slots=True)
class Page:
    """One rule, or a small family of them.

    Args:
        name: The file's name.
        title: The rule.
        force: "MUST", "SHOULD" or "MAY".
        source: Where it comes from.
        dialogues: At least one.
    """

    name: str
    title: str
    force: str
    source: str
    dialogues: tuple[Dialogue, ...]


def load_pages() -> tuple[Page, ...]:
    """Read every transcript that comes with the package, in the order of their names."""
    folder = files("gqlink.protocol") / "transcripts"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".md") and entry.name != "README.md")
    return tuple(parse((folder / name).read_text("utf-8"), name=name) for name in names)


def parse(text: str, *, name: str = "transcript") -> Page:
    """Read one page.

    Args:
        text: Its Markdown.
        name: What to call it in messages.

    Raises:
        ValueError: It is not in the notation; the message names the line.
    """
    rule = _RULE.search(text)
    if rule is None:
        raise ValueError(f"{name}: a heading and a line such as 'MUST · source' are needed")
    title, force, source = rule.groups()
    dialogues = tuple(_dialogues(text, name))
    if not dialogues:
        raise ValueError(f"{name}: there is no dialogue")
    return Page(name, title, force, source, dialogues)


_RULE: Final = re.compile(r"^# (.+)\n\n(MUST|SHOULD|MAY) · (.+)$", re.MULTILINE)
_FENCE: Final = re.compile(r"^```transcript (.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_LINE: Final = re.compile(r"([CS])(\+?) +(\{.*|raw .*|raw|binary|close (\d+)(?: (.*))?)")
_WAIT: Final = re.compile(r"wait (\d+(?:\.\d+)?)")
_REPEAT: Final = re.compile(r"<([^<>]+?)\*(\d+)>")
_SIDES: Final[Mapping[str, Side]] = {"C": Side.CLIENT, "S": Side.SERVER}


def _dialogues(text: str, name: str) -> Iterator[Dialogue]:
    for fence in _FENCE.finditer(text):
        first = text.count("\n", 0, fence.start()) + 1
        where = f"{name}:{first}"
        subprotocol, *words = fence[1].split()
        tags = frozenset(word for word in words if "=" not in word)
        if subprotocol not in DIALECTS or not tags <= TAGS:
            raise ValueError(f"{where}: unknown subprotocol or tag in '{fence[1]}'")
        settings = {key: int(value) for key, _, value in (word.partition("=") for word in words if "=" in word)}
        lines = tuple(_lines(fence[2], name, first + 1))
        yield Dialogue(where, DIALECTS[subprotocol], tags, ConnectionLimits(**settings), lines)


def _lines(block: str, name: str, first: int) -> Iterator[Line]:
    for number, line in enumerate(block.splitlines(), first):
        if line and not line.startswith("#"):
            yield _line(line, name, number)


def _line(line: str, name: str, number: int) -> Line:
    wait, said = _WAIT.fullmatch(line), _LINE.fullmatch(line)
    if wait is not None:
        return WaitLine(number, float(wait[1]))
    if said is None:
        raise ValueError(f"{name}:{number}: not a line of a transcript: {line}")
    speaker, decided = _SIDES[said[1]], bool(said[2])
    if said[4]:
        return CloseLine(number, speaker, int(said[4]), _expand(said[5] or ""), decided=decided)
    if said[3] == "binary":
        return FrameLine(number, speaker, None, None, decided=decided)
    text = _expand(said[3].removeprefix("raw").removeprefix(" ") if said[3].startswith("raw") else said[3])
    return FrameLine(number, speaker, text, _value(text) if said[3].startswith("{") else None, decided=decided)


def _expand(text: str) -> str:
    """Write out what is repeated: `<a*129>` is 129 times `a`."""
    return _REPEAT.sub(lambda repeat: repeat[1] * int(repeat[2]), text)


def _value(text: str) -> object:
    """Read a line's JSON; what a strict parser refuses is what some lines are about."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
