"""What the words of a close reason say."""

import pytest

from gqlink.protocol.reasons import real_code, speaks_of_credential, speaks_of_expiry


@pytest.mark.parametrize(
    ("code", "reason", "real"),
    [
        (1000, '{"server_error_msg":"4400: Connection initialization failed"}', 4400),
        (1000, "4403: Forbidden", 4403),
        (1000, "", 1000),
        (1000, "order 14400: done", 1000),
        (1011, "4400: not asked", 1011),
    ],
)
def test_a_normal_end_may_carry_the_code_that_was_meant(code: int, reason: str, real: int) -> None:
    """Older Hasura closes with 1000 and writes the code into the reason; no other code is doubted."""
    assert real_code(code, reason) == real


@pytest.mark.parametrize(
    ("reason", "credential", "expiry"),
    [
        ("Could not verify JWT: JWTExpired", True, True),
        ("Token expired", True, True),
        ("the session has expired", True, True),
        ("Unauthorized", True, False),
        ("unauthorised", True, False),
        ("Permission denied", True, False),
        ("Authentication required", True, False),
        ("Missing access token", True, False),
        ("the offer expired", False, False),
        ("Unexpected token < in JSON at position 0", False, False),
        ("", False, False),
    ],
)
def test_words_blame_the_credential_or_its_age(reason: str, *, credential: bool, expiry: bool) -> None:
    """Only what servers say of credentials counts; JavaScript's complaint about a token of JSON does not."""
    assert speaks_of_credential(reason) is credential
    assert speaks_of_expiry(reason) is expiry
