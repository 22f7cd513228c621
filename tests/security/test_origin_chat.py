"""The same visitors at everything that the chat answers: logins, sessions, pages, the playground, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from gqlink.chat import ChatSettings, create_app, open_administration
from security.doors import GUEST, STATUS, VISITORS, open_socket
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gqlink.protocol import Dialect

PASSWORD = "correct horse battery"
LOGIN = {"name": "alice", "password": PASSWORD}
NO_SESSION = {"cookie": "gqlink_refresh=none-that-there-ever-was"}
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
GUESTS = {"guest", "guest in upper case", "rebinding by a guest"}
PAGES = ("/", "/config.json", "/playground/", "/playground/config.json", "/metrics")


@pytest.fixture
def settings(tmp_path: Path) -> ChatSettings:
    """A chat that has one guest."""
    return ChatSettings(data_dir=tmp_path, playground=True, allowed_origins=(GUEST,))


async def found_at(settings: ChatSettings, method: str, path: str, **options: Any) -> dict[str, httpx2.Response]:
    """Return the answers to all visitors."""
    brought = options.pop("headers", {})
    async with serving(create_app(settings)) as authority, httpx2.AsyncClient(trust_env=False) as http:
        port = authority.rpartition(":")[2]
        return {
            name: await http.request(
                method, f"http://{authority}{path}", headers=visitor.headers(port) | brought, **options
            )
            for name, visitor in VISITORS.items()
        }


def statuses(found: dict[str, httpx2.Response]) -> dict[str, int]:
    """Return their statuses alone."""
    return {name: response.status_code for name, response in found.items()}


def expected(welcome: int, *, cookie: bool = False) -> dict[str, int]:
    """Return what the table says."""
    verdicts = {name: visitor.cookie if cookie else visitor.alone for name, visitor in VISITORS.items()}
    return {name: STATUS.get(verdict, welcome) for name, verdict in verdicts.items()}


def readers(found: dict[str, httpx2.Response]) -> Iterator[str]:
    """Yield those whose browser lets a page of another origin read its answer."""
    for name, response in found.items():
        if "access-control-allow-origin" in response.headers:
            assert response.headers["access-control-allow-origin"] == response.request.headers["origin"]
            yield name


async def test_a_login_is_for_own_pages_guests_and_programs(settings: ChatSettings) -> None:
    """Nobody else learns even whether a password is right; and only the guest needs to be told that it may read."""
    async with open_administration(settings) as administration:
        await administration.accounts.create("alice", password=PASSWORD)
    found = await found_at(settings, "POST", "/login", json=LOGIN)
    assert statuses(found) == expected(200)
    assert all(("token" in response.text) == (response.status_code == 200) for response in found.values())
    assert set(readers(found)) == GUESTS


@pytest.mark.parametrize(("path", "welcome"), [("/refresh", 401), ("/logout", 204)])
@pytest.mark.parametrize("cookie", [False, True], ids=["no cookie", "cookie"])
async def test_so_are_sessions(settings: ChatSettings, path: str, welcome: int, *, cookie: bool) -> None:
    """With a cookie an Origin must be there; a token that is none is 401, or logged out already."""
    found = await found_at(settings, "POST", path, headers=NO_SESSION if cookie else {})
    assert statuses(found) == expected(welcome, cookie=cookie)
    assert all(
        "set-cookie" not in response.headers for response in found.values() if response.status_code in {400, 403}
    )


@pytest.mark.parametrize("path", ["/login", "/refresh", "/logout", "/graphql"])
async def test_only_the_guest_is_told_that_it_may_ask(settings: ChatSettings, path: str) -> None:
    """A preflight of anybody else is refused, or is none of a browser's."""
    found = await found_at(settings, "OPTIONS", path, headers=PREFLIGHT)
    assert {name for name, status in statuses(found).items() if status == 204} == GUESTS - {"rebinding by a guest"}
    assert set(readers(found)) == GUESTS - {"rebinding by a guest"}
    assert all("access-control-allow-credentials" not in response.headers for response in found.values())


@pytest.mark.parametrize("path", ["/login", "/refresh", "/logout"])
@pytest.mark.parametrize("types", [[], ["text/plain"], ["application/x-www-form-urlencoded"], ["application/json"] * 2])
async def test_a_form_is_no_login(settings: ChatSettings, path: str, types: list[str]) -> None:
    """What a page may send unasked is not taken for JSON, wherever it comes from."""
    headers = [("content-type", each) for each in types]
    async with serving(create_app(settings)) as authority, httpx2.AsyncClient(trust_env=False) as http:
        response = await http.post(f"http://{authority}{path}", content=b'{"refreshToken": null}', headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_for_those_who_look_at_them(settings: ChatSettings, path: str) -> None:
    """As the table says; except that from another site one may come by a link."""
    found = statuses(await found_at(settings, "GET", path))
    welcome = found["own page"]
    assert welcome in {200, 503}, "a page that is not built says so"
    assert found == expected(welcome)
    linked = statuses(await found_at(settings, "GET", path, headers=LINK))
    absent = {name: status for name, status in linked.items() if name.startswith("absent")}
    assert absent == dict.fromkeys(absent, welcome)
    for name in ("foreign", "null", "rebinding", "subdomain", "other port"):
        assert linked[name] == found[name]


async def test_health_tells_nothing_and_answers_everybody(settings: ChatSettings) -> None:
    """Monitors ask by address."""
    found = await found_at(settings, "GET", "/healthz")
    assert set(statuses(found).values()) == {200}
    assert set(readers(found)) == GUESTS


@pytest.mark.parametrize("cookie", [False, True], ids=["no cookie", "cookie"])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_graphql_knows_no_cookie(settings: ChatSettings, method: str, *, cookie: bool) -> None:
    """The same get in with it as without; and it stands for nobody."""
    query = {"query": "{ viewer { name } }"}
    options = {"json": query} if method == "POST" else {"params": query}
    found = await found_at(settings, method, "/graphql", headers=NO_SESSION if cookie else {}, **options)
    assert statuses(found) == expected(200)
    assert {response.text for response in found.values() if response.status_code == 200} == {'{"data":{"viewer":null}}'}


@pytest.mark.parametrize("cookie", [False, True], ids=["no cookie", "cookie"])
async def test_nor_does_a_socket(settings: ChatSettings, dialect: Dialect, *, cookie: bool) -> None:
    """Over either subprotocol."""
    found = {}
    async with serving(create_app(settings)) as authority:
        for name, visitor in VISITORS.items():
            headers = visitor.headers(authority.rpartition(":")[2]) | (NO_SESSION if cookie else {})
            found[name], data = await open_socket(authority, dialect, headers=headers, query="{ viewer { name } }")
            assert data in (None, {"viewer": None})
    assert found == expected(101)
