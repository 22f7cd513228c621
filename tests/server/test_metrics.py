"""What Prometheus is told: counts by a bounded set of words, for this machine or for a token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2
import pytest
from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gqlink.auth import Token
from gqlink.errors import AuthUnavailable, InvalidToken, LimitExceeded, MalformedCredentials
from gqlink.protocol import CLOSINGS, CloseCode, Dialect, Kind, Side
from gqlink.server import Limits, PolicyEvent
from gqlink.server.statistics import BUCKETS, Durations, Meter, known_reason
from server.eventually import eventually
from server.living import living, ping, renewed
from server.peer import NEWER, member, peer
from server.raw import dialled
from server.recorder import Scene
from server.streaming import Listening
from serving import serving

if TYPE_CHECKING:
    from gqlink.server import GraphQLApp
    from server.world import World

TOKEN = "a-metrics-token-of-the-operator"
TWO = [("authorization", "Bearer one"), ("authorization", "Bearer another")]


class Scrape:
    """One reading of the metrics.

    Args:
        text: In Prometheus' text format.
    """

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return a number of ours; 0 where there is none."""
        return self.samples.get((f"gqlink_{name}", frozenset(labels.items())), 0.0)

    def labels(self, name: str) -> set[str]:
        """Return every value of every label of a metric."""
        return {value for key, labels in self.samples if key == f"gqlink_{name}" for _, value in labels}


async def scrape(app: GraphQLApp) -> Scrape:
    """Read the metrics as a peer on this machine."""
    return Scrape((await ask(app)).text)


async def ask(
    app: GraphQLApp,
    *,
    client: tuple[str, int] | None = ("127.0.0.1", 5),
    token: Token | str | None = None,
    host: str = "localhost",
    method: str = "GET",
    headers: list[tuple[str, str]] | None = None,
) -> httpx2.Response:
    """Ask for the metrics as some peer."""
    routes = Starlette(routes=[app.metrics_route(token=token)])
    transport = httpx2.ASGITransport(routes, client=client)  # type: ignore[arg-type] # None is what ASGI has for a socket file
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}") as asking:
        return await asking.request(method, "/metrics", headers=headers)


# What is counted


@pytest.mark.usefixtures("road")
async def test_sockets_are_told_apart_by_state_and_identity(world: World, dialect: Dialect) -> None:
    """Who has not been let in speaks for nobody."""
    app = world.app()
    async with (
        serving(app) as authority,
        peer(authority, dialect),
        member(authority, dialect),
        member(authority, dialect, "alice"),
        member(authority, dialect, "bob") as bob,
    ):
        found = await scrape(app)
        assert found.value("sockets", state="unacknowledged", identity="anonymous") == 1
        assert found.value("sockets", state="acknowledged", identity="anonymous") == 1
        assert found.value("sockets", state="acknowledged", identity="identified") == 2
        assert found.value("sockets_opened_total") == 4
        await bob.socket.close()
        await eventually(lambda: app.statistics().sockets == 3)
        assert (await scrape(app)).value("sockets", state="acknowledged", identity="identified") == 1


async def test_event_streams_are_no_sockets(world: World) -> None:
    """They are counted by themselves, until everything that they began has ended."""
    app = world.app()
    async with Listening(app, "subscription { messages }", token="alice") as listening:
        await listening.begun()
        found = await scrape(app)
        assert (found.value("event_streams"), found.value("sockets_opened_total")) == (1, 0)
        assert found.value("sockets", state="acknowledged", identity="identified") == 0
        assert found.value("operations_running", kind="subscription", transport="event_stream") == 1
    assert (await scrape(app)).value("event_streams") == 0
    await app.aclose()


@pytest.mark.usefixtures("road")
@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        (None, "anonymous"),
        ("alice", "accepted"),
        ("bad", "token_invalid"),
        ("expired", "token_expired"),
        ("revoked", "session_revoked"),
        ("unavailable", "unavailable"),
        ("crash", "unavailable"),
        ("confused", "unavailable"),
        ("slow", "timeout"),
    ],
)
async def test_authentications_are_told_apart_by_outcome_and_road(
    world: World, dialect: Dialect, token: str | None, outcome: str
) -> None:
    """Whatever the road."""
    app = world.app(limits=Limits(init_seconds=0.3 if token == "slow" else 30))
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with serving(app) as authority, peer(authority, dialect) as client:
        await client.say(Kind.CONNECTION_INIT, payload={"accessToken": token})
        async with httpx2.AsyncClient() as http:
            await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"}, headers=headers)
        await eventually(lambda: sum(app._host.meter.authentications.values()) == 2)
        found = await scrape(app)
    assert found.value("authentications_total", road="http", outcome=outcome) == 1
    assert found.value("authentications_total", road="socket", outcome=outcome) == 1


async def test_a_credential_that_cannot_be_read_is_an_authentication(world: World, dialect: Dialect) -> None:
    """In a header, before there is anybody to ask."""
    app = world.app()
    async with serving(app) as authority:
        async with httpx2.AsyncClient() as http:
            await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"}, headers=TWO)
        async with peer(authority, dialect, additional_headers=TWO) as client:
            await client.closed()
        found = await scrape(app)
    assert found.value("authentications_total", road="http", outcome="token_invalid") == 1
    assert found.value("authentications_total", road="socket", outcome="token_invalid") == 1


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        ("alice:90", "accepted"),
        ("bad", "token_invalid"),
        ("expired", "token_expired"),
        ("unavailable", "unavailable"),
        ("mallory:90", "subject_changed"),
    ],
)
async def test_renewals_are_a_road_of_their_own(world: World, token: str, outcome: str) -> None:
    """A subject that changes is a refusal there only."""
    scene = await living(world, NEWER).admitted("alice:60")
    await renewed(scene, token)
    found = await scrape(scene.app)
    assert found.value("authentications_total", road="renewal", outcome=outcome) == 1
    assert found.value("authentications_total", road="socket", outcome="accepted") == 1


async def test_a_renewal_that_takes_too_long_is_a_timeout(world: World) -> None:
    """It is counted once."""
    scene = await Scene(world, NEWER, limits=Limits(init_seconds=3)).admitted()
    ping(scene, "slow")
    await scene.settle()
    scene.clock.advance(3)
    await scene.settle()
    found = await scrape(scene.app)
    assert found.value("authentications_total", road="renewal", outcome="timeout") == 1
    world.gate.set()


async def test_closes_are_told_apart_by_code_reason_and_side(world: World, dialect: Dialect) -> None:
    """What a client makes up is "other"."""
    app = world.app()
    async with serving(app) as authority:
        for code, reason in ((4490, "so I say"), (4777, "Token expired"), (3999, ""), (1000, "")):
            async with member(authority, dialect) as client:
                await client.socket.close(code, reason)
        async with peer(authority, dialect) as client:
            await client.say(Kind.CONNECTION_INIT, payload={"accessToken": "expired"})
            await client.closed()
        await eventually(lambda: sum(app._host.meter.closings.values()) == 5)
        found = await scrape(app)
    assert found.value("closes_total", code="4490", reason="other", by="client") == 1
    assert found.value("closes_total", code="other", reason="other", by="client") == 1
    assert found.value("closes_total", code="other", reason="", by="client") == 1
    assert found.value("closes_total", code="4403", reason="Token expired", by="server") == 1


@pytest.mark.usefixtures("road")
async def test_operations_are_told_apart_by_kind_transport_and_outcome(world: World, dialect: Dialect) -> None:
    """How long queries and mutations took is a histogram."""
    app = world.app()
    async with serving(app) as authority, member(authority, dialect, "alice") as client:
        async with httpx2.AsyncClient(base_url=f"http://{authority}") as http:
            for query in ("{ hello }", "{ fail }", "{ nope }", "{", 'mutation { add(text: "x") }'):
                await http.post("/graphql", json={"query": query})
        for query in (
            "{ hello }",
            "{ fail }",
            "{ nope }",
            'mutation { add(text: "x") }',
            "subscription { count(to: 3) }",
        ):
            await client.ask(query)
        await client.start("subscription { forever }", id="f")
        await client.receive()
        during = await scrape(app)
        await client.stop("f")
        await eventually(lambda: app.statistics().operations == 0)
        found = await scrape(app)
    assert during.value("operations_running", kind="subscription", transport="websocket") == 1
    assert found.value("operations_running", kind="subscription", transport="websocket") == 0
    for transport in ("http", "websocket"):
        assert found.value("operations_total", kind="query", transport=transport, outcome="ok") == 1
        assert found.value("operations_total", kind="query", transport=transport, outcome="error") == 1
        assert found.value("operations_total", kind="mutation", transport=transport, outcome="ok") == 1
        assert found.value("execution_seconds_count", kind="query", transport=transport) == 2
        assert found.value("execution_seconds_bucket", kind="query", transport=transport, le="+Inf") == 2
    assert found.value("operations_total", kind="unknown", transport="http", outcome="rejected") == 2
    assert found.value("operations_total", kind="unknown", transport="websocket", outcome="rejected") == 1
    assert found.value("operations_total", kind="subscription", transport="websocket", outcome="ok") == 1
    assert found.value("operations_total", kind="subscription", transport="websocket", outcome="cancelled") == 1
    assert found.value("events_sent_total") == 4
    assert found.value("masked_errors_total") == 2
    assert found.value("documents_cached") >= 4
    assert found.value("send_buffer_highwater_bytes") > 0


async def test_an_event_that_is_refused_was_not_sent(world: World) -> None:
    """The policy ends the subscription, and that is an error."""
    scene = await Scene(world, NEWER, policy=lambda _, what: not isinstance(what, PolicyEvent)).admitted()
    scene.start("subscription { count(to: 3) }")
    await scene.until_said(1)
    found = await scrape(scene.app)
    assert found.value("events_sent_total") == 0
    assert found.value("operations_total", kind="subscription", transport="websocket", outcome="error") == 1


@pytest.mark.usefixtures("road")
async def test_refusals_are_told_apart_by_limit(world: World, dialect: Dialect) -> None:
    """Every limit is there from the start; a name that is none of ours is "other"."""
    app = world.app(limits=Limits(depth=1))
    async with serving(app) as authority, member(authority, dialect) as client:
        await client.ask("{ again { hello } }")
        await client.ask("{ again { again { hello } } }")
    app._host.errors.format(LimitExceeded("my own", allowed=1, actual=2))
    found = await scrape(app)
    assert found.value("refusals_total", limit="depth") == 2
    assert found.value("refusals_total", limit="other") == 1
    assert found.labels("refusals_total") == {*Limits.__slots__, "other"}


async def test_what_an_http_request_exceeds_is_a_refusal(world: World) -> None:
    """Before there is an operation: its body, its query string, the time of both, and that of authentication."""
    app = world.app(limits=Limits(message_bytes=100, init_seconds=0.05))
    async with serving(app) as authority, httpx2.AsyncClient(base_url=f"http://{authority}") as http:
        long = "{ hello }" + " " * 200
        assert (await http.post("/graphql", json={"query": long})).status_code == 413
        assert (await http.get("/graphql", params={"query": long})).status_code == 414
        async with dialled(authority) as raw:
            fields = f"Host: {authority}\r\nContent-Type: application/json\r\nContent-Length: 50"
            raw.writer.write(f"POST /graphql HTTP/1.1\r\n{fields}\r\n\r\n{{".encode())
            assert (await raw.reader.read()).startswith(b"HTTP/1.1 408")
        slow = await http.post("/graphql", json={"query": "{ hello }"}, headers={"authorization": "Bearer slow"})
        assert slow.status_code == 503
    found = await scrape(app)
    assert found.value("refusals_total", limit="message_bytes") == 2
    assert found.value("refusals_total", limit="init_seconds") == 2


async def test_one_operation_too_many_is_a_refusal(world: World, dialect: Dialect) -> None:
    """Although the protocol's machine answers it; and so it does what has no readable payload, which is none."""
    scene = await Scene(world, dialect, limits=Limits(operations_per_socket=1)).admitted()
    scene.start("subscription { messages }", id="1")
    scene.start("{ hello }", id="2")
    scene.stop("1")
    scene.say(Kind.SUBSCRIBE, id="3", payload={"query": 3})
    await scene.settle()
    found = await scrape(scene.app)
    assert found.value("refusals_total", limit="operations_per_socket") == 1
    assert found.value("operations_total", kind="unknown", transport="websocket", outcome="rejected") == 2


async def test_who_comes_from_a_foreign_page_is_counted(world: World) -> None:
    """Or for a name that is not ours: over HTTP and before a handshake, where nothing else is looked at."""
    app = world.app()
    async with serving(app) as authority, httpx2.AsyncClient(base_url=f"http://{authority}") as http:
        for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
            await http.post("/graphql", json={"query": "{ hello }"}, headers=headers)
            with pytest.raises(Exception, match=r"HTTP 40[03]"):
                async with peer(authority, NEWER, additional_headers=headers):
                    pass
        found = await scrape(app)
    for transport in ("http", "websocket"):
        assert found.value("foreign_requests_total", transport=transport, header="origin") == 1
        assert found.value("foreign_requests_total", transport=transport, header="host") == 1
    assert sum(app._host.meter.authentications.values()) == 0


async def test_a_socket_without_a_common_subprotocol_is_a_close(world: World) -> None:
    """An old client, or one for another server: nothing is said, so only the count tells of it."""
    app = world.app()
    async with (
        serving(app) as authority,
        connect(f"ws://{authority}/graphql", subprotocols=[Subprotocol("mqtt")]) as ws,
    ):
        await ws.wait_closed()
        found = await scrape(app)
    assert found.value("closes_total", code="4406", reason="Subprotocol not acceptable", by="server") == 1
    assert found.value("sockets_opened_total") == 0


async def test_nothing_that_clients_choose_makes_another_time_series(world: World) -> None:
    """Ninety names, codes, reasons and tokens add numbers, and no labels."""
    scene = await Scene(world, NEWER).admitted()
    scene.start("query A { hello }", id="warm")
    await scene.settle()
    before = await scrape(scene.app)
    for number in range(90):
        scene.start(f"query N{number} {{ hello }}", id=str(number))
        scene.start(f"query N{number} {{ nope{number} }}", id=f"x{number}")
        await scene.settle()
        scene.app._host.meter.closed_with(4000 + number, f"reason {number}", by=Side.CLIENT)
        scene.app._host.meter.not_authenticated("http", InvalidToken(f"token {number}"))
    after = await scrape(scene.app)
    known = len({code.value for code in CloseCode if 4000 <= code.value < 4090})
    assert len(after.samples) <= len(before.samples) + known + 2  # "other", and the rejected ones


async def test_names_follow_the_conventions(world: World) -> None:
    """What `promtool check metrics` looks at: prefix, help, suffixes, base units, no type in a name, snake case."""
    app = world.app()
    async with serving(app) as authority, httpx2.AsyncClient() as http:
        await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"})
        text = (await ask(app)).text
    ours = [family for family in Scrape(text).families.values() if family.name.startswith("gqlink")]
    assert len(ours) >= 16
    assert [family.name for family in ours if not family.documentation.endswith(".")] == []
    for family in ours:
        words = set(family.name.split("_"))
        assert re.fullmatch(r"gqlink(_[a-z]+)+|gqlink", family.name)
        assert not words & {"counter", "gauge", "histogram", "summary", "count", "sum", "bucket", "total"}
        assert not words & {"ms", "milliseconds", "minutes", "kilobytes", "kb", "mb", "bits", "s", "sec"}
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels)
            assert ("le" in sample.labels) == sample.name.endswith("_bucket")
    assert "process_resident_memory_bytes" in text or "process_cpu_seconds_total" in text


def test_a_duration_falls_into_the_bucket_that_holds_it() -> None:
    """A bound is part of its bucket."""
    durations = Durations()
    for seconds in (0.0, 0.001, 0.0011, 30.0, 31.0):
        durations.add(seconds)
    assert durations.counts == [2, 1, *[0] * (len(BUCKETS) - 3), 1, 1]
    assert durations.seconds == pytest.approx(61.0021)


def test_a_reason_is_known_with_its_code_only() -> None:
    """Those of the table; the client's own words never."""
    for row in CLOSINGS:
        if row.reason:
            assert known_reason(row.code, row.reason) == row.reason
    assert known_reason(1000, "Token expired") == "other"
    assert known_reason(1000, "") == ""


def test_what_is_no_failure_of_authentication_is_not_counted_as_one() -> None:
    """A request that cannot be read, say."""
    meter = Meter()
    meter.not_authenticated("http", ValueError())
    assert not meter.authentications
    timeout = AuthUnavailable("it takes too long")
    timeout.__cause__ = TimeoutError()
    for failure in (timeout, MalformedCredentials("?")):
        meter.not_authenticated("http", failure)
    assert meter.authentications == {("http", "timeout"): 1, ("http", "token_invalid"): 1}


async def test_an_application_may_write_metrics_of_its_own(world: World) -> None:
    """Beside ours, by collectors of prometheus-client."""
    mine = Gauge("orders_open", "Orders that nobody has taken.", registry=None)
    mine.set(3)
    app = Starlette(routes=[world.app().metrics_route(collectors=[mine])])
    async with serving(app) as authority, httpx2.AsyncClient() as http:
        text = (await http.get(f"http://{authority}/metrics")).text
    assert "orders_open 3.0" in text.splitlines()
    assert "gqlink_sockets_opened_total 0.0" in text.splitlines()


# Who may ask


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_a_peer_on_this_machine_may_ask(world: World, address: str) -> None:
    """Without any credential."""
    answer = await ask(world.app(), client=(address, 5))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    "address", ["203.0.113.9", "10.0.0.1", "192.168.0.1", "::ffff:10.0.0.1", "fe80::1", "nonsense"]
)
async def test_a_peer_from_elsewhere_needs_a_token(world: World, address: str) -> None:
    """403 where there is none that would help, and 401 where there is."""
    assert (await ask(world.app(), client=(address, 5))).status_code == 403
    answer = await ask(world.app(), client=(address, 5), token=TOKEN)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="metrics"')
    headers = [("authorization", f"Bearer {TOKEN}")]
    for token in (TOKEN, Token(TOKEN)):
        assert (await ask(world.app(), client=(address, 5), token=token, headers=headers)).status_code == 200


async def test_a_peer_of_which_nothing_is_known_is_from_elsewhere(world: World) -> None:
    """As behind a socket file, where a proxy is."""
    assert (await ask(world.app(), client=None)).status_code == 403


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via", "X-Real-IP", "CF-Connecting-IP"],
)
async def test_a_proxy_on_this_machine_opens_nothing(world: World, header: str) -> None:
    """Whoever it speaks for, and whatever address that is said to have, an empty one included."""
    for value in ("127.0.0.1", "", "for=127.0.0.1"):
        assert (await ask(world.app(), headers=[(header, value)])).status_code == 403


@pytest.mark.parametrize(
    "presented",
    [
        [f"Bearer {TOKEN}x"],
        [f"Bearer {TOKEN[:-1]}"],
        [f"Basic {TOKEN}"],
        [TOKEN],
        ["Bearer"],
        ["Bearer "],
        [""],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
    ],
)
async def test_a_wrong_credential_is_refused_here_too(world: World, presented: list[str]) -> None:
    """What is presented must be right; nothing of it is repeated."""
    headers = [("authorization", each) for each in presented]
    for token in (TOKEN, None):
        answer = await ask(world.app(), token=token, headers=headers)
        assert answer.status_code == 401
        assert TOKEN not in answer.text


async def test_the_host_is_looked_at_first(world: World) -> None:
    """A page that rebinds its name to loopback gets nothing, nor a page of another origin."""
    headers = [("authorization", f"Bearer {TOKEN}")]
    assert (await ask(world.app(), token=TOKEN, headers=headers, host="evil.example")).status_code == 400
    assert (await ask(world.app(), headers=[("origin", "http://evil.example")])).status_code == 403
    assert (await ask(world.app(), host="evil.example", method="POST")).status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_metrics_are_only_read(world: World, method: str) -> None:
    """GET and HEAD."""
    answer = await ask(world.app(), method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    head = await ask(world.app(), method="HEAD")
    assert head.status_code == 200


@pytest.mark.parametrize("token", ["", "short", "x" * 15])
def test_a_token_that_could_be_guessed_is_refused(world: World, token: str) -> None:
    """Before anything is served."""
    with pytest.raises(ValueError, match="token"):
        world.app().metrics_route(token=token)
