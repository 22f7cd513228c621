"""Host, Origin and cross-site requests at a served application, over HTTP and both WebSocket subprotocols.

CVE-2026-41700 and GHSA-f53g-frr2-jhpf (a socket of another site speaks with the user's cookie), and CVE-2025-64166 (a
content type that one reads otherwise than the browser) are rows of these tables.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from security.doors import GUEST, STATUS, VISITORS, open_socket
from server.raw import dialled
from serving import serving

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from server.world import World

WHO = "{ whoami }"
COOKIE = {"cookie": "session=alice"}
METHODS = ("POST", "GET")


async def ask(authority: str, method: str, *, headers: dict[str, str], **options: Any) -> httpx2.Response:
    """Send one request as a browser would, or not."""
    if not options:
        options = {"json": {"query": WHO}} if method == "POST" else {"params": {"query": WHO}}
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.request(method, f"http://{authority}/graphql", headers=headers, **options)


async def shake_hands(authority: str, dialect: Dialect, *, headers: dict[str, str]) -> tuple[int, object]:
    """Open a socket; return the status, and whom it then speaks for."""
    status, data = await open_socket(authority, dialect, headers=headers, query=WHO)
    return status, data and data["whoami"]


def expected(*, cookie: bool, opened: int) -> dict[str, tuple[int, object]]:
    """Return what should come of every visitor: a status, and whom they then speak for."""
    verdicts = {name: visitor.cookie if cookie else visitor.alone for name, visitor in VISITORS.items()}
    welcome = (opened, "alice" if cookie else None)
    return {name: welcome if verdict == "in" else (STATUS[verdict], None) for name, verdict in verdicts.items()}


@pytest.mark.parametrize("cookie", [False, True], ids=["no cookie", "cookie"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_request_gets_in_or_does_not(world: World, method: str, *, cookie: bool) -> None:
    """Whoever is refused has not even been looked at; whoever gets in is who the cookie says, and nobody without."""
    found = {}
    async with serving(world.app(cookie="session", allowed_origins=[GUEST])) as authority:
        for name, visitor in VISITORS.items():
            headers = visitor.headers(authority.rpartition(":")[2]) | (COOKIE if cookie else {})
            response = await ask(authority, method, headers=headers)
            found[name] = (response.status_code, (response.json().get("data") or {}).get("whoami"))
    assert found == expected(cookie=cookie, opened=200)
    assert world.resolved == sum(status == 200 for status, _ in found.values())
    assert world.authenticated == world.resolved


@pytest.mark.parametrize("cookie", [False, True], ids=["no cookie", "cookie"])
async def test_a_handshake_gets_in_or_does_not(world: World, dialect: Dialect, *, cookie: bool) -> None:
    """By the same table: the one who is refused gets a status, and no WebSocket."""
    found = {}
    async with serving(world.app(cookie="session", allowed_origins=[GUEST])) as authority:
        for name, visitor in VISITORS.items():
            headers = visitor.headers(authority.rpartition(":")[2]) | (COOKIE if cookie else {})
            found[name] = await shake_hands(authority, dialect, headers=headers)
    assert found == expected(cookie=cookie, opened=101)
    assert world.resolved == sum(status == 101 for status, _ in found.values())
    assert world.authenticated == world.resolved


def test_the_table_has_a_row_for_everybody() -> None:
    """Foreign, null, subdomain, other port, upper case, absent, rebinding; with and without a cookie some differ."""
    words = ("foreign", "null", "subdomain", "other port", "upper case", "absent", "rebinding")
    assert [word for word in words if not any(word in name for name in VISITORS)] == []
    assert {name for name, visitor in VISITORS.items() if visitor.alone != visitor.cookie} == {
        "absent",
        "absent, typed",
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"content-type": "application/json"}, 200),
        ({"content-type": "Application/JSON; charset=utf-8"}, 200),
        ({"graphql-require-preflight": "1"}, 200),
        ({"apollo-require-preflight": "true"}, 200),
        ({"x-requested-with": "XMLHttpRequest"}, 200),
        ({"content-type": "text/plain"}, 403),
        ({"content-type": "text/plain; application/json"}, 403),
        ({"accept": "application/json"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "content-type": "application/json"}, 403),
        ({"origin": "null", "content-type": "application/json"}, 403),
        ({"origin": "https://evil.example", "x-requested-with": "1"}, 403),
    ],
)
async def test_a_get_with_a_cookie_must_be_of_our_own_page(world: World, headers: dict[str, str], status: int) -> None:
    """Its browser gives no Origin with it, but can say so; or the page sends what others may only send when asked."""
    async with serving(world.app(cookie="session")) as authority:
        response = await ask(authority, "GET", headers=headers | COOKIE)
    assert response.status_code == status
    assert world.resolved == (status == 200)


@pytest.mark.parametrize("header", ["content-type", "apollo-require-preflight", "sec-fetch-site"])
async def test_a_post_or_a_socket_with_a_cookie_needs_an_origin(world: World, dialect: Dialect, header: str) -> None:
    """Every browser gives one with these, so whatever else is sent is no excuse."""
    value = {"content-type": "application/json", "sec-fetch-site": "same-origin"}.get(header, "1")
    async with serving(world.app(cookie="session")) as authority:
        response = await ask(authority, "POST", headers={header: value} | COOKIE)
        handshake = await shake_hands(authority, dialect, headers={header: value} | COOKIE)
    assert (response.status_code, handshake) == (403, (403, None))
    assert world.resolved == 0


CONTENT_TYPES = {
    ("application/json",): 200,
    ("APPLICATION/JSON",): 200,
    ("application/json; charset=utf-8",): 200,
    ('Application/Json;CHARSET="UTF-8"',): 200,
    ("application/json ; boundary=text/plain",): 200,
    (): 415,
    ("",): 415,
    ("text/plain",): 415,
    ("text/plain; application/json",): 415,
    ("text/plain;charset=application/json",): 415,
    ("application/x-www-form-urlencoded",): 415,
    ("multipart/form-data; boundary=application/json",): 415,
    ("application/json, text/plain",): 415,
    ("text/plain, application/json",): 415,
    ("application/json", "text/plain"): 415,
    ("text/plain", "application/json"): 415,
    ("application/json", "application/json"): 415,
    ("application/jsonp",): 415,
    ("application/graphql+json",): 415,
    ("application",): 415,
    ("application /json",): 415,
    ("application/json; charset=utf-16",): 415,
    ("application/json; charset=utf-8, text/plain",): 415,
}


async def test_what_another_site_may_send_unasked_is_no_request(world: World) -> None:
    """A form or a simple fetch; nothing that a browser could take for one of them is taken for JSON."""
    body = json.dumps({"query": 'mutation { add(text: "x") }'}).encode()
    found = {}
    async with serving(world.app()) as authority, httpx2.AsyncClient(trust_env=False) as http:
        for types in CONTENT_TYPES:
            headers = [("content-type", each) for each in types]
            response = await http.post(f"http://{authority}/graphql", content=body, headers=headers)
            found[types] = response.status_code
    assert found == CONTENT_TYPES
    assert len(world.happened) == list(found.values()).count(200)


async def test_get_runs_queries_only(world: World) -> None:
    """Whoever asks, a mutation is not run, nor is one of several operations that is a mutation."""
    async with serving(world.app()) as authority:
        for query in ('mutation { add(text: "x") }', 'query A { hello } mutation B { add(text: "x") }'):
            parameters = {"query": query, "operationName": "B"} if "query A" in query else {"query": query}
            response = await ask(authority, "GET", headers={}, params=parameters)
            assert (response.status_code, response.headers["allow"]) == (405, "POST")
        response = await ask(authority, "GET", headers={}, params={"query": "subscription { messages }"})
        assert response.status_code in {400, 405}
    assert (world.happened, world.resolved) == ([], 0)


async def test_an_answer_is_no_script(world: World) -> None:
    """An old browser says nothing of where a GET comes from; no page can use what it gets as code or read it."""
    async with serving(world.app()) as authority:
        response = await ask(authority, "GET", headers={})
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-type"].startswith("application/json")
    assert "access-control-allow-origin" not in response.headers


HOSTS = {
    "the name": ("Host: localhost", 200),
    "any port": ("Host: localhost:1", 200),
    "upper case": ("HOST: LOCALHOST", 200),
    "brackets": ("Host: [::1]:9000", 200),
    "spaces before it": ("Host:   localhost", 200),
    "none": ("X-Host: localhost", 400),
    "empty": ("Host:", 400),
    "trailing dot": ("Host: localhost.", 400),
    "userinfo": ("Host: evil.example@localhost", 400),
    "userinfo of ours": ("Host: localhost@evil.example", 400),
    "space in it": ("Host: localhost evil.example", 400),
    "tab in it": ("Host: local\thost", 400),
    "brackets left open": ("Host: [::1", 400),
    "no brackets": ("Host: ::1", 400),
    "a list": ("Host: localhost, evil.example", 400),
    "two": ("Host: localhost\r\nHost: evil.example", 400),
    "twice the same": ("Host: localhost\r\nHost: localhost", 400),
    "a URL": ("Host: http://localhost", 400),
    "letters of another script": ("Host: loc\u00e0lhost", 400),
    "punycode": ("Host: xn--loclhost-9za", 400),
    "another address of this machine": ("Host: 127.0.0.2", 400),
    "every address": ("Host: 0.0.0.0", 400),
    "forwarded": ("Host: evil.example\r\nX-Forwarded-Host: localhost", 400),
}
TARGETS = ("/graphql", "http://localhost/graphql", "http://evil.example/graphql")


async def status_of(authority: str, head: str) -> int:
    """Send the head of a request by hand, and return the status of the answer."""
    async with dialled(authority) as raw:
        raw.writer.write(head.encode("latin-1") + b"\r\n\r\n")
        async with asyncio.timeout(10):
            line = await raw.reader.readline()
        return int(line.split()[1])


UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws"
)


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("target", TARGETS)
async def test_only_the_host_that_was_meant_is_answered(world: World, target: str, http: str) -> None:
    """Where the request line has an address too, as for a proxy, it is the Host that counts."""
    async with serving(world.app(), http=http) as authority:
        found = {
            name: (field, await status_of(authority, f"GET {target}?query={{hello}} HTTP/1.1\r\n{field}"))
            for name, (field, _) in HOSTS.items()
        }
    assert found == HOSTS


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_handshake_needs_the_same_host(world: World, http: str) -> None:
    """A page that was rebound to this machine opens no socket either."""
    async with serving(world.app(), http=http) as authority:
        found = {
            name: (field, await status_of(authority, f"GET /graphql HTTP/1.1\r\n{field}\r\n{UPGRADE}"))
            for name, (field, _) in HOSTS.items()
        }
    assert found == {name: (field, 101 if status == 200 else status) for name, (field, status) in HOSTS.items()}
