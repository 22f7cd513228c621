"""What clients send by mistake or on purpose, over real sockets in both dialects, and over HTTP."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio

from gqlink.protocol import Kind
from gqlink.server import Limits
from server.peer import LEGACY, NEWER, Peer, codes_of, errors_of, member, peer
from server.raw import connected, frame, starting
from server.world import World
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.protocol import Dialect

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("road")]


class Server:
    """One server for the whole file, with a client of each dialect that does nothing wrong."""

    def __init__(self, authority: str, world: World, bystanders: list[Peer], http: httpx2.AsyncClient) -> None:
        self.authority = authority
        self.world = world
        self.bystanders = bystanders
        self.http = http

    async def require_unharmed(self) -> None:
        """The others notice nothing."""
        for bystander in self.bystanders:
            assert await bystander.is_well()

    async def post(self, body: object = None, **options: Any) -> httpx2.Response:
        """Send a request over HTTP."""
        if body is not None:
            options["json"] = body
        return await self.http.post(f"http://{self.authority}/graphql", **options)

    async def get(self, **parameters: str) -> httpx2.Response:
        """Send a request in a query string."""
        return await self.http.get(f"http://{self.authority}/graphql", params=parameters)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(road: str) -> AsyncIterator[Server]:
    """See `Server`."""
    world = World()
    async with AsyncExitStack() as stack:
        authority = await stack.enter_async_context(serving(world.app(), ws=road))
        http = await stack.enter_async_context(httpx2.AsyncClient())
        bystanders = [await stack.enter_async_context(member(authority, dialect)) for dialect in (NEWER, LEGACY)]
        yield Server(authority, world, bystanders, http)


NESTED = "[" * 5_000 + "]" * 5_000


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("hello", 4400, "Invalid message: not JSON"),
        ("", 4400, "Invalid message: not JSON"),
        ("[]", 4400, "Invalid message: "),
        ("null", 4400, "Invalid message: "),
        ('"x"', 4400, "Invalid message: "),
        ("5", 4400, "Invalid message: "),
        ("{}", 4400, "Invalid message: "),
        ('{"type": 5}', 4400, "Invalid message: "),
        ('{"type": "dance"}', 4400, "Invalid message: unknown type"),
        ('{"type": "connection_ack"}', 4400, "Invalid message: unknown type"),
        ('{"type": "connection_init"}', 4429, "Too many initialisation requests"),
        (b"\x00\x01", 4400, "Invalid message: binary"),
        (NESTED, 4400, "Invalid message: "),
        ("x" * 70_000, 1009, "Message too big"),
        ("\N{PILE OF POO}" * 17_000, 1009, "Message too big"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_message_that_cannot_be_read_closes_with_a_code_and_a_reason(
    server: Server, dialect: Dialect, message: str | bytes, code: int, reason: str
) -> None:
    """The client can tell what was wrong, and never sees a connection that just broke."""
    async with member(server.authority, dialect) as client:
        await client.socket.send(message)
        closed = await client.closed()
    assert closed[0] == code
    assert closed[1].startswith(reason)
    await server.require_unharmed()


@pytest.mark.parametrize(
    ("members", "code", "reason"),
    [
        ({}, 4400, "Invalid message: id must be a string of 1 to 128 bytes"),
        ({"id": None}, 4400, "Invalid message: id must be"),
        ({"id": ""}, 4400, "Invalid message: id must be"),
        ({"id": 5}, 4400, "Invalid message: id must be"),
        ({"id": ["1"]}, 4400, "Invalid message: id must be"),
        ({"id": "\ud83d"}, 4400, "Invalid message: id must be"),
        ({"id": "x" * 129}, 4400, "Invalid message: id must be"),
        ({"id": "é" * 65}, 4400, "Invalid message: id must be"),
        ({"id": "x" * 1_000_000}, 1009, "Message too big"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_an_id_must_be_a_string_of_1_to_128_bytes(
    server: Server, dialect: Dialect, members: dict[str, object], code: int, reason: str
) -> None:
    """An operation without one could not be answered."""
    async with member(server.authority, dialect) as client:
        await client.say(Kind.SUBSCRIBE, payload={"query": "{ hello }"}, **members)
        closed = await client.closed()
    assert closed[0] == code
    assert closed[1].startswith(reason)
    await server.require_unharmed()


@pytest.mark.parametrize("id", ["x" * 128, "é" * 64, "__proto__", "\x00", '"}'])
async def test_any_other_id_comes_back_as_it_was(server: Server, dialect: Dialect, id: str) -> None:  # noqa: A002
    """Whatever it holds."""
    async with member(server.authority, dialect) as client:
        answer, complete = await client.ask("{ hello }", id=id)
    assert (answer["id"], complete["id"]) == (id, id)


@pytest.mark.parametrize("id", ["x" * 128, "é" * 64, "\N{PILE OF POO}" * 32])
async def test_a_reason_fits_into_a_closeframe(server: Server, dialect: Dialect, id: str) -> None:  # noqa: A002
    """A duplicate live id is named in the reason, which is cut to 123 bytes at a character."""
    async with member(server.authority, dialect) as client:
        await client.start("subscription { messages }", id=id)
        await client.start("{ hello }", id=id)
        code, reason = await client.closed()
    assert code == 4409
    assert f"Subscriber for {id} already exists".startswith(reason)
    assert 119 <= len(reason.encode()) <= 123
    await server.require_unharmed()


async def test_a_duplicate_live_id_closes_with_its_name(server: Server, dialect: Dialect) -> None:
    """And what was running with it ends."""
    async with member(server.authority, dialect) as client:
        await client.start("subscription { messages }")
        await client.start("{ hello }")
        assert await client.closed() == (4409, "Subscriber for 1 already exists")
    await server.require_unharmed()


@pytest.mark.parametrize("payload", [5, "x", [], True])
async def test_an_inits_payload_is_an_object_or_nothing(server: Server, dialect: Dialect, payload: object) -> None:
    """Anything else is not a credential in any form."""
    async with peer(server.authority, dialect) as client:
        await client.say(Kind.CONNECTION_INIT, payload=payload)
        code, reason = await client.closed()
    assert code == 4400
    assert reason.startswith("Invalid message: payload must be an object")
    await server.require_unharmed()


@pytest.mark.parametrize("members", [{}, {"payload": None}, {"payload": {}}])
async def test_an_init_without_a_payload_is_legal(server: Server, dialect: Dialect, members: dict[str, object]) -> None:
    """Nobody is refused for having nothing to say."""
    async with peer(server.authority, dialect) as client:
        await client.say(Kind.CONNECTION_INIT, **members)
        assert (await client.receive())["type"] == "connection_ack"


async def test_an_operation_before_any_init_is_unauthorised(server: Server, dialect: Dialect) -> None:
    """In both dialects, and no resolver runs."""
    before = server.world.resolved
    async with peer(server.authority, dialect) as client:
        await client.start("{ hello }")
        assert await client.closed() == (4401, "Unauthorized")
    assert server.world.resolved == before
    await server.require_unharmed()


async def test_an_operation_in_the_inits_own_segment_does_not_overtake_the_ack(
    server: Server, dialect: Dialect
) -> None:
    """The newer dialect refuses it; the legacy one holds it, and answers after the ack."""
    before = server.world.resolved
    async with connected(server.authority, dialect.subprotocol) as raw:
        start = starting(dialect, "{ whoami }")
        raw.send({"type": "connection_init", "payload": {"accessToken": "alice"}}, start)
        if dialect is NEWER:
            assert await raw.closed() == (4401, "Unauthorized")
            assert server.world.resolved == before
        else:
            assert (await raw.message())["type"] == "connection_ack"
            assert (await raw.message())["payload"] == {"data": {"whoami": "alice"}}
        await server.require_unharmed()


@pytest.mark.parametrize(
    ("payload", "code", "sentence"),
    [
        ('{"query": "{ hello"}', "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ('{"query": ""}', "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ('{"query": "{ helo }"}', "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'helo' on type 'Query'."),
        ('{"query": "query ($t: Int!) { blob(bytes: $t) }"}', "BAD_USER_INPUT", "Variable '$t'"),
        ('{"query": "{ hello }", "operationName": "Nope"}', "BAD_USER_INPUT", "no operation named 'Nope'"),
        ('{"query": "{ hello }", "variables": 5}', "BAD_USER_INPUT", "variables"),
        ('{"query": 5}', "BAD_USER_INPUT", "query"),
        ("{}", "BAD_USER_INPUT", "query"),
        ("null", "BAD_USER_INPUT", "query"),
        ("5", "BAD_USER_INPUT", "query"),
        ('{"query": "query ($t: String) { echo(text: $t) }", "variables": {"t": "\\ud83d"}}', "BAD_USER_INPUT", "half"),
        (
            '{"query": "query ($n: Float) { echo(number: $n) }", "variables": {"n": 1e400}}',
            "BAD_USER_INPUT",
            "umber out of range",
        ),
        (NESTED, "BAD_USER_INPUT", "nested too deeply"),
        ('{"query": "{ hello }", "variables": {"x": ' + NESTED + "}}", "BAD_USER_INPUT", "nested too deeply"),
        (json.dumps({"query": "{ again " * 500 + "{ hello }" + "}" * 500}), "LIMIT_EXCEEDED", "document_tokens"),
        (json.dumps({"query": "{ echo(text: " + "[" * 250 + ") }"}), "GRAPHQL_", "nested too deeply"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_an_operation_that_cannot_be_read_fails_alone(
    server: Server, dialect: Dialect, payload: str, code: str, sentence: str
) -> None:
    """It gets an `error` with a code and a sentence, and its socket stays."""
    async with member(server.authority, dialect) as client:
        start = client.word(Kind.SUBSCRIBE)
        await client.socket.send(f'{{"id": "1", "type": "{start}", "payload": {payload}}}')
        error = await client.receive()
        assert error["type"] == "error"
        assert codes_of(error)[0].startswith(code)
        assert sentence in errors_of(error)[0]["message"]
        assert "Traceback" not in json.dumps(error)
        assert await client.is_well()
    await server.require_unharmed()


async def test_the_end_of_an_operation_that_nobody_knows_is_ignored(server: Server, dialect: Dialect) -> None:
    """It may have ended while the message was on its way."""
    async with member(server.authority, dialect) as client:
        await client.stop("nobody's")
        assert await client.is_well()


@pytest.mark.parametrize("frames", [[b"\xff\xfe"], [b'{"type": ', b"\xff}"]])
async def test_text_that_is_no_utf_8_closes_with_1007(server: Server, dialect: Dialect, frames: list[bytes]) -> None:
    """RFC 6455 wants that; in one frame or in several."""
    async with connected(server.authority, dialect.subprotocol) as raw:
        *first, last = frames
        opcodes = [1, *[0] * len(first)]
        for opcode, part in zip(opcodes, first, strict=False):
            raw.writer.write(frame(opcode, part, final=False))
        raw.writer.write(frame(opcodes[len(first)], last, final=True))
        assert (await raw.closed())[0] == 1007
        await server.require_unharmed()


async def test_a_message_in_pieces_is_one_message(server: Server, dialect: Dialect) -> None:
    """Fragments are put together before they are read, and bounded together."""
    async with connected(server.authority, dialect.subprotocol) as raw:
        raw.writer.write(frame(1, b'{"type": "connec', final=False) + frame(0, b'tion_init"}', final=True))
        assert (await raw.message())["type"] == "connection_ack"
        raw.writer.write(frame(1, b"x" * 40_000, final=False) + frame(0, b"x" * 40_000, final=True))
        assert (await raw.closed())[0] == 1009
        await server.require_unharmed()


async def test_a_client_that_never_says_who_it_is_is_closed(dialect: Dialect) -> None:
    """4408, when its time is up."""
    world = World()
    async with serving(world.app(limits=Limits(init_seconds=0.05))) as authority, peer(authority, dialect) as client:
        assert await client.closed() == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize(
    ("options", "status", "code", "sentence"),
    [
        ({}, 415, "BAD_USER_INPUT", "Content-Type: application/json"),
        ({"content": b"", "headers": {"content-type": "application/json"}}, 400, "BAD_USER_INPUT", "empty"),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "BAD_USER_INPUT", "Content-Type"),
        ({"data": {"query": "{ hello }"}}, 415, "BAD_USER_INPUT", "Content-Type"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "BAD_USER_INPUT", "JSON"),
        ({"content": b"\xff", "headers": {"content-type": "application/json"}}, 400, "BAD_USER_INPUT", "JSON"),
        ({"content": NESTED, "headers": {"content-type": "application/json"}}, 400, "BAD_USER_INPUT", "object"),
        (
            # Deeper than any interpreter reads; what one reads and another does not is no mistake over HTTP.
            {"content": b'{"query": "", "variables": {"x": ' + b"[" * 60_000}
            | {"headers": {"content-type": "application/json"}},
            400,
            "BAD_USER_INPUT",
            "JSON",
        ),
        (
            {"content": b'{"query": "{ hello }", "variables": {"t": "\\ud83d"}}'}
            | {"headers": {"content-type": "application/json"}},
            400,
            "BAD_USER_INPUT",
            "JSON",
        ),
        (
            {"content": b'{"query": "{ hello }", "variables": {"t": 1e400}}'}
            | {"headers": {"content-type": "application/json"}},
            400,
            "BAD_USER_INPUT",
            "JSON",
        ),
        ({"json": []}, 400, "BAD_USER_INPUT", "object"),
        ({"json": [{"query": "{ hello }"}]}, 400, "BAD_USER_INPUT", "object"),
        ({"json": 5}, 400, "BAD_USER_INPUT", "object"),
        ({"json": {}}, 400, "BAD_USER_INPUT", "query"),
        ({"json": {"query": 5}}, 400, "BAD_USER_INPUT", "query"),
        ({"json": {"query": "{ hello }", "variables": []}}, 400, "BAD_USER_INPUT", "variables"),
        ({"json": {"query": "{ hello }", "operationName": 5}}, 400, "BAD_USER_INPUT", "operationName"),
        ({"json": {"query": "{" + " " * 70_000 + "hello }"}}, 413, "LIMIT_EXCEEDED", "message_bytes"),
        ({"json": {"query": "{ hello }"}, "headers": {"host": "evil.example"}}, 400, "FORBIDDEN", "Host"),
        ({"json": {"query": "{ hello }"}, "headers": {"origin": "http://evil.example"}}, 403, "FORBIDDEN", "Origin"),
        ({"json": {"query": "{ hello }"}, "headers": {"accept": "image/png"}}, 406, "BAD_USER_INPUT", "Accept"),
        ({"json": {"query": "{ hello }"}, "headers": {"authorization": "Bearer bad"}}, 401, "UNAUTHENTICATED", "Token"),
        ({"json": {"query": "{ hello }"}, "headers": {"authorization": "Basic YTpi"}}, 401, "UNAUTHENTICATED", "Token"),
        ({"json": {"query": "subscription { messages }"}}, 400, "BAD_USER_INPUT", "WebSocket"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_a_bad_post_is_answered_with_its_status(
    server: Server, options: dict[str, Any], status: int, code: str, sentence: str
) -> None:
    """And with a GraphQL error that says what would be right."""
    response = await server.post(**options)
    assert response.status_code == status
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == code
    assert sentence in error["message"]
    assert "Traceback" not in response.text
    await server.require_unharmed()


@pytest.mark.parametrize(("accept", "status"), [("application/json", 200), ("application/graphql-response+json", 400)])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"query": "{ hello"}, ("GRAPHQL_PARSE_FAILED", "Syntax Error")),
        ({"query": "{ helo }"}, ("GRAPHQL_VALIDATION_FAILED", "Cannot query field 'helo'")),
        ({"query": "{ echo(text: " + "[" * 250 + ") }"}, ("GRAPHQL_", "nested too deeply")),
        ({"query": "{ again " * 500 + "{ hello }" + "}" * 500}, ("LIMIT_EXCEEDED", "document_tokens")),
        ({"query": "query ($t: Int!) { blob(bytes: $t) }"}, ("BAD_USER_INPUT", "Variable '$t'")),
        ({"query": "{ hello }", "operationName": "Nope"}, ("BAD_USER_INPUT", "no operation named 'Nope'")),
        ({"query": "query A { hello } query B { hello }"}, ("BAD_USER_INPUT", "operationName must say which")),
        ({"query": "fragment F on Query { hello }"}, ("GRAPHQL_VALIDATION_FAILED", "Fragment 'F' is never used.")),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_a_request_that_is_not_executed_has_no_data(
    server: Server, accept: str, status: int, body: object, expected: tuple[str, str]
) -> None:
    """400 for those who know the draft's media type, 200 for older clients, the same error for both."""
    response = await server.post(body, headers={"accept": accept})
    assert response.status_code == status
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    answer = response.json()
    assert "data" not in answer
    code, sentence = expected
    assert answer["errors"][0]["extensions"]["code"].startswith(code)
    assert sentence in answer["errors"][0]["message"]
    await server.require_unharmed()


@pytest.mark.parametrize(
    ("parameters", "status", "sentence"),
    [
        ({}, 400, "query is missing"),
        ({"query": 'mutation { add(text: "a") }'}, 405, "POST"),
        ({"query": "subscription { messages }"}, 400, "WebSocket"),
        ({"query": "{ hello }", "variables": "{"}, 400, "variables is not readable JSON"),
        ({"query": "{ hello }", "variables": "[]"}, 400, "variables"),
        ({"query": "{ hello }", "extensions": "nope"}, 400, "extensions is not readable JSON"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_a_bad_get_is_answered_with_its_status(
    server: Server, parameters: dict[str, str], status: int, sentence: str
) -> None:
    """GET is for queries, with JSON in its parameters."""
    response = await server.get(**parameters)
    assert response.status_code == status
    assert sentence in response.json()["errors"][0]["message"]
    assert server.world.happened == []
    await server.require_unharmed()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(server: Server, method: str) -> None:
    """The answer says which are."""
    response = await server.http.request(method, f"http://{server.authority}/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
