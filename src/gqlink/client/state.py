"""What a link is doing, for a status line or a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = ("LinkPhase", "LinkState", "OnState")


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


OnState: TypeAlias = Callable[[LinkState], object]
"""A user's `on_state`."""
