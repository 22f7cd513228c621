"""The reference of the wire says what the code does."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from gqlink.protocol import DIALECTS, AckAddition, ClientConnection, Dialect, ServerConnection, Side, ack_payload

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "wire.md").read_text("utf-8")


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wire_tables", ROOT / "tools" / "wire_tables.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


TOOL = load_tool()


def test_the_tables_are_those_of_the_code() -> None:
    """`python tools/wire_tables.py --write` brings them up to date."""
    assert TOOL.refreshed(PAGE) == PAGE


def test_every_table_is_on_the_page() -> None:
    """Each once."""
    assert sorted(TOOL.names(PAGE)) == sorted(TOOL.TABLES)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_examples_are_understood(dialect: Dialect) -> None:
    """By the machine of the other side, in the phase where most of the conversation is, or a client before it."""
    for side, kind in dialect.types:
        server, client = ServerConnection(dialect, now=0.0), ClientConnection(dialect, now=0.0)
        text = json.dumps(TOOL.example(dialect, side, kind))
        if side is Side.CLIENT:
            events = server.receive(text, now=0.0)
            code = {"subscribe": 4401, "connection_terminate": 1000}.get(kind.value)
        else:
            client.initialise()
            events = client.receive(text, now=0.0)
            code = {"next": 4004, "complete": 4004}.get(kind.value)

        assert [getattr(event, "code", None) for event in events] in ([code], [])


def test_the_addition_is_as_documented() -> None:
    """Its members, and a renewal of null."""
    (addition,) = ack_payload(AckAddition()).values()

    assert isinstance(addition, dict)
    assert all(f'"{name}"' in PAGE for name in addition)
    assert addition["renewal"] is None
