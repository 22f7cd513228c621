"""The pages of the tutorial, the how-to guides and the explanations, and the scripts that they quote.

A page quotes a region of a script, or what a script prints, below a comment that says so:

    <!-- examples/lesson/03_plain_object.py: client -->      the lines from `# region client` to `# endregion`
    <!-- output of examples/lesson/03_plain_object.py -->    what it prints, times and other passing values made equal

`rewrite.py` puts the present lines in their places; the tests only compare.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial"
HOWTO = ROOT / "docs" / "howto"
EXPLANATION = ROOT / "docs" / "explanation"
PAGES = sorted(page for folder in (TUTORIAL, HOWTO, EXPLANATION) for page in folder.glob("*.md"))
LESSON_PAGES = sorted(TUTORIAL.glob("0*.md"))
LESSON_SCRIPTS = sorted((ROOT / "examples" / "lesson").glob("0*.py"))

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_REGION = re.compile(r"^ *# region (\w+)\n(.*?)^ *# endregion$", re.MULTILINE | re.DOTALL)
_PASSING = (
    (re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE), "12:00:00 "),
    (re.compile(r"exp \d+(\.\d+)?>"), "exp 1800000000>"),
    # The older subprotocol says goodbye before the close frame, and the server may answer to either.
    (re.compile(r'"code": 1000, "reason": "Normal"'), '"code": 1000, "reason": ""'),
    # Its `complete` in answer to a `stop` may come before the close, or be overtaken by it.
    (re.compile(r"^12:00:00 #\d+ ◀ complete \[\d+\]\n(?: {8}.*\n)?", re.MULTILINE), ""),
    (re.compile(r'"expiresIn": \d+(\.\d+)?'), '"expiresIn": 120'),
    # A cursor ends with the epoch of its topic, which is another one in each process.
    (re.compile(r'"(cursor|after)": "([\w-]{8}\.\d+)\.[\w-]+"'), r'"\1": "\2.oGq0ZLrmM3Ad"'),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Args:
        language: Of the fence.
        text: Between the fences, ending with a line break.
        note: The comment above it, or None.
    """

    language: str
    text: str
    note: str | None

    @property
    def quotation(self) -> tuple[Path, str] | None:
        """The script and the region that it quotes, if it is a quotation."""
        path, found, region = (self.note or "").partition(": ")
        return (ROOT / path, region) if found else None

    @property
    def output_of(self) -> Path | None:
        """The script whose output it shows, if it does."""
        before, found, path = (self.note or "").partition("output of ")
        return ROOT / path if found and not before else None


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [_block(match) for match in _BLOCK.finditer(page.read_text("utf-8"))]


def replace_blocks(page: Path, text_of: Callable[[Block], str]) -> None:
    """Rewrite the text within each fence of a page."""

    def fresh(match: re.Match[str]) -> str:
        start, end = match.start("text") - match.start(), match.end("text") - match.start()
        return match.group()[:start] + text_of(_block(match)) + match.group()[end:]

    page.write_text(_BLOCK.sub(fresh, page.read_text("utf-8")), "utf-8")


def regions(script: Path) -> dict[str, str]:
    """Return the regions of a script by name, without their common indentation and the blank lines around them."""
    return {name: textwrap.dedent(text).strip("\n") + "\n" for name, text in _REGION.findall(script.read_text("utf-8"))}


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def settled(output: str) -> str:
    """Make equal what differs from run to run: times, and how long tokens last."""
    for pattern, same in _PASSING:
        output = pattern.sub(same, output)
    return output


def strands(output: str) -> dict[str, list[str]]:
    """Sort lines by what has an order for certain: the frames of a socket in one direction, and the script's own lines.

    A frame that comes in may be printed before or after one that goes out at the same time.
    """
    found: dict[str, list[str]] = {}
    key = ""
    for line in output.splitlines():
        if not line.startswith(" " * 8):  # such a line belongs to the one before
            frame = re.match(r"12:00:00 (#\d+ [▶◀])", line)
            key = frame.group(1) if frame else ""
        found.setdefault(key, []).append(line)
    return found


def _block(match: re.Match[str]) -> Block:
    return Block(match["language"], match["text"], match["note"])
