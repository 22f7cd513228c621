import json

import pytest

from auth.forge import CLAIMS, NOW
from gqlink.auth.claims import LATEST, Verified, numeric_date, read_claims, scope_text
from gqlink.errors import InvalidToken, TokenExpired


def read(**changed: object) -> Verified:
    """Read the usual claims with some of them changed."""
    return read_claims(json.dumps({**CLAIMS, **changed}).encode(), issuer="chat", audience="chat-api")


def test_every_claim_finds_its_place() -> None:
    """An identity holds what the token says, and all of it in `claims`."""
    identity = read(sid="s1", scope="read write", role="admin").identity
    assert (identity.subject, identity.session, identity.token_id) == ("alice", "s1", "one")
    assert identity.scopes == {"read", "write"}
    assert (identity.issued_at, identity.expires_at) == (NOW, NOW + 900)
    assert identity.claims["role"] == "admin"


def test_session_and_scopes_may_be_missing() -> None:
    """A token need not belong to a session, nor grant anything."""
    identity = read().identity
    assert identity.session is None
    assert identity.scopes == frozenset()


@pytest.mark.parametrize("name", ["sub", "exp", "iat", "jti", "iss", "aud"])
def test_a_missing_claim_refuses_the_token(name: str) -> None:
    """These six are in every token."""
    claims = {key: value for key, value in CLAIMS.items() if key != name}
    with pytest.raises(InvalidToken, match=f"claim {name}"):
        read_claims(json.dumps(claims).encode(), issuer="chat", audience="chat-api")


@pytest.mark.parametrize("name", ["sub", "jti", "sid", "scope"])
@pytest.mark.parametrize("value", [None, "", 7, True, ["alice"], {"a": "b"}, "\ud83d"])
def test_a_text_claim_is_a_text_that_can_be_sent(name: str, value: object) -> None:
    """Not null, not empty, no other type, no half of an emoji."""
    with pytest.raises(InvalidToken, match=f"claim {name}"):
        read(**{name: value})


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [None, "1800000900", True, False, -1, -0.5, LATEST + 1, 10**400, [1], {}])
def test_a_moment_is_a_number_between_1970_and_9999(name: str, value: object) -> None:
    """Not a text, not a bool, not negative, not beyond what a date can show."""
    with pytest.raises(InvalidToken, match=f"claim {name}"):
        read(**{name: value})


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 5000])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_number_that_is_none_refuses_the_token(name: str, number: bytes) -> None:
    """NaN compares with nothing, and infinity never expires: neither is JSON, and neither is read as a moment."""
    claims = {key: value for key, value in CLAIMS.items() if key != name}
    payload = json.dumps(claims).encode()[:-1] + b', "' + name.encode() + b'": ' + number + b"}"
    with pytest.raises(InvalidToken):
        read_claims(payload, issuer="chat", audience="chat-api")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_refuses_the_token_wherever_it_stands(number: bytes) -> None:
    """Also in a claim that we do not know: whoever reads it next would stumble."""
    payload = json.dumps(CLAIMS).encode()[:-1] + b', "other": [' + number + b"]}"
    with pytest.raises(InvalidToken, match="not JSON"):
        read_claims(payload, issuer="chat", audience="chat-api")


def test_a_moment_may_have_a_fraction() -> None:
    """RFC 7519, section 2: a NumericDate may be no integer."""
    assert read(exp=NOW + 0.5).expires_at == NOW + 0.5


@pytest.mark.parametrize("value", ["Chat", "chat ", "", None, ["chat"], 1])
def test_the_issuer_is_ours_to_the_letter(value: object) -> None:
    """`iss` is compared as it is."""
    with pytest.raises(InvalidToken, match="claim iss"):
        read(iss=value)


@pytest.mark.parametrize("value", ["chat-ap", "chat-api2", "", None, [], ["other"], [["chat-api"]], {"chat-api": 1}, 1])
def test_the_audience_must_name_us(value: object) -> None:
    """A part of the name is not the name."""
    with pytest.raises(InvalidToken, match="claim aud"):
        read(aud=value)


def test_the_audience_may_be_one_of_several() -> None:
    """RFC 7519, section 4.1.3."""
    assert read(aud=["other", "chat-api"]).identity.subject == "alice"


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"alice"', b"{", b"\xff\xfe", "{}".encode("utf-16")])
def test_a_payload_is_a_json_object_in_utf_8(payload: bytes) -> None:
    """Anything else is refused, without an unexpected error."""
    with pytest.raises(InvalidToken, match="payload") as caught:
        read_claims(payload, issuer="chat", audience="chat-api")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("depth", [600, 100_000])
def test_a_deeply_nested_payload_is_refused(depth: int) -> None:
    """Too deep to be read, or only to be made read-only: refused as a token, and nothing else happens."""
    payload = json.dumps(CLAIMS).encode()[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(InvalidToken, match="payload"):
        read_claims(payload, issuer="chat", audience="chat-api")


def test_messages_name_the_claim_and_not_its_value() -> None:
    """What a stranger wrote into a token is not repeated."""
    with pytest.raises(InvalidToken) as caught:
        read(exp="hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_token_expires_at_its_exp_and_not_after() -> None:
    """RFC 7519, section 4.1.4: on or after this moment it must not be accepted."""
    verified = read()
    verified.check(now=NOW + 899.999, leeway=5)
    with pytest.raises(TokenExpired) as caught:
        verified.check(now=NOW + 900, leeway=5)
    assert caught.value.expired_at == NOW + 900


def test_a_token_is_not_valid_before_its_nbf() -> None:
    """Apart from a small difference between clocks."""
    verified = read(nbf=NOW + 100)
    verified.check(now=NOW + 95, leeway=5)
    with pytest.raises(InvalidToken, match="not valid yet") as caught:
        verified.check(now=NOW + 94.9, leeway=5)
    assert not isinstance(caught.value, TokenExpired)


def test_a_token_from_the_future_is_not_valid_yet() -> None:
    """`iat` counts like `nbf`, and the later of them decides."""
    with pytest.raises(InvalidToken, match="not valid yet"):
        read(nbf=0).check(now=NOW - 6, leeway=5)


def test_a_time_that_is_no_number_accepts_nothing() -> None:
    """Comparisons with NaN are false: they are written so that false refuses."""
    with pytest.raises(TokenExpired):
        read().check(now=float("nan"), leeway=5)
    with pytest.raises(InvalidToken):
        read().check(now=float("-inf"), leeway=5)


def test_a_whole_moment_is_written_as_an_integer() -> None:
    """Other readers of our tokens may expect one."""
    assert json.dumps([numeric_date(5.0), numeric_date(5.25), numeric_date(0)]) == "[5, 5.25, 0]"


@pytest.mark.parametrize("moment", [-1.0, float("nan"), float("inf"), LATEST + 1.0])
def test_a_moment_that_cannot_be_read_is_not_written(moment: float) -> None:
    """We issue nothing that we would refuse."""
    with pytest.raises(ValueError, match="1970 and 9999"):
        numeric_date(moment)


def test_scopes_are_written_sorted_and_once() -> None:
    """RFC 8693, section 4.2."""
    assert scope_text(["write", "read", "write"]) == "read write"
    assert scope_text([]) == ""


@pytest.mark.parametrize("scope", ["", "a b", 'a"', "a\\", "é", "a\n"])
def test_a_scope_is_one_visible_word(scope: str) -> None:
    """RFC 6749, section 3.3: a space would make two of it."""
    with pytest.raises(ValueError, match="scope"):
        scope_text(["read", scope])
