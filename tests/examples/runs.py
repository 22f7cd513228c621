"""Runs example scripts as their reader does: each in a process of its own, against a chat that really serves."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gqlink.chat import ChatSettings, create_app
from gqlink.client import Client, PasswordLogin
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_AT_ONCE = 4
_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a script.

    Args:
        code: Its exit code.
        output: What it printed.
        complaints: What it wrote to standard error.
        said: The messages in the chat afterwards, where the chat was the script's own.
    """

    code: int
    output: str
    complaints: str
    said: object = None


async def run_script(script: Path, *, server: str) -> Run:
    """Run a script to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"GQLINK_SERVER": server, "PYTHONUTF8": "1", "PYTHONWARNINGS": "error"},
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, complaints = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return Run(process.returncode or 0, output.decode(), complaints.decode())


async def run_each(scripts: Sequence[Path]) -> dict[Path, Run]:
    """Run each script against an empty chat of its own."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def run(script: Path, server: str) -> Run:
        async with gate:
            outcome = await run_script(script, server=server)
            return replace(outcome, said=await messages(server))

    async with AsyncExitStack() as stack:
        # One chat is started after the other: Alembic migrates one database at a time in a process.
        servers = [await stack.enter_async_context(demo_chat()) for _ in scripts]
        return dict(zip(scripts, await asyncio.gather(*map(run, scripts, servers)), strict=True))


async def run_together(scripts: Sequence[Path], *, server: str) -> dict[Path, Run]:
    """Run scripts at the same time against the same chat."""
    runs = await asyncio.gather(*(run_script(script, server=server) for script in scripts))
    return dict(zip(scripts, runs, strict=True))


@asynccontextmanager
async def demo_chat() -> AsyncIterator[str]:
    """Serve the chat as `make run` does, on a free port; yield its URL."""
    with TemporaryDirectory() as directory:
        app = create_app(ChatSettings(data_dir=Path(directory), demo=True, debug=True))
        async with serving(app) as authority:
            yield f"http://{authority}"


async def say(server: str, texts: Sequence[str]) -> None:
    """Let alice say something, one after the other."""
    account = PasswordLogin(server)
    await account.login("alice", "alice123")
    async with Client(f"{server}/graphql", auth=account) as client:
        for text in texts:
            await client.execute("mutation ($t: String!) { addMessage(input: {text: $t}) { id } }", {"t": text})


async def messages(server: str) -> object:
    """Return what has been said."""
    account = PasswordLogin(server)
    await account.login("alice", "alice123")
    async with Client(f"{server}/graphql", auth=account) as client:
        match await client.execute("{ messages { from text } }"):
            case {"messages": said}:
                return said
            case other:
                return other
