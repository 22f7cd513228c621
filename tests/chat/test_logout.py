"""What ends a session, from the outside: real sockets, in both subprotocols, and requests."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import pytest

from gqlink.chat import ChatSettings, create_app, open_administration
from gqlink.protocol import Kind
from server.peer import BOTH, Peer, member, peer
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gqlink.protocol import Dialect

LISTEN = "subscription { messageAdded { text } }"
REVOKED = (4403, "Session revoked")


@pytest.fixture(params=BOTH, ids=lambda dialect: dialect.subprotocol)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Either subprotocol."""
    found: Dialect = request.param
    return found


@dataclass
class Chat:
    """A server, and how to talk to it."""

    authority: str
    http: httpx2.AsyncClient

    async def log_in(self, name: str = "alice") -> dict[str, str]:
        """Begin a session."""
        answer = await self.http.post("/login", json={"name": name, "password": f"{name}123"})
        grant: dict[str, str] = answer.json()
        return grant

    async def refresh(self, grant: dict[str, str]) -> httpx2.Response:
        """Exchange a refresh token."""
        return await self.http.post("/refresh", json={"refreshToken": grant["refreshToken"]})

    async def log_out(self, grant: dict[str, str]) -> httpx2.Response:
        """End a session."""
        return await self.http.post("/logout", json={"refreshToken": grant["refreshToken"]})

    async def asked(self, grant: dict[str, str]) -> int:
        """Ask who one is, and return the status."""
        headers = {"authorization": f"Bearer {grant['token']}"}
        return (await self.http.post("/graphql", json={"query": "{ viewer { name } }"}, headers=headers)).status_code


@asynccontextmanager
async def chat(settings: ChatSettings) -> AsyncIterator[Chat]:
    """Serve a chat."""
    async with (
        serving(create_app(settings), lifespan="on") as authority,
        httpx2.AsyncClient(base_url=f"http://{authority}", trust_env=False) as http,
    ):
        yield Chat(authority, http)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo's data directory, made once: its passwords are expensive to hash."""

    async def start() -> None:
        app = create_app(ChatSettings(data_dir=path, demo=True))
        async with app.router.lifespan_context(app):
            pass

    path = tmp_path_factory.mktemp("demo")
    asyncio.run(start())
    return path


@pytest.fixture
def settings(tmp_path: Path, seeded: Path) -> ChatSettings:
    """A demo's."""
    return ChatSettings(data_dir=shutil.copytree(seeded, tmp_path / "demo"), demo=True)


async def listen(listener: Peer) -> None:
    """Subscribe, and be sure that it is live."""
    await listener.start(LISTEN)
    assert (await listener.ask("{ viewer { name } }", id="2"))[0]["payload"]["data"] == {"viewer": {"name": "alice"}}


async def test_a_logout_ends_the_sockets_and_tokens_of_its_session(settings: ChatSettings, dialect: Dialect) -> None:
    """At once, those of that session only; the tokens are refused over HTTP and on a new socket too."""
    async with chat(settings) as server:
        desk, phone = [await server.log_in() for _ in range(2)]
        refreshed = (await server.refresh(desk)).json()
        async with (
            member(server.authority, dialect, desk["token"]) as one,
            member(server.authority, dialect, refreshed["token"]) as two,
            member(server.authority, dialect, phone["token"]) as three,
            peer(server.authority, dialect) as late,
        ):
            for each in (one, two, three):
                await listen(each)
            assert (await server.log_out(desk)).status_code == 204
            assert [await each.closed() for each in (one, two)] == [REVOKED, REVOKED]
            await late.say(Kind.CONNECTION_INIT, payload={"accessToken": desk["token"]})
            assert await late.closed() == REVOKED
            assert [await server.asked(each) for each in (desk, refreshed, phone)] == [401, 401, 200]
            assert [(await server.refresh(each)).status_code for each in (refreshed, phone)] == [401, 200]
            assert (await three.ask("{ viewer { name } }", id="3"))[0]["type"] == "next"


async def test_a_logout_by_access_token_ends_as_much(settings: ChatSettings, dialect: Dialect) -> None:
    """Whoever has kept no refresh token is not worse off."""
    async with chat(settings) as server:
        grant = await server.log_in()
        async with member(server.authority, dialect, grant["token"]) as listener:
            answer = await server.http.post("/logout", headers={"authorization": f"Bearer {grant['token']}"})
            assert answer.status_code == 204
            assert await listener.closed() == REVOKED
        assert [await server.asked(grant), (await server.refresh(grant)).status_code] == [401, 401]


async def test_what_was_logged_out_stays_so_over_a_restart(settings: ChatSettings, dialect: Dialect) -> None:
    """On the same data directory, with the same signing key; the other session goes on."""
    async with chat(settings) as server:
        ended, other = [await server.log_in() for _ in range(2)]
        await server.log_out(ended)
    async with chat(settings) as server:
        assert [await server.asked(each) for each in (ended, other)] == [401, 200]
        async with peer(server.authority, dialect) as late:
            await late.say(Kind.CONNECTION_INIT, payload={"accessToken": ended["token"]})
            assert await late.closed() == REVOKED


async def test_a_stolen_refresh_token_ends_the_sockets_of_its_session(settings: ChatSettings, dialect: Dialect) -> None:
    """The thief's and the owner's."""
    async with chat(settings) as server:
        grant = await server.log_in()
        second = (await server.refresh(grant)).json()
        third = (await server.refresh(second)).json()
        async with member(server.authority, dialect, third["token"]) as listener:
            refused = await server.refresh(grant)
            assert (refused.status_code, refused.json()["error"]["message"]) == (401, "Session revoked.")
            assert await listener.closed() == REVOKED
        assert await server.asked(third) == 401


async def test_a_command_beside_the_server_ends_sessions(settings: ChatSettings, dialect: Dialect) -> None:
    """The server finds it in the database; a login afterwards is a new one."""
    async with chat(settings) as server:
        alice, bob = await server.log_in("alice"), await server.log_in("bob")
        async with (
            member(server.authority, dialect, alice["token"]) as listener,
            open_administration(settings) as administration,
        ):
            assert await administration.revoke("alice") == 1
            assert await listener.closed() == REVOKED
        assert [await server.asked(each) for each in (alice, bob)] == [401, 200]
        assert await server.asked(await server.log_in("alice")) == 200


@contextmanager
def unwritable(settings: ChatSettings) -> Iterator[None]:
    """Take the table away, so that no revocation can be kept."""
    with closing(sqlite3.connect(settings.data_dir / "chat.sqlite3", isolation_level=None)) as connection:
        connection.execute("ALTER TABLE revocations RENAME TO elsewhere")
        yield
        connection.execute("ALTER TABLE elsewhere RENAME TO revocations")


async def test_a_logout_without_a_database_is_half_of_one_and_says_so(settings: ChatSettings, dialect: Dialect) -> None:
    """Sockets and tokens end, since that needs no database; 503 says that it is to be repeated, and then it holds."""
    async with chat(settings) as server:
        grant = await server.log_in()
        async with member(server.authority, dialect, grant["token"]) as listener:
            with unwritable(settings):
                assert (await server.log_out(grant)).status_code == 503
            assert await listener.closed() == REVOKED
        assert await server.asked(grant) == 401
        assert (await server.log_out(grant)).status_code == 204
    async with chat(settings) as server:
        assert await server.asked(grant) == 401
        assert (await server.refresh(grant)).status_code == 401
