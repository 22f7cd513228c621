from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from gqlink.auth import ANONYMOUS, Credentials, Token, TokenSigner
from gqlink.chat import ChatSettings, create_app, open_administration
from gqlink.chat.app import token_authentication
from gqlink.chat.revocation_store import SqlRevocationStore
from gqlink.errors import BadUserInput, DataUnusable, InvalidToken, TokenExpired

from .conftest import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from starlette.applications import Starlette

    from gqlink.auth import Revocation

ALICE = {"name": "alice", "password": "alice123"}
ORIGIN = {"origin": "http://localhost:3000"}


@asynccontextmanager
async def served(app: Starlette, *, host: str = "localhost") -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application that has been started, and is stopped afterwards."""
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}:9000") as client:
            yield client


async def log_in(client: httpx2.AsyncClient) -> dict[str, str]:
    answer = await client.post("/login", json=ALICE)
    return {"authorization": f"Bearer {answer.json()['token']}"}


async def ask(client: httpx2.AsyncClient, query: str, *, headers: dict[str, str] | None = None) -> object:
    return (await client.post("/graphql", json={"query": query}, headers=headers)).json()


def cookie_of(client: httpx2.AsyncClient) -> str:
    return f"gqlink_refresh={client.cookies.get('gqlink_refresh', path='/refresh')}"


async def refresh(client: httpx2.AsyncClient, cookie: str) -> int:
    client.cookies.clear()
    headers = {"origin": "http://localhost:9000", "cookie": cookie}
    return (await client.post("/refresh", headers=headers)).status_code


async def test_absent_credentials_are_nobody(signer: TokenSigner) -> None:
    """Whoever has not logged in may still look for the door."""
    assert await token_authentication(signer)(Credentials()) is ANONYMOUS


async def test_credentials_that_are_present_must_verify(signer: TokenSigner) -> None:
    """Bad ones are an error, never nobody."""
    authenticate = token_authentication(signer, clock=lambda: 1000.0)
    token = signer.issue("alice", now=990.0)
    assert (await authenticate(Credentials(token=token, source="header"))).subject == "alice"
    with pytest.raises(InvalidToken):
        await authenticate(Credentials(token=Token("nonsense"), source="init"))
    with pytest.raises(TokenExpired):
        await token_authentication(signer, clock=lambda: 5000.0)(Credentials(token=token, source="header"))


async def test_a_token_lasts_no_longer_than_one_that_would_be_made_now() -> None:
    """A server that was started again with a shorter lifetime remembers revocations for no longer than that."""
    before, now = [TokenSigner([KEY], issuer="test", audience="test", lifetime=each) for each in (3600.0, 60.0)]
    long, short = [Credentials(token=before.issue("a", now=0.0, lifetime=each), source="init") for each in (3600.0, 5)]
    assert (await token_authentication(now, clock=lambda: 4.0)(long)).expires_at == 60
    assert (await token_authentication(now, clock=lambda: 4.0)(short)).expires_at == 5
    with pytest.raises(TokenExpired):
        await token_authentication(now, clock=lambda: 60.0)(long)


async def test_accounts_can_be_made_without_a_server(tmp_path: Path) -> None:
    """The data directory is made on the way, and keeps them."""
    settings = ChatSettings(data_dir=tmp_path / "data")
    async with open_administration(settings) as administration:
        await administration.accounts.create("carol", password="password")
    async with open_administration(settings) as administration:
        assert await administration.accounts.check("Carol", password="password")
        with pytest.raises(BadUserInput, match="taken"):
            await administration.accounts.create("carol", password="password")


async def test_the_demo_lets_alice_in(tmp_path: Path) -> None:
    """She logs in, says something and reads it, over one application."""
    async with served(create_app(ChatSettings(data_dir=tmp_path, demo=True))) as client:
        headers = await log_in(client)
        assert await ask(client, "{ viewer { name } }", headers=headers) == {"data": {"viewer": {"name": "alice"}}}
        said = await ask(client, 'mutation { addMessage(input: {text: "hi"}) { id } }', headers=headers)
        assert said == {"data": {"addMessage": {"id": "1"}}}


async def test_a_stranger_is_answered_and_refused(tmp_path: Path) -> None:
    """The code tells a client that a login would help."""
    async with served(create_app(ChatSettings(data_dir=tmp_path))) as client:
        found = await ask(client, "{ messages { id } }")
        assert isinstance(found, dict)
        assert found["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_without_the_demo_its_people_are_unknown(tmp_path: Path) -> None:
    """Also when the data directory has served a demo before."""
    async with served(create_app(ChatSettings(data_dir=tmp_path, demo=True))) as client:
        assert (await client.post("/login", json=ALICE)).status_code == 200
    async with served(create_app(ChatSettings(data_dir=tmp_path))) as client:
        assert (await client.post("/login", json=ALICE)).status_code == 401


async def test_messages_and_tokens_outlive_a_restart(tmp_path: Path) -> None:
    """The database and the signing key are in the data directory."""
    settings = ChatSettings(data_dir=tmp_path, demo=True)
    async with served(create_app(settings)) as client:
        headers = await log_in(client)
        await ask(client, 'mutation { addMessage(input: {text: "hi"}) { id } }', headers=headers)
    async with served(create_app(settings)) as client:
        found = await ask(client, "{ messages { text } }", headers=headers)
        assert found == {"data": {"messages": [{"text": "hi"}]}}


async def test_what_is_revoked_while_the_server_starts_is_known_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch begins before the server loads: what loading is too early for, watching is not too late for."""
    settings = ChatSettings(data_dir=tmp_path, demo=True)
    async with served(create_app(settings)) as client:
        headers = await log_in(client)
    steps: list[str] = []
    load, newest = SqlRevocationStore.load, SqlRevocationStore.newest

    async def loading(store: SqlRevocationStore) -> Sequence[Revocation]:
        steps.append("load")
        return await load(store)

    async def looking(store: SqlRevocationStore) -> int:
        found = await newest(store)
        steps.append("newest")
        return found

    monkeypatch.setattr(SqlRevocationStore, "load", loading)
    monkeypatch.setattr(SqlRevocationStore, "newest", looking)
    async with served(create_app(settings)) as client:
        assert "data" in str(await ask(client, "{ viewer { name } }", headers=headers))
        assert steps == ["newest", "load"]


async def test_a_cookie_rotates_on_over_a_restart(tmp_path: Path) -> None:
    """The one before still gets the same successor; an older one ends the session, whichever server wrote it."""
    settings = ChatSettings(data_dir=tmp_path, demo=True)
    async with served(create_app(settings)) as client:
        assert (await client.post("/login", json=ALICE | {"cookie": True})).status_code == 200
        first = cookie_of(client)
        assert await refresh(client, first) == 200
        second = cookie_of(client)
    async with served(create_app(settings)) as client:
        assert await refresh(client, first) == 200
        assert cookie_of(client) == second != first
        assert await refresh(client, second) == 200
        third = cookie_of(client)
    async with served(create_app(settings)) as client:
        assert [await refresh(client, each) for each in (first, third)] == [401, 401]


async def test_health_follows_the_database(tmp_path: Path) -> None:
    """200 while it answers, 503 when it does not; under any Host, since monitors ask by address."""
    app = create_app(ChatSettings(data_dir=tmp_path))
    async with served(app, host="10.0.0.1") as client:
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_the_login_answers_under_its_own_names(tmp_path: Path, host: str) -> None:
    """With any port."""
    async with served(create_app(ChatSettings(data_dir=tmp_path, demo=True)), host=host) as client:
        assert (await client.post("/login", json=ALICE)).status_code == 200


async def test_the_login_answers_under_no_other_name(tmp_path: Path) -> None:
    """A page whose name was rebound to this machine gives itself away by its name."""
    async with served(create_app(ChatSettings(data_dir=tmp_path, demo=True)), host="evil.example") as client:
        assert (await client.post("/login", json=ALICE)).status_code == 400


@pytest.mark.parametrize("path", ["/login", "/refresh", "/logout", "/graphql"])
@pytest.mark.parametrize(("demo", "status"), [(True, 204), (False, 403)])
async def test_a_page_on_another_port_may_use_a_demo_only(
    tmp_path: Path, path: str, *, demo: bool, status: int
) -> None:
    """A browser asks first; without an allowed origin the answer is no."""
    wish = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}
    async with served(create_app(ChatSettings(data_dir=tmp_path, demo=demo))) as client:
        answer = await client.options(path, headers=ORIGIN | wish)
        assert answer.status_code == status
        assert (answer.headers.get("access-control-allow-origin") == ORIGIN["origin"]) is demo


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://chat.example", True),
        ("https://chat.example.evil.example", False),
        ("https://chatxexample", False),
        ("http://chat.example", False),
        ("http://dev.example:3000", True),
        ("http://dev.example:3000.evil.example", False),
        ("null", False),
    ],
)
async def test_an_allowed_origin_is_that_one_and_no_other(tmp_path: Path, origin: str, *, allowed: bool) -> None:
    """A trailing slash and capitals in the setting are forgiven; ":*" is every port."""
    origins = ("https://Chat.example/", "http://dev.example:*")
    async with served(create_app(ChatSettings(data_dir=tmp_path, allowed_origins=origins))) as client:
        answer = await client.post("/login", json=ALICE, headers={"origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        assert (answer.headers.get("access-control-expose-headers") == "www-authenticate, retry-after") is allowed
        assert "access-control-allow-credentials" not in answer.headers


def test_damaged_keys_keep_it_from_being_made(tmp_path: Path) -> None:
    """Before anything listens."""
    path = tmp_path / "signing-keys.json"
    path.write_text("{}")
    path.chmod(0o600)
    with pytest.raises(DataUnusable, match="damaged"):
        create_app(ChatSettings(data_dir=tmp_path))


async def test_a_database_that_cannot_be_opened_keeps_it_from_starting(tmp_path: Path) -> None:
    """With the sentence of the migration."""
    (tmp_path / "chat.sqlite3").write_bytes(b"x" * 4096)
    app = create_app(ChatSettings(data_dir=tmp_path))
    with pytest.raises(DataUnusable, match="not a database"):
        async with app.router.lifespan_context(app):
            pass
