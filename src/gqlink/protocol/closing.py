"""Close codes, their reasons, and the verdict that a client draws from each.

A reason is normative where the table gives one: a client tells "Token expired" from "Session revoked" by it.

Source: RFC 6455, section 7.4; graphql-ws PROTOCOL.md; docs/reference/wire.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from gqlink.protocol.reasons import real_code, speaks_of_credential

__all__ = (
    "CLOSINGS",
    "CloseCode",
    "Closing",
    "Verdict",
    "clip_reason",
    "closing_verdict",
    "fixed_reason",
    "handshake_verdict",
    "is_sendable",
)

# A control frame carries at most 125 bytes, two of which are the code (RFC 6455, section 5.5).
_REASON_BYTES: Final = 123


class CloseCode(IntEnum):
    """The WebSocket close codes that gqlink sends or understands."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_CODE = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    EXTENSION_MISSING = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_FAILED = 1015
    UNAUTHORIZED_REGISTERED = 3000
    FORBIDDEN_REGISTERED = 3003
    BAD_RESPONSE = 4004
    CLIENT_ERROR = 4005
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429
    SLOW_CONSUMER = 4490
    TERMINATED = 4499
    SERVER_ERROR = 4500
    ACKNOWLEDGEMENT_TIMEOUT = 4504


class Verdict(StrEnum):
    """What a client does after a connection ended."""

    RETRY = "retry"
    """Connect again after a delay, with whatever credential there is then."""
    REFRESH = "refresh"
    """The credential is suspect: get another one, try once with it, then give up."""
    OTHER_DIALECT = "other dialect"
    """Try once with the other subprotocol, then give up."""
    FAIL = "fail"
    """Trying again cannot help."""


@dataclass(frozen=True, slots=True)
class Closing:
    """One row of the table.

    Args:
        code: The close code.
        reason: The normative reason, or None where any reason belongs to this row.
        meaning: When it is sent, for the reference.
        before_ack: The client's verdict when the connection had not been acknowledged.
        after_ack: The client's verdict when it had.
    """

    code: CloseCode
    reason: str | None
    meaning: str
    before_ack: Verdict
    after_ack: Verdict


_R, _N, _D, _F = Verdict.RETRY, Verdict.REFRESH, Verdict.OTHER_DIALECT, Verdict.FAIL

CLOSINGS: Final[tuple[Closing, ...]] = (
    Closing(CloseCode.NORMAL, None, "a normal end; before the ack often a disguised refusal", _N, _R),
    Closing(CloseCode.GOING_AWAY, None, "the peer goes away", _R, _R),
    Closing(CloseCode.PROTOCOL_ERROR, None, "a broken frame; before the ack some servers mean the subprotocol", _D, _F),
    Closing(CloseCode.UNSUPPORTED_DATA, None, "a kind of data the peer cannot take", _F, _F),
    Closing(CloseCode.NO_CODE, None, "closed without a code", _R, _R),
    Closing(CloseCode.ABNORMAL, None, "the connection broke without a close", _R, _R),
    Closing(CloseCode.INVALID_DATA, None, "text that is not UTF-8", _F, _F),
    Closing(
        CloseCode.POLICY_VIOLATION, "Too many messages", "a client that goes on beyond `messages_per_second`", _R, _R
    ),
    Closing(CloseCode.POLICY_VIOLATION, None, "against the peer's policy, often a refusal", _N, _N),
    Closing(CloseCode.MESSAGE_TOO_BIG, "Message too big", "a message over `message_bytes`", _F, _F),
    Closing(CloseCode.EXTENSION_MISSING, None, "a WebSocket extension is missing", _F, _F),
    Closing(CloseCode.INTERNAL_ERROR, None, "the server failed", _R, _R),
    Closing(CloseCode.SERVICE_RESTART, "Service restart", "any stop of the server", _R, _R),
    Closing(CloseCode.TRY_AGAIN_LATER, "Too many sockets", "more of one subject than `sockets_per_identity`", _R, _R),
    Closing(
        CloseCode.TRY_AGAIN_LATER,
        "Try again later",
        "identity provider unreachable, authentication crashed, or the server is full",
        _R,
        _R,
    ),
    Closing(CloseCode.TRY_AGAIN_LATER, None, "likewise, in another server's words", _R, _R),
    Closing(CloseCode.BAD_GATEWAY, None, "a proxy got a bad answer", _R, _R),
    Closing(CloseCode.TLS_FAILED, None, "the TLS handshake failed", _F, _F),
    Closing(CloseCode.UNAUTHORIZED_REGISTERED, None, "a refusal, as registered for all subprotocols", _N, _N),
    Closing(CloseCode.FORBIDDEN_REGISTERED, None, "likewise", _N, _N),
    # What one frame spoiled, the next connection may bring whole; who speaks nonsense from the start goes on so.
    Closing(CloseCode.BAD_RESPONSE, "Invalid message received", "the client could not read the server", _F, _R),
    Closing(CloseCode.CLIENT_ERROR, None, "the client failed", _F, _F),
    Closing(CloseCode.BAD_REQUEST, None, "a message that cannot be read or is not legal then", _D, _F),
    Closing(CloseCode.UNAUTHORIZED, "Unauthorized", "an operation before the ack", _N, _N),
    Closing(CloseCode.FORBIDDEN, "Token invalid", "a refused credential", _N, _N),
    Closing(CloseCode.FORBIDDEN, "Token expired", "an expired credential, at init or on a live socket", _N, _N),
    Closing(CloseCode.FORBIDDEN, "Session revoked", "revocation or logout", _F, _F),
    Closing(CloseCode.FORBIDDEN, "Subject changed", "a renewal for somebody else", _R, _R),
    Closing(CloseCode.FORBIDDEN, None, "any other refusal", _N, _N),
    Closing(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable", "no common subprotocol", _D, _F),
    Closing(
        CloseCode.INITIALISATION_TIMEOUT,
        "Connection initialisation timeout",
        "no `connection_init` in time, or authentication took too long",
        _R,
        _R,
    ),
    # The specification puts the id into the reason, so no reason of its own tells the row.
    Closing(CloseCode.SUBSCRIBER_ALREADY_EXISTS, None, "an id that is still live; the reason names it", _R, _R),
    Closing(
        CloseCode.TOO_MANY_INITIALISATION_REQUESTS,
        "Too many initialisation requests",
        "a second `connection_init`",
        _F,
        _F,
    ),
    Closing(CloseCode.SLOW_CONSUMER, "Slow consumer", "the client does not read fast enough", _R, _R),
    Closing(CloseCode.TERMINATED, "Credential changed", "the client dropped its own socket to connect anew", _R, _R),
    Closing(CloseCode.SERVER_ERROR, None, "the server failed", _R, _R),
    Closing(CloseCode.ACKNOWLEDGEMENT_TIMEOUT, "Connection acknowledgement timeout", "no ack came in time", _R, _R),
)

_BY_CODE_AND_REASON: Final = {(row.code.value, row.reason): row for row in CLOSINGS}
_FIXED_REASON: Final[dict[CloseCode, str]] = {
    row.code: row.reason for row in CLOSINGS if row.reason and row.code != CloseCode.FORBIDDEN
}

_PRIVATE_CODES: Final = range(3000, 5000)
_CLIENT_FAULTS: Final = range(4000, 4100)
# The codes with which servers close after a `connection_error`; alone they would not speak of the credential.
_REFUSAL_CODES: Final = {1000, 1005, 1006, 1008, 1011, 4400, 4403, 4500, *_CLIENT_FAULTS}
# What these say is about the line, the moment or an operation, whatever words come with it.
_PLAIN_CODES: Final = {1001, 1005, 1006, 1012, 1013, 1014, 1015, 4408, 4409, 4429, 4490, 4499, 4504}
# RFC 6455, section 7.4.1: these stand for what happened without a close frame, and are never sent in one.
_UNSENDABLE: Final = {1004, 1005, 1006, 1015}
_PUBLIC_CODES: Final = range(1000, 1015)
_AUTH_STATUSES: Final = {401, 403}
_PASSING_STATUSES: Final = {408, 425, 429}
_SERVER_ERRORS: Final = range(500, 600)


def closing_verdict(code: int, reason: str = "", *, acknowledged: bool, refused: bool = False) -> Verdict:
    """Say what a client does after a close.

    Args:
        code: The close code; 1006 when the connection broke without one.
        reason: The peer's reason.
        acknowledged: Whether the connection had been acknowledged.
        refused: Whether a `connection_error` came before the close.

    Returns:
        The row's verdict. Where none has this very reason, a refusal before or words that blame the credential mean
        REFRESH. An unknown private code (3000 to 4999) is retried, but for those that blame the client (4000 to
        4099); an unknown public one is not.
    """
    exact = _BY_CODE_AND_REASON.get((code, reason))
    if exact is None and _blames_credential(code, reason, refused=refused):
        return Verdict.REFRESH
    code = real_code(code, reason) if acknowledged else code  # before, 1000 is a refusal as it is
    row = exact or _BY_CODE_AND_REASON.get((code, None)) or _only_row(code)
    if row is not None:
        return row.after_ack if acknowledged else row.before_ack
    return Verdict.RETRY if code in _PRIVATE_CODES and code not in _CLIENT_FAULTS else Verdict.FAIL


def handshake_verdict(status: int) -> Verdict:
    """Say what a client does when the upgrade is answered with an HTTP status other than 101.

    Args:
        status: The HTTP status.
    """
    if status in _AUTH_STATUSES:
        return Verdict.REFRESH
    if status in _PASSING_STATUSES or status in _SERVER_ERRORS:
        return Verdict.RETRY
    return Verdict.FAIL


def clip_reason(reason: str) -> str:
    """Cut a close reason to the 123 bytes that a close frame has room for, at a character."""
    encoded = reason.encode("utf-8", "replace")
    return encoded[:_REASON_BYTES].decode("utf-8", "ignore")


def is_sendable(code: int) -> bool:
    """Say whether a close frame may carry `code`."""
    return code not in _UNSENDABLE and (code in _PUBLIC_CODES or code in _PRIVATE_CODES)


def fixed_reason(code: CloseCode) -> str:
    """Return the reason that goes with a code, or its name where the table leaves it open."""
    return _FIXED_REASON.get(code) or code.name.replace("_", " ").capitalize()


def _blames_credential(code: int, reason: str, *, refused: bool) -> bool:
    return (refused and code in _REFUSAL_CODES) or (code not in _PLAIN_CODES and speaks_of_credential(reason))


def _only_row(code: int) -> Closing | None:
    """Find the row of a code whose only row has a reason: any other reason means the same."""
    rows = [row for row in CLOSINGS if row.code == code]
    return rows[0] if len(rows) == 1 else None
