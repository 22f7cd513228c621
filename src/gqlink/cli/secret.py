"""The token for /metrics: out of a file or the environment, never out of the command line, which others can see."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gqlink.errors import BadUserInput

if TYPE_CHECKING:
    from pathlib import Path

    from gqlink.auth import Token

__all__ = ("METRICS_TOKEN", "read_metrics_token")

METRICS_TOKEN = "GQLINK_METRICS_TOKEN"  # noqa: S105 -- the name of a variable
_SHORTEST = 16


def read_metrics_token(path: Path | None) -> Token | None:
    """Read the token from the first line of a file, or else from `GQLINK_METRICS_TOKEN`; None where neither is given.

    Raises:
        BadUserInput: The file cannot be read, or the token is too short.
    """
    from gqlink.auth import Token

    if path is None:
        value, source = os.environ.get(METRICS_TOKEN, ""), METRICS_TOKEN
        if not value:
            return None
    else:
        value, source = _first_line(path), str(path)
    if len(value) < _SHORTEST or any(character.isspace() for character in value):
        raise BadUserInput(f"the metrics token in {source} must have at least {_SHORTEST} characters, and no space")
    return Token(value)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as exc:
        detail = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise BadUserInput(f"cannot read the metrics token in {path}: {detail}") from exc
