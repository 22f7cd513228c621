"""How large the variables of a request are, before anything is done with them.

A short text may hold many values, and each is looked at by itself when variables are coerced: `[0,0,0]` is three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gqlink.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqlink.server.limits import Limits

__all__ = ("check_variables",)


def check_variables(variables: Mapping[str, object] | None, limits: Limits) -> None:
    """Check the variables of a request.

    Args:
        variables: As they were read from JSON.
        limits: The bounds.

    Raises:
        LimitExceeded: `variables_bytes` or `variables_values`.
    """
    if not variables:
        return
    text = msgspec.json.encode(variables)
    _require("variables_bytes", allowed=limits.variables_bytes, actual=len(text))
    if _most_values(text) > limits.variables_values:
        _require("variables_values", allowed=limits.variables_values, actual=_count_values(variables))


def _most_values(text: bytes) -> int:
    """Say how many values a JSON object holds at most; fewer where strings hold what looks like JSON."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _count_values(variables: Mapping[str, object]) -> int:
    number = 0
    waiting = list(variables.values())
    while waiting:
        value = waiting.pop()
        number += 1
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return number


def _require(limit: str, *, allowed: int, actual: int) -> None:
    if actual > allowed:
        raise LimitExceeded(limit, allowed=allowed, actual=actual)
