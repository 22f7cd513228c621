"""What can be chosen about a chat server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gqlink.server import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from gqlink.auth import Token

TOKEN_SECONDS: Final = 900.0
SESSION_SECONDS: Final = 30 * 86_400.0
LONGEST_SESSION_SECONDS: Final = 400 * 86_400.0  # browsers keep no cookie longer
DEMO_TOKEN_SECONDS: Final = 120.0  # so that one can watch a renewal; see docs/decisions/0002
REVOCATION_MARGIN_SECONDS: Final = 3600.0  # for clocks that differ, and tokens that were being made meanwhile

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
LOOPBACK_ORIGINS: Final = ("http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """What can be chosen about a chat server; safe as it stands.

    Attributes:
        data_dir: Where the signing keys are, and SQLite's file; made with mode 0700 if missing.
        database_url: "sqlite:///path" or "postgresql://user:password@host/name"; None for a file in `data_dir`.
        demo: Make alice, bob and charlie, with public passwords, and let them log in.
        token_lifetime: Of an access token, in seconds; None for 900, or 120 in a demo.
        session_lifetime: Of a login, in seconds, until the password is asked for again; at most 400 days.
        allowed_origins: Web origins besides its own that may use the server, such as "https://chat.example" or,
            for every port, "http://localhost:*". A demo adds every port of this machine.
        allowed_hosts: Names under which the server may be addressed, without ports.
        debug: Show introspection, suggestions and unmasked errors. Not implied by `demo`.
        playground: Serve the playground at /playground, and introspection, which it needs.
        limits: What a client may make the server do or hold.
        metrics_token: What a peer that is not on this machine must bring to /metrics, at least 16 characters; None for
            this machine only.
    """

    data_dir: Path
    database_url: str | None = None
    demo: bool = False
    token_lifetime: float | None = None
    session_lifetime: float = SESSION_SECONDS
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = LOOPBACK
    debug: bool = False
    playground: bool = False
    limits: Limits = field(default_factory=Limits)
    metrics_token: Token | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.token_seconds) and self.token_seconds > 0):
            raise ValueError(f"token_lifetime must be a positive number of seconds, not {self.token_lifetime}")
        if not 0 < self.session_lifetime <= LONGEST_SESSION_SECONDS:
            raise ValueError(f"session_lifetime must be positive, and at most 400 days, not {self.session_lifetime}")

    @property
    def origins(self) -> tuple[str, ...]:
        """Which web origins besides its own may use the server."""
        return self.allowed_origins + (LOOPBACK_ORIGINS if self.demo else ())

    @property
    def token_seconds(self) -> float:
        """How long an access token lasts, in seconds."""
        if self.token_lifetime is not None:
            return self.token_lifetime
        return DEMO_TOKEN_SECONDS if self.demo else TOKEN_SECONDS

    @property
    def revocation_seconds(self) -> float:
        """How long a revocation is remembered, in seconds: longer than this server honours any token."""
        return self.token_seconds + REVOCATION_MARGIN_SECONDS
