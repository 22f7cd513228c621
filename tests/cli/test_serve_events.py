"""`gqlink serve` and an answer that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from cli.running import Home

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse battery"


async def test_a_stop_ends_an_event_stream_and_does_not_wait_for_it(tmp_path: Path) -> None:
    """Its client reads the end of a whole answer, without `complete`; uvicorn alone would have waited for it."""
    home = Home(tmp_path)
    assert (await home.run("users", "add", "alice", given=f"{PASSWORD}\n")).code == 0
    async with home.serving() as (url, server), httpx2.AsyncClient(timeout=20, trust_env=False) as http:
        login = await http.post(f"{url}/login", json={"name": "alice", "password": PASSWORD})
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {login.json()['token']}"}
        query = {"query": "subscription { messageAdded { text } }", "extensions": {"gqlink": {"cursor": True}}}
        async with http.stream("POST", f"{url}/graphql", json=query, headers=headers) as answer:
            lines = answer.aiter_lines()
            heard = [await anext(lines) for _ in range(4)]
            assert heard[:3] == [":", "", "event: next"]
            stopped = await server.stop()
            heard += [line async for line in lines]
    assert "event: complete" not in heard
    assert "graceful shutdown exceeded" not in stopped.err
    assert "Traceback" not in stopped.err
