"""Draw docs/pictures/frames.svg: the frames of a socket before and after a login, as they really were.

    .venv/bin/python tools/frames_picture.py

It starts a chat on a free port, runs our client against it, and draws what `gqlink subscribe --frames` prints.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gqlink.cli.display import frame_line
from gqlink.client import Client, PasswordLogin, SocketFrame, WebSocketLink
from gqlink.errors import OperationFailed

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "pictures" / "frames.svg"
SUBSCRIPTION = "subscription { messageAdded { from text } }"
MUTATION = 'mutation { addMessage(input: {text: "Hello"}) { id } }'
COLUMNS = 118

sys.path.insert(0, str(ROOT / "tests"))
from gqlink.chat import ChatSettings, create_app  # noqa: E402
from serving import serving  # noqa: E402 -- the tests' own way to serve


async def record() -> list[Text]:
    """Run the story; return it as lines."""
    lines: list[Text] = []
    ids: dict[str, int] = {}

    def note(text: str) -> None:
        lines.append(Text(f"# {text}", style="green"))

    def show(frame: SocketFrame) -> None:
        # Ids go on over all sockets; a reader follows small numbers more easily.
        number = 0 if frame.id is None else ids.setdefault(frame.id, len(ids) + 1)
        line = re.sub(r"\[[0-9a-f]+\]", f"[{number}]", frame_line(frame), count=1)
        if len(line) > COLUMNS:
            line = line[: COLUMNS - 1] + "…"
        lines.append(Text(line, style="cyan" if frame.direction == "sent" else "magenta"))

    with tempfile.TemporaryDirectory() as folder:
        async with serving(create_app(ChatSettings(data_dir=Path(folder), demo=True))) as authority:
            account = PasswordLogin(f"http://{authority}")
            link = WebSocketLink(f"ws://{authority}/graphql", auth=account, lazy=False, on_frame=show)
            note("The app starts; nobody is logged in. connection_params is a function, so it is asked, and says null.")
            async with Client(link) as client:
                try:
                    async for _ in client.subscribe(SUBSCRIPTION):
                        pass
                except OperationFailed:
                    note('await account.login("alice", "alice123")   the socket follows')
                await account.login("alice", "alice123")
                async with client.subscribe(SUBSCRIPTION) as events:
                    await client.execute(MUTATION)
                    await anext(events)
    return lines


def draw(lines: list[Text]) -> str:
    """Return the lines as SVG, without anything that a viewer would have to fetch."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop", highlight=False)
    svg = console.export_svg(title="the frames of a client that logs in while its socket is open", unique_id="frames")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(draw(asyncio.run(record())))
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size} bytes")
