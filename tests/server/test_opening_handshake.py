"""What is read here in one go is what `websockets` would have accepted; anything else is left to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gqlink.server.opening_handshake import opening_answer, read_opening

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ORDINARY = {
    "host": "chat.example:9000",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "graphql-transport-ws",
    "origin": "https://chat.example",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) \xe9",
}


def head(fields: list[tuple[str, str]], *, line: str = "GET /graphql HTTP/1.1") -> bytes:
    """Write a head as uvicorn does."""
    return "".join([f"{line}\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n"]).encode("latin-1")


def changed(**changes: str | None) -> bytes:
    """Write the ordinary head with some fields changed, or left out; "__" stands for a hyphen."""
    fields = ORDINARY | {name.replace("__", "-"): value for name, value in changes.items()}
    return head([(name, value) for name, value in fields.items() if value is not None])


def accepted(text: bytes) -> tuple[Request, ServerProtocol, dict[str, str]] | None:
    """Have `websockets` read it and answer; None where it does not accept it."""
    protocol = ServerProtocol()
    protocol.receive_data(text)
    events = protocol.events_received()
    if not events or protocol.handshake_exc is not None:
        return None
    (request,) = events
    assert isinstance(request, Request)
    response = protocol.accept(request)
    return (request, protocol, dict(response.headers.raw_items())) if response.status_code == 101 else None


def assert_same(text: bytes) -> None:
    """Compare, where it was read at all."""
    opening = read_opening(text)
    if opening is None:
        return
    found = accepted(text)
    assert found is not None
    request, _, answer = found
    said = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in request.headers.raw_items()]
    assert opening.fields == said
    path, _, query = request.path.partition("?")
    assert (opening.path, opening.query) == (path.encode(), query.encode())
    offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
    assert opening.subprotocols == [each.strip() for each in offered.split(",") if each]
    ours = opening_answer(opening, fields=[], subprotocol=None).decode().split("\r\n")
    assert ours[0] == "HTTP/1.1 101 Switching Protocols"
    assert ours[-2:] == ["", ""]
    assert dict(line.split(": ", 1) for line in ours[1:-2]) == {k: v for k, v in answer.items() if k != "Date"}


def test_an_ordinary_one_is_read() -> None:
    """With all that the application is told."""
    opening = read_opening(changed())
    assert opening is not None
    assert opening.subprotocols == ["graphql-transport-ws"]
    assert opening.path == b"/graphql"
    assert opening.key == KEY.encode()
    assert dict(opening.fields)[b"user-agent"].endswith(b"\xe9")
    assert_same(changed())


@pytest.mark.parametrize(
    "text",
    [
        changed(connection="keep-alive, Upgrade"),
        changed(connection="upgrade", upgrade="WebSocket"),
        changed(origin=None),
        changed(sec__websocket__protocol="graphql-ws, graphql-transport-ws,soap"),
        changed(sec__websocket__protocol=None),
        changed(sec__websocket__extensions="permessage-deflate; client_max_window_bits"),
        head([(name.title(), value) for name, value in ORDINARY.items()], line="GET /a%20b?c=d&e HTTP/1.1"),
    ],
)
def test_other_usual_ones_are_read(text: bytes) -> None:
    """Browsers and programs differ in this much."""
    assert read_opening(text) is not None
    assert_same(text)


@pytest.mark.parametrize(
    "text",
    [
        changed(connection="close"),
        changed(connection=None),
        changed(upgrade="h2c"),
        changed(upgrade="websocket, h2c"),
        changed(sec__websocket__version="8"),
        changed(sec__websocket__version=None),
        changed(sec__websocket__key="dGhlIHNhbXBsZSBub25jZR=="),
        changed(sec__websocket__key="dGhlIHNhbXBsZSBub25j"),
        changed(sec__websocket__key=None),
        changed(sec__websocket__protocol="graphql ws"),
        changed(sec__websocket__protocol=","),
        changed(content__length="3"),
        changed(transfer__encoding="chunked"),
        changed(user__agent="a\tb"),
        changed(user__agent=" indented"),
        changed(user__agent="\x01"),
        changed(user__agent=""),
        changed(user__agent="x" * 5000),
        head([*ORDINARY.items(), ("origin", "https://evil.example")]),
        head([*ORDINARY.items(), ("Host", "evil.example")]),
        head([*ORDINARY.items(), ("sec-websocket-key", KEY)]),
        head([*ORDINARY.items(), *((f"x-{number}", "y") for number in range(60))]),
        head(list(ORDINARY.items()), line="POST /graphql HTTP/1.1"),
        head(list(ORDINARY.items()), line="GET /graphql HTTP/1.0"),
        head(list(ORDINARY.items()), line="GET http://chat.example/graphql HTTP/1.1"),
        head(list(ORDINARY.items()), line="GET /gr aph HTTP/1.1"),
        changed() + b"\x81\x80\0\0\0\0",
        changed()[:-2],
        b"",
    ],
)
def test_anything_unusual_is_left_to_websockets(text: bytes) -> None:
    """Most of it is refused there."""
    assert read_opening(text) is None


def test_the_answer_says_what_every_answer_does() -> None:
    """And which subprotocol was chosen."""
    opening = read_opening(changed())
    assert opening is not None
    answer = opening_answer(opening, fields=[(b"server", b"uvicorn")], subprotocol="graphql-transport-ws")
    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nserver: uvicorn\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )


_NAMES = st.sampled_from([*ORDINARY, "content-length", "sec-websocket-extensions", "x-other", "X-Other", "cookie"])
_VALUES = st.one_of(
    st.sampled_from(list(ORDINARY.values())),
    st.text(st.characters(max_codepoint=255), max_size=8),
    st.sampled_from(["keep-alive, Upgrade", "a,b", "a, b", " a", "a ", "a, ,b", "", "0"]),
)


@given(
    st.permutations(list(ORDINARY.items())),
    st.lists(st.tuples(_NAMES, _VALUES), max_size=3),
    st.integers(0, 8),
    st.sampled_from(["/", "/graphql", "/a%2fb?c", "/?", "//x", "/\xe9", "*", "/a#b"]),
)
def test_what_is_read_is_what_websockets_accepts(
    fields: list[tuple[str, str]], more: list[tuple[str, str]], at: int, target: str
) -> None:
    """Whatever is added to an ordinary handshake, wherever it stands."""
    assert_same(head([*fields[:at], *more, *fields[at:]], line=f"GET {target} HTTP/1.1"))


@given(st.integers(0, len(changed()) - 1), st.binary(max_size=2))
def test_a_head_that_was_spoiled_is_read_as_websockets_does(at: int, put: bytes) -> None:
    """One byte of it replaced by others."""
    text = changed()
    assert_same(text[:at] + put + text[at + 1 :])
