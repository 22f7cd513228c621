"""A benchmark's server in a process of its own, and what it takes of the processor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


@contextlib.asynccontextmanager
async def serving_child(
    program: str, settings: Mapping[str, object], *, settle_seconds: float
) -> AsyncIterator[tuple[int, int]]:
    """Run a program beside this one, which takes its settings and says its port as JSON; yield port and process id."""
    path = str(Path(__file__).with_name(program))
    process = await asyncio.create_subprocess_exec(
        sys.executable, path, json.dumps(settings), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        port = json.loads(await process.stdout.readline())["port"]
        await asyncio.sleep(settle_seconds)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout=15)
        except TimeoutError:
            process.kill()
            await process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
