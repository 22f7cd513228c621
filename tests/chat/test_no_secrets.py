"""No token, password, refresh token or cookie is in any record of ours, in the metrics or in a span.

Everything is logged, each step of asyncio's included; what is presented is right, wrong, expired, revoked or nonsense,
over HTTP and both subprotocols.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import httpx2
import pytest

from gqlink.auth import Token
from gqlink.chat import ChatSettings, create_app
from gqlink.protocol import Kind
from gqlink.server import Limits
from server.eventually import eventually
from server.peer import BOTH, NEWER, Peer, member, peer
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from gqlink.protocol import Dialect
    from gqlink.server import GraphQLApp

pytest_plugins = ("client.exporting",)

MARK: Final = "Zx9Qw7Lk3V"
"""Part of every secret that we make up."""
METRICS: Final = f"metrics-token-{MARK}"
PASSWORD: Final = "alice123"
ROOMS: Final = "query Rooms($x: ID) { rooms { id } messages(room: $x) { id } }"
# Their DEBUG records repeat frames and what is stored; `gqlink serve` keeps them out of its log.
OTHERS: Final = ("uvicorn", "websockets", "aiosqlite", "sqlalchemy", "httpx", "httpcore", "ariadne")


class Evidence(logging.Handler):
    """What was logged, as a handler would write it, with all that records carry."""

    def __init__(self) -> None:
        super().__init__(level=1)
        self.texts: list[str] = []
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if not record.name.startswith(OTHERS):
            self.names.add(record.name.partition(".")[0])
            self.texts.append(f"{self.format(record)} {vars(record)}")


@pytest.fixture
async def evidence() -> AsyncIterator[Evidence]:
    """Log everything, each step of asyncio's included."""
    root, loop, evidence = logging.getLogger(), asyncio.get_running_loop(), Evidence()
    level = root.level
    root.addHandler(evidence)
    root.setLevel(1)
    loop.set_debug(enabled=True)
    yield evidence
    loop.set_debug(enabled=False)
    root.setLevel(level)
    root.removeHandler(evidence)


class Story:
    """Presents secrets wherever one can, and remembers them.

    Args:
        authority: Of the chat.
        graphql: Its application.
    """

    def __init__(self, authority: str, graphql: GraphQLApp) -> None:
        self.authority = authority
        self.graphql = graphql
        self.secrets = {MARK, PASSWORD}

    async def tell(self) -> None:
        """From a wrong password to a revocation."""
        async with httpx2.AsyncClient(base_url=f"http://{self.authority}") as http:
            await http.post("/login", json={"name": "alice", "password": f"wrong-{MARK}"})
            await self._over_http(http)
            for dialect in BOTH:
                await self._on_sockets(http, dialect)
            await self._with_a_cookie(http)
            await http.post("/refresh", json={"refreshToken": f"refresh-{MARK}"})

    async def log_in(self, http: httpx2.AsyncClient) -> tuple[str, str]:
        """Log in as alice, and return both tokens."""
        answer = (await http.post("/login", json={"name": "alice", "password": PASSWORD})).json()
        token, refresh = answer["token"], answer["refreshToken"]
        self.secrets |= {token, token.rpartition(".")[2], refresh}
        return token, refresh

    async def _over_http(self, http: httpx2.AsyncClient) -> None:
        token, refresh = await self.log_in(http)
        request = {"query": ROOMS, "variables": {"x": MARK}, "extensions": {"key": MARK}}
        bad = f"{token[:-4]}{MARK}"
        for authorization in (f"Bearer {token}", f"Bearer {bad}", f"Bearer {MARK}", f"Basic {MARK}"):
            headers = {"authorization": authorization, "cookie": f"session={MARK}", "x-api-key": MARK}
            await http.post("/graphql", json=request, headers=headers)
        await http.get("/graphql", params={"query": f"{{ {MARK} }}"}, headers={"authorization": f"Bearer {token}"})
        again = (await http.post("/refresh", json={"refreshToken": refresh})).json()
        self.secrets |= {again["token"], again["refreshToken"]}
        await http.post("/logout", json={"refreshToken": again["refreshToken"]})
        await http.post("/graphql", json=request, headers={"authorization": f"Bearer {again['token']}"})
        await http.post("/refresh", json={"refreshToken": again["refreshToken"]})
        await http.get("/metrics", headers={"authorization": f"Bearer {METRICS}x"})

    async def _on_sockets(self, http: httpx2.AsyncClient, dialect: Dialect) -> None:
        token, refresh = await self.log_in(http)
        for refused in (f"{token[:-4]}{MARK}", MARK, {"secret": MARK}):
            async with peer(self.authority, dialect) as client:
                await client.say(Kind.CONNECTION_INIT, payload={"accessToken": refused})
                await client.closed()
        async with peer(self.authority, dialect) as client:
            await client.socket.send(f'{{"type": "{MARK}", "payload": "{token}"')
            await client.closed()
        async with member(self.authority, dialect, token) as client:
            await client.ask(ROOMS, variables={"x": MARK})
            await client.ask(f"{{ {MARK} }}", extensions={"token": token})
            await self._renew(client, dialect, token)
            await client.start("subscription Said { messageAdded { text } }", id=MARK)
            await eventually(lambda: self.graphql._host.meter.running["subscription", "websocket"] == 1)
            await self.graphql.revoke(subject="alice")
            await client.closed()
        async with member(self.authority, dialect) as client:
            await client.socket.close(4499, f"changed: {MARK}")
        await http.post("/logout", json={"refreshToken": refresh})

    async def _renew(self, client: Peer, dialect: Dialect, token: str) -> None:
        if dialect is not NEWER:
            return
        for fresh in (token, f"{token[:-4]}{MARK}"):
            await client.send({"type": "ping", "payload": {"gqlink": {"accessToken": fresh, "seq": 1}}})
            while (await client.receive()).get("payload") is None:
                pass

    async def _with_a_cookie(self, http: httpx2.AsyncClient) -> None:
        await http.post("/login", json={"name": "alice", "password": PASSWORD, "cookie": True})
        cookie = http.cookies.get("gqlink_refresh", path="/refresh")
        assert cookie
        self.secrets.add(cookie)
        origin = {"origin": f"http://{self.authority}"}
        await http.post("/refresh", headers=origin)
        await http.post("/refresh", headers={**origin, "cookie": f"gqlink_refresh={MARK}"})
        await http.post("/logout", headers=origin)


async def test_secrets_are_nowhere(tmp_path: Path, evidence: Evidence, spans: InMemorySpanExporter) -> None:
    """Whatever was presented, and whatever came of it."""
    settings = ChatSettings(
        data_dir=tmp_path, demo=True, metrics_token=Token(METRICS), limits=Limits(messages_per_second=1000)
    )
    app = create_app(settings)
    async with serving(app) as authority:
        story = Story(authority, app.state.graphql)
        await story.tell()
        await eventually(lambda: app.state.graphql.statistics().sockets == 0)
        async with httpx2.AsyncClient() as http:
            answer = await http.get(f"http://{authority}/metrics", headers={"authorization": f"Bearer {METRICS}"})
    exported = [span.to_json() for span in spans.get_finished_spans()]
    assert evidence.names >= {"asyncio", "gqlink"}
    assert answer.text.count("gqlink_") > 80
    assert len(exported) == 5  # one over HTTP, and a query and a subscription in each subprotocol
    assert len(story.secrets) >= 12
    texts = [*evidence.texts, *exported, answer.text, repr(settings)]
    assert [text for text in texts for secret in story.secrets if secret in text] == []
