from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gqlink.auth import PasswordHasher, Token, TokenSigner
from gqlink.chat.login import SessionPosts
from gqlink.chat.login_limit import LoginLimit
from gqlink.chat.post import Post
from gqlink.server import Doorkeeper

from .conftest import NOW, Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.chat.accounts import Accounts
    from gqlink.chat.sessions import Sessions
    from gqlink.chat.store import Store

JSON = {"content-type": "application/json"}
RIGHT = {"name": "alice", "password": "alice123"}


@pytest.fixture
def login(accounts: Accounts, sessions: Sessions, time: Clock) -> Post:
    """The endpoint."""
    return Post(
        SessionPosts(accounts, sessions=sessions, limit=LoginLimit(clock=time)).login,
        doorkeeper=Doorkeeper(("localhost",), ()),
    )


@pytest.fixture
async def client(login: Post) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who speaks HTTP to an application that has nothing but the login."""
    transport = httpx2.ASGITransport(Starlette(routes=[Route("/login", login)]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def error(answer: httpx2.Response) -> tuple[int, str, str]:
    """The status, the code and the sentence; every refusal has this shape and is not to be kept."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found.keys() == {"error"}
    assert found["error"].keys() == {"code", "message"}
    return answer.status_code, found["error"]["code"], found["error"]["message"]


@pytest.mark.parametrize("field", ["name", "username"])
async def test_a_name_and_a_password_become_a_token(
    client: httpx2.AsyncClient, signer: TokenSigner, field: str
) -> None:
    """The token says who, for how long, and which login it belongs to; nobody may keep the answer."""
    answer = await client.post("/login", json={field: "Alice", "password": "alice123"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"token", "expiresIn", "refreshToken"}
    assert "set-cookie" not in answer.headers
    assert answer.json()["expiresIn"] == 60
    identity = signer.verify(Token(answer.json()["token"]), now=NOW)
    assert identity.subject == "alice"
    assert identity.session
    assert identity.expires_at == pytest.approx(NOW + 60, abs=1)


async def test_each_login_is_a_session_of_its_own(client: httpx2.AsyncClient, signer: TokenSigner) -> None:
    """So that one can be ended without the others."""
    tokens = [(await client.post("/login", json=RIGHT)).json()["token"] for _ in range(2)]
    assert len({signer.verify(Token(token), now=NOW).session for token in tokens}) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "alice", "password": "wrong"},
        {"name": "nobody", "password": "alice123"},
        {"name": "not a name", "password": "alice123"},
        {"name": "alice", "password": "x" * 5000},
    ],
)
async def test_a_wrong_name_and_a_wrong_password_look_the_same(
    client: httpx2.AsyncClient, wrong: dict[str, str]
) -> None:
    """401 with a challenge, and one sentence for both."""
    answer = await client.post("/login", json=wrong)
    assert error(answer) == (401, "UNAUTHENTICATED", "Wrong name or password.")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty"),
        (b" \n", "The body is empty"),
        (b"name=alice", "The body is not JSON"),
        (b"{", "The body is not JSON"),
        (b'{"name": "alice", "password": "alice123"} trailing', "The body is not JSON"),
        (b"\xff\xfe", "The body is not JSON"),
        (b'{"name": "\xff", "password": "alice123"}', "The body is not JSON"),
        (b'{"name": "\\ud83d", "password": "alice123"}', "The body is not JSON"),
        (b"[" * 60_000, "The"),
        (b'{"x": ' + b"[" * 60_000, "The body is not JSON"),
        (b"null", "The fields are not those of a login"),
        (b"[]", "The fields are not those of a login"),
        (b'"alice"', "The fields are not those of a login"),
        (b"1e400", "The"),
        (b'{"name": 1, "password": "alice123"}', "The fields are not those of a login"),
        (b'{"name": "alice", "password": null}', "The fields are not those of a login"),
        (b'{"name": "alice", "password": ["alice123"]}', "The fields are not those of a login"),
        (b'{"name": "alice"}', "The fields are not those of a login"),
        (b'{"user": "alice", "pass": "alice123"}', "The fields are not those of a login"),
        (b'{"password": "alice123"}', "Send one name"),
        (b'{"name": null, "password": "alice123"}', "Send one name"),
        (b'{"name": "alice", "username": "bob", "password": "alice123"}', "Send one name"),
        (b'{"name": "", "password": "alice123"}', "Neither the name nor the password may be empty"),
        (b'{"name": "alice", "password": ""}', "Neither the name nor the password may be empty"),
    ],
)
async def test_a_body_that_is_no_login_is_called_so(client: httpx2.AsyncClient, body: bytes, sentence: str) -> None:
    """400, with a sentence that helps."""
    status, code, message = error(await client.post("/login", content=body, headers=JSON))
    assert (status, code) == (400, "BAD_USER_INPUT")
    assert message.startswith(sentence)


async def test_other_fields_are_ignored(client: httpx2.AsyncClient) -> None:
    """A client of a later version may send more."""
    assert (await client.post("/login", json=RIGHT | {"cookie": False, "later": {}})).status_code == 200


async def test_both_names_may_be_sent_when_they_agree(client: httpx2.AsyncClient) -> None:
    """A client that serves several servers may do so."""
    assert (await client.post("/login", json=RIGHT | {"username": "alice"})).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
)
async def test_another_site_cannot_log_a_browser_in(client: httpx2.AsyncClient, content_type: str) -> None:
    """A page may send these types anywhere without asking, so the only type that is taken is one it must ask for."""
    answer = await client.post("/login", content=json.dumps(RIGHT), headers={"content-type": content_type})
    assert error(answer)[:2] == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_no_content_type_is_not_the_right_one(client: httpx2.AsyncClient) -> None:
    """The answer names the right one."""
    status, _, message = error(await client.post("/login", content=json.dumps(RIGHT)))
    assert status == 415
    assert "application/json" in message


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_the_content_type_may_have_parameters_and_any_case(client: httpx2.AsyncClient, content_type: str) -> None:
    """RFC 9110, section 8.3.1."""
    answer = await client.post("/login", content=json.dumps(RIGHT), headers={"content-type": content_type})
    assert answer.status_code == 200


async def test_a_body_over_64_kib_is_not_read_to_the_end(client: httpx2.AsyncClient) -> None:
    """Whether its length is announced or not."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 1000:
            read += 1
            yield b" " * 1024

    assert error(await client.post("/login", content=b" " * 65_537, headers=JSON))[:2] == (413, "LIMIT_EXCEEDED")
    assert error(await client.post("/login", content=endless(), headers=JSON))[0] == 413


async def test_a_body_of_64_kib_is_taken(client: httpx2.AsyncClient) -> None:
    """The bound itself is allowed."""
    assert (await client.post("/login", content=json.dumps(RIGHT).ljust(65_536), headers=JSON)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_post_logs_in(client: httpx2.AsyncClient, method: str) -> None:
    """A password in an address would be kept in logs."""
    answer = await client.request(method, "/login", params=RIGHT)
    assert error(answer)[:2] == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


async def test_a_database_that_is_down_is_not_a_refusal(
    client: httpx2.AsyncClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """503 says that trying again may help; what happened stands in the log, without the password."""
    await store.aclose()
    answer = await client.post("/login", json=RIGHT)
    assert error(answer)[:2] == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    assert "/login could not be answered" in caplog.messages
    assert "alice123" not in caplog.text


async def test_too_many_logins_at_once_are_told_to_come_again(
    client: httpx2.AsyncClient, hasher: PasswordHasher, caplog: pytest.LogCaptureFixture
) -> None:
    """The hasher takes no more; the log has a line for it and no traceback."""
    await hasher.aclose()
    answer = await client.post("/login", json=RIGHT)
    assert (error(answer)[:2], answer.headers["retry-after"]) == ((503, "UNAVAILABLE"), "1")
    [record] = [each for each in caplog.records if each.name.startswith("gqlink")]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.message.startswith("/login could not be answered: ")
    assert record.message.endswith("the password hasher is closed")


async def test_a_client_that_goes_away_in_the_middle_harms_nobody(login: Post) -> None:
    """There is nobody to answer, and nothing to report."""
    sent: list[object] = []
    received: list[dict[str, object]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, object]:
        return received.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    await login({"type": "http", "method": "POST", "path": "/login", "headers": headers}, receive, send)
    assert sent == []
