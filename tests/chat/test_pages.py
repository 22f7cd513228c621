from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from websockets import Subprotocol
from websockets.asyncio.client import connect

from gqlink.chat import ChatSettings, create_app
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ADD = 'mutation { addMessage(input: {text: "I was never here"}) { id } }'


@asynccontextmanager
async def browser(settings: ChatSettings, *, host: str = "localhost") -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who opens the chat in a browser, as far as requests go."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://{host}:9000") as client:
            yield client


async def test_a_demo_says_so_and_whom_one_may_be(tmp_path: Path) -> None:
    """The page makes a button of each; nobody keeps the answer, which another server may give differently."""
    async with browser(ChatSettings(data_dir=tmp_path, demo=True, playground=True)) as client:
        answer = await client.get("/config.json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "demo": True,
        "accounts": [
            {"name": "alice", "password": "alice123"},
            {"name": "bob", "password": "bob123"},
            {"name": "charlie", "password": "charlie123"},
        ],
        "graphql": "/graphql",
        "playground": True,
    }


async def test_a_server_that_is_no_demo_names_nobody(tmp_path: Path) -> None:
    """Not even after it has been one."""
    async with browser(ChatSettings(data_dir=tmp_path, demo=True)):
        pass
    async with browser(ChatSettings(data_dir=tmp_path)) as client:
        assert (await client.get("/config.json")).json() == {"demo": False, "graphql": "/graphql", "playground": False}
        assert (await client.get("/playground")).status_code == 404


async def test_the_page_is_at_the_root_under_a_strict_policy(tmp_path: Path) -> None:
    """Built, or with a sentence that says how to build it; no inline script or style in either case."""
    async with browser(ChatSettings(data_dir=tmp_path)) as client:
        answer = await client.get("/")
    assert answer.status_code == 200 or (answer.status_code == 503 and "make setup" in answer.text)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "script-src 'self';" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/config.json", "/assets/x.js", "/playground/", "/playground/config.json"])
async def test_the_pages_answer_under_no_other_name(tmp_path: Path, path: str) -> None:
    """A page whose name was rebound to this machine gives itself away by its name."""
    async with browser(ChatSettings(data_dir=tmp_path, playground=True), host="evil.example") as client:
        assert (await client.get(path)).status_code == 400


async def test_a_reload_stays_signed_in_until_the_logout(tmp_path: Path) -> None:
    """Login with a cookie, refresh, speak, logout, refresh: over the whole application."""
    own = {"origin": "http://localhost:9000"}
    async with browser(ChatSettings(data_dir=tmp_path, demo=True)) as client:
        await client.post("/login", json={"name": "alice", "password": "alice123", "cookie": True}, headers=own)
        token = (await client.post("/refresh", headers=own)).json()["token"]
        headers = own | {"authorization": f"Bearer {token}"}
        said = (await client.post("/graphql", json={"query": ADD}, headers=headers)).json()
        by_cookie = (await client.post("/graphql", json={"query": ADD}, headers=own)).json()
        assert (await client.post("/logout", headers=own)).status_code == 204
        assert (await client.post("/refresh", headers=own)).status_code == 401
    assert said == {"data": {"addMessage": {"id": "1"}}}
    assert by_cookie["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_session_survives_a_restart(tmp_path: Path) -> None:
    """The keys and the sessions are kept."""
    settings = ChatSettings(data_dir=tmp_path, demo=True)
    async with browser(settings) as client:
        login = await client.post("/login", json={"name": "alice", "password": "alice123"})
    async with browser(settings) as client:
        answer = await client.post("/refresh", json={"refreshToken": login.json()["refreshToken"]})
    assert (answer.status_code, answer.json()["name"]) == (200, "alice")


async def test_a_stranger_in_the_playground_changes_nothing(tmp_path: Path) -> None:
    """Over HTTP and over its socket, as the playground is told to go; and reads nothing either."""
    settings = ChatSettings(data_dir=tmp_path, demo=True, playground=True, debug=True)
    async with serving(create_app(settings)) as authority, httpx2.AsyncClient(base_url=f"http://{authority}") as client:
        before = _rows(tmp_path)
        path = (await client.get("/playground/config.json")).json()["graphql"]
        asked = [(await client.post(path, json={"query": query})).json() for query in (ADD, "{ messages { text } }")]
        asked.append(await _ask_over_socket(f"ws://{authority}{path}", ADD))
        after = _rows(tmp_path)
    assert [answer["errors"][0]["extensions"]["code"] for answer in asked] == ["UNAUTHENTICATED"] * 3
    assert all((answer.get("data") or {}).get("addMessage") is None for answer in asked)
    assert before == after == 0


def _rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "chat.sqlite3")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM messages").fetchone()
    return int(count)


async def _ask_over_socket(url: str, query: str) -> dict[str, Any]:
    """Ask as nobody, over a socket; the payload of the answer."""
    async with asyncio.timeout(10), connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"accessToken": None}}))
        await socket.recv()  # the ack; an operation before it would be 4401
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] in {"next", "error"}:
                payload = message["payload"]
                return {"errors": payload} if message["type"] == "error" else payload
    raise AssertionError("no answer came")
