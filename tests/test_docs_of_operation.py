"""What an operator reads in the reference is what the server writes: every metric, record and attribute; no other."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from gqlink.server.logbook import EVENT_LEVELS
from log_calls import fields_of_events
from server.eventually import eventually
from server.peer import BOTH, member
from server.world import World
from serving import serving

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from gqlink.server import GraphQLApp

pytest_plugins = ("client.exporting",)

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "server.md"


def section(title: str) -> str:
    """Return one section of the page."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def rows(title: str, *, header: str) -> list[list[str]]:
    """Return the cells of the table that begins with this header, in one section."""
    table = section(title).partition(f"| {header} |")[2].partition("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> set[str]:
    """Return what stands in a cell as code."""
    return set(re.findall(r"`([^`]+)`", cell))


async def live(app: GraphQLApp) -> str:
    """Let everything happen once, over every transport, and return the metrics."""
    routes = Starlette(routes=[*app.routes(), app.metrics_route()])
    async with serving(routes) as authority, httpx2.AsyncClient(base_url=f"http://{authority}") as http:
        await http.post("/graphql", json={"query": "query Named { fail }"})
        for dialect in BOTH:
            async with member(authority, dialect, "alice") as client:
                await client.ask("subscription Named { count(to: 2) }")
        await eventually(lambda: app.statistics().sockets == 0)
        return (await http.get("/metrics")).text


async def test_every_metric_is_in_the_reference() -> None:
    """With its type and its labels, as a scrape has them."""
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in text_string_to_metric_families(await live(World().app()))
        if family.name.startswith("gqlink")
    }
    written = {
        name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
        for name, family in families.items()
    }
    assert all(family.samples for family in families.values())
    table = rows("Metrics", header="metric")
    assert {words(row[0]).pop(): (row[1], words(row[2])) for row in table} == written


async def test_every_value_of_a_label_is_in_the_reference() -> None:
    """Where they are words of ours."""
    text, page = await live(World().app()), section("Metrics")
    bounded = {"state", "identity", "road", "outcome", "kind", "transport", "header", "by"}
    values = {
        value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label, value in sample.labels.items()
        if label in bounded
    }
    assert [value for value in sorted(values) if f"`{value}`" not in page] == []


def test_every_record_is_in_the_reference() -> None:
    """With its level and its fields, as the calls that write it have them."""
    fields = fields_of_events()
    for step in ("socket_opened", "socket_acknowledged", "socket_renewed"):
        fields[step] -= {"code", "reason"}  # one call writes all five; only an end has them
    written = {event: (logging.getLevelName(level), fields[event]) for event, level in EVENT_LEVELS.items()}
    table = rows("Log", header="`gqlink_event`")
    assert {words(row[0]).pop(): (row[1], words(row[2])) for row in table} == written


def test_every_record_of_the_chat_is_in_the_reference() -> None:
    """By its name, and every record has one."""
    room = PAGE.parents[2] / "src" / "gqlink" / "chat"
    source = "".join(path.read_text("utf-8") for path in room.glob("*.py"))
    written = set(re.findall(r'"gqlink_event": "(\w+)"|_tell\([\w.]+, "(\w+)"', source))
    page = (PAGE.parent / "chat.md").read_text("utf-8")
    table = page.partition("## Log\n")[2].partition("\n## ")[0]
    assert {name or other for name, other in written} == words(
        "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `") and "level" not in line)
    )
    records = re.findall(r"\blog\.\w+\(", source)
    assert len(records) == len(re.findall(r"\bextra=", source)) > 0


async def test_every_attribute_of_a_span_is_in_the_reference(spans: InMemorySpanExporter) -> None:
    """And no other is there."""
    await live(World().app())
    ours = [span for span in spans.get_finished_spans() if span.instrumentation_scope]
    written = {
        name
        for span in ours
        if span.instrumentation_scope and span.instrumentation_scope.name == "gqlink.server"
        for name in span.attributes or {}
    }
    assert {name for row in rows("Traces", header="attribute") for name in words(row[0])} == written
