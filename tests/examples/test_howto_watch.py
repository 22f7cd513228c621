"""The guide for watching does what it says, against a chat that really serves."""

from __future__ import annotations

import json

from examples.howto_scripts import FOLDER
from examples.runs import demo_chat, run_script
from gqlink.client.telemetry import EVENT_LEVELS


async def test_the_script_tells_what_it_does() -> None:
    """A status line and spans on standard output, the log on standard error, one object a line."""
    async with demo_chat() as server:
        run = await run_script(FOLDER / "watch.py", server=server)
    assert run.code == 0, run.complaints
    lines = run.output.splitlines()
    assert [line for line in lines if line.startswith("live for ")] == ["live for 0 s as alice"]
    assert {line for line in lines if line.startswith("span: ")} == {
        "span: query Viewer",
        "span: connect",
        "span: subscription Messages",
    }
    records = [json.loads(line) for line in run.complaints.splitlines()]
    assert [record["gqlink_event"] for record in records] == ["live", "closed"]
    assert records[0].items() >= {"subject": "alice", "socket": 1, "level": "INFO"}.items()


def test_the_page_names_every_event() -> None:
    """What the log may say is in its table."""
    text = (FOLDER.parents[1] / "docs" / "howto" / "watch-the-connection.md").read_text()
    assert [event for event in EVENT_LEVELS if f"`{event}`" not in text] == []
