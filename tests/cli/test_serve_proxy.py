"""Whom `gqlink serve` believes when it is told where a request comes from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2
import pytest

from cli.running import Home
from server.peer import NEWER, peer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user's empty home directory."""
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ((), r"127\.0\.0\.1:\d+"),
        (("--trust-proxy", "10.1.2.3"), r"127\.0\.0\.1:\d+"),
        (("--trust-proxy", "10.1.2.3", "--trust-proxy", "127.0.0.0/8"), r"203\.0\.113\.9:0"),
    ],
)
async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(
    home: Home, options: tuple[str, ...], address: str
) -> None:
    """Nobody is trusted unless named, loopback included: or every process of the machine could be anybody."""
    async with home.serving("--demo", *options) as (url, server):
        headers = {"x-forwarded-for": "203.0.113.9"}
        async with peer(url.removeprefix("http://"), NEWER, additional_headers=headers):
            opened = await server.line("socket 1 opened")
    assert re.search(rf"opened from {address},", opened), opened


async def test_a_proxy_that_is_no_address_is_a_mistake(home: Home) -> None:
    """It would be a proxy that nobody is, and the real one would not be believed."""
    answer = await home.run("serve", "--demo", "--trust-proxy", "everybody")
    assert answer.code == 1
    assert "--trust-proxy takes an IP address or a network" in answer.err


async def test_a_guesser_does_not_become_another_address_by_saying_so(home: Home) -> None:
    """Wrong passwords count for the one address that all of them come from; then even the right one has to wait."""
    async with home.serving("--demo") as (url, _), httpx2.AsyncClient(base_url=url) as http:
        statuses = []
        for number in range(12):
            form = {"name": "alice", "password": "alice123" if number == 11 else "guess"}
            answer = await http.post("/login", json=form, headers={"x-forwarded-for": f"198.51.100.{number}"})
            statuses.append(answer.status_code)
    assert statuses == [401] * 10 + [429] * 2
    assert int(answer.headers["retry-after"]) > 0
