"""The application in its parents: alone, in Starlette, in FastAPI."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi import FastAPI
from graphql import GraphQLSchema
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from gqlink.errors import ConnectionClosed
from gqlink.pubsub import MemoryBroker
from gqlink.server import GraphQLApp, Limits
from server.eventually import eventually
from server.peer import BOTH, member
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from server.world import World

pytestmark = pytest.mark.usefixtures("road")


async def pass_on(request: Any, call_next: Any) -> Any:
    """Do nothing, as so many middlewares."""
    return await call_next(request)


def in_starlette_routes(app: GraphQLApp) -> Any:
    """The way to take."""
    return Starlette(routes=app.routes("/graphql"), lifespan=app.lifespan)


def in_starlette_mount(app: GraphQLApp) -> Any:
    """A mount has a slash at its end."""
    return Starlette(routes=[Mount("/graphql", app)], lifespan=app.lifespan)


def in_starlette_with_middleware(app: GraphQLApp) -> Any:
    """Under the middlewares that wrap what an application sees."""
    middleware = [Middleware(CORSMiddleware, allow_origins=["*"]), Middleware(BaseHTTPMiddleware, dispatch=pass_on)]
    return Starlette(routes=app.routes("/graphql"), lifespan=app.lifespan, middleware=middleware)


def in_fastapi_routes(app: GraphQLApp) -> Any:
    """The same routes."""
    return FastAPI(routes=app.routes("/graphql"), lifespan=app.lifespan)


def in_fastapi_mount(app: GraphQLApp) -> Any:
    """The same mount."""
    parent = FastAPI(lifespan=app.lifespan)
    parent.mount("/graphql", app)
    return parent


def without_lifespan(app: GraphQLApp) -> Any:
    """A parent that forgot it."""
    return FastAPI(routes=app.routes("/graphql"))


def alone(app: GraphQLApp) -> Any:
    """No parent at all: it answers at every path."""
    return app


@pytest.mark.parametrize(
    ("build", "path"),
    [
        (alone, "/graphql"),
        (in_starlette_routes, "/graphql"),
        (in_starlette_mount, "/graphql/"),
        (in_starlette_with_middleware, "/graphql"),
        (in_fastapi_routes, "/graphql"),
        (in_fastapi_mount, "/graphql/"),
        (without_lifespan, "/graphql"),
    ],
)
async def test_it_serves_http_and_both_subprotocols(
    world: World, build: Callable[[GraphQLApp], Any], path: str
) -> None:
    """In whatever it was put into; and when that stops, everything has ended."""
    app = world.app()
    async with serving(build(app)) as authority, httpx2.AsyncClient() as http:
        response = await http.post(f"http://{authority}{path}", json={"query": "{ whoami }"})
        assert response.json() == {"data": {"whoami": None}}
        for dialect in BOTH:
            async with member(authority, dialect, "alice", path=path) as client:
                assert await client.is_well()
                await client.start("subscription { whoAmI }")
                await eventually(lambda: world.broker.statistics().subscriptions == 1)
                response = await http.post(f"http://{authority}{path}", json={"query": 'mutation { add(text: "a") }'})
                assert response.json() == {"data": {"add": "a"}}
                assert (await client.receive())["payload"] == {"data": {"whoAmI": "a alice"}}
            await eventually(lambda: world.broker.statistics().subscriptions == 0)
        async with member(authority, BOTH[0], path=path) as client:
            await client.start("subscription { forever }")
            await client.receive()
    await eventually(lambda: not app._host.listeners)
    assert world.open_generators == 0


async def test_a_mount_sends_http_to_the_path_with_a_slash(world: World) -> None:
    """That is why there are routes."""
    async with serving(in_starlette_mount(world.app())) as authority, httpx2.AsyncClient() as http:
        response = await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})
    assert (response.status_code, response.headers["location"]) == (307, f"http://{authority}/graphql/")


async def test_a_parents_lifespan_may_do_more(world: World) -> None:
    """The application's is one part of it; it ends when the parent says."""
    app = world.app()
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(parent: Starlette) -> AsyncIterator[None]:
        async with app.lifespan(parent):
            happened.append("up")
            yield
        happened.append("down")

    async with serving(Starlette(routes=app.routes(), lifespan=lifespan)):
        assert happened == ["up"]
    assert happened == ["up", "down"]
    assert app._host.closing


async def test_the_path_of_the_routes_is_a_choice(world: World) -> None:
    """One for each kind of connection."""
    http, websocket = world.app().routes("/api")
    assert (http.path, websocket.path) == ("/api", "/api")  # type: ignore[attr-defined]


async def test_the_limits_in_force_can_be_read(world: World) -> None:
    """The defaults, or what was given."""
    limits = Limits(documents=5)
    assert world.app().limits == Limits()
    assert world.app(limits=limits).limits is limits


async def test_a_schema_must_be_valid(world: World) -> None:
    """A mistake in it is found at the start, not at the first request."""
    with pytest.raises(TypeError, match="Query root type must be provided"):
        GraphQLApp(GraphQLSchema(), authenticate=world.authenticate)


async def test_a_broker_of_its_own_ends_with_it(world: World) -> None:
    """One that was given belongs to whoever gave it."""
    own, given = world.app(broker=None), world.app()
    assert isinstance(own.broker, MemoryBroker)
    assert own.broker is not world.broker
    assert given.broker is world.broker
    assert (own.topic("a").broker, own.topic("a").name) == (own.broker, "a")
    await own.aclose()
    await given.aclose()
    with pytest.raises(ConnectionClosed):
        await own.topic("a").publish("x")
    await given.topic("a").publish("x")


async def test_closing_twice_is_harmless(world: World) -> None:
    """A parent may do both: run the lifespan and close."""
    app = world.app(broker=None)
    async with app.lifespan():
        await app.aclose()
    await app.aclose()


async def test_what_does_not_end_is_abandoned_in_time(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A stop takes `execution_seconds` at most, and the log says what was not waited for."""
    app = world.app(limits=Limits(execution_seconds=0.05))
    gate = asyncio.Event()

    async def stubborn() -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                world.happened.append("ignored")

    app._host.queries.spawn(stubborn(), name="a query that takes no notice")
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await app.aclose()
    assert "abandoned" in caplog.text
    assert world.happened == ["ignored"]
    gate.set()
    await eventually(lambda: not app._host.queries)


async def test_an_unknown_kind_of_connection_is_left_alone(world: World) -> None:
    """ASGI may get new ones."""

    async def fail(*_: object) -> Any:
        raise AssertionError

    await world.app()({"type": "carrier pigeon"}, fail, fail)
