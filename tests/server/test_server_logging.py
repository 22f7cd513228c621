"""The server's log has names and fields, holds no word of a client's, and is not flooded by a flood."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from gqlink.protocol import Kind
from gqlink.pubsub import Topic
from gqlink.server import Limits, SystemClock
from gqlink.server.control import CONTROL_TOPIC
from gqlink.server.logbook import EVENT_LEVELS, Throttle, log_event
from gqlink.server.observing import present_operation, unobserved
from gqlink.testing import FakeClock
from server.eventually import eventually, turns
from server.living import living, renewed
from server.peer import BOTH, NEWER, errors_of, member, peer
from server.recorder import Scene
from serving import serving

if TYPE_CHECKING:
    from gqlink.auth import Identity
    from gqlink.protocol import Dialect
    from gqlink.server import Transport
    from server.world import World

ROOM = Path(__file__).parents[2] / "src" / "gqlink" / "server"


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    """Return what the records of one event carry."""
    return [vars(record) for record in caplog.records if getattr(record, "gqlink_event", None) == event]


def test_every_record_of_the_room_has_a_name() -> None:
    """No module of it writes to the logger but the one that names."""
    wrote = {path.name for path in ROOM.rglob("*.py") if re.search(r"\b_log\b|getLogger", path.read_text())}
    assert wrote == {"logbook.py"}


def test_every_event_is_used() -> None:
    """What the table holds is said somewhere."""
    text = "".join(path.read_text() for path in ROOM.rglob("*.py") if path.name != "logbook.py")
    assert [event for event in EVENT_LEVELS if f'"{event}"' not in text] == []


async def test_the_life_of_a_socket_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Who, from where, and how it ended, for whoever asks for INFO."""
    caplog.set_level(logging.DEBUG, "gqlink.server")
    scene = await living(world, NEWER).admitted("alice:60")
    await renewed(scene, "alice:90")
    scene.clock.advance(90)
    fields = {"socket": 7, "subprotocol": NEWER.subprotocol, "subject": "alice"}
    [opened], [ack], [again] = (told(caplog, f"socket_{kind}") for kind in ("opened", "acknowledged", "renewed"))
    assert opened["socket"] == 7
    assert ack.items() >= {**fields, "levelno": logging.INFO}.items()
    assert again.items() >= fields.items()
    [refused], [closed] = told(caplog, "socket_refused"), told(caplog, "socket_closed")
    for record in (refused, closed):
        assert record.items() >= {**fields, "code": 4403, "reason": "Token expired"}.items()


async def test_what_a_client_says_at_its_end_is_not_repeated(
    world: World, dialect: Dialect, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold anything, a line of its own or its token; the code is a number."""
    caplog.set_level(logging.DEBUG, "gqlink.server")
    app = world.app()
    async with serving(app) as authority:
        async with member(authority, dialect, "alice") as client:
            await client.socket.close(4490, "ERROR all is lost\nalice")
        await eventually(lambda: bool(told(caplog, "socket_closed")))
    [closed] = told(caplog, "socket_closed")
    assert closed.items() >= {"code": 4490, "reason": "other"}.items()
    assert "all is lost" not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("transport", ["http", *(dialect.subprotocol for dialect in BOTH)])
async def test_a_masked_error_is_found_in_the_log_by_its_id(
    world: World, caplog: pytest.LogCaptureFixture, transport: str
) -> None:
    """The very id that the client reads, with the traceback, and the operation in which it happened."""
    query = "query Fails { fail }"
    async with serving(world.app()) as authority:
        if transport == "http":
            async with httpx2.AsyncClient() as http:
                headers = {"authorization": "Bearer alice"}
                answer = await http.post(f"http://{authority}/graphql", json={"query": query}, headers=headers)
            [error] = answer.json()["errors"]
        else:
            [dialect] = [each for each in BOTH if each.subprotocol == transport]
            async with member(authority, dialect, "alice") as client:
                result, _ = await client.ask(query)
            [error] = result["payload"]["errors"]
    assert error["message"] == "Internal server error"
    [record] = [each for each in caplog.records if getattr(each, "error_id", None) == error["extensions"]["id"]]
    assert vars(record).items() >= {"operation": "Fails", "kind": "query", "subject": "alice"}.items()
    assert error["extensions"]["id"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is RuntimeError
    assert record.exc_info[2] is not None


async def test_a_masked_error_of_an_event_has_its_operation(
    world: World, dialect: Dialect, caplog: pytest.LogCaptureFixture
) -> None:
    """And the number of its socket."""
    scene = await Scene(world, dialect).admitted("alice")
    scene.start("subscription Odd { flaky }")
    await scene.until_said(3)
    ids = [error["extensions"]["id"] for said in scene.said for error in (said.get("payload") or {}).get("errors", ())]
    [record] = told(caplog, "error")
    assert [record["error_id"]] == ids
    assert record.items() >= {"operation": "Odd", "kind": "subscription", "socket": 7, "subject": "alice"}.items()


async def test_who_gives_an_order_is_not_blamed_for_what_it_ends(world: World) -> None:
    """A mutation that takes rights away has done what it was asked for."""
    assert present_operation() is None
    with unobserved():
        assert present_operation() is None
    allowed = [True]

    async def context(_: Identity, transport: Transport) -> None:
        if transport.kind == "http":
            allowed[0] = False
            await app.recheck()

    app = world.app(policy=lambda _, what: allowed[0] or getattr(what, "kind", "") == "mutation", context=context)
    async with serving(app) as authority, member(authority, NEWER) as client:
        await client.start("subscription { messages }", id="s")
        await eventually(lambda: world.broker.statistics().subscriptions == 1)
        async with httpx2.AsyncClient() as http:
            await http.post(f"http://{authority}/graphql", json={"query": 'mutation { add(text: "x") }'})
        assert errors_of(await client.receive())[0]["extensions"]["code"] == "FORBIDDEN"
        await eventually(lambda: app.statistics().operations == 0)
    assert app._host.meter.operations["mutation", "http", "ok"] == 1


async def test_a_flood_over_a_limit_is_a_line_a_second(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The first is told at once, the others as a number; every limit for itself."""
    scene = await Scene(world, NEWER, limits=Limits(depth=1, aliases=1)).admitted("alice")
    for _ in range(3):
        for number in range(20):
            scene.start("{ again { hello } }", id=f"d{number}")
        scene.start("{ a: hello b: hello }", id="a")
        await scene.settle()
        scene.clock.advance(1.0)
    depth = [record for record in told(caplog, "limit") if record["limit"] == "depth"]
    aliases = [record for record in told(caplog, "limit") if record["limit"] == "aliases"]
    assert [record.get("suppressed") for record in depth] == [None, 19, 20, 20]
    assert [record.get("suppressed") for record in aliases] == [None, None, None]
    assert {record["levelno"] for record in depth} == {logging.WARNING}
    assert scene.host.meter.refusals["depth"] == 60


async def test_what_was_held_back_belongs_to_nobody(caplog: pytest.LogCaptureFixture, world: World) -> None:
    """Several may have brought it about: the number of the others does not name the operation of one of them."""
    limits = Limits(execution_seconds=0.01)
    async with serving(world.app(limits=limits)) as authority, httpx2.AsyncClient() as http:
        for name in ("First", "Second"):
            await http.post(f"http://{authority}/graphql", json={"query": f"query {name} {{ slow }}"})
        await eventually(lambda: len(told(caplog, "limit")) == 2)
    first, others = told(caplog, "limit")
    assert first.items() >= {"limit": "execution_seconds", "operation": "First", "kind": "query"}.items()
    assert others.items() >= {"limit": "execution_seconds", "suppressed": 1}.items()
    assert not others.keys() & {"operation", "kind", "subject", "client"}


async def test_who_revokes_is_not_named_where_a_socket_ends(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The record is about the one whose socket it was."""
    caplog.set_level(logging.INFO, "gqlink.server")

    async def context(identity: Identity, _: Transport) -> None:
        if identity.subject == "bob":
            await app.revoke(subject="alice")

    app = world.app(context=context)
    async with serving(app) as authority, member(authority, NEWER, "alice") as client:
        async with httpx2.AsyncClient() as http:
            request = {"query": "query Revoking { hello }"}
            await http.post(f"http://{authority}/graphql", json=request, headers={"authorization": "Bearer bob"})
        await client.closed()
        await eventually(lambda: app.statistics().sockets == 0)
    for record in (*told(caplog, "socket_refused"), *told(caplog, "socket_closed")):
        assert record.items() >= {"subject": "alice", "code": 4403, "reason": "Session revoked"}.items()
        assert not record.keys() & {"operation", "kind"}


async def test_a_flood_of_bad_tokens_is_a_line_a_second(
    world: World, dialect: Dialect, caplog: pytest.LogCaptureFixture
) -> None:
    """Over HTTP and on sockets, for each reason."""
    caplog.set_level(logging.INFO, "gqlink.server")
    app = world.app(clock=FakeClock())
    async with serving(app) as authority, httpx2.AsyncClient() as http:
        for token in ("bad", "expired", "bad", "bad"):
            headers = {"authorization": f"Bearer {token}"}
            await http.post(f"http://{authority}/graphql", json={"query": "{ hello }"}, headers=headers)
            async with peer(authority, dialect, additional_headers=headers) as client:
                await client.say(Kind.CONNECTION_INIT)
                await client.closed()
    refused = told(caplog, "credential_refused")
    assert [record["reason"] for record in refused] == ["Token invalid", "Token expired"]
    assert [str(record["client"]).rpartition(":")[0] for record in refused] == ["127.0.0.1"] * 2


async def test_foreign_handshakes_are_a_line_a_second(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can knock as often as they like."""
    caplog.set_level(logging.INFO, "gqlink.server")
    async with serving(world.app(clock=FakeClock())) as authority:
        for _ in range(3):
            with pytest.raises(Exception, match="403"):
                async with peer(authority, NEWER, origin="http://evil.example"):
                    pass
    [refused] = told(caplog, "handshake_refused")
    assert refused["code"] == 403
    assert str(refused["reason"]).startswith("This Origin is not allowed")


async def test_unreadable_orders_are_a_line_a_second(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever may publish to the control topic cannot fill the log."""
    clock = FakeClock()
    app = world.app(clock=clock)
    async with app.lifespan():
        await app._host.revocations.ready()
        for number in range(50):
            await Topic(world.broker, CONTROL_TOPIC).publish({"version": number + 2})
        await turns()
        await eventually(lambda: bool(clock.timers))
        clock.advance(1.0)
        records = told(caplog, "order_unreadable")
    assert len(records) == 2
    assert isinstance(records[1]["suppressed"], int)


def test_a_record_that_nobody_wants_costs_no_place(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is formatted, nor counted as suppressed."""
    caplog.set_level(logging.ERROR, "gqlink.server")
    clock = FakeClock()
    throttle = Throttle(clock)
    for _ in range(3):
        throttle.log("limit", "a limit", sort="depth")
    caplog.set_level(logging.DEBUG, "gqlink.server")
    throttle.log("limit", "a limit", sort="depth")
    assert len(told(caplog, "limit")) == 1
    assert clock.timers == 0


def test_unknown_fields_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A field that is not known is not there."""
    log_event("limit", "%s was exceeded", "depth", limit="depth", socket=None)
    [record] = caplog.records
    assert record.getMessage() == "depth was exceeded"
    assert not hasattr(record, "socket")


def test_outside_of_an_event_loop_nothing_is_held_back(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing floods there, and there is no timer that could say how many more there were."""
    throttle = Throttle(SystemClock())
    for _ in range(3):
        throttle.log("limit", "a limit was exceeded: %s", "depth", sort="depth")
    assert [record.getMessage() for record in caplog.records] == ["a limit was exceeded: depth"] * 3
