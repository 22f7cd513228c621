from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from gqlink.errors import MalformedCredentials
from gqlink.server.handshake import credentials_of, facts_of, peer_of, refusal_of

if TYPE_CHECKING:
    from gqlink.auth import Credentials
    from server.world import World


def scope(*headers: tuple[str, str], kind: str = "websocket", client: Any = ("10.0.0.7", 5000)) -> dict[str, Any]:
    """Make an ASGI scope."""
    return {
        "type": kind,
        "client": client,
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }


def reveal(credentials: Credentials) -> tuple[str | None, str | None]:
    """Return token and source."""
    return credentials.token and credentials.token.reveal(), credentials.source


async def test_a_header_carries_a_credential(world: World) -> None:
    """As any HTTP request does."""
    found = credentials_of(world.app()._host, scope(("Authorization", "Bearer alice")))
    assert reveal(found) == ("alice", "header")


async def test_nothing_said_is_nothing_found(world: World) -> None:
    """Nobody is refused for it."""
    assert credentials_of(world.app()._host, scope()).is_absent


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Basic YTpi")],
        [("Authorization", "Bearer alice"), ("Authorization", "Bearer bob")],
    ],
)
async def test_a_header_that_cannot_be_read_is_an_error(world: World, headers: list[tuple[str, str]]) -> None:
    """Two that disagree too."""
    with pytest.raises(MalformedCredentials):
        credentials_of(world.app()._host, scope(*headers))


async def test_a_cookie_counts_only_where_it_is_allowed(world: World) -> None:
    """By its name, and never beside a header."""
    asked = scope(("Cookie", "other=x; session=alice"))
    assert credentials_of(world.app()._host, asked).is_absent
    assert reveal(credentials_of(world.app(cookie="session")._host, asked)) == ("alice", "cookie")
    both = scope(("Cookie", "session=alice"), ("Authorization", "Bearer bob"))
    assert reveal(credentials_of(world.app(cookie="session")._host, both)) == ("bob", "header")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Host", "localhost")], None),
        ([], 400),
        ([("Host", "evil.example")], 400),
        ([("Host", "localhost"), ("Host", "evil.example")], 400),
        ([("Host", "localhost"), ("Origin", "http://evil.example")], 403),
        ([("Host", "localhost"), ("Cookie", "session=alice")], 403),
        ([("Host", "localhost"), ("Cookie", "a=b"), ("Cookie", "session=alice")], 403),
        ([("Host", "localhost"), ("Cookie", "session=")], 403),
        ([("Host", "localhost"), ("Cookie", "session=alice"), ("Origin", "http://localhost")], None),
        ([("Host", "localhost"), ("Cookie", "sessions=alice")], None),
    ],
)
async def test_the_doorkeeper_sees_host_origin_and_cookie(
    world: World, headers: list[tuple[str, str]], status: int | None
) -> None:
    """All of each, however often they were sent."""
    refusal = refusal_of(world.app(cookie="session")._host, scope(*headers))
    assert (None if refusal is None else refusal.status) == status


async def test_an_application_may_know_how_somebody_came() -> None:
    """No secret is among the facts."""
    headers = [("Authorization", "x"), ("Cookie", "x"), ("Proxy-Authorization", "x"), ("X-Request-Id", "7")]
    transport = facts_of(scope(*headers), socket=3, subprotocol="graphql-ws")
    assert transport.headers == {"x-request-id": "7"}
    assert (transport.kind, transport.client, transport.socket) == ("websocket", "10.0.0.7:5000", 3)
    assert facts_of(scope(kind="http")).kind == "http"


async def test_what_sockets_say_alike_is_kept_once() -> None:
    """Ten thousand browsers have few names for themselves; the key of a handshake is another one for each."""
    browser = ("User-Agent", "a browser")
    one, other = (facts_of(scope(browser, ("Sec-WebSocket-Key", key))) for key in ("1", "2"))
    assert one.headers is other.headers
    assert one.headers == {"user-agent": "a browser"}
    third = facts_of(scope(browser, ("X-Number", "1"))).headers
    assert third == {**one.headers, "x-number": "1"}
    assert [id(name) for name in one.headers] == [id(name) for name in third][:1]
    assert third["x-number"] == "1"
    assert "x-letter" not in third


async def test_what_nobody_says_any_more_is_forgotten() -> None:
    """Headers are of a client's making, and may be large."""
    kept = weakref.ref(facts_of(scope(("X-Number", "1"))).headers)
    gc.collect()
    assert kept() is None


async def test_a_server_need_not_know_the_peer() -> None:
    """Behind a Unix socket there is no address."""
    assert peer_of(scope(client=None)) is None
    assert facts_of(scope(client=None)).client is None
