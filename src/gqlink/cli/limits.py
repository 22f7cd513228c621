"""`--limit NAME=VALUE`: any field of `Limits`, read strictly; a refusal says what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import TYPE_CHECKING

from gqlink.errors import BadUserInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.server import Limits

__all__ = ("parse_limits",)

_WHOLE = re.compile(r"[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_DIGITS = 15  # what is longer can only mean "none", and Python itself refuses to read some of it


def parse_limits(given: Sequence[str]) -> Limits:
    """Read limits, each as `name=value`; what is not named keeps its default.

    Args:
        given: Such as `["depth=20", "init_seconds=2.5"]`.

    Raises:
        BadUserInput: A name is unknown or comes twice, or a value is not of the limit's kind.
    """
    from gqlink.server import Limits

    defaults: dict[str, int | float] = dataclasses.asdict(Limits())
    changes: dict[str, int | float] = {}
    for each in given:
        name, equals, value = (part.strip() for part in each.partition("="))
        if not equals:
            raise BadUserInput(f"--limit is NAME=VALUE, such as depth={defaults['depth']}, not {each!r}")
        if name not in defaults:
            raise BadUserInput(_unknown(name, list(defaults)))
        if name in changes:
            raise BadUserInput(f"--limit {name} was given twice")
        changes[name] = _number(name, value, default=defaults[name])
    return dataclasses.replace(Limits(), **changes)  # type: ignore[arg-type] # each is of its default's type


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no limit {name!r}; {hint}the limits are {', '.join(known)}"


def _number(name: str, value: str, *, default: float) -> int | float:
    is_whole = isinstance(default, int)
    pattern, kind = (_WHOLE, "a whole number") if is_whole else (_DECIMAL, "a number, with a point if need be,")
    if pattern.fullmatch(value) is None or len(value) > _DIGITS or float(value) <= 0:
        raise BadUserInput(f"--limit {name} takes {kind} greater than 0, such as {name}={default}, not {value!r}")
    return int(value) if is_whole else float(value)
