"""Every exception that gqlink raises; the class says whose fault it is.

One file, longer than most here, because a reader who meets an error looks for it in one place.

```text
GqlinkError
├── MissingExtra                     an optional dependency is not installed
├── ProtocolError                    (never raised itself)
│   ├── LocalProtocolError           a bug on our side: nothing was sent
│   └── RemoteProtocolError          a bug on the peer's side
├── ConnectionEnded                  (never raised itself) code, reason
│   ├── ConnectionClosed             closed on purpose, or while we made up our mind
│   ├── ConnectionRefused            the peer does not let us in: new credentials, or give up
│   └── ConnectionLost               temporary: network, restart, overload
├── RequestFailed                    the HTTP answer is no GraphQL answer; status
├── OperationFailed                  GraphQL's own answer: errors, data, extensions
├── OutcomeUnknown                   a mutation was written and never answered
├── ContinuityLost                   a subscription may have missed events, and was told to say so
├── AuthError                        (never raised itself) reason
│   ├── InvalidCredentials           wrong name or password; never says which half
│   ├── MalformedCredentials         a credential that cannot be read, or two that disagree
│   ├── InvalidToken                 signature, issuer, audience, algorithm, shape
│   │   └── TokenExpired             past its `exp`
│   ├── SessionRevoked               revoked, or logged out
│   └── SubjectChanged               a renewal for somebody else
├── AuthUnavailable                  temporary: whoever verifies credentials cannot be asked
├── LoginRequired                    anonymous, where a login is needed
├── PermissionDenied                 logged in, but not allowed
├── BadUserInput                     an argument that the operation cannot take
├── LimitExceeded                    a bound of `Limits`; limit, allowed, actual
├── SubscriberLagging                a subscriber was ended: it fell behind its bounded buffer, or its topic was reset
├── DataUnusable                     what is kept in a file or a database needs a look
└── StoreUnavailable                 temporary: the chat's database does not answer
```

`temporary` says whether trying again may help. `extension_code` is the `extensions.code` under which a
GraphQL response reports the error; where it is None, the error is masked. `close_code` and `status` are what the
peer is told. Exceptions take values and write their sentence in `__str__`; none of them holds a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = (
    "AuthError",
    "AuthUnavailable",
    "BadUserInput",
    "ConnectionClosed",
    "ConnectionEnded",
    "ConnectionLost",
    "ConnectionRefused",
    "ContinuityLost",
    "DataUnusable",
    "GqlinkError",
    "InvalidCredentials",
    "InvalidToken",
    "LimitExceeded",
    "LocalProtocolError",
    "LoginRequired",
    "MalformedCredentials",
    "MissingExtra",
    "OperationFailed",
    "OutcomeUnknown",
    "PermissionDenied",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestFailed",
    "SessionRevoked",
    "StoreUnavailable",
    "SubjectChanged",
    "SubscriberLagging",
    "TokenExpired",
)


class GqlinkError(Exception):
    """The root of the tree: `except GqlinkError` catches whatever gqlink raises."""

    temporary: bool = False
    extension_code: ClassVar[str | None] = None


class MissingExtra(GqlinkError, ImportError):
    """An optional dependency is not installed.

    Args:
        extra: The extra of the distribution that brings it: "server", "chat" or "cli".
        module: The import that failed.
    """

    def __init__(self, extra: str, *, module: str | None) -> None:
        super().__init__(extra)
        self.extra = extra
        self.module = module

    def __str__(self) -> str:
        return f"{self.module} is not installed; install it with: pip install 'gqlink[{self.extra}]'"


class ProtocolError(GqlinkError):
    """Somebody broke a rule of the subprotocol.

    Args:
        detail: Which rule, in a sentence.
        close_code: The WebSocket close code that the specification gives for it, or None.
    """

    def __init__(self, detail: str, *, close_code: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.close_code = close_code


class LocalProtocolError(ProtocolError):
    """We were about to break a rule; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule."""


class ConnectionEnded(GqlinkError):
    """A connection is over.

    Args:
        code: The WebSocket close code (RFC 6455, section 7.4), 1006 when there was none, or None before a handshake.
        reason: The peer's words, at most 123 bytes.
    """

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        what = "the connection ended" if self.code is None else f"the connection ended with code {self.code}"
        return f"{what}: {self.reason}" if self.reason else what


class ConnectionClosed(ConnectionEnded):
    """Closed on purpose, or while we made up our mind; nobody's fault."""


class ConnectionRefused(ConnectionEnded):
    """The peer does not let us in with this credential."""


class ConnectionLost(ConnectionEnded):
    """The network, a restart or an overload ended it; a later attempt may succeed."""

    temporary = True


class RequestFailed(GqlinkError):
    """An HTTP request brought no GraphQL answer.

    Args:
        detail: What came instead, in a sentence.
        status: The HTTP status, or None when no answer came at all.
    """

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.temporary = status is None or status in {408, 425, 429} or status >= 500  # noqa: PLR2004 -- the class of server errors

    def __str__(self) -> str:
        return self.detail if self.status is None else f"HTTP status {self.status}: {self.detail}"


class OperationFailed(GqlinkError):
    """GraphQL's own answer to an operation holds errors.

    Args:
        errors: As in the response, each with at least a `message`.
        data: Partial data, or None.
        extensions: The response's own, or an empty mapping.

    Shape:
        errors: [{"message": str, "locations"?: [...], "path"?: [...], "extensions"?: {"code"?: str}}]

    Source: GraphQL specification (September 2025), section 7.1, "Response Format".
    """

    def __init__(
        self,
        errors: Sequence[Mapping[str, object]],
        *,
        data: object = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(errors)
        self.errors = errors
        self.data = data
        self.extensions = extensions or {}

    @property
    def codes(self) -> tuple[str, ...]:
        """The `extensions.code` of each error that has one, in order."""
        extensions = (error.get("extensions") for error in self.errors)
        codes = (item.get("code") for item in extensions if isinstance(item, dict))
        return tuple(code for code in codes if isinstance(code, str))

    def __str__(self) -> str:
        return "; ".join(str(error.get("message", "an error without a message")) for error in self.errors)


class OutcomeUnknown(GqlinkError):
    """A mutation was written, and its answer did not come: it may or may not have run.

    gqlink never re-sends a mutation. Before you do, ask the server with a query whether the change that it makes is
    there; or give it an id of your own that the server accepts only once, such as the chat's `clientId`: then sending
    it again is safe, and answers with what was stored the first time.

    Args:
        operation_name: The operation's name, if it has one.
        code: The connection's close code, or None.
        reason: The peer's words, or why nobody waited any longer.
    """

    def __init__(self, operation_name: str | None, *, code: int | None = None, reason: str = "") -> None:
        super().__init__(operation_name)
        self.operation_name = operation_name
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        name = f"mutation {self.operation_name}" if self.operation_name else "a mutation"
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"{name} was sent, but its answer did not come{why}: before sending it again, ask the server whether the "
            "change is there, unless the mutation carries an id that the server accepts only once"
        )


class ContinuityLost(GqlinkError):
    """A subscription with `on_gap="raise"` may have missed events; it is over, and may be asked for anew.

    Args:
        reason: Why nobody can prove that nothing was missed.
        after: The cursor of the last event before the gap, or None where the server gives none.
        missed: How many events were missed, or None where nobody knows.
    """

    temporary = True

    def __init__(self, reason: str, *, after: str | None = None, missed: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.missed = missed

    def __str__(self) -> str:
        number = "events" if self.missed is None else f"{self.missed} events"
        return f"{number} may have been missed: {self.reason}"


class AuthError(GqlinkError):
    """A credential was presented and is not accepted.

    `reason` is the text that the peer is told and the close frame carries; details stay in `detail`, for the log.

    Args:
        detail: What exactly was wrong; never part of the credential itself.
    """

    reason: ClassVar[str] = "Forbidden"
    close_code: ClassVar[int] = 4403
    status: ClassVar[int] = 401
    extension_code: ClassVar[str | None] = "UNAUTHENTICATED"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class InvalidCredentials(AuthError):
    """Wrong name or password; it never says which half."""

    reason = "Wrong name or password"


class MalformedCredentials(AuthError):
    """A credential that cannot be read, or two explicit ones that disagree."""

    reason = "Token invalid"


class InvalidToken(AuthError):
    """A token that does not verify; its claims are never trusted and never shown."""

    reason = "Token invalid"


class TokenExpired(InvalidToken):
    """A genuine token past its `exp`.

    Args:
        detail: For the log.
        expired_at: Seconds since the Unix epoch, if known.
    """

    reason = "Token expired"
    extension_code = "TOKEN_EXPIRED"

    def __init__(self, detail: str = "", *, expired_at: float | None = None) -> None:
        super().__init__(detail)
        self.expired_at = expired_at


class SessionRevoked(AuthError):
    """The session was revoked, or its user logged out."""

    reason = "Session revoked"


class SubjectChanged(AuthError):
    """A renewal for somebody else than the connection speaks for; or a mutation that was not sent in time for that.

    A client raises it for a mutation that somebody asked for who logged out before it could be sent: it has not run.
    """

    reason = "Subject changed"


class AuthUnavailable(GqlinkError):
    """Whoever verifies credentials cannot be asked now; the credential itself was not refused.

    Args:
        detail: For the log.
        retry_after: Seconds to wait before asking again.
    """

    temporary = True
    reason: ClassVar[str] = "Authentication unavailable"
    close_code: ClassVar[int] = 1013
    status: ClassVar[int] = 503
    extension_code: ClassVar[str | None] = "INTERNAL_SERVER_ERROR"

    def __init__(self, detail: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class LoginRequired(GqlinkError):
    """The operation needs somebody who is logged in."""

    extension_code = "UNAUTHENTICATED"

    def __str__(self) -> str:
        return "You must be logged in to do this."


class PermissionDenied(GqlinkError):
    """Logged in, but without the right to do this.

    Args:
        action: What was refused, as the user would call it.
    """

    extension_code = "FORBIDDEN"

    def __init__(self, action: str = "do this") -> None:
        super().__init__(action)
        self.action = action

    def __str__(self) -> str:
        return f"You are not allowed to {self.action}."


class BadUserInput(GqlinkError):
    """An argument or a variable that the operation cannot take; the text is shown to the user.

    Args:
        detail: What is wrong, where, and what would be right.
    """

    extension_code = "BAD_USER_INPUT"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class LimitExceeded(GqlinkError):
    """Something went over one of the server's `Limits`.

    Args:
        limit: The field of `Limits`, such as "operations_per_socket".
        allowed: Its value.
        actual: What was asked for, or None where it was not counted to the end.
    """

    extension_code = "LIMIT_EXCEEDED"

    def __init__(self, limit: str, *, allowed: float, actual: float | None = None) -> None:
        super().__init__(limit)
        self.limit = limit
        self.allowed = allowed
        self.actual = actual

    def __str__(self) -> str:
        beyond = "" if self.actual is None else f", got {_plain(self.actual)}"
        return f"{self.limit} is limited to {_plain(self.allowed)}{beyond}"


class SubscriberLagging(GqlinkError):
    """A subscriber was ended rather than fed with a gap: it fell behind its bounded buffer, or its topic was reset.

    Args:
        topic: What it was subscribed to.
        buffered: How many publications were waiting.
        reset: Whether the topic was reset, so that it was not the subscriber who was too slow.
    """

    temporary = True

    def __init__(self, topic: str, *, buffered: int, reset: bool = False) -> None:
        super().__init__(topic)
        self.topic = topic
        self.buffered = buffered
        self.reset = reset

    def __str__(self) -> str:
        if self.reset:
            return f"a subscriber of {self.topic!r} was ended: the topic was reset"
        return f"a subscriber of {self.topic!r} fell behind: {self.buffered} publications were waiting for it"


class DataUnusable(GqlinkError):
    """What is kept in a file or a database cannot be used as it is; somebody must look at it.

    Args:
        what: The file, directory or database, without any password.
        detail: What is wrong with it, and what would help.
    """

    def __init__(self, what: str, *, detail: str) -> None:
        super().__init__(what)
        self.what = what
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"


class StoreUnavailable(GqlinkError):
    """The chat's database did not answer, or the store is closed; the cause is chained, for the log."""

    temporary = True

    def __str__(self) -> str:
        return "The database is unavailable."


def _plain(number: float) -> str:
    """Write a number without an exponent, and a whole one without a point."""
    return str(number) if isinstance(number, int) else f"{number:g}"
