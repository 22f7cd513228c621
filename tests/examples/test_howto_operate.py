"""The guide for operators is true: what it shows can be read, its rules name what exists, its application serves."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from cli.running import Home
from examples.howto_scripts import FOLDER
from examples.pages import HOWTO, Block, blocks, regions
from examples.runs import demo_chat
from gqlink.protocol import CloseCode
from server.peer import NEWER, member

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

PAGE = HOWTO / "operate-the-server.md"
TOKEN = "a-metrics-token-of-the-operator"


def block(language: str, beginning: str) -> Block:
    """Return the one block of the page that begins so."""
    [found] = [each for each in blocks(PAGE) if each.language == language and each.text.startswith(beginning)]
    return found


def series(text: str) -> list[tuple[str, Mapping[str, str]]]:
    """Return every time series of a scrape: its name and its labels."""
    return [(each.name, each.labels) for family in text_string_to_metric_families(text) for each in family.samples]


async def log_in(server: str) -> str:
    """Log in as alice, and return her access token."""
    async with httpx2.AsyncClient(base_url=server) as http:
        answer = await http.post("/login", json={"name": "alice", "password": "alice123"})
        return str(answer.json()["token"])


async def story(server: str) -> str:
    """Do what the page says before its scrape, and return one."""
    token, authority = await log_in(server), server.removeprefix("http://")
    say = {"query": 'mutation { addMessage(input: {text: "Hello"}) { id } }'}
    async with member(authority, NEWER, token) as alice, member(authority, NEWER):
        await alice.start("subscription { messageAdded { text } }")
        async with httpx2.AsyncClient(base_url=server) as http:
            await http.post("/graphql", json=say, headers={"authorization": f"Bearer {token}"})
            await alice.receive()
            return (await http.get("/metrics")).text


async def test_the_scrape_on_the_page_is_one() -> None:
    """Line by line."""
    async with demo_chat() as server:
        told = (await story(server)).splitlines()
    shown = block("text", "gqlink_sockets{").text.splitlines()
    assert len(shown) >= 10
    assert [line for line in shown if line not in told] == []


async def test_the_alerts_name_what_there_is() -> None:
    """A rule whose metric, label or value does not exist is silent for ever."""
    async with demo_chat() as server:
        found = series(await story(server))
    rules = regions(FOLDER / "alerts.yml")["alerts"]
    assert block("yaml", "groups:").text == rules
    expressions = re.findall(r"^ +expr: (.+)$", rules, re.MULTILINE)
    assert len(expressions) == rules.count("- alert: ") == rules.count("summary: ") >= 10
    for expression in expressions:
        named = re.findall(r"\b((?:gqlink|process)_\w+)(?:\{([^}]*)\})?", expression)
        assert named, expression
        for name, matchers in named:
            labels = [labels for known, labels in found if known == name]
            assert labels or name == "gqlink_closes_total", name
            for label, _, value in re.findall(r'(\w+)(=~?)"([^"]*)"', matchers):
                assert set(value.split("|")) <= _values(name, label, labels), expression
        for label in re.findall(r"by \(([\w, ]+)\)", expression):
            names = {known for _, labels in found for known in labels} | {"instance"}
            assert set(label.split(", ")) <= names, expression


def _values(name: str, label: str, labels: list[Mapping[str, str]]) -> set[str]:
    if name == "gqlink_closes_total":  # there when it has happened
        return {"code": {str(code.value) for code in CloseCode}, "by": {"client", "server"}}[label]
    return {each[label] for each in labels}


async def test_the_log_on_the_page_is_one(tmp_path: Path) -> None:
    """The same fields, and the same values where these do not depend on the moment."""
    async with Home(tmp_path).serving("--demo", "--log-format", "json", "--log-level", "info") as (url, server):
        token = await log_in(url)
        async with member(url.removeprefix("http://"), NEWER, token) as alice, httpx2.AsyncClient(base_url=url) as http:
            await http.post("/logout", headers={"authorization": f"Bearer {token}"})
            await alice.closed()
        records = [json.loads(line) for line in (await server.stop()).err.splitlines()]
    shown = json.loads(block("json", "{").text)
    [closed] = [record for record in records if record.get("gqlink_event") == "socket_closed"]
    passing = {"timestamp", "client", "socket", "message"}
    assert closed.keys() == shown.keys()
    assert {key: closed[key] for key in closed.keys() - passing} == {key: shown[key] for key in shown.keys() - passing}
    assert re.sub(r"\d+", "7", closed["message"]) == shown["message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", closed["timestamp"])


@asynccontextmanager
async def operated() -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Serve the guide's application as it says; yield its address and its process."""
    script = FOLDER / "operated_app.py"
    options = ("--app-dir", str(script.parent), f"{script.stem}:app", "--port", "0", "--no-access-log")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "uvicorn", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "", "METRICS_TOKEN": TOKEN},
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            line = b""
            while b"running on" not in line:
                line = await process.stderr.readline()
                assert line, "it did not start"
        yield re.findall(r"http://[\w.:]+", line.decode())[0], process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_application_of_the_guide_can_be_watched() -> None:
    """Metrics here, and for the token from elsewhere; one span for each operation."""
    async with operated() as (url, process), httpx2.AsyncClient(base_url=url) as http:
        await http.post("/graphql", json={"query": "query Me { whoAmI }"})
        here = await http.get("/metrics")
        http.headers["x-forwarded-for"] = "203.0.113.9"
        elsewhere = await http.get("/metrics")
        brought = await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        process.terminate()
        output, _ = await process.communicate()
    assert [each.status_code for each in (here, elsewhere, brought)] == [200, 401, 200]
    assert 'gqlink_operations_total{kind="query",outcome="ok",transport="http"} 1.0' in here.text
    assert output.decode().splitlines() == ["span: query"]
