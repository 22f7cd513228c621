"""A page of another port, which is another origin of the same site: the browser sends it the cookie, and asks first."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from server.world import World
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What a page tries, and what it can read of the answers.
TRY: Final = """async (server) => {
    const url = `http://${server}/graphql`;
    const query = JSON.stringify({ query: "{ whoami }" });
    const json = { "content-type": "application/json" };
    const read = async (address, options) => {
        try {
            const answer = await fetch(address, options);
            const text = await answer.text();
            return `${answer.status} ${answer.headers.get("www-authenticate")} ${text}`.slice(0, 80);
        } catch {
            return "unreadable";
        }
    };
    const load = (address) => new Promise((resolve) => {
        const script = document.createElement("script");
        script.onload = () => resolve("loaded");
        script.onerror = () => resolve("refused");
        script.src = address;
        document.head.append(script);
    });
    const open = () => new Promise((resolve) => {
        const socket = new WebSocket(`ws://${server}/graphql`, "graphql-transport-ws");
        socket.onopen = () => socket.send('{"type":"connection_init"}');
        socket.onmessage = (event) => {
            resolve(JSON.parse(event.data).payload.gqlink.subject);
            socket.close();
        };
        socket.onerror = () => resolve("refused");
    });
    const get = `${url}?query=${encodeURIComponent("{ whoami }")}`;
    return {
        header: await read(url, { method: "POST", headers: { ...json, authorization: "Bearer bob" }, body: query }),
        cookie: await read(url, { method: "POST", headers: json, body: query, credentials: "include" }),
        get: await read(get, { credentials: "include" }),
        bad: await read(url, { method: "POST", headers: { ...json, authorization: "Bearer bad" }, body: query }),
        form: await read(url, { method: "POST", body: query, credentials: "include", mode: "no-cors" }),
        script: await load(get),
        socket: await open(),
    };
}"""


async def show(_: object) -> HTMLResponse:
    """Show a page that only a test fills."""
    return HTMLResponse("<!doctype html><title>A page</title><link rel=icon href=data:,>")


PAGE: Final = Route("/", show)


@asynccontextmanager
async def a_page() -> AsyncIterator[str]:
    """Serve an empty page; yield its origin."""
    async with serving(Starlette(routes=[PAGE])) as authority:
        yield "http://localhost:" + authority.rpartition(":")[2]


async def tried(browser: Browser, origin: str, *, server: str) -> dict[str, Any]:
    """Let a page of this origin try everything, in the browser of somebody who has a cookie of the server."""
    context = await browser.new_context()
    try:
        await context.add_cookies([{"name": "session", "value": "alice", "url": f"http://{server}"}])
        page = await context.new_page()
        await page.goto(origin)
        found: dict[str, Any] = await page.evaluate(TRY, server)
        return found
    finally:
        await context.close()


async def test_a_guest_may_do_what_our_own_page_may(browser: Browser) -> None:
    """With a header, with the cookie, by a socket; and it reads why it was refused. It cannot load us as a script."""
    world = World()
    async with a_page() as guest, serving(world.app(cookie="session", allowed_origins=[guest])) as authority:
        found = await tried(browser, guest, server="localhost:" + authority.rpartition(":")[2])
    assert found == {
        "header": '200 null {"data":{"whoami":"bob"}}',
        "cookie": '200 null {"data":{"whoami":"alice"}}',
        "get": '200 null {"data":{"whoami":"alice"}}',
        "bad": found["bad"],
        "form": "0 null ",
        "script": "refused",
        "socket": "alice",
    }
    assert found["bad"].startswith('401 Bearer error="invalid_token" {"errors":')
    assert world.resolved == 3


async def test_a_stranger_may_do_nothing(browser: Browser) -> None:
    """Although the browser sends the cookie with all that it does not ask about first: nothing is even looked at."""
    world = World()
    async with (
        a_page() as stranger,
        serving(world.app(cookie="session", allowed_origins=["http://a.test"])) as authority,
    ):
        found = await tried(browser, stranger, server="localhost:" + authority.rpartition(":")[2])
    assert found == {
        "header": "unreadable",
        "cookie": "unreadable",
        "get": "unreadable",
        "bad": "unreadable",
        "form": "0 null ",
        "script": "refused",
        "socket": "refused",
    }
    assert (world.resolved, world.authenticated) == (0, 0)


async def test_our_own_page_needs_no_permission(browser: Browser) -> None:
    """Neither for its cookie, nor for a GET, with which its browser gives no Origin."""
    world = World()
    graphql = world.app(cookie="session")
    app = Starlette(routes=[PAGE, *graphql.routes()], lifespan=graphql.lifespan)
    async with serving(app) as authority:
        server = "localhost:" + authority.rpartition(":")[2]
        found = await tried(browser, f"http://{server}", server=server)
    assert found["cookie"] == found["get"] == '200 null {"data":{"whoami":"alice"}}'
    assert found["header"] == '200 null {"data":{"whoami":"bob"}}'
    assert (found["form"][:3], found["socket"]) == ("415", "alice")
