"""`gqlink serve` says no secret, also where it is told to log everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from cli.running import Home
from gqlink.protocol import Kind
from server.peer import BOTH, member, peer

if TYPE_CHECKING:
    from pathlib import Path

MARK = "Zx9Qw7Lk3V"
METRICS = f"metrics-token-{MARK}"


@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_server_that_logs_everything_says_no_secret(tmp_path: Path, form: str) -> None:
    """Neither its own lines nor those of the libraries below it, over HTTP and both subprotocols."""
    home = Home(tmp_path)
    home.env["GQLINK_METRICS_TOKEN"] = METRICS
    secrets = {MARK}
    async with home.serving("--demo", "--log-level", "debug", "--log-format", form) as (url, server):
        async with httpx2.AsyncClient(base_url=url) as http:
            await http.post("/login", json={"name": "alice", "password": MARK})
            login = (await http.post("/login", json={"name": "alice", "password": "alice123"})).json()
            token, refresh = login["token"], login["refreshToken"]
            secrets |= {token, token.rpartition(".")[2], refresh}
            for presented in (token, f"{token}{MARK}"):
                headers = {"authorization": f"Bearer {presented}", "cookie": f"a={MARK}"}
                await http.post("/graphql", json={"query": "{ rooms { id } }"}, headers=headers)
            for dialect in BOTH:
                async with member(url.removeprefix("http://"), dialect, token) as client:
                    await client.ask('mutation { addMessage(input: {text: "Hello"}) { id } }')
                async with peer(url.removeprefix("http://"), dialect) as client:
                    await client.say(Kind.CONNECTION_INIT, payload={"accessToken": f"{token}{MARK}"})
                    await client.closed()
            fresh = (await http.post("/refresh", json={"refreshToken": refresh})).json()
            secrets |= {fresh["token"], fresh["refreshToken"]}
            await http.post("/logout", json={"refreshToken": fresh["refreshToken"]})
            metrics = await http.get("/metrics", headers={"authorization": f"Bearer {METRICS}"})
        told = await server.stop()
    assert metrics.status_code == 200
    assert "a credential was refused" in told.err
    said = told.out + told.err + metrics.text
    assert [secret for secret in secrets if secret in said] == []
