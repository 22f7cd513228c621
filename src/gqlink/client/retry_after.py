"""When a server that refused asks to be asked again.

Source: RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("read_retry_after",)

# A client that may be left running for a month shall not be sent to sleep for a year by a slip of the keyboard.
_MOST_SECONDS: Final = 3600.0
_SECONDS: Final = re.compile(r"[0-9]+")


def read_retry_after(headers: Mapping[str, str], *, wall: float) -> float | None:
    """Read how long a server wants to be left alone.

    Args:
        headers: Those of its answer; looked up without regard to case by whoever gives them.
        wall: The present moment, in seconds since the Unix epoch. Where the answer has a `Date`, a moment that it
            names is counted from there: the two clocks need not agree.

    Returns:
        Seconds from now, 0 to 3600, whether the header gave seconds or a date; None where there is none to be read.
    """
    said = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(said):
        return min(float(said), _MOST_SECONDS)
    moment = _moment(said)
    if moment is None:
        return None
    now = _moment(headers.get("Date", ""))
    return min(max(moment - (wall if now is None else now), 0.0), _MOST_SECONDS)


def _moment(date: str) -> float | None:
    """Return an HTTP date in seconds since the Unix epoch; None for anything else."""
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
