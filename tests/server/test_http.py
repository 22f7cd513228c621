"""GraphQL over HTTP, over a real uvicorn."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from gqlink.auth import Identity, Revocation
from gqlink.errors import LoginRequired
from gqlink.server import Limits, PolicyOperation
from server.eventually import eventually, turns
from server.nodes import Node, nodes
from server.raw import dialled
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.server import PolicyEvent, Transport
    from server.world import World


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client."""
    async with httpx2.AsyncClient() as client:
        yield client


async def test_post_is_for_everything_but_subscriptions(world: World, http: httpx2.AsyncClient) -> None:
    """Queries and mutations."""
    async with serving(world.app()) as authority:
        url = f"http://{authority}/graphql"
        query = 'query A($t: String) { echo(text: $t) } mutation B { add(text: "b") }'
        response = await http.post(url, json={"query": query, "variables": {"t": "hey"}, "operationName": "A"})
        assert (response.status_code, response.json()) == (200, {"data": {"echo": "hey None"}})
        response = await http.post(url, json={"query": query, "operationName": "B"})
        assert (response.status_code, response.json()) == (200, {"data": {"add": "b"}})
    assert world.happened == ["add b"]


async def test_get_is_for_queries(world: World, http: httpx2.AsyncClient) -> None:
    """Everything in the query string; a mutation needs a POST, and is not run."""
    async with serving(world.app()) as authority:
        url = f"http://{authority}/graphql"
        query = 'query A($t: String) { echo(text: $t) } mutation B { add(text: "b") }'
        parameters = {"query": query, "variables": '{"t": "hey"}', "operationName": "A"}
        assert (await http.get(url, params=parameters)).json() == {"data": {"echo": "hey None"}}
        response = await http.get(url, params=parameters | {"operationName": "B"})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert world.happened == []


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_an_answer_is_of_the_media_type_that_is_accepted(
    world: World, http: httpx2.AsyncClient, accept: str
) -> None:
    """With 200 where something was executed, errors or not; nobody may keep it."""
    async with serving(world.app()) as authority:
        response = await http.post(
            f"http://{authority}/graphql", json={"query": "{ hello fail }"}, headers={"accept": accept}
        )
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["data"] == {"hello": "world", "fail": None}


async def test_the_header_says_who_asks(world: World, http: httpx2.AsyncClient) -> None:
    """With or without `Bearer`; without one nobody in particular."""
    async with serving(world.app()) as authority:
        for header, subject in (("Bearer alice", "alice"), ("alice", "alice"), ("", None)):
            response = await http.post(
                f"http://{authority}/graphql", json={"query": "{ whoami }"}, headers={"authorization": header}
            )
            assert response.json() == {"data": {"whoami": subject}}


@pytest.mark.parametrize(
    ("token", "reason", "code"),
    [
        ("bad", "Token invalid", "UNAUTHENTICATED"),
        ("expired", "Token expired", "TOKEN_EXPIRED"),
        ("revoked", "Session revoked", "UNAUTHENTICATED"),
    ],
)
async def test_a_bad_credential_is_401(
    world: World, http: httpx2.AsyncClient, token: str, reason: str, code: str
) -> None:
    """With a challenge and a GraphQL error; nothing is executed, not even what needs no login."""
    async with serving(world.app()) as authority:
        response = await http.post(
            f"http://{authority}/graphql", json={"query": "{ hello }"}, headers={"authorization": f"Bearer {token}"}
        )
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.json() == {"errors": [{"message": reason, "extensions": {"code": code}}]}
    assert world.resolved == 0


@pytest.mark.parametrize(
    ("token", "retry_after"),
    [("unavailable", "7"), ("crash", "1"), ("confused", "1"), ("cancelled", "1"), ("slow", "1")],
)
async def test_who_cannot_be_asked_about_is_503(
    world: World, http: httpx2.AsyncClient, token: str, retry_after: str
) -> None:
    """An identity provider that is away, a hook that crashes or takes too long refuse nobody."""
    async with serving(world.app(limits=Limits(init_seconds=0.5))) as authority:
        response = await http.post(
            f"http://{authority}/graphql", json={"query": "{ hello }"}, headers={"authorization": token}
        )
    assert (response.status_code, response.headers["retry-after"]) == (503, retry_after)
    assert response.json()["errors"][0]["message"].startswith("Who you are cannot be found out")
    assert "secret" not in response.text


async def test_a_cookie_counts_with_an_origin(world: World, http: httpx2.AsyncClient) -> None:
    """Without one it is refused: any page could borrow it."""
    async with serving(world.app(cookie="session")) as authority:
        url, headers = f"http://{authority}/graphql", {"cookie": "session=alice"}
        assert (await http.post(url, json={"query": "{ whoami }"}, headers=headers)).status_code == 403
        headers["origin"] = f"http://{authority}"
        response = await http.post(url, json={"query": "{ whoami }"}, headers=headers)
        assert response.json() == {"data": {"whoami": "alice"}}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 400),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://chat.example"}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_door_is_the_same_as_for_sockets(
    world: World, http: httpx2.AsyncClient, headers: dict[str, str], status: int, method: str
) -> None:
    """Host first, then Origin, whatever the method."""
    async with serving(world.app(allowed_origins=["http://chat.example"])) as authority:
        options: dict[str, Any] = {"params" if method == "GET" else "json": {"query": "{ hello }"}}
        response = await http.request(method, f"http://{authority}/graphql", headers=headers, **options)
    assert response.status_code == status
    assert world.resolved == (status == 200)


async def test_the_context_knows_how_a_request_came(world: World, http: httpx2.AsyncClient) -> None:
    """Address and headers without secrets."""
    seen: list[Transport] = []

    def build(_: Identity, transport: Transport) -> object:
        seen.append(transport)
        return object()

    async with serving(world.app(context=build)) as authority:
        headers = {"authorization": "alice", "cookie": "a=b", "x-request-id": "7"}
        await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"}, headers=headers)
    [transport] = seen
    assert (transport.kind, transport.subprotocol, transport.socket) == ("http", None, None)
    assert (transport.client or "").startswith("127.0.0.1:")
    assert transport.headers["x-request-id"] == "7"
    assert not {"authorization", "cookie"} & set(transport.headers)


def request(authority: str, query: str) -> bytes:
    """Write a POST by hand."""
    body = b'{"query": "%s"}' % query.replace('"', '\\"').encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_a_client_that_leaves_ends_its_query(world: World, leave: str) -> None:
    """Nobody is left to answer."""
    app = world.app()
    async with serving(app) as authority, dialled(authority) as raw:
        raw.writer.write(request(authority, "{ slow }"))
        await eventually(lambda: world.happened == ["slow begins"])
        if leave == "close":
            raw.writer.close()
        else:
            raw.reset()
        await eventually(lambda: world.happened == ["slow begins", "slow cancelled"])
        await eventually(lambda: not app._host.queries)


async def test_a_client_that_leaves_does_not_end_its_mutation(world: World) -> None:
    """It finishes, and its answer is discarded."""
    app = world.app()
    async with serving(app) as authority, dialled(authority) as raw:
        raw.writer.write(request(authority, 'mutation { slowAdd(text: "a") }'))
        await eventually(lambda: world.happened == ["slowAdd begins"])
        raw.reset()
        await turns(50)
        world.gate.set()
        await eventually(lambda: "add a" in world.happened)
    assert world.happened == ["slowAdd begins", "slowAdd ends", "add a"]
    assert not app._host.mutations


async def test_a_server_that_cancels_a_request_does_not_end_its_mutation(world: World) -> None:
    """As some ASGI servers and middlewares do when the client leaves: it finishes all the same."""
    app = world.app()
    body = json.dumps({"query": 'mutation { slowAdd(text: "a") }'}).encode()
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers, "client": None}

    async def send(_: object) -> None:
        raise AssertionError

    asked = asyncio.ensure_future(app(scope, incoming.get, send))
    await eventually(lambda: world.happened == ["slowAdd begins"])
    asked.cancel()
    await asyncio.wait([asked])
    await turns(50)
    world.gate.set()
    await eventually(lambda: "add a" in world.happened)
    assert world.happened == ["slowAdd begins", "slowAdd ends", "add a"]
    await app.aclose()
    assert not app._host.mutations
    assert not app._host.queries


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("turn", range(1, 6))
async def test_a_query_that_is_ended_before_it_began_to_wait_leaves_nothing(
    world: World, turn: int, *, waits: bool
) -> None:
    """Neither its context nor its resolver: Python would complain of what nobody has awaited."""

    def build(_: Identity, __: Transport) -> object:
        return build_later() if waits else object()

    async def build_later() -> object:
        await turns(1)
        return object()

    app = world.app(context=build)
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": json.dumps({"query": "{ slow }"}).encode()})
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers, "client": None}
    sent: list[Any] = []

    async def send(message: object) -> None:
        sent.append(message)

    await app._host.revocations.ready()
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        asked = asyncio.ensure_future(app(scope, incoming.get, send))
        await turns(turn)
        await app.aclose()
        await asked
        gc.collect()
    assert [str(complaint.message) for complaint in complaints] == []
    assert sent[0]["status"] == 503
    assert not app._host.queries


@pytest.mark.parametrize("with_lifespan", ["on", "off"])
async def test_a_stop_of_the_server_waits_for_a_mutation(world: World, with_lifespan: str) -> None:
    """Also for one whose client has left, and where nobody runs the application's lifespan."""
    async with serving(world.app(), lifespan=with_lifespan) as authority, dialled(authority) as raw:
        raw.writer.write(request(authority, 'mutation { slowAdd(text: "a") }'))
        await eventually(lambda: world.happened == ["slowAdd begins"])
        raw.reset()
        asyncio.get_running_loop().call_later(0.2, world.gate.set)
    assert world.happened == ["slowAdd begins", "slowAdd ends", "add a"]


async def test_a_stop_of_the_application_ends_queries_with_503(world: World, http: httpx2.AsyncClient) -> None:
    """And refuses what comes later; mutations finish first."""
    app = world.app()
    async with serving(app) as authority:
        url = f"http://{authority}/graphql"
        query = asyncio.create_task(http.post(url, json={"query": "{ slow }"}))
        mutation = asyncio.create_task(http.post(url, json={"query": 'mutation { slowAdd(text: "a") }'}))
        await eventually(lambda: {"slow begins", "slowAdd begins"} <= set(world.happened))
        closing = asyncio.create_task(app.aclose())
        response = await query
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert not closing.done()
        world.gate.set()
        await closing
        assert (await mutation).json() == {"data": {"slowAdd": "a"}}
        assert (await http.post(url, json={"query": "{ hello }"})).status_code == 503


async def test_a_mistake_of_ours_is_500_with_an_id(
    world: World, http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the rest."""
    app = world.app()
    app._host.execution = None  # type: ignore[assignment]
    async with serving(app) as authority:
        response = await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})
    assert response.status_code == 500
    [error] = response.json()["errors"]
    assert error["message"] == "Internal server error"
    assert error["extensions"]["id"] in caplog.text


async def test_a_body_that_does_not_come_is_408(world: World) -> None:
    """The connection ends with it."""
    async with serving(world.app(limits=Limits(init_seconds=0.05))) as authority, dialled(authority) as raw:
        raw.writer.write(request(authority, "{ hello }")[:-5])
        answer = await raw.reader.read()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"LIMIT_EXCEEDED" in answer


async def test_a_query_string_is_bounded_like_a_body(world: World, http: httpx2.AsyncClient) -> None:
    """414 rather than 413."""
    async with serving(world.app(limits=Limits(message_bytes=100))) as authority:
        for padding, status in ((0, 200), (100, 414)):
            response = await http.get(f"http://{authority}/graphql", params={"query": "{ hello }" + " " * padding})
            assert response.status_code == status
    assert response.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_so_many_requests_are_answered_at_a_time(world: World, http: httpx2.AsyncClient) -> None:
    """One more is told when to come again, with the limit's details; once there is room it is answered."""
    app = world.app(limits=Limits(requests=1))
    async with serving(app) as authority:
        first = asyncio.create_task(http.post(f"http://{authority}/graphql", json={"query": "{ slow }"}))
        await eventually(lambda: app.statistics().operations == 1)
        refused = await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        details = {"code": "LIMIT_EXCEEDED", "limit": "requests", "allowed": 1, "actual": 2}
        assert refused.json()["errors"][0]["extensions"] == details
        world.gate.set()
        assert (await first).status_code == 200
        assert (await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})).status_code == 200
    assert app.statistics().refusals == {"requests": 1}
    assert app._host.admission.requests == 0


async def test_a_client_that_leaves_with_half_a_body_leaves_nothing(world: World) -> None:
    """Nothing was asked."""
    app = world.app()
    async with serving(app) as authority:
        async with dialled(authority) as raw:
            raw.writer.write(request(authority, "{ hello }")[:-5])
            await turns(50)
            raw.reset()
        await turns(50)
    assert world.resolved == 0


async def test_requests_share_a_connection(world: World) -> None:
    """One after the other, also after a mistake."""
    async with serving(world.app()) as authority, dialled(authority) as raw:
        for query, status in (("{ hello }", b"200"), ("{ hello ", b"200"), ("subscription { count(to: 1) }", b"400")):
            raw.writer.write(request(authority, query))
            head = await raw.reader.readuntil(b"\r\n\r\n")
            assert head.split()[1] == status
            [length] = [line.split(b":")[1] for line in head.splitlines() if line.startswith(b"content-length")]
            await raw.reader.readexactly(int(length))


# Whom a request speaks for


@pytest.fixture
async def node(world: World) -> AsyncIterator[Node]:
    """An application whose tokens say what its identities are like."""
    async with nodes(world, 1) as [node]:
        yield node


async def ask(http: httpx2.AsyncClient, authority: str, token: str, query: str = "{ hello }") -> httpx2.Response:
    """Ask with a token."""
    headers = {"authorization": f"Bearer {token}"}
    return await http.post(f"http://{authority}/graphql", json={"query": query}, headers=headers)


def is_refused(response: httpx2.Response, reason: str, *, code: str = "UNAUTHENTICATED") -> bool:
    """Tell whether an answer is a 401 with everything that belongs to it, and nothing else."""
    return (
        response.status_code == 401
        and response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        and response.json() == {"errors": [{"message": reason, "extensions": {"code": code}}]}
    )


@pytest.mark.parametrize("named", [{"subject": "alice"}, {"session": "s1"}, {"token_id": "t1"}])
async def test_who_was_revoked_is_401(
    world: World, http: httpx2.AsyncClient, node: Node, named: dict[str, str]
) -> None:
    """With every request from the order on, whatever it asks for; nothing is executed."""
    async with serving(node.app) as authority:
        assert (await ask(http, authority, "alice/s1/t1")).status_code == 200
        await node.app.revoke(**named)
        for query in ("{ hello }", 'mutation { add(text: "a") }', "{ nonsense", "subscription { messages }"):
            assert is_refused(await ask(http, authority, "alice/s1/t1", query), "Session revoked")
        assert (await ask(http, authority, "bob/s2/t2")).status_code == 200
    assert world.resolved == 2
    assert world.happened == []


async def test_who_was_verified_before_and_asks_after_is_401(
    world: World, http: httpx2.AsyncClient, node: Node
) -> None:
    """The hook has read the token already when the order comes."""
    async with serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice/slow"))
        await eventually(lambda: world.authenticating == 1)
        await node.app.revoke(subject="alice")
        world.gate.set()
        assert is_refused(await asking, "Session revoked")
    assert world.resolved == 0


@pytest.mark.parametrize("lives", ["0", "-1", "-1e300"])
async def test_who_has_expired_is_401_whether_the_hook_has_looked_or_not(
    world: World, http: httpx2.AsyncClient, node: Node, lives: str
) -> None:
    """At the moment itself as well."""
    async with serving(node.app) as authority:
        response = await ask(http, authority, f"alice////{lives}")
    assert is_refused(response, "Token expired", code="TOKEN_EXPIRED")
    assert world.resolved == 0


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), float("-inf"), True, "4000000000", 10**400])
async def test_an_end_that_is_no_moment_is_the_hooks_mistake(
    world: World, http: httpx2.AsyncClient, moment: Any
) -> None:
    """The credential is not refused, and nobody is let in for ever."""

    async def authenticate(_: object) -> Identity:
        return Identity("alice", expires_at=moment)

    async with serving(world.app(authenticate=authenticate)) as authority:
        response = await ask(http, authority, "alice")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert world.resolved == 0


@pytest.mark.parametrize("ends", ["revoked", "expired"])
async def test_a_query_during_which_the_credential_ends_is_401(
    world: World, http: httpx2.AsyncClient, node: Node, ends: str
) -> None:
    """Its answer would reach somebody who may not have it any more."""
    async with serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice////60", "{ slow }"))
        await eventually(lambda: world.happened == ["slow begins"])
        await end(node, ends)
        world.gate.set()
        assert is_refused(await asking, **_REFUSALS[ends])


@pytest.mark.parametrize("ends", ["revoked", "expired"])
async def test_a_mutation_that_ran_is_answered_with_its_outcome(
    world: World, http: httpx2.AsyncClient, node: Node, ends: str
) -> None:
    """It has taken effect; a client that was told 401 would take it for not done."""
    async with serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice////60", 'mutation { slowAdd(text: "a") }'))
        await eventually(lambda: world.happened == ["slowAdd begins"])
        await end(node, ends)
        world.gate.set()
        response = await asking
        assert (response.status_code, response.json()) == (200, {"data": {"slowAdd": "a"}})
        assert (await ask(http, authority, "alice////60" if ends == "revoked" else "alice////0")).status_code == 401


@pytest.mark.parametrize("ends", ["revoked", "expired"])
@pytest.mark.parametrize("query", ["{ hello }", 'mutation { add(text: "a") }'])
async def test_who_loses_their_standing_while_the_context_is_built_has_nothing_executed(
    world: World, http: httpx2.AsyncClient, query: str, ends: str
) -> None:
    """A context may take its time; the last look is in the step in which execution begins."""

    async def build(_: Identity, __: Transport) -> object:
        world.happened.append("building")
        await world.gate.wait()
        return object()

    async with nodes(world, 1, context=build) as [node], serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice////60", query))
        await eventually(lambda: world.happened == ["building"])
        await end(node, ends)
        world.gate.set()
        assert is_refused(await asking, **_REFUSALS[ends])
    assert (world.resolved, world.happened) == (0, ["building"])


@pytest.mark.parametrize("waits", [False, True])
async def test_whichever_turn_of_the_loop_an_order_comes_in_nothing_is_executed_after_it(
    world: World, http: httpx2.AsyncClient, *, waits: bool
) -> None:
    """From the arrival of a request to its answer, one turn later each time; whether its context waits or not."""
    revoked: set[str | None] = set()
    late: list[str | None] = []

    def build(identity: Identity, _: Transport) -> object:
        if identity.session in revoked:
            late.append(identity.session)
        return build_later() if waits else object()

    async def build_later() -> object:
        await turns(2)
        return object()

    async with nodes(world, 1, context=build) as [node], serving(node.app) as authority:
        statuses, node.tells = [], True
        for count in range(60):
            asking = asyncio.create_task(ask(http, authority, f"alice/s{count}"))
            await eventually(lambda count=count: world.happened == [f"read s{count}"])  # type: ignore[misc]
            world.happened.clear()
            await turns(count // 4)
            node.app.apply_revocation(Revocation(session=f"s{count}", revoked_at=0))
            revoked.add(f"s{count}")
            statuses.append((await asking).status_code)
    assert late == []
    assert set(statuses) == {200, 401}


async def test_who_was_revoked_on_another_node_is_401(world: World, http: httpx2.AsyncClient) -> None:
    """Through the broker: from the turn in which the order arrives, also in the middle of a query."""
    async with nodes(world, 2) as [here, there], serving(there.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice/s1", "{ slow }"))
        await eventually(lambda: world.happened == ["slow begins"])
        await here.app.revoke(session="s1")
        await eventually(lambda: there.app._host.revocations.denies(Identity("alice", session="s1")))
        world.gate.set()
        assert is_refused(await asking, "Session revoked")
        assert is_refused(await ask(http, authority, "alice/s1"), "Session revoked")
        assert (await ask(http, authority, "alice/s2")).status_code == 200


@pytest.mark.parametrize(("seconds", "over"), [(59.5, False), (60, True), (1e9, True), (-1e9, False)])
async def test_a_wall_clock_that_is_set_while_a_query_runs_counts_when_it_is_put_forward(
    world: World, http: httpx2.AsyncClient, node: Node, seconds: float, *, over: bool
) -> None:
    """As on a socket: put back, it prolongs nothing, and ends nothing either."""
    async with serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice////60", "{ slow }"))
        await eventually(lambda: world.happened == ["slow begins"])
        node.clock.set_wall(node.clock.wall() + seconds)
        world.gate.set()
        response = await asking
        assert is_refused(response, **_REFUSALS["expired"]) is over
        assert (response.status_code == 200) is not over


async def test_a_wall_clock_that_is_put_back_while_a_query_runs_prolongs_nothing(
    world: World, http: httpx2.AsyncClient, node: Node
) -> None:
    """The monotonic clock has counted since the request was let in."""
    async with serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice////60", "{ slow }"))
        await eventually(lambda: world.happened == ["slow begins"])
        node.clock.set_wall(node.clock.wall() - 1e6)
        node.clock.advance(60)
        world.gate.set()
        assert is_refused(await asking, **_REFUSALS["expired"])


@pytest.mark.parametrize(("lives", "status"), [("0.001", 200), ("-0.001", 401), ("1e300", 200), ("1e-320", 401)])
async def test_an_end_may_be_any_finite_number(
    world: World, http: httpx2.AsyncClient, node: Node, lives: str, status: int
) -> None:
    """A fraction of a second from now, or further than any calendar."""
    async with serving(node.app) as authority:
        assert (await ask(http, authority, f"alice////{lives}")).status_code == status
    assert world.resolved == (status == 200)


async def end(node: Node, how: str) -> None:
    """Let alice's credential end."""
    if how == "revoked":
        await node.app.revoke(subject="alice")
    else:
        node.clock.advance(60)


_REFUSALS: dict[str, dict[str, str]] = {
    "revoked": {"reason": "Session revoked"},
    "expired": {"reason": "Token expired", "code": "TOKEN_EXPIRED"},
}


# What the policy says


async def test_what_the_policy_refuses_is_a_graphql_answer(world: World, http: httpx2.AsyncClient) -> None:
    """With 200 and the code of the refusal; nothing is executed, and no context built."""
    seen: list[tuple[str | None, str, tuple[str, ...]]] = []

    def policy(identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        assert isinstance(what, PolicyOperation)
        seen.append((identity.subject, what.kind, what.fields))
        if identity.is_anonymous:
            raise LoginRequired
        return what.kind == "query"

    def build(_: Identity, __: Transport) -> object:
        world.happened.append("built")
        return object()

    async with nodes(world, 1, policy=policy, context=build) as [node], serving(node.app) as authority:
        response = await ask(http, authority, "alice", 'mutation { add(text: "a") }')
        assert response.status_code == 200
        assert response.json()["data"] is None
        assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["FORBIDDEN"]
        response = await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})
        assert (response.status_code, response.json()["data"]) == (200, None)
        assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAUTHENTICATED"]
        assert (world.resolved, world.happened) == (0, [])
        assert (await ask(http, authority, "alice")).json() == {"data": {"hello": "world"}}
    # A query is asked about twice: before it is executed, and before it is answered.
    query = ("query", ("hello",))
    assert seen == [("alice", "mutation", ("add",)), *2 * [(None, *query)], *2 * [("alice", *query)]]


@pytest.mark.parametrize("query", ["{ hello }", 'mutation { add(text: "a") }'])
async def test_a_right_that_is_lost_while_the_context_is_built_counts(
    world: World, http: httpx2.AsyncClient, query: str
) -> None:
    """A context may take its time; the policy is asked again in the step in which execution begins."""
    rights = {"hello", "add"}

    async def build(_: Identity, __: Transport) -> object:
        world.happened.append("building")
        await world.gate.wait()
        return object()

    def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        assert isinstance(what, PolicyOperation)
        return set(what.fields) <= rights

    async with nodes(world, 1, policy=policy, context=build) as [node], serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice", query))
        await eventually(lambda: world.happened == ["building"])
        rights.clear()
        await node.app.recheck(subject="alice")
        world.gate.set()
        response = await asking
    assert (response.status_code, response.json()["data"]) == (200, None)
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["FORBIDDEN"]
    assert (world.resolved, world.happened) == (0, ["building"])


@pytest.mark.parametrize(("query", "allowed"), [("{ slow }", False), ('mutation { slowAdd(text: "a") }', True)])
async def test_a_right_that_is_lost_while_it_runs_counts_for_a_query(
    world: World, http: httpx2.AsyncClient, query: str, *, allowed: bool
) -> None:
    """Nothing of its answer is told; a mutation has taken effect, and its client must know."""
    rights = {"slow", "slowAdd"}

    def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        assert isinstance(what, PolicyOperation)
        return set(what.fields) <= rights

    async with nodes(world, 1, policy=policy) as [node], serving(node.app) as authority:
        asking = asyncio.create_task(ask(http, authority, "alice", query))
        await eventually(lambda: len(world.happened) == 1)
        rights.clear()
        await node.app.recheck(subject="alice")
        world.gate.set()
        answer = (await asking).json()
    if allowed:
        assert answer == {"data": {"slowAdd": "a"}}
    else:
        assert answer["data"] is None
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("then", [True, False])
async def test_a_hook_during_which_the_credential_ends_lets_nobody_through(
    world: World, http: httpx2.AsyncClient, at: int, *, then: bool
) -> None:
    """Before the execution and before the answer: 401, whatever it says then."""
    node: Node
    count = 0

    def policy(*_: object) -> bool:
        nonlocal count
        count += 1
        if count == at:
            node.clock.advance(60)
        return then if count == at else True

    async with nodes(world, 1, policy=policy) as [node], serving(node.app) as authority:
        assert is_refused(await ask(http, authority, "alice////60"), **_REFUSALS["expired"])
    assert world.resolved == at - 1


async def test_a_policy_that_crashes_refuses(world: World, http: httpx2.AsyncClient) -> None:
    """Its words are for the log."""

    def policy(*_: object) -> bool:
        raise RuntimeError("secret text")

    async with nodes(world, 1, policy=policy) as [node], serving(node.app) as authority:
        response = await ask(http, authority, "alice")
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["FORBIDDEN"]
    assert "secret" not in response.text
    assert world.resolved == 0
