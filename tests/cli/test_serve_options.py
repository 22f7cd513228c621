"""The options of `gqlink serve` for whoever operates it, and what it shows without any."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2
import pytest

from cli.running import Home

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a-metrics-token-of-the-operator"
DEEP = "{ rooms { id title } ...A } fragment A on Query { rooms { id } }"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A user who has never run the command."""
    return Home(tmp_path)


async def test_limits_reach_the_application(home: Home) -> None:
    """A document that is too deep is refused with the limit that was given."""
    async with home.serving("--limit", "depth=1", "--limit", "message_bytes=1000") as (url, server):
        async with httpx2.AsyncClient(base_url=url) as client:
            deep = (await client.post("/graphql", json={"query": DEEP})).json()
            long = await client.post("/graphql", json={"query": f"{{ rooms }} # {'x' * 1000}"})
        told = await server.stop()
    assert deep["errors"][0]["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": "depth", "allowed": 1, "actual": 2}
    assert long.status_code == 413
    assert "a limit was exceeded: depth" in told.err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("dept=3", "there is no limit 'dept'; did you mean depth?"),
        ("depth=64k", "--limit depth takes a whole number greater than 0, such as depth=16, not '64k'"),
    ],
)
async def test_a_limit_that_is_none_is_one_sentence(home: Home, given: str, sentence: str) -> None:
    """And exit code 1, before anything is served."""
    answer = await home.run("serve", "--port", "0", "--limit", given)
    assert answer.code == 1
    assert sentence in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("option", "given"),
    [("--allow-origin", "chat.example"), ("--allow-origin", "*"), ("--allow-host", "chat.example:80")],
)
async def test_a_name_that_would_allow_nobody_is_one_sentence(home: Home, option: str, given: str) -> None:
    """And exit code 1: nobody believes to have allowed what is refused."""
    answer = await home.run("serve", "--port", "0", option, given)
    assert answer.code == 1
    assert f": {given!r}" in answer.err
    assert "such as" in answer.err
    assert "Traceback" not in answer.err


async def test_the_help_tells_of_them(home: Home) -> None:
    """By name."""
    told = (await home.run("serve", "--help")).out
    assert [
        name for name in ("--limit", "--metrics-token-file", "--log-format", "--log-level") if name not in told
    ] == []


async def test_without_options_a_stranger_learns_nothing(home: Home) -> None:
    """No introspection, no suggestions, no playground; metrics only here."""
    async with home.serving() as (url, _), httpx2.AsyncClient(base_url=url) as client:
        schema = await client.post("/graphql", json={"query": "{ __schema { types { name } } }"})
        named = await client.post("/graphql", json={"query": '{ __type(name: "User") { name } }'})
        typo = await client.post("/graphql", json={"query": "{ viewr { name } }"})
        argument = await client.post("/graphql", json={"query": "{ messages(rom: 1) { id } }"})
        playground = await client.get("/playground")
        forwarded = await client.get("/metrics", headers={"x-forwarded-for": "203.0.113.9"})
        here = await client.get("/metrics")
    assert [each.json().get("data") for each in (schema, named, typo, argument)] == [None] * 4
    assert "introspection" in schema.text
    assert [each for each in (typo, argument) if "Did you mean" in each.text] == []
    assert (playground.status_code, forwarded.status_code, here.status_code) == (404, 403, 200)


@pytest.mark.parametrize("by", ["file", "environment"])
async def test_a_metrics_token_lets_in_from_elsewhere(home: Home, by: str) -> None:
    """It comes from a file or the environment, and is shown nowhere."""
    options = []
    if by == "file":
        (home.path / "token").write_text(f"{TOKEN}\nand a remark\n")
        options = ["--metrics-token-file", str(home.path / "token")]
    else:
        home.env["GQLINK_METRICS_TOKEN"] = TOKEN
    elsewhere = {"x-forwarded-for": "203.0.113.9"}
    async with home.serving(*options, "--log-level", "debug") as (url, server):
        async with httpx2.AsyncClient(base_url=url, headers=elsewhere) as client:
            none = await client.get("/metrics")
            right = await client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
            wrong = await client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}x"})
        told = await server.stop()
    assert [each.status_code for each in (none, right, wrong)] == [401, 200, 401]
    assert "gqlink_sockets" in right.text
    assert TOKEN not in told.out + told.err


async def test_a_short_metrics_token_is_refused(home: Home) -> None:
    """It could be guessed; nothing of it is repeated."""
    home.env["GQLINK_METRICS_TOKEN"] = "hunter2"
    answer = await home.run("serve", "--port", "0")
    assert answer.code == 1
    assert "the metrics token in GQLINK_METRICS_TOKEN must have at least 16 characters" in answer.err
    assert "hunter2" not in answer.err + answer.out
    missing = await home.run("serve", "--port", "0", "--metrics-token-file", str(home.path / "nowhere"))
    assert (missing.code, "cannot read the metrics token in" in missing.err) == (1, True)


async def test_the_log_may_be_json(home: Home) -> None:
    """Every line is an object with a time, a level, a logger and a message; ours have a name."""
    async with home.serving("--log-format", "json", "--log-level", "debug", "--limit", "depth=1") as (url, server):
        async with httpx2.AsyncClient(base_url=url) as client:
            await client.post("/graphql", json={"query": DEEP})
        told = await server.stop()
    lines = [json.loads(line) for line in told.err.splitlines()]
    assert all(line.keys() >= {"timestamp", "level", "logger", "message"} for line in lines)
    [limit] = [line for line in lines if line.get("gqlink_event") == "limit"]
    assert limit.items() >= {"level": "WARNING", "logger": "gqlink.server", "limit": "depth"}.items()
