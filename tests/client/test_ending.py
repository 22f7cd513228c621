"""How a connection ended: the verdict, and the error that its users get."""

from __future__ import annotations

import ssl

import pytest
from python_socks import ProxyError

from gqlink.client.ending import Ending
from gqlink.errors import ConnectionLost, ConnectionRefused, RemoteProtocolError
from gqlink.protocol import LEGACY, TRANSPORT_WS, Closed, Dialect, Side, Verdict


def ended(
    code: int,
    reason: str = "",
    *,
    acked: bool = False,
    refusal: str | None = None,
    by: Side = Side.SERVER,
    dialect: Dialect = TRANSPORT_WS,
) -> Ending:
    """Read one close."""
    return Ending.closed(
        Closed(code, reason, by), dialect=dialect, stayed_seconds=3.0 if acked else None, refusal=refusal
    )


@pytest.mark.parametrize(
    ("ending", "verdict", "code", "reason"),
    [
        (ended(1000), Verdict.REFRESH, 1000, ""),
        (ended(4401, "Unauthorized"), Verdict.REFRESH, 4401, "Unauthorized"),
        (ended(3000, "log in"), Verdict.REFRESH, 3000, "log in"),
        (ended(1011, refusal="no"), Verdict.REFRESH, 1011, "no"),
        (ended(1000, "terminated", refusal="bad token"), Verdict.REFRESH, 1000, "bad token"),
        (ended(1000, "Token expired", refusal="sorry"), Verdict.REFRESH, 1000, "Token expired"),
        (ended(4000, refusal="no"), Verdict.REFRESH, 4000, "no"),
        (ended(1006, refusal="no"), Verdict.REFRESH, 1006, "no"),
        (ended(1000, "4400: Could not verify JWT", acked=True), Verdict.REFRESH, 1000, "4400: Could not verify JWT"),
        (ended(4400, "Invalid message", dialect=LEGACY), Verdict.OTHER_DIALECT, 4400, "Invalid message"),
        (ended(4429, acked=True), Verdict.FAIL, 4429, ""),
    ],
)
def test_what_will_not_pass_is_a_typed_error_with_code_and_reason(
    ending: Ending, verdict: Verdict, code: int, reason: str
) -> None:
    """`ConnectionRefused` says who closed and why, and that trying again as it is does not help."""
    assert ending.verdict is verdict
    assert isinstance(ending.error, ConnectionRefused)
    assert (ending.error.code, ending.error.reason, ending.error.temporary) == (code, reason, False)


@pytest.mark.parametrize("code", [1001, 1006, 1012, 1013, 4500])
def test_what_may_pass_says_so(code: int) -> None:
    """`ConnectionLost` is temporary."""
    error = ended(code, "for a moment", acked=True).error

    assert isinstance(error, ConnectionLost)
    assert (error.code, error.reason, error.temporary) == (code, "for a moment", True)


@pytest.mark.parametrize(
    ("ending", "refusal", "expired"),
    [
        (ended(4403, "Token expired"), True, True),
        (ended(4403, "Token invalid"), True, False),
        (ended(1000, refusal="Could not verify JWT: JWTExpired"), True, True),
        (ended(4400, "Could not verify JWT: JWTExpired", acked=True), True, True),
        (ended(1000), False, False),
        (ended(1013, "Token expired service is down"), False, False),
    ],
)
def test_a_refusal_in_so_many_words_is_told_from_a_suspicion(ending: Ending, *, refusal: bool, expired: bool) -> None:
    """What was refused in words is never presented again; what expired was good once."""
    assert ending.refusal is refusal
    assert ending.expired is expired


@pytest.mark.parametrize(("acked", "verdict"), [(False, Verdict.FAIL), (True, Verdict.RETRY)])
def test_a_server_that_cannot_be_read_is_left(*, acked: bool, verdict: Verdict) -> None:
    """After the ack one frame was spoiled, and the next connection may be whole; before it nothing speaks for that."""
    ending = ended(4004, "Invalid message received", acked=acked, by=Side.CLIENT)

    assert ending.verdict is verdict
    assert isinstance(ending.error, RemoteProtocolError)
    assert ending.error.close_code == 4004


@pytest.mark.parametrize(
    ("status", "verdict", "refusal"),
    [
        (401, Verdict.REFRESH, True),
        (403, Verdict.REFRESH, True),
        (302, Verdict.FAIL, False),
        (404, Verdict.FAIL, False),
        (429, Verdict.RETRY, False),
        (503, Verdict.RETRY, False),
    ],
)
def test_an_upgrade_may_be_answered_with_a_status(status: int, verdict: Verdict, *, refusal: bool) -> None:
    """There was no socket, so there is no code; a redirect is not followed, because it could carry a credential off."""
    ending = Ending.rejected(status)

    assert (ending.verdict, ending.refusal, ending.code) == (verdict, refusal, None)
    assert ending.error.temporary is (verdict is Verdict.RETRY)
    assert str(status) in str(ending.error)


def test_a_server_may_say_when_to_come_back() -> None:
    """`Retry-After`, in seconds."""
    assert Ending.rejected(503, retry_after=7.5).retry_after == 7.5
    assert Ending.rejected(503).retry_after is None


@pytest.mark.parametrize(
    ("exc", "verdict"),
    [
        (ConnectionRefusedError(111, "refused"), Verdict.RETRY),
        (TimeoutError(), Verdict.RETRY),
        (OSError("no address"), Verdict.RETRY),
        (ssl.SSLEOFError(8, "the line broke"), Verdict.RETRY),
        (ssl.SSLZeroReturnError(6, "closed"), Verdict.RETRY),
        (ssl.SSLCertVerificationError(1, "not trusted"), Verdict.FAIL),
        (ssl.SSLError(1, "wrong version number"), Verdict.FAIL),
        (ProxyError("the proxy is full", error_code=503), Verdict.RETRY),
        (ProxyError("the proxy wants a login", error_code=407), Verdict.FAIL),
    ],
)
def test_a_line_that_breaks_may_come_back_and_a_wrong_certificate_does_not(exc: Exception, verdict: Verdict) -> None:
    """TCP, TLS and proxies: the error is chained, and has words even where the exception has none."""
    ending = Ending.unreachable(exc)

    assert ending.verdict is verdict
    assert ending.reason
    assert ending.error.__cause__ is exc
    assert ending.error.temporary is (verdict is Verdict.RETRY)
