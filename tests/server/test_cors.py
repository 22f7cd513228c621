"""CORS over a real uvicorn: what a browser is told, before it asks for a page of another origin and with the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gqlink.server import CrossOrigin, Doorkeeper, Limits
from server.raw import dialled
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.world import World

GUEST = "http://chat.example"
HELLO = {"query": "{ hello }"}
WISH = {"origin": GUEST, "access-control-request-method": "POST"}


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


def told(response: httpx2.Response) -> dict[str, str]:
    """Return what an answer tells the browser."""
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


async def ask(world: World, http: httpx2.AsyncClient, method: str, *, headers: Any, **options: Any) -> httpx2.Response:
    """Put one request to an application."""
    async with serving(world.app(**options)) as authority:
        return await http.request(method, f"http://{authority}/graphql", headers=headers)


async def test_an_allowed_origin_may_ask(world: World, http: httpx2.AsyncClient) -> None:
    """With either method and whatever headers it wishes, for two hours; nobody else may be given this answer."""
    wish = WISH | {"access-control-request-headers": "authorization,content-type, X-Request-Id"}
    response = await ask(world, http, "OPTIONS", headers=wish, allowed_origins=[GUEST])
    assert (response.status_code, response.content) == (204, b"")
    assert told(response) == {
        "access-control-allow-origin": GUEST,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization,content-type, X-Request-Id",
        "access-control-max-age": "7200",
    }
    assert (response.headers["vary"], response.headers["cache-control"]) == ("origin", "no-store")


@pytest.mark.parametrize("names", ["", "a b", "a,", "a:b", "a" * 1025, "\xe9"])
async def test_headers_that_are_none_are_not_allowed(world: World, http: httpx2.AsyncClient, names: str) -> None:
    """What a browser would not have written is not said back to it."""
    wish = [(name.encode(), value.encode()) for name, value in WISH.items()]
    wish.append((b"access-control-request-headers", names.encode("latin-1")))
    response = await ask(world, http, "OPTIONS", headers=wish, allowed_origins=[GUEST])
    assert response.status_code == 204
    assert "access-control-allow-headers" not in response.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://sub.chat.example"}, 403),
        ({"origin": "http://chat.example:8080"}, 403),
        ({"origin": "https://chat.example"}, 403),
        ({"origin": "*"}, 403),
        ({"host": "evil.example"}, 400),
        ({"host": "evil.example", "origin": "http://evil.example"}, 400),
    ],
)
@pytest.mark.parametrize("allowed", [[], [GUEST]], ids=["nobody", "a guest"])
async def test_a_stranger_may_not_ask(
    world: World, http: httpx2.AsyncClient, headers: dict[str, str], status: int, allowed: list[str]
) -> None:
    """The browser is told nothing, and asks no further."""
    response = await ask(world, http, "OPTIONS", headers=WISH | headers, allowed_origins=allowed, cookie="session")
    assert (response.status_code, told(response)) == (status, {})


async def test_two_origins_may_not_ask(world: World, http: httpx2.AsyncClient) -> None:
    """Although each of them might."""
    wish = [*WISH.items(), ("origin", GUEST)]
    response = await ask(world, http, "OPTIONS", headers=wish, allowed_origins=[GUEST])
    assert (response.status_code, told(response)) == (403, {})


@pytest.mark.parametrize("left_out", ["origin", "access-control-request-method"])
async def test_other_options_are_no_method_of_ours(world: World, http: httpx2.AsyncClient, left_out: str) -> None:
    """Only a browser's question is answered."""
    wish = {name: value for name, value in WISH.items() if name != left_out}
    response = await ask(world, http, "OPTIONS", headers=wish, allowed_origins=[GUEST])
    assert response.status_code == 405


async def test_the_same_origin_has_nothing_to_ask(world: World, http: httpx2.AsyncClient) -> None:
    """No browser does; and a page of our name without TLS may be anybody's, so it is told nothing."""
    async with serving(world.app(allowed_origins=[GUEST])) as authority:
        wish = WISH | {"origin": f"http://{authority}"}
        response = await http.options(f"http://{authority}/graphql", headers=wish)
        assert (response.status_code, told(response)) == (405, {})
        response = await http.post(f"http://{authority}/graphql", json=HELLO, headers={"origin": wish["origin"]})
        assert (response.status_code, told(response)) == (200, {})


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"json": {"query": "{"}}, 200),
        ({"json": {"query": "{ fail }"}}, 200),
        ({"json": {"query": "{"}, "headers": {"accept": "application/graphql-response+json"}}, 400),
        ({"json": []}, 400),
        ({"headers": {"authorization": "Bearer bad"}}, 401),
        ({"method": "PUT"}, 405),
        ({"headers": {"accept": "text/html"}}, 406),
        ({"json": {"query": "#" * 2000}}, 413),
        ({"headers": {"content-type": "text/plain"}}, 415),
        ({"headers": {"authorization": "Bearer unavailable"}}, 503),
        ({"headers": {"authorization": "Bearer crash"}}, 503),
    ],
)
async def test_an_allowed_origin_may_read_every_answer(
    world: World, http: httpx2.AsyncClient, changes: dict[str, Any], status: int
) -> None:
    """Refusals too, or its page could only say that something went wrong; with when to try again, and how to log in."""
    app = world.app(allowed_origins=[GUEST], limits=Limits(message_bytes=1000))
    headers = {"origin": GUEST, **changes.pop("headers", {})}
    async with serving(app) as authority:
        request = {"method": "POST", "url": f"http://{authority}/graphql", "json": HELLO} | changes
        response = await http.request(**request, headers=headers)
    assert response.status_code == status
    assert told(response) == {
        "access-control-allow-origin": GUEST,
        "access-control-expose-headers": "www-authenticate, retry-after",
    }
    assert response.headers["vary"] == "origin"


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null"])
async def test_nobody_else_may(world: World, http: httpx2.AsyncClient, origin: str | None) -> None:
    """Whatever is kept on the way is kept apart."""
    headers = {"authorization": "Bearer bad"} | ({} if origin is None else {"origin": origin})
    async with serving(world.app(allowed_origins=[GUEST], cookie="session")) as authority:
        response = await http.post(f"http://{authority}/graphql", json=HELLO, headers=headers)
    assert response.status_code == (401 if origin is None else 403)
    assert told(response) == {}
    assert response.headers["vary"] == "origin"


async def test_without_allowed_origins_nothing_is_said(world: World, http: httpx2.AsyncClient) -> None:
    """Nor does an answer depend on who asks."""
    async with serving(world.app()) as authority:
        response = await http.post(f"http://{authority}/graphql", json=HELLO)
    assert (response.status_code, told(response), response.headers.get("vary")) == (200, {}, None)


async def test_a_cookie_counts_only_where_one_is_configured(world: World, http: httpx2.AsyncClient) -> None:
    """Then the browser may send it along, and the page may read what comes of it; the origin is named, never `*`."""
    async with serving(world.app(allowed_origins=[GUEST], cookie="session")) as authority:
        url = f"http://{authority}/graphql"
        preflight = await http.options(url, headers=WISH)
        answer = await http.post(
            url, json={"query": "{ whoami }"}, headers={"origin": GUEST, "cookie": "session=alice"}
        )
    assert answer.json() == {"data": {"whoami": "alice"}}
    for response in (preflight, answer):
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["access-control-allow-origin"] == GUEST


async def test_the_origin_is_said_back_as_it_came(world: World, http: httpx2.AsyncClient) -> None:
    """A browser compares it letter by letter; every port of a name is as many origins."""
    for allowed, origin in (("http://CHAT.example/", GUEST), ("http://dev.example:*", "http://dev.example:5173")):
        async with serving(world.app(allowed_origins=[allowed])) as authority:
            response = await http.post(f"http://{authority}/graphql", json=HELLO, headers={"origin": origin})
        assert response.headers["access-control-allow-origin"] == origin


async def test_a_socket_has_no_use_for_it(world: World) -> None:
    """A browser asks nothing before a handshake; the door is what counts there."""
    async with serving(world.app(allowed_origins=[GUEST])) as authority:
        for origin, status in ((GUEST, 101), ("http://evil.example", 403)):
            async with dialled(authority) as raw:
                assert await raw.shake_hands(authority, subprotocol="graphql-ws", Origin=origin) == status


def in_ours(app: Any) -> Any:
    """Under the same middleware, for other routes beside it."""
    doorkeeper = Doorkeeper(("127.0.0.1",), (GUEST,))
    return Starlette(
        routes=app.routes(), lifespan=app.lifespan, middleware=[Middleware(CrossOrigin, doorkeeper=doorkeeper)]
    )


def in_starlettes(app: Any) -> Any:
    """Under Starlette's own."""
    return Starlette(
        routes=app.routes(), lifespan=app.lifespan, middleware=[Middleware(CORSMiddleware, allow_origins=[GUEST])]
    )


@pytest.mark.parametrize("build", [in_ours, in_starlettes])
async def test_it_may_be_said_twice(world: World, http: httpx2.AsyncClient, build: Callable[[Any], Any]) -> None:
    """By a parent as well: one answer carries it once, since a browser takes two for none."""
    async with serving(build(world.app(allowed_origins=[GUEST]))) as authority:
        response = await http.post(f"http://{authority}/graphql", json=HELLO, headers={"origin": GUEST})
        assert response.headers.get_list("access-control-allow-origin") == [GUEST]
        preflight = await http.options(f"http://{authority}/graphql", headers=WISH)
        assert preflight.headers.get_list("access-control-allow-origin") == [GUEST]


async def test_other_routes_keep_what_their_answers_depend_on(http: httpx2.AsyncClient) -> None:
    """The Origin is added to it, once."""
    doorkeeper = Doorkeeper(("127.0.0.1",), (GUEST,))
    for vary, expected in (("Accept-Encoding", "Accept-Encoding, origin"), ("Origin", "Origin"), ("*", "*")):

        async def answer(_scope: Any, _receive: Any, send: Any, *, vary: str = vary) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"vary", vary.encode())]})
            await send({"type": "http.response.body"})

        async with serving(CrossOrigin(answer, doorkeeper=doorkeeper), lifespan="off") as authority:
            response = await http.get(f"http://{authority}/")
        assert response.headers["vary"] == expected
