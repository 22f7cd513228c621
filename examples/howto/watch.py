"""A client that tells what it does: a status line, a log for machines, spans. Needs `make run` in another terminal."""

import asyncio
import json
import logging
import os
import sys
import time

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from gqlink.client import Client, LinkState, PasswordLogin

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
MESSAGE_ADDED = "subscription Messages { messageAdded { from text } }"


# region status
class StatusLine:
    """Holds the state that was told last."""

    state: LinkState | None = None

    def note(self, state: LinkState) -> None:
        """Take a new state; give this to `on_state`."""
        self.state = state

    def __str__(self) -> str:
        return "not connected yet" if self.state is None else self.state.describe(time.monotonic())


# endregion


# region json
FIELDS = ("gqlink_event", "socket", "subprotocol", "subject", "code", "reason", "retry_in", "operation", "missed")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the text, and each field that the record has."""
        fields = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        return json.dumps({"level": record.levelname, "text": record.getMessage(), **fields})


# endregion


async def main() -> None:
    """Watch one connection."""
    # region use
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger("gqlink").addHandler(handler)
    logging.getLogger("gqlink").setLevel(logging.INFO)
    logging.getLogger("gqlink.client.socket").setLevel(logging.WARNING)  # the WebSocket library's own lines
    # endregion
    # region spans
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"span: {span.name}\n")))
    trace.set_tracer_provider(provider)
    # endregion
    account, status = PasswordLogin(SERVER), StatusLine()
    await account.login("alice", "alice123")
    async with Client(f"{SERVER}/graphql", auth=account, on_state=status.note) as client:
        await client.execute("query Viewer { viewer { name } }")
        async with client.subscribe(MESSAGE_ADDED):
            print(status)


asyncio.run(main())
