from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gqlink.auth import Token, TokenSigner
from gqlink.chat.accounts import Accounts
from gqlink.chat.login import SessionPosts
from gqlink.chat.login_limit import LoginLimit
from gqlink.chat.post import Post
from gqlink.chat.session_store import SessionStore
from gqlink.errors import SessionRevoked, StoreUnavailable, TokenExpired
from gqlink.server import Doorkeeper

from .conftest import NOW, Clock, make_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.engine import URL

    from gqlink.auth import PasswordHasher
    from gqlink.chat.records import Account, Session
    from gqlink.chat.sessions import Grant, Sessions
    from gqlink.chat.store import Store

ALICE = {"name": "Alice", "password": "alice123"}
HERE = {"origin": "http://localhost"}


@pytest.fixture
async def client(accounts: Accounts, sessions: Sessions, time: Clock) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser that shows a page of this server, as far as cookies go."""
    posts = SessionPosts(accounts, sessions=sessions, limit=LoginLimit(clock=time))
    doorkeeper = Doorkeeper(("localhost",), ("http://dev.example:*",))
    answers = {"/login": posts.login, "/refresh": posts.refresh, "/logout": posts.logout}
    app = Starlette(routes=[Route(path, Post(answer, doorkeeper=doorkeeper)) for path, answer in answers.items()])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
        yield client


async def test_a_session_outlives_its_access_tokens(
    sessions: Sessions, grant: Grant, signer: TokenSigner, time: Clock
) -> None:
    """Each token it grants is for the same subject and the same session."""
    time.now += 1800
    renewed = await sessions.renew(grant.refresh_token)
    first = signer.verify(grant.token, now=NOW)
    second = signer.verify(renewed.token, now=time.now)
    assert (renewed.name, second.subject, second.session) == ("alice", "alice", first.session)
    assert first.session
    assert second.token_id != first.token_id
    assert renewed.session_expires_in == 1800


async def test_nothing_outlives_the_session(sessions: Sessions, grant: Grant, time: Clock) -> None:
    """The last access token is shorter, and then the password is asked for again."""
    time.now += 3590
    assert (await sessions.renew(grant.refresh_token)).expires_in == pytest.approx(10)
    time.now += 10
    with pytest.raises(TokenExpired):
        await sessions.renew(grant.refresh_token)


class Waiting(SessionStore):
    """A store whose writes wait for their turn, for as long as the test says."""

    def __init__(self, store: Store, *, time: Clock, seconds: float) -> None:
        super().__init__(store)
        self._time = time
        self._seconds = seconds

    async def add(self, session_id: str, *, account: Account, created_at: datetime, expires_at: datetime) -> Session:
        """Wait, then add."""
        self._time.now += self._seconds
        return await super().add(session_id, account=account, created_at=created_at, expires_at=expires_at)

    async def rotate(
        self, session_id: str, *, generation: int, rotated_at: datetime, check: Callable[[Session], None]
    ) -> Session | None:
        """Wait, then rotate."""
        self._time.now += self._seconds
        return await super().rotate(session_id, generation=generation, rotated_at=rotated_at, check=check)


async def test_a_token_is_dated_when_its_session_has_been_written(
    store: Store, accounts: Accounts, signer: TokenSigner, time: Clock
) -> None:
    """A write may wait for that of a revocation, which is about what was issued before, and not about this login."""
    waiting = Waiting(store, time=time, seconds=4.0)
    sessions = make_sessions(store, accounts=accounts, signer=signer, clock=time, session_store=waiting)
    opened = await sessions.open(await accounts.check("alice", password="alice123"))
    renewed = await sessions.renew(opened.refresh_token)
    issued = [signer.verify(each.token, now=time.now).issued_at for each in (opened, renewed)]
    assert issued == [NOW + 4, NOW + 8]
    assert [each.session_expires_in for each in (opened, renewed)] == [3596, 3592]


async def test_a_session_that_is_over_when_it_has_been_written_grants_nothing(
    store: Store, accounts: Accounts, signer: TokenSigner, time: Clock
) -> None:
    """Rather than a token that has expired."""
    waiting = Waiting(store, time=time, seconds=3600.0)
    sessions = make_sessions(store, accounts=accounts, signer=signer, clock=time, session_store=waiting)
    with pytest.raises(TokenExpired):
        await sessions.open(await accounts.check("alice", password="alice123"))


async def test_a_session_that_was_ended_stays_so(sessions: Sessions, grant: Grant) -> None:
    """To end it twice is harmless."""
    await sessions.end(grant.refresh_token)
    await sessions.end(grant.refresh_token)
    with pytest.raises(SessionRevoked):
        await sessions.renew(grant.refresh_token)


async def test_sessions_of_one_person_are_ended_one_by_one(
    accounts: Accounts, sessions: Sessions, grant: Grant
) -> None:
    """Logging out on the phone leaves the desk alone."""
    other = await sessions.open(await accounts.check("alice", password="alice123"))
    await sessions.end(other.refresh_token)
    assert await sessions.renew(grant.refresh_token)


async def test_a_session_of_the_demo_ends_with_the_demo(
    store: Store, hasher: PasswordHasher, signer: TokenSigner, time: Clock
) -> None:
    """Its password is public, and so may its refresh token be."""
    demo = Accounts(store, hasher=hasher, demo=True)
    await demo.seed_demo()
    sessions = make_sessions(store, accounts=demo, signer=signer, clock=time)
    grant = await sessions.open(await demo.check("bob", password="bob123"))
    assert await sessions.renew(grant.refresh_token)
    real = make_sessions(store, accounts=Accounts(store, hasher=hasher), signer=signer, clock=time)
    with pytest.raises(SessionRevoked):
        await real.renew(grant.refresh_token)


async def test_old_sessions_are_forgotten_and_no_token_is_stored(
    accounts: Accounts, sessions: Sessions, grant: Grant, time: Clock, url: URL
) -> None:
    """The table holds what is needed, and nothing that a thief of the database could use."""
    time.now += 4000
    await sessions.open(await accounts.check("bob", password="bobby123"))
    with closing(sqlite3.connect(str(url.database))) as connection:
        rows = connection.execute("SELECT * FROM sessions").fetchall()
    assert len(rows) == 1
    assert datetime.fromtimestamp(time.now, UTC).strftime("%H:%M:%S") in str(rows)
    assert grant.refresh_token.reveal().rpartition(".")[2] not in str(rows)


async def test_a_refresh_token_in_the_body_is_answered_in_the_body(client: httpx2.AsyncClient) -> None:
    """For clients that are no browsers; no cookie is set."""
    given = (await client.post("/login", json=ALICE)).json()["refreshToken"]
    answer = await client.post("/refresh", json={"refreshToken": given})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"token", "expiresIn", "name", "refreshToken"}
    assert answer.json()["name"] == "alice"
    assert "set-cookie" not in answer.headers


async def test_a_browser_gets_a_cookie_that_no_script_can_read(client: httpx2.AsyncClient) -> None:
    """HttpOnly, SameSite=Strict, for two paths only, as long as the session; the answer does not hold the token."""
    answer = await client.post("/login", json=ALICE | {"cookie": True})
    assert answer.json().keys() == {"token", "expiresIn"}
    cookies = [set(text.lower().split("; ")) for text in answer.headers.get_list("set-cookie")]
    assert [{"path=/refresh"} & each or {"path=/logout"} & each for each in cookies] == [
        {"path=/refresh"},
        {"path=/logout"},
    ]
    for each in cookies:
        assert {"httponly", "samesite=strict", "max-age=3600"} <= each
        assert "secure" not in each
    assert (await client.get("/login")).request.headers.get("cookie") is None


async def test_over_https_the_cookie_stays_there(client: httpx2.AsyncClient) -> None:
    """Secure."""
    answer = await client.post("https://localhost/login", json=ALICE | {"cookie": True})
    assert all("; Secure" in text for text in answer.headers.get_list("set-cookie"))


async def test_the_cookie_is_exchanged_for_an_access_token(client: httpx2.AsyncClient, signer: TokenSigner) -> None:
    """That is how a page that was reloaded knows who is logged in; the refresh token stays out of the answer."""
    await client.post("/login", json=ALICE | {"cookie": True})
    for body in ("", "{}"):
        answer = await client.post("/refresh", headers=HERE | {"content-type": "application/json"}, content=body)
        assert answer.json().keys() == {"token", "expiresIn", "name"}
        assert signer.verify(Token(answer.json()["token"]), now=NOW).subject == "alice"


async def test_every_refresh_renews_the_cookie(client: httpx2.AsyncClient, time: Clock) -> None:
    """The token in it rotates, and lives as long as the session."""
    await client.post("/login", json=ALICE | {"cookie": True})
    seen = [client.cookies.get("gqlink_refresh", path="/refresh")]
    for _ in range(3):
        time.now += 900
        answer = await client.post("/refresh", headers=HERE)
        assert answer.status_code == 200
        seen.append(client.cookies.get("gqlink_refresh", path="/refresh"))
        assert client.cookies.get("gqlink_refresh", path="/logout") == seen[-1]
        assert f"Max-Age={NOW + 3600 - time.now:.0f};" in answer.headers["set-cookie"]
    assert len(set(seen)) == 4


async def test_two_tabs_share_a_cookie_whichever_answer_comes_last(client: httpx2.AsyncClient, time: Clock) -> None:
    """Both answers bring the same one."""
    await client.post("/login", json=ALICE | {"cookie": True})
    cookie = {"cookie": f"gqlink_refresh={client.cookies.get('gqlink_refresh', path='/refresh')}"}
    client.cookies.clear()
    answers = [await client.post("/refresh", headers=HERE | cookie) for _ in range(2)]
    assert answers[0].headers.get_list("set-cookie") == answers[1].headers.get_list("set-cookie")
    assert answers[0].json()["token"] != answers[1].json()["token"]
    time.now += 900
    assert (await client.post("/refresh", headers=HERE)).status_code == 200


async def test_a_refusal_leaves_the_cookie_alone(client: httpx2.AsyncClient) -> None:
    """It may be that of a login that came meanwhile, while the refused one was under way."""
    old = (await client.post("/login", json=ALICE)).json()["refreshToken"]
    await client.post("/logout", json={"refreshToken": old})
    await client.post("/login", json=ALICE | {"cookie": True})
    present, client.cookies = client.cookies, httpx2.Cookies()
    late = await client.post("/refresh", headers=HERE | {"cookie": f"gqlink_refresh={old}"})
    assert late.status_code == 401
    assert "set-cookie" not in late.headers
    client.cookies = present
    assert (await client.post("/refresh", headers=HERE)).status_code == 200


@pytest.mark.parametrize("path", ["/refresh", "/logout"])
@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}, {"origin": "null"}])
async def test_a_cookie_counts_for_our_own_pages_only(
    client: httpx2.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    """A browser says the Origin of every POST."""
    await client.post("/login", json=ALICE | {"cookie": True})
    answer = await client.post(path, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert "set-cookie" not in answer.headers
    assert (await client.post("/refresh", headers=HERE)).status_code == 200


async def test_an_allowed_origin_is_as_good_as_our_own(client: httpx2.AsyncClient) -> None:
    """Such as that of a development server."""
    await client.post("/login", json=ALICE | {"cookie": True})
    assert (await client.post("/refresh", headers={"origin": "http://dev.example:5173"})).status_code == 200


@pytest.mark.parametrize("path", ["/login", "/refresh", "/logout"])
async def test_no_endpoint_answers_under_a_foreign_name(client: httpx2.AsyncClient, path: str) -> None:
    """Its page may have rebound the name to this machine."""
    answer = await client.post(path, json=ALICE, headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("body", [None, {}, {"refreshToken": None}, {"refreshToken": ""}, {"refreshToken": "nonsense"}])
async def test_whoever_has_no_session_gets_no_token(client: httpx2.AsyncClient, body: object) -> None:
    """401, and one sentence for all of them that have a token."""
    answer = await client.post("/refresh", json=body) if body is not None else await client.post("/refresh")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_is_sent_counts_whatever_the_cookie_says(client: httpx2.AsyncClient) -> None:
    """Explicit beats ambient; an explicit null is nobody."""
    await client.post("/login", json=ALICE | {"cookie": True})
    assert (await client.post("/refresh", json={"refreshToken": None}, headers=HERE)).status_code == 401
    assert (await client.post("/logout", json={"refreshToken": None}, headers=HERE)).status_code == 204
    bob = (await client.post("/login", json={"name": "bob", "password": "bobby123"})).json()["refreshToken"]
    assert (await client.post("/refresh", json={"refreshToken": bob}, headers=HERE)).json()["name"] == "bob"


async def test_a_logout_ends_the_session_and_the_cookie(client: httpx2.AsyncClient) -> None:
    """Somebody who has copied the cookie has nothing."""
    await client.post("/login", json=ALICE | {"cookie": True})
    copied = client.cookies.get("gqlink_refresh", path="/refresh")
    answer = await client.post("/logout", headers=HERE)
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(client.cookies) == 0
    refused = await client.post("/refresh", json={"refreshToken": copied})
    assert (refused.status_code, refused.json()["error"]["message"]) == (401, "Session revoked.")


async def test_a_logout_by_refresh_token_leaves_the_cookie_alone(client: httpx2.AsyncClient) -> None:
    """It is of another session."""
    await client.post("/login", json=ALICE | {"cookie": True})
    other = (await client.post("/login", json=ALICE)).json()["refreshToken"]
    assert "set-cookie" not in (await client.post("/logout", json={"refreshToken": other})).headers
    assert (await client.post("/refresh", json={"refreshToken": other})).status_code == 401
    assert (await client.post("/refresh", headers=HERE)).status_code == 200


async def test_a_logout_by_access_token_ends_its_session(client: httpx2.AsyncClient, time: Clock) -> None:
    """For whoever has kept nothing else; one that has expired ends nothing."""
    grants = [(await client.post("/login", json=ALICE)).json() for _ in range(2)]
    for grant, seconds in zip(grants, (0, 100), strict=True):
        time.now += seconds
        await client.post("/logout", headers={"authorization": f"Bearer {grant['token']}"})
    statuses = [
        (await client.post("/refresh", json={"refreshToken": grant["refreshToken"]})).status_code for grant in grants
    ]
    assert statuses == [401, 200]


async def test_a_logout_ends_the_session_of_each_proof(client: httpx2.AsyncClient) -> None:
    """A refresh token and an access token need not belong together."""
    one, two = [(await client.post("/login", json=ALICE)).json() for _ in range(2)]
    body = {"refreshToken": one["refreshToken"]}
    answer = await client.post("/logout", json=body, headers={"authorization": f"Bearer {two['token']}"})
    assert answer.status_code == 204
    for each in (one, two):
        assert (await client.post("/refresh", json={"refreshToken": each["refreshToken"]})).status_code == 401


async def test_an_old_refresh_token_is_answered_like_any_that_is_of_no_use(
    client: httpx2.AsyncClient, time: Clock
) -> None:
    """401, and the session is over, for whoever has the newer one too."""
    old = (await client.post("/login", json=ALICE)).json()["refreshToken"]
    new = (await client.post("/refresh", json={"refreshToken": old})).json()["refreshToken"]
    time.now += 31
    for each in (old, new):
        answer = await client.post("/refresh", json={"refreshToken": each})
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, "Session revoked.")


@pytest.mark.parametrize("body", [None, {}, {"refreshToken": "nonsense"}])
async def test_whoever_has_no_session_is_logged_out_already(client: httpx2.AsyncClient, body: object) -> None:
    """It is no error."""
    answer = await client.post("/logout", json=body) if body is not None else await client.post("/logout")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["/refresh", "/logout"])
async def test_a_form_of_another_site_is_not_taken(client: httpx2.AsyncClient, path: str) -> None:
    """Only JSON is, which a browser asks about first."""
    assert (await client.post(path, data={"refreshToken": "x"})).status_code == 415
    assert (await client.post(path, json={"refreshToken": 1})).status_code == 400
    assert (await client.get(path)).status_code == 405


async def test_a_database_that_is_down_ends_no_session(
    client: httpx2.AsyncClient, sessions: Sessions, grant: Grant, store: Store
) -> None:
    """503: the answer is not known, and asking again may help."""
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await sessions.renew(grant.refresh_token)
    body = {"refreshToken": grant.refresh_token.reveal()}
    assert [(await client.post(path, json=body)).status_code for path in ("/refresh", "/logout")] == [503, 503]
