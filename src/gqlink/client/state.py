"""What a link is doing, for a status line or a log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from gqlink.client.telemetry import Diary

if TYPE_CHECKING:
    from gqlink.client.ending import Ending
    from gqlink.client.settings import LinkSettings
    from gqlink.client.socket import Socket

__all__ = ("Board", "LinkPhase", "LinkState", "OnState")

_log: Final = logging.getLogger("gqlink.client")


class LinkPhase(StrEnum):
    """What a WebSocket link is doing."""

    IDLE = "idle"
    """There is no socket, and nobody needs one."""
    CONNECTING = "connecting"
    """From asking for the credential to the acknowledgement."""
    LIVE = "live"
    """Acknowledged: operations run."""
    WAITING = "waiting"
    """The connection was lost; there will be another attempt."""
    FAILED = "failed"
    """Given up, until the next operation or the next credential."""
    CLOSED = "closed"
    """The link was closed and stays so."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """One moment of a link.

    Args:
        phase: What it is doing.
        at: When it began, in seconds of the monotonic clock.
        socket: The number of the socket, counted from 1 for each link; None where there is none.
        subprotocol: That of the socket.
        subject: For whom the socket speaks, where the server tells; None for anonymous or unknown.
        expires_in: For how many seconds from `at`, as far as the server or the token source tells.
        renewed: How often the credential has been renewed since the link became live; each time is a state of its own.
        retry_in: After how many seconds the next attempt comes, in the phase "waiting".
        code: The close code of the connection before, in the phases "waiting" and "failed".
        reason: Its reason.
        gaps: How many gaps there have been in the link's subscriptions; each is a state of its own.
        live_since: When the link became live, in the phase "live"; renewals do not change it.
    """

    phase: LinkPhase
    at: float
    socket: int | None = None
    subprotocol: str | None = None
    subject: str | None = None
    expires_in: float | None = None
    renewed: int = 0
    retry_in: float | None = None
    code: int | None = None
    reason: str = ""
    gaps: int = 0
    live_since: float | None = None

    @property
    def why(self) -> str:
        """Code and reason as one text, such as "1012 Service restart"; empty where there is neither."""
        return f"{self.code or ''} {self.reason}".strip()

    def describe(self, now: float) -> str:
        """Return it as a status line, such as "live for 12 s as alice, 2 gaps" or "reconnecting in 3 s: 1006".

        Args:
            now: The present moment, in seconds of the monotonic clock (`time.monotonic()`).
        """
        return self._line(now)

    def __str__(self) -> str:
        """Return the line without what passes: "live as alice", or "reconnecting in 3 s" as it was said."""
        return self._line(None)

    def _line(self, now: float | None) -> str:
        why = self.why
        since = self.at if self.live_since is None else self.live_since
        passed = 0.0 if now is None else max(now - since, 0.0)
        match self.phase:
            case LinkPhase.LIVE:
                line = "live" if now is None else f"live for {passed:.0f} s"
                line += f" as {self.subject}" if self.subject is not None else ""
            case LinkPhase.CONNECTING if passed >= 1.0:
                line = f"connecting for {passed:.0f} s"
            case LinkPhase.WAITING:
                line = f"reconnecting in {max((self.retry_in or 0.0) - passed, 0.0):.0f} s" + (
                    f": {why}" if why else ""
                )
            case LinkPhase.FAILED:
                line = f"failed: {why}"
            case _:
                line = str(self.phase)
        return line if not self.gaps else f"{line}, {self.gaps} {'gap' if self.gaps == 1 else 'gaps'}"


OnState: TypeAlias = Callable[[LinkState], object]
"""A user's `on_state`."""


class Board:
    """Where a link shows what it is doing.

    Args:
        settings: Whose hook is told; what it raises is logged.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._clock = settings.clock
        self._on_state = settings.on_state
        self._diary = Diary()
        self.state = LinkState(LinkPhase.IDLE, 0.0)

    def show(self, phase: LinkPhase, **facts: object) -> None:
        """Show a state, and write it down; the facts are fields of `LinkState`."""
        gaps = self.state.gaps
        state = LinkState(phase, self._clock.now(), gaps=gaps, **facts)  # type: ignore[arg-type] # its own fields, by name
        self._diary.show(state)
        self._show(state)

    def ended(self, ending: Ending) -> None:
        """Write down how a connection ended; what follows from it will be shown."""
        self._diary.ended(ending)

    def count_gap(self) -> None:
        """Show that a subscription may have missed something."""
        self._show(replace(self.state, gaps=self.state.gaps + 1))

    def _show(self, state: LinkState) -> None:
        self.state = state
        if self._on_state is None:
            return
        try:
            self._on_state(self.state)
        except Exception:  # noqa: BLE001 -- the user's hook may raise anything
            _log.exception("on_state raised; the link is not affected")

    def show_live(self, socket: Socket, expires_in: float | None, renewed: int) -> None:
        """Show a live socket.

        Args:
            socket: Acknowledged.
            expires_in: What is left of its credential, in seconds.
            renewed: How often the credential has been renewed.
        """
        before = self.state
        self.show(
            LinkPhase.LIVE,
            live_since=before.live_since if renewed and before.live_since is not None else self._clock.now(),
            socket=socket.number,
            subprotocol=socket.subprotocol,
            subject=None if socket.addition is None else socket.addition.subject,
            expires_in=expires_in,
            renewed=renewed,
        )
