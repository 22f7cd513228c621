"""The family of exceptions."""

from __future__ import annotations

import inspect
import re

import pytest

from gqlink import errors
from gqlink.errors import (
    AuthUnavailable,
    BadUserInput,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRefused,
    DataUnusable,
    GqlinkError,
    InvalidCredentials,
    InvalidToken,
    LimitExceeded,
    LocalProtocolError,
    LoginRequired,
    MissingExtra,
    OperationFailed,
    OutcomeUnknown,
    PermissionDenied,
    RequestFailed,
    SessionRevoked,
    StoreUnavailable,
    SubjectChanged,
    SubscriberLagging,
    TokenExpired,
)

CLASSES = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, GqlinkError)]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    """A reader finds every class in the family tree on top, below its parent."""
    drawn = re.findall(r"^([│├└─ ]*)(\w+)", (errors.__doc__ or "").split("```text\n")[1].split("```")[0], re.MULTILINE)
    parents: list[str] = []
    found = {}
    for prefix, name in drawn:
        depth = len(prefix) // 4
        del parents[depth:]
        found[name] = parents[-1] if parents else None
        parents.append(name)

    expected = {item.__name__: None if item is GqlinkError else item.__mro__[1].__name__ for item in CLASSES}

    assert expected == found


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MissingExtra("server", module="jwt"), "jwt is not installed; install it with: pip install 'gqlink[server]'"),
        (ConnectionLost(1006), "the connection ended with code 1006"),
        (ConnectionRefused(4403, "Token invalid"), "the connection ended with code 4403: Token invalid"),
        (ConnectionClosed(), "the connection ended"),
        (LocalProtocolError("ping is not legal", close_code=4400), "ping is not legal"),
        (RequestFailed("no answer came"), "no answer came"),
        (RequestFailed("Bad Gateway", status=502), "HTTP status 502: Bad Gateway"),
        (OperationFailed([{"message": "one"}, {"message": "two"}]), "one; two"),
        (OutcomeUnknown("Add"), "mutation Add was sent, but its answer did not come"),
        (OutcomeUnknown(None), "a mutation was sent, but its answer did not come"),
        (InvalidToken("the signature does not fit"), "Token invalid: the signature does not fit"),
        (TokenExpired(expired_at=5.0), "Token expired"),
        (InvalidCredentials(), "Wrong name or password"),
        (SessionRevoked(), "Session revoked"),
        (SubjectChanged(), "Subject changed"),
        (AuthUnavailable("no route"), "Authentication unavailable: no route"),
        (AuthUnavailable(), "Authentication unavailable"),
        (LoginRequired(), "You must be logged in to do this."),
        (PermissionDenied("read this room"), "You are not allowed to read this room."),
        (BadUserInput("text is empty"), "text is empty"),
        (LimitExceeded("depth", allowed=10, actual=12), "depth is limited to 10, got 12"),
        (LimitExceeded("depth", allowed=10), "depth is limited to 10"),
        (SubscriberLagging("room", buffered=3), "a subscriber of 'room' fell behind: 3 publications were waiting"),
        (SubscriberLagging("room", buffered=3, reset=True), "a subscriber of 'room' was ended: the topic was reset"),
        (DataUnusable("chat.sqlite3", detail="damaged"), "chat.sqlite3: damaged"),
        (StoreUnavailable(), "The database is unavailable."),
    ],
)
def test_an_error_writes_its_own_sentence(error: GqlinkError, sentence: str) -> None:
    """Values go in, a sentence comes out."""
    assert str(error).startswith(sentence)


@pytest.mark.parametrize(("status", "temporary"), [(None, True), (503, True), (429, True), (404, False), (401, False)])
def test_a_failed_request_is_temporary_by_its_status(status: int | None, *, temporary: bool) -> None:
    """What the server may have got over is worth another try."""
    assert RequestFailed("detail", status=status).temporary is temporary


def test_the_codes_of_a_failed_operation_are_those_that_its_errors_have() -> None:
    """Errors without a code, or with one that is no string, are passed over."""
    failed = OperationFailed(
        [
            {"message": "a", "extensions": {"code": "FORBIDDEN"}},
            {"message": "b"},
            {"message": "c", "extensions": {"code": 5}},
        ]
    )

    assert failed.codes == ("FORBIDDEN",)
