import itertools
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.auth import Credentials, Token, credentials_from_http, credentials_from_init
from gqlink.errors import MalformedCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT = Credentials()
COOKIE = Credentials(Token("cookie-token"), "cookie")
HEADER = Credentials(Token("t"), "header")
EMPTY = ["", " ", "\t ", "Bearer", "bearer", "Bearer ", " BEARER\t "]
UNREADABLE: list[object] = [
    7,
    0,
    1.5,
    True,
    False,
    ["t"],
    [],
    {"token": "t"},
    {},
    "Basic YWxpY2U6YWxpY2UxMjM=",
    "Digest a=b",
    "Bearer a b",
    "Bearer a, Bearer b",
    "Bearer Bearer t",
    "a b",
    "t\n",
    "Bearer t\r\nX-Admin: 1",
    "tökén",
    "to\u212aen",
    "to\u017f",
    "\ud83d",
    "\x00",
    "t" * 8193,
    "Bearer " + "t" * 8193,
]
NAMES = ["accessToken", "authorization", "Authorization", "authToken"]


def show(value: object) -> str:
    """Name a test case shortly."""
    return repr(value)[:24]


# Over HTTP


def test_nothing_said_is_absent() -> None:
    """No header and no cookie: nobody has said who they are."""
    found = credentials_from_http(authorization=[])
    assert found == ABSENT
    assert found.is_absent


@pytest.mark.parametrize("value", ["Bearer t", "bearer t", "BEARER\t  t ", "t", " t"])
def test_a_header_holds_a_token_with_or_without_bearer(value: str) -> None:
    """The scheme's case does not matter (RFC 9110, section 11.1)."""
    found = credentials_from_http(authorization=[value])
    assert found == HEADER
    assert not found.is_absent


@pytest.mark.parametrize("token", ["bearer.token", "Bearertoken", "1|sanctum", "a==", "null", "t" * 8192])
def test_a_token_is_any_visible_ascii(token: str) -> None:
    """Up to 8192 bytes; issuers are free in what they make."""
    for value in (token, f"Bearer {token}"):
        assert credentials_from_http(authorization=[value]).token == Token(token)


@pytest.mark.parametrize("value", EMPTY)
def test_an_empty_header_is_an_explicit_null(value: str) -> None:
    """Whoever sends it says that they are anonymous, even beside a cookie."""
    found = credentials_from_http(authorization=[value], cookie="cookie-token")
    assert found == Credentials(None, "header")
    assert found.is_absent


@pytest.mark.parametrize("value", [value for value in UNREADABLE if isinstance(value, str)], ids=show)
def test_a_header_that_cannot_be_read_is_refused(value: str) -> None:
    """Bad credentials are an error, not anonymous, even beside a good cookie."""
    with pytest.raises(MalformedCredentials):
        credentials_from_http(authorization=[value], cookie="cookie-token")


def test_headers_that_agree_are_one() -> None:
    """Some proxies send a header twice."""
    assert credentials_from_http(authorization=["Bearer t", "bearer  t", "t"]) == HEADER


@pytest.mark.parametrize("values", [["Bearer t", "Bearer u"], ["Bearer t", ""], ["", "t"], ["Bearer t", "Basic dTpw"]])
def test_headers_that_disagree_are_refused(values: list[str]) -> None:
    """Two explicit credentials must agree; an explicit null agrees with null only."""
    with pytest.raises(MalformedCredentials):
        credentials_from_http(authorization=values)


def test_a_cookie_counts_if_nothing_else_does() -> None:
    """It is ambient: the browser sends it unasked."""
    assert credentials_from_http(authorization=[], cookie="cookie-token") == COOKIE


def test_explicit_beats_ambient() -> None:
    """A header counts before a cookie, even one that could not be read."""
    assert credentials_from_http(authorization=["t"], cookie="cookie-token") == HEADER
    assert credentials_from_http(authorization=["t"], cookie="not a token") == HEADER


def test_an_empty_cookie_says_nothing() -> None:
    """It is what remains after a logout."""
    assert credentials_from_http(authorization=[], cookie="") == ABSENT


@pytest.mark.parametrize("value", ["a b", "tökén", "t" * 8193])
def test_a_cookie_that_cannot_be_read_is_refused(value: str) -> None:
    """If it is the one that counts."""
    with pytest.raises(MalformedCredentials, match="cookie"):
        credentials_from_http(authorization=[], cookie=value)


# In connection_init


@pytest.mark.parametrize(
    "payload", [None, {}, {"lang": "de"}, {"headers": None}, {"headers": {}}, {"ACCESSTOKEN": "t"}]
)
@pytest.mark.parametrize("handshake", [ABSENT, COOKIE, HEADER, Credentials(None, "header")])
def test_a_payload_that_says_nothing_leaves_the_handshake(
    payload: dict[str, object] | None, handshake: Credentials
) -> None:
    """Also one with other things in it; outside of headers the case of the names matters."""
    assert credentials_from_init(payload, handshake=handshake) == handshake


@pytest.mark.parametrize("value", ["t", "Bearer t", "bearer  t"])
@pytest.mark.parametrize("name", NAMES)
def test_a_payload_holds_a_token_under_four_names(name: str, value: str) -> None:
    """With or without Bearer, whatever the cookie says."""
    for handshake in (ABSENT, COOKIE, HEADER):
        assert credentials_from_init({name: value}, handshake=handshake) == Credentials(Token("t"), "init")


@pytest.mark.parametrize("name", [*NAMES, "AUTHORIZATION", "accesstoken", "AuthToken"])
def test_headers_in_a_payload_hold_a_token_whatever_the_case(name: str) -> None:
    """Names of HTTP headers have no case."""
    payload = {"headers": {"x-request-id": "1", name: "Bearer t"}}
    assert credentials_from_init(payload, handshake=COOKIE) == Credentials(Token("t"), "init")


@pytest.mark.parametrize("value", [None, *EMPTY])
@pytest.mark.parametrize("handshake", [ABSENT, COOKIE, Credentials(None, "header")])
def test_an_explicit_null_is_anonymous_even_beside_a_cookie(value: str | None, handshake: Credentials) -> None:
    """A client that says null means it, whatever its browser adds (S1)."""
    for payload in ({"accessToken": value}, {"headers": {"Authorization": value}}):
        found = credentials_from_init(payload, handshake=handshake)
        assert found == Credentials(None, "init")
        assert found.is_absent


@pytest.mark.parametrize("value", UNREADABLE, ids=show)
def test_a_payload_that_cannot_be_read_is_refused(value: object) -> None:
    """Whatever is neither absent nor a token, beside whatever else."""
    for payload in (
        {"authToken": value},
        {"headers": {"Authorization": value}},
        {"accessToken": "t", "authToken": value},
    ):
        for handshake in (ABSENT, COOKIE, HEADER):
            with pytest.raises(MalformedCredentials):
                credentials_from_init(payload, handshake=handshake)


@pytest.mark.parametrize("headers", [[], ["Authorization", "Bearer t"], "Authorization: Bearer t", "", 7, True, False])
def test_headers_in_a_payload_are_an_object(headers: object) -> None:
    """A credential in another shape would otherwise be overlooked, and its owner anonymous."""
    with pytest.raises(MalformedCredentials, match="headers is not an object"):
        credentials_from_init({"headers": headers}, handshake=ABSENT)


@pytest.mark.parametrize(
    "payload",
    [
        {"accessToken": "t", "authToken": "u"},
        {"authorization": "Bearer t", "Authorization": "Bearer u"},
        {"accessToken": "t", "headers": {"Authorization": "Bearer u"}},
        {"headers": {"authorization": "t", "Authorization": "u"}},
        {"accessToken": "t", "authToken": None},
        {"accessToken": "", "headers": {"authorization": "Bearer t"}},
    ],
)
def test_two_places_of_a_payload_that_disagree_are_refused(payload: dict[str, object]) -> None:
    """Whichever we chose might be somebody else than the client means."""
    with pytest.raises(MalformedCredentials, match="disagree"):
        credentials_from_init(payload, handshake=ABSENT)


@pytest.mark.parametrize(("said", "header"), [("u", "t"), (None, "t"), ("", "t"), ("t", None)])
def test_a_payload_that_disagrees_with_an_explicit_header_is_refused(said: str | None, header: str | None) -> None:
    """An Authorization header of the handshake is as explicit as the payload, null included."""
    handshake = Credentials(None if header is None else Token(header), "header")
    with pytest.raises(MalformedCredentials, match="disagree"):
        credentials_from_init({"accessToken": said}, handshake=handshake)


def test_places_that_agree_are_one() -> None:
    """The same token everywhere, in any notation."""
    payload = {"accessToken": "t", "Authorization": "Bearer t", "headers": {"authorization": "bearer t"}}
    assert credentials_from_init(payload, handshake=HEADER) == Credentials(Token("t"), "init")


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
LIKELY = st.sampled_from([*EMPTY, "Bearer t", "t", "u", "Basic x", "t" * 8193]) | JSON
FIELDS = st.dictionaries(st.sampled_from([*NAMES, "AUTHORIZATION", "x"]) | st.text(), LIKELY, max_size=4)
WITH_HEADERS = st.fixed_dictionaries({}, optional={"headers": FIELDS | LIKELY})
PAYLOADS = st.none() | st.builds(lambda fields, more: fields | more, FIELDS, WITH_HEADERS)
HANDSHAKES = st.sampled_from([ABSENT, COOKIE, HEADER, Credentials(None, "header")])


@given(PAYLOADS, HANDSHAKES)
def test_no_payload_raises_anything_else(payload: dict[str, object] | None, handshake: Credentials) -> None:
    """Whatever JSON comes: credentials, or MalformedCredentials."""
    try:
        found = credentials_from_init(payload, handshake=handshake)
    except MalformedCredentials:
        return
    assert found is handshake or found.source == "init"
    assert found.token is None or (found.token.reveal().isascii() and len(found.token.reveal()) <= 8192)


@given(st.lists(st.text(max_size=20)), st.none() | st.text(max_size=20))
def test_no_header_raises_anything_else(authorization: list[str], cookie: str | None) -> None:
    """Whatever text comes: credentials, or MalformedCredentials."""
    try:
        found = credentials_from_http(authorization=authorization, cookie=cookie)
    except MalformedCredentials:
        return
    assert found.source in {None, "header", "cookie"}
    assert found.token is None or found.token.reveal().isascii()


SECRETS = st.text("abcdef0123456789", min_size=12, max_size=40).map("s3cr3t".__add__)
FRAMES = st.sampled_from(["{}", "Bearer {}", "Basic {}", "Bearer {} {}", "{}\n", "{}ö", "Bearer " + "x" * 8192 + "{}"])


@given(SECRETS, SECRETS, FRAMES, st.sampled_from(NAMES))
def test_no_representation_and_no_error_tells_the_token(secret: str, other: str, frame: str, name: str) -> None:
    """Neither what is returned nor what is raised shows any of it, nor does the chain of errors behind it."""
    text = frame.format(secret, other)
    calls: list[Callable[[], Credentials]] = [
        lambda: credentials_from_http(authorization=[text]),
        lambda: credentials_from_http(authorization=[text, other]),
        lambda: credentials_from_http(authorization=[], cookie=text),
        lambda: credentials_from_init({name: text}, handshake=ABSENT),
        lambda: credentials_from_init({name: [text]}, handshake=ABSENT),
        lambda: credentials_from_init({"headers": {name: text}, "authToken": other}, handshake=HEADER),
        lambda: credentials_from_init({"headers": [text]}, handshake=ABSENT),
    ]
    for call in calls:
        try:
            shown: object = call()
        except MalformedCredentials as error:
            shown = (error, error.args, error.detail, error.__context__)
        assert secret not in f"{shown!r} {shown}"
        assert other not in f"{shown!r} {shown}"


@given(st.permutations(NAMES), st.lists(st.sampled_from([None, "", "t", "Bearer t", "u"]), min_size=4, max_size=4))
def test_the_order_of_the_names_changes_nothing(order: list[str], values: list[str | None]) -> None:
    """A JSON object has no order: agreement alone decides."""
    said = dict(zip(NAMES, values, strict=True))
    outcomes = []
    for names in (NAMES, order):
        try:
            outcomes.append(repr(credentials_from_init({name: said[name] for name in names}, handshake=COOKIE)))
        except MalformedCredentials as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_every_pair_of_places_is_compared() -> None:
    """No place is looked at less closely than another: each pair, agreeing and disagreeing."""
    places = [{name: "{}"} for name in NAMES] + [{"headers": {"authorization": "{}"}}]
    for one, other in itertools.combinations(places, 2):
        both = json.dumps(one)[:-1].replace("{}", "t") + "," + json.dumps(other)[1:]
        assert credentials_from_init(json.loads(both.replace("{}", "t")), handshake=ABSENT).token == Token("t")
        with pytest.raises(MalformedCredentials, match="disagree"):
            credentials_from_init(json.loads(both.replace("{}", "u")), handshake=ABSENT)
