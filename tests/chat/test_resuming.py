"""Coming back to the chat: nothing is missed, or it is said; over real sockets, in both subprotocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from gqlink.chat import ChatSettings, create_app
from server.peer import BOTH, Peer, member
from serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from gqlink.protocol import Dialect

LISTEN = "subscription { messageAdded { text } }"
ADD = 'mutation { addMessage(input: {text: "%s"}) { id } }'


@pytest.fixture(params=BOTH, ids=lambda dialect: dialect.subprotocol)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Either subprotocol."""
    found: Dialect = request.param
    return found


async def log_in(authority: str) -> str:
    """Get a token of alice."""
    async with httpx2.AsyncClient(base_url=f"http://{authority}", trust_env=False) as http:
        answer = await http.post("/login", json={"name": "alice", "password": "alice123"})
    token: str = answer.json()["token"]
    return token


async def say(authority: str, token: str, *texts: str) -> None:
    """Add messages over HTTP."""
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=f"http://{authority}", headers=headers, trust_env=False) as http:
        for text in texts:
            assert "errors" not in (await http.post("/graphql", json={"query": ADD % text})).json()


async def listen(peer: Peer, cursor: str | None = None) -> dict[str, Any]:
    """Subscribe, and return what the start says."""
    await peer.start(LISTEN, extensions={"gqlink": {"cursor": True} if cursor is None else {"after": cursor}})
    start: dict[str, Any] = (await peer.receive())["payload"]["extensions"]["gqlink"]
    return start


async def hear(peer: Peer) -> tuple[str, str]:
    """Return the next message's text and cursor."""
    payload = (await peer.receive())["payload"]
    return payload["data"]["messageAdded"]["text"], payload["extensions"]["gqlink"]["cursor"]


async def test_what_was_said_meanwhile_is_heard_except_across_a_restart(tmp_path: Path, dialect: Dialect) -> None:
    """The socket breaks and comes back with its cursor; a new process knows nothing of it, and says so."""
    settings = ChatSettings(data_dir=tmp_path, demo=True)
    async with serving(create_app(settings), lifespan="on") as authority:
        token = await log_in(authority)
        async with member(authority, dialect, token) as peer:
            await listen(peer)
            await say(authority, token, "one")
            text, cursor = await hear(peer)
            assert text == "one"
            peer.reset()
        await say(authority, token, "two", "three")
        async with member(authority, dialect, token) as peer:
            assert await listen(peer, cursor) == {"cursor": cursor, "recovered": True}
            assert [(await hear(peer))[0] for _ in range(2)] == ["two", "three"]
            await say(authority, token, "four")
            text, cursor = await hear(peer)
            assert text == "four"
    async with serving(create_app(settings), lifespan="on") as authority, member(authority, dialect, token) as peer:
        start = await listen(peer, cursor)
        assert start["recovered"] is False
        await say(authority, token, "five")
        assert (await hear(peer))[0] == "five"
