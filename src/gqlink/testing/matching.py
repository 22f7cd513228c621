"""Comparing what came with what a transcript expects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gqlink.protocol import Close, Text
from gqlink.testing.transcripts import CloseLine, FrameLine

if TYPE_CHECKING:
    from gqlink.protocol import Frame
    from gqlink.testing.transcripts import Dialogue

__all__ = ("matches", "read_json", "require_match")

_ANY: Final = "..."


def matches(expected: object, actual: object, *, exactly: bool = True) -> bool:
    """Compare two JSON values; the string `...` in the expected one stands for anything.

    Args:
        expected: From a transcript. A member named `...` allows for further members.
        actual: What came.
        exactly: Whether an object may have only the members that are expected.
    """
    match expected, actual:
        case "...", _:
            return True
        case dict(), dict():
            named = {key: value for key, value in expected.items() if key != _ANY}
            enough = named.keys() <= actual.keys() if _ANY in expected or not exactly else named.keys() == actual.keys()
            return enough and all(matches(value, actual[key], exactly=exactly) for key, value in named.items())
        case list(), list():
            return len(expected) == len(actual) and all(
                matches(one, other, exactly=exactly) for one, other in zip(expected, actual, strict=True)
            )
        case _:
            return type(expected) is type(actual) and expected == actual


def read_json(data: str | bytes) -> object:
    """Read JSON; what is none, or is nested too deeply, is None."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value


def require_match(dialogue: Dialogue, line: FrameLine | CloseLine, frame: Frame, *, exactly: bool) -> None:
    """Compare a frame with a line of a transcript.

    Args:
        dialogue: Where the line stands.
        line: What is expected.
        frame: What came.
        exactly: As in `matches`.

    Raises:
        AssertionError: It is something else; the message names page and line.
    """
    match line, frame:
        case CloseLine(), Close():
            stem = line.reason.removesuffix("...")
            whole = stem == line.reason
            fits = line.code == frame.code and (frame.reason == stem if whole else frame.reason.startswith(stem))
        case FrameLine(value=None), Text():
            fits = line.text is None or frame.data == line.text.encode()
        case FrameLine(), Text():
            # What is the same is not taken apart: some lines are nested deeper than Python reads.
            same = frame.data == (line.text or "").encode()
            fits = same or matches(line.value, read_json(frame.data), exactly=exactly)
        case _:
            fits = False
    if not fits:
        raise AssertionError(f"{dialogue.name}, line {line.number}: expected {line}, got {frame}")
