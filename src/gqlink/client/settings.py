"""What a WebSocket link was told, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gqlink.client.renewal import RenewalPace

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from gqlink.client.clock import Clock
    from gqlink.client.frames import OnFrame
    from gqlink.client.params import Params
    from gqlink.client.refusals import Refusals
    from gqlink.client.retry import Retry
    from gqlink.client.state import LinkState
    from gqlink.protocol import Dialect

__all__ = ("LinkSettings",)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Everything that a link keeps to; `WebSocketLink` says what each means. `pace` is its memory."""

    url: str
    params: Params
    clock: Clock
    retry: Retry
    dialects: tuple[Dialect, ...]
    reconnect: bool
    idle_seconds: float | None
    connect_seconds: float
    ack_seconds: float
    ping_seconds: float | None
    buffer: int
    message_bytes: int
    overlap_seconds: float
    refusals: Refusals | None
    ssl_context: ssl.SSLContext | None
    proxy: str | None
    on_frame: OnFrame | None
    on_state: Callable[[LinkState], object] | None
    pace: RenewalPace = field(default_factory=RenewalPace)
