"""What `gqlink serve` writes to standard error: lines for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import time
from enum import StrEnum
from typing import Final

from gqlink.cli.display import visible

__all__ = ("JsonFormatter", "LogFormat", "LogLevel", "TextFormatter", "log_to_stderr")

# What every record has, what formatters add, and uvicorn's own.
_OWN: Final = frozenset({*vars(logging.makeLogRecord({})), "asctime", "color_message", "message", "taskName"})


class LogFormat(StrEnum):
    """How a record is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """What is logged at least."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class TextFormatter(logging.Formatter):
    """The time and the text, in which nobody can hide a line of their own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Write the first line; a traceback follows it."""
        return visible(super().formatMessage(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: timestamp, level, logger, message, the record's own fields, and a traceback.

    Shape:
        {"timestamp": "2026-01-02T03:04:05.678Z", "level": "WARNING", "logger": "gqlink.server", "message": str,
        "gqlink_event"?: str, ..., "exception"?: str}
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, object] = {
            "timestamp": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def log_to_stderr(form: LogFormat, level: LogLevel) -> None:
    """Let every logger write to standard error, in one form, and ours from a level on.

    Others say no more than warnings, and uvicorn what it does: at DEBUG it would repeat every frame, tokens included,
    and what speaks to the database every value that is stored.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    chosen = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(chosen, logging.WARNING))
    logging.getLogger("gqlink").setLevel(chosen)
    logging.getLogger("uvicorn").setLevel(max(chosen, logging.INFO))
