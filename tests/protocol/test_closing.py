import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.protocol import CLOSINGS, CloseCode, Verdict, clip_reason, closing_verdict, handshake_verdict
from gqlink.protocol.closing import fixed_reason, is_sendable


def test_every_code_has_a_row() -> None:
    """No code is known without a meaning and a verdict."""
    assert {row.code for row in CLOSINGS} == set(CloseCode)


def test_no_two_rows_share_code_and_reason() -> None:
    """A code and a reason have one meaning."""
    assert len({(row.code, row.reason) for row in CLOSINGS}) == len(CLOSINGS)


@pytest.mark.parametrize(
    ("code", "reason", "acknowledged", "verdict"),
    [
        # docs: design, section 4
        (4403, "Token invalid", False, Verdict.REFRESH),
        (4403, "Token expired", False, Verdict.REFRESH),
        (4403, "Token expired", True, Verdict.REFRESH),
        (4403, "Session revoked", True, Verdict.FAIL),
        (4403, "Subject changed", True, Verdict.RETRY),
        (4403, "Forbidden", False, Verdict.REFRESH),
        (4408, "Connection initialisation timeout", False, Verdict.RETRY),
        (1013, "Authentication unavailable", False, Verdict.RETRY),
        (4490, "Slow consumer", True, Verdict.RETRY),
        (1012, "Service restart", True, Verdict.RETRY),
        # what servers are known to do
        (1000, "", False, Verdict.REFRESH),
        (1000, "", True, Verdict.RETRY),
        (1006, "", True, Verdict.RETRY),
        (4400, "Invalid message", False, Verdict.OTHER_DIALECT),
        (4400, "Invalid message", True, Verdict.FAIL),
        (4406, "", False, Verdict.OTHER_DIALECT),
        (4401, "", False, Verdict.REFRESH),
        (4409, "Subscriber for 1 already exists", True, Verdict.RETRY),
        (4429, "", True, Verdict.FAIL),
        (1002, "", False, Verdict.OTHER_DIALECT),
        (1008, "", True, Verdict.REFRESH),
        (3000, "", False, Verdict.REFRESH),
        (3003, "", True, Verdict.REFRESH),
        (4500, "Internal server error", False, Verdict.RETRY),
        # what one frame spoiled, another connection may bring whole
        (4004, "Invalid message received", False, Verdict.FAIL),
        (4004, "Invalid message received", True, Verdict.RETRY),
        (1009, "Any other words", True, Verdict.FAIL),
        # codes that are nobody's
        (4999, "", True, Verdict.RETRY),
        (4042, "", True, Verdict.FAIL),
        (2000, "", True, Verdict.FAIL),
    ],
)
def test_a_close_tells_the_client_what_to_do(code: int, reason: str, acknowledged: bool, verdict: Verdict) -> None:  # noqa: FBT001 -- a table
    """Code, reason and whether the connection was acknowledged decide together."""
    assert closing_verdict(code, reason, acknowledged=acknowledged) is verdict


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            1000,
            '{"server_error_msg":"4400: Connection initialization failed: x-hasura-admin-secret',
        ),
        (1000, "4400: Could not verify JWT: JWTExpired"),
        (1008, "Not authenticated"),
        (1011, "Unauthorized"),
        (4000, "Invalid token"),
        (4001, "Session expired"),
        (4400, "Could not verify JWT: JWTExpired"),
        (4400, "Access denied"),
        (4500, "jwt malformed"),
        (4500, "Token is missing"),
    ],
)
@pytest.mark.parametrize("acknowledged", [False, True])
def test_words_that_blame_the_credential_are_believed(code: int, reason: str, *, acknowledged: bool) -> None:
    """Servers do not agree on the code for it; what they write into the reason says it."""
    assert closing_verdict(code, reason, acknowledged=acknowledged) is Verdict.REFRESH


@pytest.mark.parametrize(
    ("code", "reason", "verdict"),
    [
        (1013, "Authentication failed upstream", Verdict.RETRY),
        (1012, "Unauthorized", Verdict.RETRY),
        (4409, "Subscriber for Forbidden already exists", Verdict.RETRY),
        (4500, "Unexpected token < in JSON at position 0", Verdict.RETRY),
        (4400, "Invalid message", Verdict.FAIL),
        (1000, "4400: Invalid message", Verdict.FAIL),
        (1000, "4999: come back", Verdict.RETRY),
        (1000, "done after 4400", Verdict.RETRY),
    ],
)
def test_other_words_change_nothing(code: int, reason: str, verdict: Verdict) -> None:
    """What is about the line or the moment stays so; 1000 with another code written into it stands for that one."""
    assert closing_verdict(code, reason, acknowledged=True) is verdict


@pytest.mark.parametrize("code", [1000, 1005, 1006, 1008, 1011, 4000, 4042, 4400, 4403, 4500])
def test_after_a_refusal_the_usual_codes_speak_of_the_credential(code: int) -> None:
    """Legacy servers close a refused connection with any of these."""
    assert closing_verdict(code, acknowledged=False, refused=True) is Verdict.REFRESH


@pytest.mark.parametrize(
    ("code", "reason", "verdict"),
    [(4403, "Session revoked", Verdict.FAIL), (4403, "Subject changed", Verdict.RETRY), (1012, "", Verdict.RETRY)],
)
def test_a_refusal_does_not_drown_a_reason_that_speaks_for_itself(code: int, reason: str, verdict: Verdict) -> None:
    """`connection_error` comes before every close of the legacy dialect; our reasons still hold."""
    assert closing_verdict(code, reason, acknowledged=True, refused=True) is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.REFRESH),
        (403, Verdict.REFRESH),
        (408, Verdict.RETRY),
        (429, Verdict.RETRY),
        (503, Verdict.RETRY),
        (599, Verdict.RETRY),
        (200, Verdict.FAIL),
        (301, Verdict.FAIL),
        (404, Verdict.FAIL),
    ],
)
def test_an_http_status_instead_of_an_upgrade_has_a_verdict(status: int, verdict: Verdict) -> None:
    """The credential is suspect, or the moment is wrong, or trying again cannot help."""
    assert handshake_verdict(status) is verdict


@given(st.text())
def test_a_reason_fits_into_a_close_frame(reason: str) -> None:
    """At most 123 bytes, whole characters, and as much of it as fits."""
    clipped = clip_reason(reason)
    rest = reason[len(clipped) :]

    assert len(clipped.encode()) <= 123
    assert clipped == reason[: len(clipped)]
    assert not rest or len((clipped + rest[0]).encode()) > 123


def test_half_a_character_does_not_stand_in_the_way_of_a_close() -> None:
    """A reason with half a surrogate pair, which has no UTF-8, is sent with a question mark."""
    assert clip_reason("half \ud83d") == "half ?"


@pytest.mark.parametrize("code", [1000, 1001, 1009, 1011, 1014, 3000, 4400, 4999])
def test_a_close_frame_may_carry_it(code: int) -> None:
    """RFC 6455, section 7.4."""
    assert is_sendable(code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_close_frame_may_not_carry_it(code: int) -> None:
    """They are reserved, out of range, or stand for what happened without a close frame."""
    assert not is_sendable(code)


def test_a_code_without_a_normative_reason_gives_its_name() -> None:
    """Nobody is left with a bare number."""
    assert fixed_reason(CloseCode.BAD_REQUEST) == "Bad request"
    assert fixed_reason(CloseCode.UNAUTHORIZED) == "Unauthorized"
