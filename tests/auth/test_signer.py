from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auth.forge import CLAIMS, HEADER, KEY, NOW, PEM, encode, forge, parts
from gqlink.auth import SigningKey, Token, TokenSigner
from gqlink.errors import InvalidToken, TokenExpired

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = SigningKey("2027-02", b"o" * 32)


def make_signer(*keys: SigningKey, remembered: int = 100) -> TokenSigner:
    """Make the signer that the forged tokens are meant for."""
    return TokenSigner(keys or (KEY,), issuer="chat", audience="chat-api", remembered=remembered)


def refused(token: Token, *, now: float = NOW) -> InvalidToken:
    """Have a token refused, and say how."""
    with pytest.raises(InvalidToken) as caught:
        make_signer().verify(token, now=now)
    return caught.value


# What is issued


def test_what_is_issued_is_accepted_and_says_the_same() -> None:
    """A token brings back whom it was issued for, until when, and with which rights."""
    signer = make_signer()
    token = signer.issue("alice", now=NOW, session="s1", scopes=["write", "read"])
    identity = signer.verify(token, now=NOW + 1)
    assert (identity.subject, identity.session, identity.scopes) == ("alice", "s1", frozenset({"read", "write"}))
    assert (identity.issued_at, identity.expires_at) == (NOW, NOW + 900)
    assert identity.token_id


@given(st.text(min_size=1, max_size=50), st.floats(0, 2e11), st.floats(0.001, 1e9))
def test_a_token_lives_exactly_as_long_as_it_was_given(subject: str, now: float, lifetime: float) -> None:
    """Any name, any moment, any length of time: accepted before `exp`, refused at `exp`; the wall clock has no say."""
    signer = make_signer()
    if any("\ud800" <= character <= "\udfff" for character in subject):
        with pytest.raises(ValueError, match="subject"):
            signer.issue(subject, now=now)
        return
    token = signer.issue(subject, now=now, lifetime=lifetime)
    identity = signer.verify(token, now=now)
    assert identity.subject == subject
    assert identity.issued_at == now
    assert identity.expires_at == now + lifetime
    with pytest.raises(TokenExpired):
        signer.verify(token, now=now + lifetime)


def test_a_token_is_an_access_token_in_the_form_of_rfc_9068() -> None:
    """The header says algorithm, key and type, and nothing else; the payload what the contract lists."""
    header, claims = parts(make_signer().issue("alice", now=NOW, session="s1", scopes=["read"]))
    assert header == HEADER
    assert claims.pop("jti")
    assert claims == {
        "sub": "alice", "iss": "chat", "aud": "chat-api", "iat": NOW, "exp": NOW + 900, "sid": "s1", "scope": "read",
    }  # fmt: skip


def test_what_is_not_said_is_not_in_the_token() -> None:
    """No session and no scopes: no claims for them."""
    _, claims = parts(make_signer().issue("alice", now=NOW))
    assert claims.keys() == CLAIMS.keys()


def test_every_token_has_an_id_of_its_own() -> None:
    """Two logins in the same moment can be told apart, and revoked apart."""
    signer = make_signer()
    one, other = (signer.verify(signer.issue("alice", now=NOW), now=NOW) for _ in range(2))
    assert one.token_id != other.token_id


@pytest.mark.parametrize("lifetime", [0.0, -1.0, float("nan")])
def test_a_lifetime_is_positive(lifetime: float) -> None:
    """Of a signer and of a token."""
    with pytest.raises(ValueError, match="positive"):
        make_signer().issue("alice", now=NOW, lifetime=lifetime)
    with pytest.raises(ValueError, match="positive"):
        TokenSigner([KEY], issuer="chat", audience="chat-api", lifetime=lifetime)


@pytest.mark.parametrize(("subject", "session"), [("", None), ("alice", ""), ("\ud83d", None), ("alice", "\ude00")])
def test_what_could_not_be_verified_is_not_issued(subject: str, session: str | None) -> None:
    """An empty or unsendable name would be refused when it comes back."""
    with pytest.raises(ValueError, match="text"):
        make_signer().issue(subject, session=session, now=NOW)


def test_a_token_that_nobody_would_read_is_not_issued() -> None:
    """Over 8192 bytes."""
    with pytest.raises(ValueError, match="8192"):
        make_signer().issue("a" * 6100, now=NOW)


# Keys


def test_the_newest_key_signs_and_all_verify() -> None:
    """Keys are rotated by appending one; tokens of the older ones live on."""
    old = make_signer(KEY).issue("alice", now=NOW)
    both = make_signer(KEY, OTHER)
    new = both.issue("bob", now=NOW)
    assert parts(new)[0]["kid"] == OTHER.id
    assert [both.verify(token, now=NOW).subject for token in (old, new)] == ["alice", "bob"]


def test_replaced_keys_clear_what_was_remembered() -> None:
    """A token whose key has gone is refused at once, remembered or not."""
    signer = make_signer(KEY)
    token = signer.issue("alice", now=NOW)
    signer.verify(token, now=NOW)
    signer.replace_keys([OTHER])
    with pytest.raises(InvalidToken, match="kid"):
        signer.verify(token, now=NOW)
    signer.replace_keys([KEY])
    assert signer.verify(token, now=NOW).subject == "alice"


def test_keys_that_cannot_be_used_replace_nothing() -> None:
    """An error leaves the signer as it was."""
    signer = make_signer(KEY)
    token = signer.issue("alice", now=NOW)
    with pytest.raises(ValueError, match="no key"):
        signer.replace_keys([])
    assert signer.verify(token, now=NOW).subject == "alice"


@pytest.mark.parametrize(("algorithm", "digest"), [("HS384", "sha384"), ("HS512", "sha512")])
def test_a_key_is_used_with_its_own_algorithm(algorithm: str, digest: str) -> None:
    """The longer digests work, and only where the key says so."""
    long = SigningKey("long", b"l" * 64, algorithm)
    signer = make_signer(KEY, long)
    assert signer.verify(signer.issue("alice", now=NOW), now=NOW).subject == "alice"
    forged = forge(header=HEADER | {"alg": algorithm}, digest=digest)
    with pytest.raises(InvalidToken, match="alg"):
        signer.verify(forged, now=NOW)
    downgraded = forge(header=HEADER | {"kid": "long"}, secret=long.secret)
    with pytest.raises(InvalidToken, match="alg"):
        signer.verify(downgraded, now=NOW)


def test_the_same_id_with_another_secret_verifies_nothing() -> None:
    """Another key under our key's name (S7)."""
    assert "Signature" in refused(forge(secret=b"x" * 32)).detail


@pytest.mark.parametrize(
    "kid", ["unknown", "", "../../dev/null", "/dev/null", "' OR 1=1 --", "https://evil.example/jwks", None, 1, [], {}]
)
def test_a_kid_is_a_name_and_nothing_else(kid: object) -> None:
    """Looked up among our keys: it is no path, no query, no address."""
    assert isinstance(refused(forge(header=HEADER | {"kid": kid})), InvalidToken)


# Attacks


def test_a_genuine_token_made_by_hand_is_accepted() -> None:
    """The forgery below differs from it in one point each."""
    assert make_signer().verify(forge(), now=NOW).subject == "alice"


@given(st.data())
def test_a_token_with_one_changed_character_is_refused(data: st.DataObject) -> None:
    """Wherever it is: header, payload, signature, or a dot (S7, tampered)."""
    text = forge().reveal()
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=text[place]))
    refused(Token(text[:place] + character + text[place + 1 :]))


@example("\ud83d")
@example("e30.\ud83d.e30")
@example("é.é.é")
@given(
    st.text(min_size=1) | st.text("ab.=-_", min_size=1) | st.binary(min_size=1).map(lambda data: f"{encode(data)}.e30.")
)
def test_no_text_makes_verify_fail_otherwise(text: str) -> None:
    """Whatever a stranger sends is refused as a token; nothing else is ever raised."""
    refused(Token(text))


JUNK = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


@given(
    st.fixed_dictionaries({name: st.just(value) | JUNK for name, value in HEADER.items()}),
    st.dictionaries(st.sampled_from(["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "x"]), JUNK, max_size=2),
)
def test_a_header_is_right_or_refused(needed: dict[str, object], more: dict[str, object]) -> None:
    """A signed token of any header is accepted or refused as a token; unknown headers change nothing."""
    token = forge(header=needed | more)
    if needed == HEADER and more.keys() <= {"zip", "x"}:
        assert make_signer().verify(token, now=NOW).subject == "alice"
    else:
        refused(token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, [], ["HS256"]])
@pytest.mark.parametrize("signature", ["", "x"])
def test_a_token_without_a_signature_is_refused(algorithm: object, signature: str) -> None:
    """Algorithm none, in any spelling, with and without something in the signature's place (S7)."""
    header = encode(json.dumps(HEADER | {"alg": algorithm}).encode())
    refused(Token(f"{header}.{encode(json.dumps(CLAIMS).encode())}.{signature}"))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA", "HS384", "HS512", "hs256"])
def test_the_key_says_which_algorithm(algorithm: str) -> None:
    """CVE-2022-29217, CVE-2026-48523: what the header says is compared with the key, never followed."""
    assert "alg" in refused(forge(header=HEADER | {"alg": algorithm})).detail


def test_a_public_key_is_no_hmac_secret() -> None:
    """The classic confusion of RS256 and HS256: signed with the public key's text as the secret."""
    refused(forge(header=HEADER | {"alg": "HS256"}, secret=PEM))
    refused(forge(header=HEADER | {"alg": "RS256"}, secret=PEM))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwk", {"kty": "oct", "k": encode(KEY.secret)}),
        ("jku", "https://evil.example/jwks.json"),
        ("x5u", "https://evil.example/chain.pem"),
        ("x5c", ["MIIB"]),
        ("crit", ["exp"]),
        ("crit", ["b64"]),
        ("crit", []),
        ("crit", None),
        ("b64", True),
        ("b64", False),
    ],
)
def test_a_header_that_brings_its_own_rules_is_refused(name: str, value: object) -> None:
    """CVE-2026-27962, CVE-2026-32597: refused even under a genuine signature."""
    refused(forge(header=HEADER | {name: value}))


@pytest.mark.parametrize("kind", [None, "JWT", "jwt", "id+jwt", "", "at+jwt ", 1, ["at+jwt"]])
def test_another_kind_of_token_is_no_access_token(kind: object) -> None:
    """RFC 9068, section 4: an id token or a refresh token of the same issuer opens nothing."""
    assert "typ" in refused(forge(header=HEADER | {"typ": kind})).detail


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_the_type_may_be_written_in_full_and_in_any_case(kind: str) -> None:
    """RFC 7515, section 4.1.9."""
    assert make_signer().verify(forge(header=HEADER | {"typ": kind}), now=NOW).subject == "alice"


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_a_missing_header_refuses_the_token(name: str) -> None:
    """All three are needed."""
    refused(forge(header={key: value for key, value in HEADER.items() if key != name}))


@pytest.mark.parametrize("name", ["sub", "exp", "iat", "jti"])
def test_a_missing_claim_refuses_a_signed_token(name: str) -> None:
    """A genuine signature does not replace what a token has to say."""
    refused(forge(claims={key: value for key, value in CLAIMS.items() if key != name}))


@pytest.mark.parametrize(("name", "value"), [("iss", "other"), ("aud", "other")])
def test_a_token_for_somebody_else_is_refused(name: str, value: str) -> None:
    """From another issuer, or for another audience."""
    refused(forge(claims=CLAIMS | {name: value}))


@pytest.mark.parametrize("expiry", ["1800000900", -1, True, 10**400])
def test_an_expiry_that_is_no_moment_refuses_the_token(expiry: object) -> None:
    """It is not an expired token: nothing in it is believed."""
    assert not isinstance(refused(forge(claims=CLAIMS | {"exp": expiry})), TokenExpired)


@pytest.mark.parametrize("expiry", ["NaN", "Infinity", "1e999"])
def test_an_expiry_that_never_comes_refuses_the_token(expiry: str) -> None:
    """Numbers that JSON does not have, or that overflow."""
    payload = json.dumps(CLAIMS).replace("1800000900", expiry).encode()
    assert not isinstance(refused(forge(claims=payload)), TokenExpired)


def test_a_fraction_of_a_second_is_a_moment() -> None:
    """RFC 7519, section 2."""
    token = forge(claims=CLAIMS | {"exp": NOW + 1.5})
    assert make_signer().verify(token, now=NOW + 1.4).expires_at == NOW + 1.5
    assert isinstance(refused(token, now=NOW + 1.5), TokenExpired)


def test_a_token_that_is_not_valid_yet_is_refused() -> None:
    """`nbf` in the future."""
    assert "not valid yet" in refused(forge(claims=CLAIMS | {"nbf": NOW + 60})).detail


def test_a_token_without_json_in_it_is_refused() -> None:
    """A payload of something else under a genuine signature."""
    assert "payload" in refused(forge(claims=b"\x00")).detail


def test_a_long_token_is_refused_before_it_is_read() -> None:
    """CVE-2024-33664: over 8192 bytes nothing is parsed, not even to say that it is genuine."""
    room = 8192 - len(forge(claims=CLAIMS | {"pad": ""}).reveal())
    longest = forge(claims=CLAIMS | {"pad": "x" * (room * 3 // 4)})
    assert 8185 <= len(longest.reveal()) <= 8192
    assert make_signer().verify(longest, now=NOW).subject == "alice"
    assert "8192" in refused(forge(claims=CLAIMS | {"pad": "x" * room})).detail
    assert "8192" in refused(Token("x" * 1_000_000)).detail


def test_a_refusal_repeats_nothing_of_the_token() -> None:
    """Neither in its message nor in the error it came from, which a log would print."""
    hostile = Token(f"{encode(b'hunter2 is no JSON')}.{encode(b'hunter2')}.x")
    error = refused(hostile)
    assert "hunter2" not in f"{error}{error!r}"
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_an_expired_token_says_so() -> None:
    """A genuine one, past its time: the client may fetch another (S7, expired)."""
    error = refused(forge(), now=NOW + 900)
    assert isinstance(error, TokenExpired)
    assert error.expired_at == NOW + 900


def test_a_forged_token_past_its_time_is_not_called_expired() -> None:
    """Whether it expired is told only to somebody who had a genuine one."""
    assert not isinstance(refused(forge(secret=b"x" * 32), now=NOW + 900), TokenExpired)


def test_the_wall_clock_has_no_say() -> None:
    """Tokens of long ago and of the far future are judged by the `now` that comes in."""
    for now in (0.0, datetime(1999, 1, 1, tzinfo=UTC).timestamp(), datetime(2500, 1, 1, tzinfo=UTC).timestamp()):
        signer = make_signer()
        assert signer.verify(signer.issue("alice", now=now), now=now).subject == "alice"


# What is remembered


def test_a_verified_token_is_remembered() -> None:
    """The same token gives the same identity, without another look at its signature."""
    signer, token = make_signer(), forge()
    assert signer.verify(Token(token.reveal()), now=NOW) is signer.verify(token, now=NOW + 899)


def test_a_remembered_token_still_expires() -> None:
    """At its `exp`, and it is forgotten then."""
    signer, token = make_signer(), forge()
    signer.verify(token, now=NOW)
    with pytest.raises(TokenExpired):
        signer.verify(token, now=NOW + 900)
    assert len(signer._verified) == 0


def test_a_remembered_token_is_not_valid_before_its_time_either() -> None:
    """A clock that steps back takes nobody along."""
    signer, token = make_signer(), forge()
    signer.verify(token, now=NOW)
    with pytest.raises(InvalidToken, match="not valid yet"):
        signer.verify(token, now=NOW - 100)


def test_refused_tokens_are_not_remembered() -> None:
    """Otherwise strangers could push the genuine ones out."""
    signer = make_signer()
    for token, now in ((forge(), NOW + 900), (forge(), NOW - 100), (forge(secret=b"x" * 32), NOW)):
        with pytest.raises(InvalidToken):
            signer.verify(token, now=now)
    assert len(signer._verified) == 0


def test_a_bounded_number_is_remembered_and_the_least_recently_used_goes() -> None:
    """Memory does not grow with the number of users."""
    signer = make_signer(remembered=2)
    first, second, third = (forge(claims=CLAIMS | {"jti": name}) for name in ("1", "2", "3"))
    one, two = (signer.verify(token, now=NOW) for token in (first, second))
    assert signer.verify(first, now=NOW) is one
    signer.verify(third, now=NOW)
    assert len(signer._verified) == 2
    assert signer.verify(first, now=NOW) is one
    assert signer.verify(second, now=NOW) is not two


def test_nothing_need_be_remembered() -> None:
    """With a bound of 0 every token is verified anew."""
    signer, token = make_signer(remembered=0), forge()
    assert signer.verify(token, now=NOW) is not signer.verify(token, now=NOW)


def test_no_secret_is_kept_in_what_is_remembered() -> None:
    """Tokens are remembered by digest: a dump of the memory opens nothing."""
    signer, token = make_signer(), forge()
    signer.verify(token, now=NOW)
    assert list(signer._verified) == [token.digest()]


def test_a_header_that_is_known_excuses_nothing() -> None:
    """What makes the key quick to find says nothing about the token."""
    signer = make_signer(OTHER, KEY)
    signer.verify(forge(), now=NOW)
    for token in (
        forge(secret=OTHER.secret),
        forge(header=HEADER | {"kid": OTHER.id}),
        forge(header=HEADER | {"crit": ["exp"]}),
        Token(forge().reveal().rpartition(".")[0]),
    ):
        with pytest.raises(InvalidToken):
            signer.verify(token, now=NOW)
    signer.replace_keys([SigningKey(KEY.id, b"n" * 32)])
    with pytest.raises(InvalidToken):
        signer.verify(forge(), now=NOW)


def answer(signer: TokenSigner, text: str) -> str:
    """Say what comes of a token."""
    try:
        return signer.verify(Token(text), now=NOW).subject or ""
    except InvalidToken as exc:
        return str(exc)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda head, payload, signature: f"{head}.{payload}.{signature}=",
        lambda head, payload, signature: f"{head}.{payload}=.{signature}",
        lambda head, payload, signature: f"{head}.{payload}A.{signature}",
        lambda head, payload, signature: f"{head}.{payload}.{signature}AA",
        lambda head, payload, _signature: f"{head}.{payload}.",
        lambda head, _payload, signature: f"{head}..{signature}",
        lambda head, payload, signature: f"{head}.{payload}.{payload}.{signature}",
        lambda head, _payload, signature: f"{head}.A.{signature}",
        lambda head, payload, signature: f"{head}.{payload}.{signature.translate(str.maketrans('-_', '+/'))}",
        lambda head, payload, signature: f"{head}.{payload}.{signature[:-1]}!{signature[-1]}",
        lambda head, _payload, _signature: head,
        lambda head, _payload, _signature: f"{head}.",
    ],
)
def test_what_follows_a_known_header_is_read_as_strictly(spoil: Callable[[str, str, str], str]) -> None:
    """The short way refuses what the long way does, for the same reason, and accepts nothing else."""
    signer = make_signer(remembered=0)
    assert answer(signer, forge().reveal()) == CLAIMS["sub"]
    text = spoil(*forge().reveal().split("."))
    assert answer(signer, text) == answer(make_signer(), text)


@given(st.data())
def test_a_known_header_changes_no_answer(data: st.DataObject) -> None:
    """Wherever something is put in, left out or changed."""
    signer = make_signer(remembered=0)
    text = forge().reveal()
    signer.verify(Token(text), now=NOW)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 3, len(text))))
    put = data.draw(st.text("Aa0.=-_+/ \n", max_size=3))
    changed = text[:start] + put + text[end:]
    assert answer(signer, changed) == answer(make_signer(), changed)


def test_a_bounded_number_of_headers_is_known() -> None:
    """Of genuine tokens only; those beyond it are read each time."""
    signer = make_signer(remembered=0)
    tokens = [forge(header=HEADER | {"number": number}) for number in range(100)]
    for token in tokens + tokens:
        assert signer.verify(token, now=NOW).subject == CLAIMS["sub"]
    assert 0 < len(signer._known_heads) < 100
    stranger = make_signer()
    with pytest.raises(InvalidToken):
        stranger.verify(forge(secret=OTHER.secret), now=NOW)
    assert not stranger._known_heads
