"""What `gqlink serve` shows in a browser, by its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from cli.running import Home

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("option", "has_playground", "is_demo", "shows_errors"),
    [
        (None, False, False, False),
        ("--playground", True, False, False),
        ("--dev", True, False, True),
        ("--demo", True, True, True),
    ],
)
async def test_the_playground_is_off_unless_an_option_asks_for_it(
    tmp_path: Path, option: str | None, *, has_playground: bool, is_demo: bool, shows_errors: bool
) -> None:
    """--dev shows errors in full, without the demo's accounts; the address of the playground is said."""
    home = Home(tmp_path)
    async with home.serving(*([option] if option else [])) as (url, server), httpx2.AsyncClient(base_url=url) as client:
        config = (await client.get("/config.json")).json()
        playground = await client.get("/playground")
        login = await client.post("/login", json={"name": "alice", "password": "alice123"})
        typo = await client.post("/graphql", json={"query": "{ viewr { name } }"})
        said = (await server.stop()).out
    assert (config["playground"], config["demo"]) == (has_playground, is_demo)
    assert playground.status_code == (307 if has_playground else 404)
    assert login.status_code == (200 if is_demo else 401)
    assert ("Did you mean" in typo.text) is shows_errors
    assert (f"{url}/playground" in said) is has_playground


async def test_full_errors_are_shown_on_loopback_only(tmp_path: Path) -> None:
    """The sentence says why."""
    answer = await Home(tmp_path).run("serve", "--dev", "--host", "0.0.0.0", "--port", "0")
    assert answer.code == 1
    assert "--dev shows errors in full, so it listens on loopback only, not on 0.0.0.0" in answer.err
