"""Every bound of the server, on every road: what is at it passes, and what is above it is refused and named."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from graphql import build_schema

from gqlink.protocol import Kind
from gqlink.server import COST_DIRECTIVES, Limits
from security.served import ROADS, road_to
from server.peer import BOTH, errors_of, member
from serving import serving

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from server.world import World

TESTS = Path(__file__).parents[1]

# Of a request: the limit, its bound, what is at it, and what is one above it.
REQUESTS: tuple[tuple[str, int, dict[str, Any], dict[str, Any]], ...] = (
    ("document_bytes", 20, {"query": "{ hello }".ljust(20)}, {"query": "{ hello }".ljust(21)}),
    ("document_lines", 10, {"query": "{ hello" + "\n" * 9 + "}"}, {"query": "{ hello" + "\n" * 10 + "}"}),
    ("document_tokens", 4, {"query": "{hello whoami}"}, {"query": "{hello whoami hello}"}),
    (
        "document_operations",
        2,
        {"query": "query A{hello} query B{hello}", "operationName": "A"},
        {"query": "query A{hello} query B{hello} query C{hello}", "operationName": "A"},
    ),
    ("depth", 2, {"query": "{again{hello}}"}, {"query": "{again{again{hello}}}"}),
    (
        "depth",
        2,
        {"query": "{...F} fragment F on Query{again{hello}}"},
        {"query": "{again{...F}} fragment F on Query{again{hello}}"},
    ),
    ("aliases", 1, {"query": "{a:hello}"}, {"query": "{a:hello b:hello}"}),
    (
        "aliases",
        2,
        {"query": "{again{...F} b:hello} fragment F on Query{a:hello}"},
        {"query": "{again{...F} b:again{...F}} fragment F on Query{a:hello}"},
    ),
    (
        "directives",
        1,
        {"query": "{hello @include(if:true)}"},
        {"query": "{hello @include(if:true) whoami @include(if:true)}"},
    ),
    (
        "fragments",
        2,
        {"query": "{...F again{...F}} fragment F on Query{hello}"},
        {"query": "{...F again{...F ...F}} fragment F on Query{hello}"},
    ),
    ("root_fields", 2, {"query": "{hello whoami}"}, {"query": "{hello ...F} fragment F on Query{whoami again{hello}}"}),
    ("repeated_fields", 2, {"query": "{hello hello}"}, {"query": "{hello hello ...{hello}}"}),
    ("cost", 3, {"query": "{again{hello whoami}}"}, {"query": "{again{hello whoami} hello}"}),
    (
        "variables_bytes",
        12,
        {"query": "query($t:String){echo(text:$t)}", "variables": {"t": "1234"}},
        {"query": "query($t:String){echo(text:$t)}", "variables": {"t": "12345"}},
    ),
    (
        "variables_values",
        2,
        {"query": "query($t:String){echo(text:$t)}", "variables": {"t": "a", "u": 1}},
        {"query": "query($t:String){echo(text:$t)}", "variables": {"t": "a", "u": [1]}},
    ),
)

ADMISSION = "server/test_admission_sockets.py"
# Where the others are tested. A limit that is in neither table fails the test that compares them with `Limits`.
ELSEWHERE = {
    "message_bytes": "security/test_limits.py::test_a_message_of_a_socket_is_bounded",
    "operation_id_bytes": "security/test_limits.py::test_an_id_is_bounded",
    "init_seconds": "server/test_bad_input.py::test_a_client_that_never_says_who_it_is_is_closed",
    "authentications": "server/test_abuse.py::test_a_storm_of_inits_is_worked_off_a_few_at_a_time",
    "sockets": f"{ADMISSION}::test_a_handshake_that_finds_no_place_is_told_when_to_come_again",
    "sockets_per_address": "server/test_abuse.py::test_a_flood_of_connections_gets_as_many_places_as_there_are",
    "sockets_per_identity": f"{ADMISSION}::test_one_socket_too_many_of_a_subject_is_asked_to_come_later",
    "requests": "server/test_admission.py::test_so_many_requests_are_answered_at_a_time",
    "operations_per_socket": "security/test_limits.py::test_operations_of_a_socket_are_bounded",
    "messages_per_second": "server/test_abuse_messages.py::test_an_operation_beyond_the_rate_gets_an_error_of_its_own",
    "execution_seconds": "security/test_limits.py::test_the_time_of_an_execution_is_bounded",
    "send_buffer_bytes": "server/test_send_queue.py::test_writers_wait_while_too_much_waits",
    "stall_seconds": "server/test_send_queue.py::test_a_client_that_takes_nothing_is_reported_once_and_closed",
    "documents": "server/test_documents.py::test_the_longest_unused_is_forgotten_first",
    "documents_characters": "server/test_documents.py::test_the_text_of_all_is_bounded",
}

COSTLY = (
    COST_DIRECTIVES
    + """
    type Query { page(first: Int = 50): [Query!]! @listSize(slicingArguments: ["first"]) hello: String }
"""
)


def limited(limit: str, bound: float) -> Limits:
    """Return the defaults but for one."""
    return dataclasses.replace(Limits(), **{limit: bound})  # type: ignore[arg-type] # each is of its field's type


def test_no_limit_is_forgotten() -> None:
    """Each field of `Limits` is tested on every road here, or in the test that is named here."""
    fields = {field.name for field in dataclasses.fields(Limits)}
    here = {limit for limit, *_ in REQUESTS}

    assert here | set(ELSEWHERE) == fields
    assert here & set(ELSEWHERE) == set()


@pytest.mark.parametrize("limit", ELSEWHERE)
def test_the_test_that_is_named_exists(limit: str) -> None:
    """By its name, in its file; and the file names the limit."""
    file, _, name = ELSEWHERE[limit].partition("::")
    text = (TESTS / file).read_text()

    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)
    assert limit in text


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: str(case[0]))
async def test_a_request_at_a_limit_passes_and_one_above_is_refused(
    world: World, road: str, case: tuple[str, int, dict[str, Any], dict[str, Any]]
) -> None:
    """With the limit, what it allows and what came, and no resolver runs: the same on each road."""
    limit, bound, at, above = case
    app = world.app(limits=limited(limit, bound))
    async with serving(app) as authority:
        passed = await road_to(authority, road).ask(at)
        resolved = world.resolved
        refused = await road_to(authority, road).ask(above)

    assert passed.errors == []
    assert passed.data
    assert refused.refusal == {"code": "LIMIT_EXCEEDED", "limit": limit, "allowed": bound, "actual": bound + 1}
    assert refused.messages == [f"{limit} is limited to {bound}, got {bound + 1}"]
    assert refused.closed is None
    assert "data" not in refused.results[0]
    assert world.resolved == resolved > 0
    assert app.statistics().refusals == {limit: 1}


@pytest.mark.parametrize("socket", BOTH, ids=lambda dialect: dialect.subprotocol)
async def test_a_socket_stays_whatever_limit_of_a_request_is_exceeded(world: World, socket: Dialect) -> None:
    """Each operation that is refused is an error of its own; the next one is answered on the same socket."""
    for limit, bound, _, above in REQUESTS:
        app = world.app(limits=limited(limit, bound))
        async with serving(app) as authority, member(authority, socket) as client:
            for number in range(3):
                [error] = await client.ask(**{"id": str(number), **above})
                assert errors_of(error)[0]["extensions"]["limit"] == limit
            await client.start("{hello}", id="last")
            assert (await client.receive())["payload"] == {"data": {"hello": "world"}}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("query", "variables", "actual"),
    [
        ("query($n:Int){page(first:$n){hello}}", {"n": 100}, 101),
        ("query($n:Int){page(first:$n){hello}}", {"n": 100.0}, 101),
        ("query($n:Int=100){page(first:$n){hello}}", {}, 101),
        ("{page(first:100){hello}}", {}, 101),
        ("{page{page{hello}}}", {}, 2_551),
        ("query($n:Int){page(first:$n){page(first:$n){page(first:$n){hello}}}}", {"n": 2**31 - 1}, 2**53 - 1),
    ],
)
async def test_a_page_is_as_dear_as_it_is_long(
    world: World, road: str, query: str, variables: dict[str, Any], actual: int
) -> None:
    """However the length is given; a list that nobody can count has the largest number that JSON can carry."""
    world.schema = build_schema(COSTLY)
    app = world.app(limits=limited("cost", 100))
    async with serving(app) as authority:
        answer = await road_to(authority, road).ask({"query": query, "variables": variables})
        passed = await road_to(authority, road).ask({"query": "{page(first:99){hello}}"})

    assert answer.refusal == {"code": "LIMIT_EXCEEDED", "limit": "cost", "allowed": 100, "actual": actual}
    assert "LIMIT_EXCEEDED" not in passed.text


@pytest.mark.parametrize("road", ROADS)
async def test_the_time_of_an_execution_is_bounded(world: World, road: str) -> None:
    """`execution_seconds`: the operation ends with an error that names it, and a socket stays."""
    app = world.app(limits=limited("execution_seconds", 0.05))
    async with serving(app) as authority:
        answer = await road_to(authority, road).ask({"query": "{slow}"})

    assert answer.refusal == {"code": "LIMIT_EXCEEDED", "limit": "execution_seconds", "allowed": 0.05, "actual": None}
    assert answer.closed is None
    assert world.happened == ["slow begins", "slow cancelled"]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_body_and_a_query_string_are_bounded(world: World, method: str) -> None:
    """`message_bytes`: 413 for a body, 414 for a query string; at the bound they are read."""
    bound = 200
    statuses = []
    async with serving(world.app(limits=limited("message_bytes", bound))) as authority, httpx2.AsyncClient() as http:
        for size in (bound, bound + 1):
            if method == "POST":
                content = json.dumps({"query": "{hello}"}).ljust(size).encode()
                headers = {"content-type": "application/json"}
                response = await http.post(f"http://{authority}/graphql", content=content, headers=headers)
            else:
                query_string = "query={hello}&x=".ljust(size, "y")
                headers = {"accept": "application/json", "x-requested-with": "test"}
                response = await http.get(f"http://{authority}/graphql?{query_string}", headers=headers)
            statuses.append(response.status_code)

    assert statuses == [200, {"POST": 413, "GET": 414}[method]]
    assert response.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


@pytest.mark.parametrize("socket", BOTH, ids=lambda dialect: dialect.subprotocol)
async def test_a_message_of_a_socket_is_bounded(world: World, socket: Dialect) -> None:
    """`message_bytes`: 1009, because what was not read cannot be answered; at the bound it is."""
    async with (
        serving(world.app(limits=limited("message_bytes", 200))) as authority,
        member(authority, socket) as client,
    ):
        said = {"type": client.word(Kind.SUBSCRIBE), "id": "1", "payload": {"query": "{hello}"}}
        await client.socket.send(json.dumps(said).ljust(200))
        assert (await client.receive())["payload"] == {"data": {"hello": "world"}}
        await client.socket.send(json.dumps(said).ljust(201))
        assert (await client.closed())[0] == 1009


@pytest.mark.parametrize("socket", BOTH, ids=lambda dialect: dialect.subprotocol)
async def test_an_id_is_bounded(world: World, socket: Dialect) -> None:
    """`operation_id_bytes`: 4400, in bytes of UTF-8, because an error would have to repeat it."""
    async with (
        serving(world.app(limits=limited("operation_id_bytes", 8))) as authority,
        member(authority, socket) as client,
    ):
        assert (await client.ask("{hello}", id="жжжж"))[0]["payload"] == {"data": {"hello": "world"}}
        await client.start("{hello}", id="жжжж1")
        assert (await client.closed())[0] == 4400


@pytest.mark.parametrize("socket", BOTH, ids=lambda dialect: dialect.subprotocol)
async def test_operations_of_a_socket_are_bounded(world: World, socket: Dialect) -> None:
    """`operations_per_socket`: one more gets an error of its own, the others go on, and one that ends makes room."""
    async with (
        serving(world.app(limits=limited("operations_per_socket", 2))) as authority,
        member(authority, socket) as client,
    ):
        for number in range(3):
            await client.start("subscription{messages}", id=str(number))
        refused = await client.receive()
        [error] = errors_of(refused)
        assert (refused["id"], error["message"]) == ("2", "operations_per_socket is limited to 2, got 3")
        named = {"limit": "operations_per_socket", "allowed": 2, "actual": 3}
        assert error["extensions"] == {"code": "LIMIT_EXCEEDED", **named}
        await client.stop("0")
        await client.start('mutation{add(text:"heard")}', id="3")
        heard: set[tuple[str, str]] = set()
        while not heard >= {("1", "next"), ("3", "complete")}:
            message = await client.receive()
            heard.add((message["id"], message["type"]))
        assert not any(kind == "error" for _, kind in heard)
