"""The log of the server: what happens has a name and fields, so that a machine can count it.

Every record goes to the logger `gqlink.server`. Its text is for people and may change; `gqlink_event` and the other
fields stay what they are. None of them ever holds a token, a password, or what else was presented; nor a text that a
client chose, but for the name of an operation, which is a word. What a stranger can bring about as often as they like
goes through a `Throttle`: a flood is no flood of lines.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from gqlink.server.observing import present_operation, unobserved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqlink.server.clock import Clock

__all__ = ("EVENT_LEVELS", "LogEvent", "Throttle", "is_logged", "log_event")

_log: Final = logging.getLogger("gqlink.server")

LogEvent: TypeAlias = Literal[
    "authentication_failed",
    "authentication_unavailable",
    "broker_closed",
    "credential_refused",
    "error",
    "failed",
    "handshake_left",
    "handshake_refused",
    "hook_failed",
    "limit",
    "metrics_refused",
    "nodes_unheard",
    "not_stopped",
    "order_failed",
    "order_unreadable",
    "policy_failed",
    "revocation_file",
    "sending_failed",
    "slow_consumer",
    "socket_acknowledged",
    "socket_closed",
    "socket_opened",
    "socket_refused",
    "socket_renewed",
    "workers_apart",
]

EVENT_LEVELS: Final[Mapping[LogEvent, int]] = {
    "authentication_failed": logging.ERROR,
    "authentication_unavailable": logging.WARNING,
    "broker_closed": logging.WARNING,
    "credential_refused": logging.INFO,
    "error": logging.ERROR,
    "failed": logging.ERROR,
    "handshake_left": logging.DEBUG,
    "handshake_refused": logging.INFO,
    "hook_failed": logging.ERROR,
    "limit": logging.WARNING,
    "metrics_refused": logging.WARNING,
    "nodes_unheard": logging.WARNING,
    "not_stopped": logging.ERROR,
    "order_failed": logging.ERROR,
    "order_unreadable": logging.WARNING,
    "policy_failed": logging.ERROR,
    "revocation_file": logging.WARNING,
    "sending_failed": logging.DEBUG,
    "slow_consumer": logging.INFO,
    "socket_acknowledged": logging.INFO,
    "socket_closed": logging.INFO,
    "socket_opened": logging.DEBUG,
    "socket_refused": logging.INFO,
    "socket_renewed": logging.DEBUG,
    "workers_apart": logging.WARNING,
}
"""How much each matters, unless a record says otherwise."""


def is_logged(event: LogEvent) -> bool:
    """Tell whether a record of such an event would be written."""
    return _log.isEnabledFor(EVENT_LEVELS[event])


def log_event(
    event: LogEvent,
    text: str,
    *args: object,
    level: int | None = None,
    exc_info: BaseException | bool | None = None,
    **fields: object,
) -> None:
    """Write one record.

    Args:
        event: What happened; becomes the record's `gqlink_event`.
        text: For people, with places for `args`.
        args: What goes into `text`.
        level: How much it matters where that is not what `EVENT_LEVELS` says.
        exc_info: An exception, or True for the one that is being handled: the record carries its traceback.
        fields: Of the record, where they are known: `socket`, `subprotocol`, `subject`, `client`, `code`, `reason`,
            `limit`, `error_id`, `operation`, `kind`, `suppressed`. Those of the operation that is being executed are
            added.
    """
    level = EVENT_LEVELS[event] if level is None else level
    if not _log.isEnabledFor(level):
        return
    operation = present_operation()
    known = {} if operation is None else operation.fields()
    known |= {name: value for name, value in fields.items() if value is not None}
    _log.log(level, text, *args, exc_info=exc_info, extra={"gqlink_event": event, **known}, stacklevel=2)


@dataclass(slots=True)
class _Pause:
    """How long records of one sort are held back, and how many have been."""

    until: float
    suppressed: int = 0


class Throttle:
    """Lets one record of a sort through in a second, and says after it how many more there were.

    Args:
        clock: The time.
        seconds: How long one record keeps the others of its sort back.
    """

    def __init__(self, clock: Clock, *, seconds: float = 1.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._pauses: dict[tuple[LogEvent, str], _Pause] = {}

    def log(
        self,
        event: LogEvent,
        text: str,
        *args: object,
        sort: str = "",
        exc_info: BaseException | bool | None = None,
        **fields: object,
    ) -> None:
        """Write one record, or count it; see `log_event`.

        Args:
            event: What happened.
            text: For people, with places for `args`.
            args: What goes into `text`.
            sort: What tells it from others of the same event; one of a few words, never of a client's choice.
            exc_info: An exception, or True for the one that is being handled.
            fields: Of the record.
        """
        if _log.isEnabledFor(EVENT_LEVELS[event]) and not self._holds_back((event, sort)):
            log_event(event, text, *args, level=None, exc_info=exc_info, **fields)

    def _holds_back(self, key: tuple[LogEvent, str]) -> bool:
        """Begin to hold back what comes after this one; True where this one is held back already."""
        now = self._clock.now()
        pause = self._pauses.get(key)
        if pause is None or now >= pause.until:
            self._pauses[key] = _Pause(until=now + self._seconds)
            return False
        if pause.suppressed == 0:
            try:
                self._clock.call_at(pause.until, lambda: self._summarise(key, pause))
            except RuntimeError:
                return False  # outside of an event loop nothing floods
        pause.suppressed += 1
        return True

    def _summarise(self, key: tuple[LogEvent, str], pause: _Pause) -> None:
        event, sort = key
        self._pauses[key] = _Pause(until=self._clock.now() + self._seconds)
        # The sort has the name that single records have for it.
        limit, reason = (sort, None) if event == "limit" else (None, sort or None)
        text, args = "%d more in %g s: %s", (pause.suppressed, self._seconds, sort or event)
        with unobserved():  # a timer runs in the context of whoever set it, and these are everybody's
            log_event(event, text, *args, suppressed=pause.suppressed, limit=limit, reason=reason)
