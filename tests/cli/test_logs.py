"""Standard error of `gqlink serve`: lines in which nobody hides another one, or JSON."""

from __future__ import annotations

import json
import logging
import sys

from gqlink.cli.logs import JsonFormatter, TextFormatter


def record(text: str, *args: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("gqlink.server", logging.WARNING, __file__, 1, text, args, None)
    made.created, made.msecs = 0.25, 250.0
    vars(made).update(fields)
    return made


def test_a_json_line_has_when_what_and_the_fields() -> None:
    """One object a line, with the record's own fields beside the five."""
    made = record("socket %d closed", 7, gqlink_event="socket_closed", socket=7, code=4403)
    assert json.loads(JsonFormatter().format(made)) == {
        "timestamp": "1970-01-01T00:00:00.250Z",
        "level": "WARNING",
        "logger": "gqlink.server",
        "message": "socket 7 closed",
        "gqlink_event": "socket_closed",
        "socket": 7,
        "code": 4403,
    }


def test_a_traceback_stays_on_the_json_line() -> None:
    """Whatever is in it."""
    try:
        raise ValueError("a\nb")
    except ValueError:
        made = record("failed", odd=object())
        made.exc_info = sys.exc_info()
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: a\nb")


def test_nobody_writes_a_line_of_their_own() -> None:
    """Nor drives the terminal: what controls it becomes visible."""
    assert (
        TextFormatter()
        .format(record("from %s", "x\n12:00:00 all is well\x1b[2J"))
        .endswith(r"from x\n12:00:00 all is well\x1b[2J")
    )
