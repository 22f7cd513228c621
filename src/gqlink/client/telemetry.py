"""The log of the client: what happens to a link has a name and fields, so that a machine can count it.

Every record goes to the logger `gqlink.client`. Its text is for people and may change; `gqlink_event` and the other
fields stay what they are. None of them ever holds a token, a password, or what else was presented.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqlink.client.ending import Ending
    from gqlink.client.state import LinkState

__all__ = ("EVENT_LEVELS", "Diary", "LogEvent", "log_event")

_log: Final = logging.getLogger("gqlink.client")

LogEvent: TypeAlias = Literal[
    "connecting",
    "live",
    "renewed",
    "handover",
    "not_renewed",
    "refused",
    "lost",
    "waiting",
    "failed",
    "idle",
    "closed",
    "gap",
    "lagging",
    "discarded",
    "stray_error",
]

EVENT_LEVELS: Final[Mapping[LogEvent, int]] = {
    "connecting": logging.DEBUG,
    "live": logging.INFO,
    "renewed": logging.DEBUG,
    "handover": logging.DEBUG,
    "not_renewed": logging.INFO,
    "refused": logging.INFO,
    "lost": logging.WARNING,
    "waiting": logging.WARNING,
    "failed": logging.WARNING,
    "idle": logging.DEBUG,
    "closed": logging.INFO,
    "gap": logging.WARNING,
    "lagging": logging.WARNING,
    "discarded": logging.WARNING,
    "stray_error": logging.WARNING,
}
"""How much each matters. "lost" and "waiting" are warnings once in an outage, and "failed" once; then INFO."""

_LIVE_TEXTS: Final[Mapping[LogEvent, str]] = {
    "live": "live%s",
    "renewed": "the credential was renewed%s",
    "handover": "a second socket took over%s",
}


def log_event(event: LogEvent, text: str, *args: object, level: int | None = None, **fields: object) -> None:
    """Write one record.

    Args:
        event: What happened; becomes the record's `gqlink_event`.
        text: For people, with places for `args`.
        args: What goes into `text`.
        level: How much it matters where that is not what `EVENT_LEVELS` says.
        fields: Of the record, where they are known: `socket`, `subprotocol`, `subject`, `code`, `reason`, `retry_in`
            and `expires_in` in seconds, `renewed`, `gaps`, `operation`, `missed`.
    """
    level = EVENT_LEVELS[event] if level is None else level
    if _log.isEnabledFor(level):
        known = {name: value for name, value in fields.items() if value is not None}
        _log.log(level, text, *args, extra={"gqlink_event": event, **known}, stacklevel=2)


class Diary:
    """Writes down what a link does, and warns once in an outage, however often it tries."""

    def __init__(self) -> None:
        self._in_outage = False
        self._gave_up = False
        self._socket: int | None = None

    def ended(self, ending: Ending) -> None:
        """Write down how a connection ended, unless we ended it, or another record is about to tell why there was none.

        Args:
            ending: Its end.
        """
        if ending.verdict is None or not ending.dialled:
            return
        socket, code, reason = self._socket if ending.acknowledged else None, ending.code, ending.reason
        if ending.refusal:
            text = "the server refused the credential: %s"
            log_event("refused", text, ending.error, socket=socket, code=code, reason=reason)
        elif ending.acknowledged:
            text, level = "the connection was lost: %s", self._warn_once()
            log_event("lost", text, ending.error, level=level, socket=socket, code=code, reason=reason)

    def show(self, state: LinkState) -> None:
        """Write down a phase that has begun, or what has become of a live socket."""
        match state.phase:
            case "live":
                self._live(state)
            case "connecting":
                log_event("connecting", "connecting")
            case "waiting":
                text, wait, level = "no connection, again in %.2f s: %s", state.retry_in or 0.0, self._warn_once()
                code, reason = state.code, state.reason
                log_event("waiting", text, wait, state.why, level=level, retry_in=wait, code=code, reason=reason)
            case "failed":
                level, self._gave_up = logging.INFO if self._gave_up else logging.WARNING, True
                text, code, reason = "the link gives up: %s", state.code, state.reason
                log_event("failed", text, state.why, level=level, code=code, reason=reason)
            case "idle":
                log_event("idle", "nobody needs the connection")
            case "closed":
                log_event("closed", "the link was closed")

    def _live(self, state: LinkState) -> None:
        self._in_outage = self._gave_up = False
        event: LogEvent = "live"
        if state.renewed:
            event = "renewed" if state.socket == self._socket else "handover"
        self._socket = state.socket
        log_event(
            event,
            _LIVE_TEXTS[event],
            "" if state.subject is None else f" as {state.subject}",
            socket=state.socket,
            subprotocol=state.subprotocol,
            subject=state.subject,
            expires_in=state.expires_in,
            renewed=state.renewed,
        )

    def _warn_once(self) -> int:
        """Return the level of what is worth one warning in an outage."""
        level = logging.INFO if self._in_outage else logging.WARNING
        self._in_outage = True
        return level
