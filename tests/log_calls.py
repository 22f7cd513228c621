"""Which fields each event of the server's log may have, as its own source says."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from gqlink.server.logbook import LogEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM: Final = Path(__file__).parents[1] / "src" / "gqlink" / "server"
EVENTS: Final = frozenset(get_args(LogEvent))
OPERATION: Final = frozenset({"client", "kind", "operation", "socket", "subject"})
"""Those that any record has which is written while an operation is executed."""
_ABOUT_THE_RECORD: Final = frozenset({"exc_info", "level", "sort"})


def fields_of_events() -> dict[str, set[str]]:
    """Return the fields that are written down at the calls that log, by event."""
    found: dict[str, set[str]] = {event: set() for event in EVENTS}
    for path in ROOM.glob("*.py"):
        if path.name != "logbook.py":
            for events, fields in _calls(ast.parse(path.read_text("utf-8"))):
                for event in events:
                    found[event] |= fields
    return found


def _calls(tree: ast.Module) -> Iterator[tuple[set[str], set[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name_of(node.func) in {"log", "log_event"} and node.args:
            first = node.args[0]
            # One call looks its event up in a table of the same module, and may mean each one of it.
            events = _strings(first) if isinstance(first, ast.Constant) else _strings(tree)
            fields = {keyword.arg for keyword in node.keywords if keyword.arg} - _ABOUT_THE_RECORD
            throttled = {"suppressed"} if _name_of(node.func) == "log" else set()
            yield {event for event in events if event in EVENTS and _is_meant(event, first)}, fields | throttled


def _is_meant(event: str, first: ast.expr) -> bool:
    return isinstance(first, ast.Constant) or event.startswith("socket_")


def _strings(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
