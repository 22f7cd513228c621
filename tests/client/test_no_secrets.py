"""No token, password or other secret is in any log at any level, in a span, in a state or in an error's text.

Every library may log, from level 1 on, with asyncio in its debug mode telling of each step that it takes; and the
server repeats whatever it is given.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import httpx2
import pytest

from client.chat import subscribed
from client.hands import FakeClock, until
from client.roads import connect_proxy
from gqlink.client import Attempt, Client, HttpLink, LinkPhase, LinkState, PasswordLogin, WebSocketLink
from gqlink.errors import GqlinkError, InvalidCredentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from client.peer import Peer
    from gqlink.protocol import Request

pytest_plugins = ("client.exporting",)

MARK: Final = "Zx9Qw7Lk3V"
"""Part of every secret."""
PASSWORD: Final = f"pass-{MARK}"
MAIL: Final = "subscription Mail { mail }"


class Evidence(logging.Handler):
    """What a story leaves behind: records as a handler would write them, with all they carry; states; errors."""

    def __init__(self) -> None:
        super().__init__(level=1)
        self.records: list[str] = []
        self.states: list[LinkState] = []
        self.errors: list[GqlinkError] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, unless it is of the test's own server."""
        if not record.name.startswith("picows.server"):
            self.records.append(f"{record.name}: {self.format(record)} {vars(record)}")

    async def fails(self, work: Coroutine[object, object, object]) -> None:
        """Let something fail, and keep what is said of it."""
        try:
            await work
        except GqlinkError as exc:
            self.errors.append(exc)
        else:
            raise AssertionError("it did not fail")

    @property
    def texts(self) -> list[str]:
        """All of it as text."""
        states = [f"{state!r} {state} {state.describe(0.0)}" for state in self.states]
        return [*self.records, *states, *(f"{type(error).__name__}: {error}" for error in self.errors)]


@pytest.fixture
async def evidence(spans: InMemorySpanExporter) -> AsyncIterator[Evidence]:
    """Log everything, each step of asyncio's included; at the end nothing of it holds a secret."""
    root, loop, evidence = logging.getLogger(), asyncio.get_running_loop(), Evidence()
    level = root.level
    root.addHandler(evidence)
    root.setLevel(1)
    loop.set_debug(enabled=True)
    loop.slow_callback_duration = 0.0
    yield evidence
    loop.set_debug(enabled=False)
    root.setLevel(level)
    root.removeHandler(evidence)
    texts = evidence.texts + [span.to_json() for span in spans.get_finished_spans()]
    assert {text.partition(":")[0] for text in evidence.records} >= {"asyncio", "gqlink.client"}
    assert evidence.errors
    assert not [text for text in texts if MARK in text or "s3cret" in text]


class Logins:
    """A server of logins, whose tokens and refresh tokens are secrets; it repeats what it refuses."""

    def __init__(self) -> None:
        self.given = 0
        self.transport = httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        if request.url.path == "/login" and body["password"] != PASSWORD:
            error = {"code": "UNAUTHENTICATED", "message": f"no such password: {body['password']}"}
            return httpx2.Response(401, json={"error": error})
        if request.url.path == "/logout":
            return httpx2.Response(500, text=request.content.decode())
        self.given += 1
        tokens = {"token": f"alice-{MARK}-{self.given}", "refreshToken": f"{MARK}-r{self.given}"}
        return httpx2.Response(200, json={**tokens, "expiresIn": 900.0, "name": "alice"})


def story(peer: Peer, evidence: Evidence, login: PasswordLogin, clock: FakeClock, proxy: str) -> WebSocketLink:
    """Return a link that presents secrets wherever one can."""

    def params(attempt: Attempt) -> dict[str, object]:
        return {"accessToken": attempt.token, "odd": {"tenantKey": f"{MARK}-tenant"}, "password": f"{MARK}-word"}

    return WebSocketLink(
        peer.url,
        auth=login,
        connection_params=params,
        headers={"authorization": f"Basic {MARK}", "x-api-key": f"{MARK}-key"},
        proxy=proxy,
        clock=clock,
        overlap_seconds=0.0,
        on_state=evidence.states.append,
    )


@asynccontextmanager
async def logged_in(clock: FakeClock) -> AsyncIterator[PasswordLogin]:
    """Log in, after a wrong password; the logout fails."""
    login = PasswordLogin("http://chat.invalid", transport=Logins().transport, clock=clock)
    with pytest.raises(InvalidCredentials):
        await login.login("alice", f"{MARK}-wrong")
    await login.login("alice", PASSWORD)
    yield login
    with pytest.raises(GqlinkError):
        await login.logout()
    await login.aclose()


async def test_the_life_of_a_socket_repeats_no_secret(peer: Peer, evidence: Evidence) -> None:
    """Login, proxy, renewal by ping or by handover, expiry, errors that repeat the token, refusal, logout."""
    clock = FakeClock()
    peer.script.renewal = "ping"
    async with logged_in(clock) as login, connect_proxy() as road:
        link = story(peer, evidence, login, clock, road.url)
        async with Client(link) as client, client.subscribe(MAIL) as mail:
            await subscribed(peer)
            clock.advance(700.0)
            await until(lambda: link.state.renewed)
            token = await login.token()
            for quoted in (f"alice-{MARK}-1", str(token), f"{MARK}-tenant"):
                await evidence.fails(asked_and_refused(client, peer, f"not with {quoted}"))
            peer.subscribers[-1].close(4403, f"Token expired: {token}")
            await until(lambda: len(evidence.states) > 3 and link.state.phase is LinkPhase.LIVE)
            peer.script.status = 503
            peer.sockets[-1].drop()
            await until(lambda: link.state.phase is LinkPhase.WAITING)
            peer.script.status = None
            peer.script.close_on_init = (4403, f"Token invalid: {MARK}-tenant and {await login.token()}")
            await until(lambda: given_up(link, clock))
            await evidence.fails(anext(mail))
    assert MARK in str(peer.inits) + str(peer.headers)
    assert any(MARK in text for text in peer.texts)


def given_up(link: WebSocketLink, clock: FakeClock) -> bool:
    """Let time pass; whether the link has had enough."""
    clock.advance(10.0)
    return link.state.phase is LinkPhase.FAILED


async def asked_and_refused(client: Client, peer: Peer, message: str) -> None:
    """Ask a query, and let the server fail it with a message."""
    peer.script.hold_operations = True
    before = len(asked(peer))
    asking = asyncio.ensure_future(client.execute("query Q { open }"))
    await until(lambda: len(asked(peer)) > before)
    number, identifier, _ = asked(peer)[-1]
    (socket,) = [each for each in peer.sockets if each.number == number]
    socket.connection.error(identifier, [{"message": message}])
    socket.flush()
    await asking


def asked(peer: Peer) -> list[tuple[int, str, Request]]:
    """Return the queries that the server was asked."""
    return [each for each in peer.operations if each[2].query.startswith("query Q")]


@pytest.mark.parametrize("error", [ValueError, OSError])
async def test_a_token_function_that_crashes_repeats_no_secret(
    peer: Peer, evidence: Evidence, error: Callable[[str], Exception]
) -> None:
    """Its exception holds the token; so it does over HTTP."""

    def crash() -> dict[str, str]:
        raise error(f"cannot use alice-{MARK}")

    link = WebSocketLink(peer.url, connection_params=crash, on_state=evidence.states.append, reconnect=False)
    async with Client(link) as client:
        for _ in range(5):
            await evidence.fails(client.execute("query { open }"))
    http = HttpLink(
        "http://api.invalid/", headers=crash, transport=httpx2.MockTransport(lambda _: httpx2.Response(200))
    )
    async with Client(http) as client:
        await evidence.fails(client.execute("query { open }"))


async def test_http_repeats_no_secret(evidence: Evidence) -> None:
    """A server behind a proxy with a password repeats token and headers, in GraphQL's form and in its own."""
    clock = FakeClock()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        said = json.dumps({"errors": [{"message": head, "extensions": {"code": "UNAUTHENTICATED"}}]}).encode()
        said = head.encode() if "x-plain" in head else said
        status = b"401 Unauthorized" if "x-plain" not in head else b"502 Bad Gateway"
        writer.write(b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(said), said))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://user:{MARK}@127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql?key={MARK}"
    try:
        async with logged_in(clock) as login:
            for headers in ({"x-api-key": f"{MARK}-key"}, {"x-api-key": f"{MARK}-key", "x-plain": "yes"}):
                async with Client(HttpLink(url, auth=login, headers=headers, clock=clock)) as client:
                    for _ in range(2):
                        await evidence.fails(client.execute("query Q { open }"))
            async with connect_proxy() as road:
                for proxy, fails in ((road.url, False), (road.stranger, True)):
                    async with Client(HttpLink(url, auth=login, proxy=proxy, clock=clock)) as client:
                        asking = client.execute("query Q { open }")
                        await (evidence.fails(asking) if fails else asking)
    finally:
        server.close()
        await asyncio.sleep(0)
