import base64
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.protocol import describe_token, redact, redact_text


def jwt(claims: object) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "HS256"}, claims)
    ]
    return ".".join([*parts, "c2lnbmF0dXJl"])


TOKEN = jwt({"sub": "alice", "exp": 1765432100, "jti": "hidden"})


def test_a_token_is_described_by_whose_it_is_and_when_it_ends() -> None:
    """What a person needs to see which token it is, and never enough to use it."""
    assert describe_token(TOKEN) == "<token of alice, exp 1765432100>"
    assert describe_token(f"Bearer {TOKEN}") == "Bearer <token of alice, exp 1765432100>"


@pytest.mark.parametrize("claims", [{}, {"sub": ["alice"], "exp": None}])
def test_a_token_that_says_nothing_is_described_as_one(claims: object) -> None:
    """Claims of other types are not shown."""
    assert describe_token(jwt(claims)) == "<token>"


@pytest.mark.parametrize("claims", [[], "text", 1, None])
def test_a_token_without_claims_is_only_counted(claims: object) -> None:
    """A body that is no object says nothing of a subject."""
    assert describe_token(jwt(claims)) == f"<redacted, {len(jwt(claims))} characters>"


@pytest.mark.parametrize("secret", ["opaque", "a.b.c", "..", "é.é.é", "a.%%%.c", "a." + "W1tb" * 5000 + ".c"])
def test_a_secret_that_is_no_token_is_only_counted(secret: str) -> None:
    """Nothing of it is shown, and nothing raises."""
    assert describe_token(secret) == f"<redacted, {len(secret)} characters>"


def test_only_a_known_scheme_is_shown_before_a_secret() -> None:
    """Any other first word may be half of a passphrase."""
    assert describe_token("Basic YWxpY2U6") == "Basic <redacted, 8 characters>"
    assert describe_token("correct horse") == "<redacted, 5 characters>"


@pytest.mark.parametrize(
    "name",
    ["accessToken", "access_token", "Authorization", "authToken", "refresh-token", "PASSWORD", "x-hasura-admin-secret"],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    """Wherever it stands, however it is written."""
    frame = {"type": "connection_init", "payload": {"headers": {name: "opaque"}}}

    assert redact(frame) == {"type": "connection_init", "payload": {"headers": {name: "<redacted, 6 characters>"}}}


def test_below_a_secret_everything_is_secret() -> None:
    """A secret may be a list, an object or a number."""
    assert redact({"password": {"old": "a", "new": ["bc", 1, None, True]}, "from": "alice"}) == {
        "password": {"old": "<redacted, 1 characters>", "new": ["<redacted, 2 characters>", "<redacted>", None, True]},
        "from": "alice",
    }


@pytest.mark.parametrize("value", [None, "", False])
def test_no_secret_stays_visible_as_none(value: object) -> None:
    """That the token is null is what the reader wants to see."""
    assert redact({"accessToken": value}) == {"accessToken": value}


def test_a_token_is_known_by_its_looks() -> None:
    """In any text, under any name, also as one."""
    shown = "<token of alice, exp 1765432100>"

    assert redact([f"see {TOKEN}!", {TOKEN: 1.5}]) == [f"see {shown}!", {shown: 1.5}]
    assert redact(f"https://example.org/?token={TOKEN}") == f"https://example.org/?token={shown}"
    assert redact("www.example.org is no token") == "www.example.org is no token"


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ('{ login(name: "bob", password: "bob123") }', '{ login(name: "bob", password: "<redacted, 6 characters>") }'),
        ('{ login(password: "a\\"b") }', '{ login(password: "<redacted, 4 characters>") }'),
        ('{ login(password: """a"b""") }', '{ login(password: "<redacted, 3 characters>") }'),
        ('{ login(password: "", name: "") }', '{ login(password: "", name: "") }'),
        ("{ login(password: $password) }", "{ login(password: $password) }"),
    ],
)
def test_a_secret_within_a_document_is_hidden(document: str, shown: str) -> None:
    """Some people write their arguments into the document."""
    assert redact({"query": document}) == {"query": shown}


def test_a_frame_is_redacted_as_it_stands_on_the_wire() -> None:
    """Bytes or text."""
    frame = '{"payload": {"accessToken": "opaque"}}'

    assert redact_text(frame) == {"payload": {"accessToken": "<redacted, 6 characters>"}}
    assert redact_text(frame.encode()) == redact_text(frame)


@pytest.mark.parametrize("tail", ["", ', "text": "\\ud83d"}', ', "deep": ' + "[" * 100_000 + "]" * 100_000 + "}"])
def test_a_frame_that_is_no_json_is_redacted_too(tail: str) -> None:
    """What a parser cannot read a person still can."""
    shown = redact_text(f'{{"accessToken": "opaque", "seen": "{TOKEN}"' + tail)

    assert isinstance(shown, str)
    assert shown.startswith('{"accessToken": "<redacted, 6 characters>", "seen": "<token of alice, exp 1765432100>"')


def test_a_frame_that_is_no_text_is_shown_as_far_as_it_is() -> None:
    """Bytes that are no UTF-8 are replaced."""
    assert redact_text(b"\xff") == "\ufffd"
    assert redact_text("\ud83d") == "\ud83d"


@pytest.mark.parametrize("text", ["eyJaaaa", "a", 'password:"\\"', "password ", "a.", 'password:"""'])
def test_no_frame_is_slow_to_redact(text: str) -> None:
    """Linear in the length, whatever somebody sends."""
    began = time.process_time()
    redact_text(text * 20_000)

    assert time.process_time() - began < 2


@given(st.text(), st.text(), st.sampled_from(["accessToken", "authorization", "password"]))
def test_no_secret_comes_through(before: str, after: str, name: str) -> None:
    """Nothing of it is told but its length."""
    assert "S3CR3T" not in str(redact_text(json.dumps({"a": [{name: f"{before}S3CR3T{after}"}]})))


def test_whatever_presents_a_credential_is_hidden_as_a_whole() -> None:
    """An application may call its token what it likes; in the payload of connection_init nothing is shown."""
    payload = {"sessionToken": "s3cr3t-1", "auth": {"whatever": "s3cr3t-2"}, "parts": ["s3cr3t-3"], "none": None}
    shown = redact_text(msgspec.json.encode({"type": "connection_init", "payload": payload}))

    assert "s3cr3t" not in str(shown)
    assert isinstance(shown, dict)
    assert shown["payload"]["none"] is None


@pytest.mark.parametrize("name", ["sessionToken", "X-Api-Key", "clientSecret", "db_password", "x-auth-token"])
def test_a_name_that_ends_like_a_secret_is_one(name: str) -> None:
    """Whatever stands before it."""
    assert "s3cr3t" not in str(redact({name: "s3cr3t"}))
