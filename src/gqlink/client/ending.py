"""How a connection, or the attempt at one, ended, and what that means for those who needed it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from python_socks import ProxyError

from gqlink.errors import ConnectionLost, ConnectionRefused, GqlinkError, RemoteProtocolError
from gqlink.protocol import CloseCode, Side, Verdict, clip_reason, closing_verdict, handshake_verdict
from gqlink.protocol.reasons import speaks_of_credential, speaks_of_expiry

if TYPE_CHECKING:
    from gqlink.protocol import Closed, Dialect

__all__ = ("Ending",)

_CREDENTIAL_CODES = {
    CloseCode.UNAUTHORIZED,
    CloseCode.FORBIDDEN,
    CloseCode.UNAUTHORIZED_REGISTERED,
    CloseCode.FORBIDDEN_REGISTERED,
}
# A line that breaks within the TLS handshake is a broken line; other failures of TLS are about who speaks, or how.
_BROKEN_LINES = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_PROXY_WANTS_A_LOGIN = 407


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one connection.

    Args:
        verdict: What to do next; None where nothing went wrong: it was idle, or the credential changed.
        code: The close code; None before a handshake.
        reason: The peer's words, or what went wrong.
        acknowledged: Whether the connection had been acknowledged.
        stayed_seconds: For how long.
        dialect: What was spoken, if it came so far.
        refusal: Whether the server spoke of the credential in so many words.
        fault: The error to raise where it is not the usual one.
        cause: The foreign exception behind it.
        dialled: Whether there was an attempt at all; not where nobody could say what to present.
        retry_after: For how many seconds the server asked to be left alone; None where it did not say.
    """

    verdict: Verdict | None
    code: int | None = None
    reason: str = ""
    acknowledged: bool = False
    stayed_seconds: float = 0.0
    dialect: Dialect | None = None
    refusal: bool = False
    fault: GqlinkError | None = None
    cause: BaseException | None = None
    dialled: bool = True
    retry_after: float | None = None

    @classmethod
    def closed(cls, closed: Closed, *, dialect: Dialect, stayed_seconds: float | None, refusal: str | None) -> Self:
        """Read the end of a conversation.

        Args:
            closed: What the protocol machine says of it.
            dialect: What was spoken.
            stayed_seconds: For how long it had been acknowledged; None if it never was.
            refusal: The text of a `connection_error` that came instead of the ack.
        """
        acknowledged, refused = stayed_seconds is not None, refusal is not None
        verdict = closing_verdict(closed.code, closed.reason, acknowledged=acknowledged, refused=refused)
        blamed = verdict is Verdict.REFRESH and speaks_of_credential(closed.reason)
        unreadable = closed.by is Side.CLIENT and closed.code == CloseCode.BAD_RESPONSE
        return cls(
            verdict,
            closed.code,
            # Beside a `connection_error` most servers close with a word that says nothing, or with none.
            refusal if refusal and not speaks_of_credential(closed.reason) else closed.reason,
            acknowledged=acknowledged,
            stayed_seconds=stayed_seconds or 0.0,
            dialect=dialect,
            refusal=refused or blamed or closed.code in _CREDENTIAL_CODES,
            fault=RemoteProtocolError(closed.reason, close_code=closed.code) if unreadable else None,
        )

    @classmethod
    def rejected(cls, status: int, *, retry_after: float | None = None) -> Self:
        """The upgrade was answered with an HTTP status other than 101.

        Args:
            status: The HTTP status.
            retry_after: What its `Retry-After` header says, in seconds from now (RFC 9110, section 10.2.3).
        """
        verdict = handshake_verdict(status)
        refusal = verdict is Verdict.REFRESH
        return cls(verdict, reason=f"HTTP status {status}", refusal=refusal, retry_after=retry_after)

    @classmethod
    def unreachable(cls, exc: BaseException) -> Self:
        """There was no handshake: TCP, TLS or a proxy failed, or it took too long.

        Args:
            exc: What was raised. A certificate that is not trusted, a server that does not speak TLS and a proxy that
                wants a login (407) stay so; everything else may pass.
        """
        tls = isinstance(exc, ssl.SSLError) and not isinstance(exc, _BROKEN_LINES)
        proxy = isinstance(exc, ProxyError) and exc.error_code == _PROXY_WANTS_A_LOGIN
        verdict = Verdict.FAIL if tls or proxy else Verdict.RETRY
        return cls(verdict, reason=clip_reason(str(exc) or type(exc).__name__), cause=exc)

    @property
    def expired(self) -> bool:
        """Whether the credential was good once."""
        return self.refusal and speaks_of_expiry(self.reason)

    @property
    def error(self) -> GqlinkError:
        """What those are told who needed the connection."""
        if self.fault is not None:
            return self.fault
        kind = ConnectionLost if self.verdict is Verdict.RETRY else ConnectionRefused
        error = kind(self.code, self.reason)
        error.__cause__ = self.cause
        return error
