"""Messages that are nested too deeply: how deep they are, and what can still be made out of them.

Without recursion and in linear time, because such a message is either a mistake or an attack. What an interpreter
bears differs from one version to the next; with a bound of our own the outcome is the same on all of them.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ("is_deeper", "skim")

# A string, or one of the characters that give JSON its structure. A string without an end reaches to the end of the
# text, so that no text makes the search begin again at each of its quotes.
_TOKEN: Final = re.compile(r'"(?:[^"\\]+|\\.?)*+"?|[\[\]{}:,]', re.DOTALL)
_STEP: Final = {"[": 1, "{": 1, "]": -1, "}": -1}


def is_deeper(text: bytes | str, nesting: int) -> bool:
    """Say whether a message has more than `nesting` levels; at once for most, which have fewer brackets than that."""
    openers = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else text.count("[") + text.count("{")
    return openers > nesting and max(_depths(_TOKEN.findall(_plain(text))), default=0) > nesting


def skim(text: bytes | str, names: Iterable[str]) -> dict[str, str | None] | None:
    """Find members of a message without reading what lies deeper.

    Args:
        text: The message, whose end may be missing.
        names: The members to look for.

    Returns:
        For each name its value if that is a string, else None; or None if the message does not begin as an object.
    """
    tokens = _TOKEN.findall(_plain(text))
    if not tokens or tokens[0] != "{":
        return None
    top = [token for token, depth in zip(tokens, _depths(tokens), strict=True) if depth == 1]
    members = {
        name: value
        for name, colon, value in zip(top, top[1:], top[2:], strict=False)
        if colon == ":" and value.startswith('"')
    }
    return {name: _string(members.get(f'"{name}"', "null")) for name in names}


def _depths(tokens: Sequence[str]) -> list[int]:
    """Return the depth at which each token stands; a bracket stands inside of what it opens."""
    return list(accumulate(_STEP.get(token, 0) for token in tokens))


def _string(token: str) -> str | None:
    try:
        return cast("str | None", json.loads(token))
    except ValueError:
        return None


def _plain(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
