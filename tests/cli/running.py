"""The command line as a user runs it: a process, its lines, its exit code."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WITHIN = 30.0


@dataclass
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Home:
    """The home directory of a user of the command line.

    Args:
        path: An empty directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env = {
            "HOME": str(path),
            "PATH": os.environ["PATH"],
            # A second checkout is tested by this alone; without it, the command would be that of the first one.
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "XDG_CONFIG_HOME": str(path / "config"),
            "XDG_DATA_HOME": str(path / "data"),
            "PYTHONWARNINGS": "error",
            "NO_COLOR": "1",
        }

    async def run(self, *arguments: str, given: str = "") -> Answer:
        """Run a command to its end.

        Args:
            arguments: Without `gqlink`.
            given: Its standard input.
        """
        process = await self._start(arguments)
        out, err = await asyncio.wait_for(process.communicate(given.encode()), WITHIN)
        return Answer(process.returncode or 0, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[Running]:
        """Start a command that goes on; whatever is left of it is killed in the end."""
        process = await self._start(arguments)
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    @asynccontextmanager
    async def serving(self, *options: str, port: int = 0) -> AsyncIterator[tuple[str, Running]]:
        """Run `gqlink serve`; yield its address and the command."""
        async with self.running("serve", "--port", str(port), *options) as server:
            line = await server.line(r"http://localhost:\d+")
            yield re.findall(r"http://localhost:\d+", line)[0], server

    async def _start(self, arguments: tuple[str, ...]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gqlink",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.env,
        )


class Running:
    """A command that goes on.

    Args:
        process: It.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self, pattern: str, *, stream: str = "out") -> str:
        """Wait for the next line on standard output, or "err", that has `pattern` in it."""
        source = self._process.stdout if stream == "out" else self._process.stderr
        assert source is not None
        seen = []
        async with asyncio.timeout(WITHIN):
            while line := (await source.readline()).decode():
                seen.append(line)
                if re.search(pattern, line):
                    return line.rstrip("\n")
        raise AssertionError(f"{pattern!r} did not come: {seen}")

    async def stop(self, number: signal.Signals = signal.SIGINT) -> Answer:
        """Send a signal and wait for the end."""
        self._process.send_signal(number)
        out, err = await asyncio.wait_for(self._process.communicate(), WITHIN)
        return Answer(self._process.returncode or 0, out.decode(), err.decode())
