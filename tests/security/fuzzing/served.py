"""The chat in a process of its own, as `gqlink serve` starts it, and everything that one can see of it from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gqlink.chat import ChatSettings, open_administration
from security.fuzzing.promises import Broken
from security.fuzzing.target import HOME
from security.fuzzing.wire import dialled

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Sequence

ACCOUNTS: Final = (("mallory", "guess what this is"), ("steady", "correct horse battery"))
"""Who fuzzes, and who keeps to the rules."""

STOPPED: Final = frozenset({0, 130})
"""The exit status after Ctrl-C; 0 where whoever started it has it ignore that, as a shell does in the background."""

_WITHIN: Final = 30.0
_PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")
_GAUGE: Final = re.compile(
    r"^(gqlink_(?:sockets|operations_running|event_streams|send_buffer_bytes))(?:\{[^}]*\})? (\S+)$", re.MULTILINE
)


class Served:
    """A running server.

    Attributes:
        authority: Where it is.
        log: How often each event was logged.
        complaints: Lines that a server that keeps its promises does not write.
    """

    def __init__(self, process: Process) -> None:
        self.authority = ""
        self.log: Counter[str] = Counter()
        self.complaints: list[str] = []
        self._process = process
        self._readers: list[asyncio.Task[None]] = []

    @property
    def lives(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    def memory_bytes(self) -> int:
        """Return its resident set size."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    async def gauges(self) -> dict[str, int]:
        """Return what /metrics says there is now."""
        async with dialled(self.authority, source=HOME) as line:
            line.write(f"GET /metrics HTTP/1.1\r\nHost: {self.authority}\r\n\r\n".encode())
            answer = await line.receive_answer()
        found: Counter[str] = Counter()
        for name, value in _GAUGE.findall(answer.body.decode()):
            found[name.removeprefix("gqlink_")] += int(float(value))
        return dict(found)

    async def wait_idle(self) -> None:
        """Wait until nothing is left of anybody.

        Raises:
            Broken: Something stays.
        """
        found: dict[str, int] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(_WITHIN):
                while not found or any(found.values()):
                    found = await self.gauges()
                return
        raise Broken("nothing is left of those who have gone", found)

    def look(self) -> None:
        """Look at the process and at its log.

        Raises:
            Broken: It has ended, or complained.
        """
        if not self.lives:
            raise Broken("the process lives", (self._process.returncode, self.complaints))
        if self.complaints:
            complaints, self.complaints = self.complaints, []
            raise Broken("nothing goes wrong unforeseen", complaints[:40])

    async def start(self) -> None:
        """Wait until it can be reached."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_WITHIN):
            while line := (await self._process.stdout.readline()).decode():
                if found := re.search(r"http://localhost:(\d+)", line):
                    self.authority = f"{HOME}:{found[1]}"
                    break
        self._readers = [asyncio.create_task(self._drain()), asyncio.create_task(self._read_log())]
        if not self.authority:
            raise RuntimeError("the server did not start")

    async def stop(self) -> int:
        """Stop it as an operator does, and return its exit status."""
        if self.lives:
            self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(_WITHIN):
            await asyncio.gather(*self._readers)
            return await self._process.wait()

    async def _drain(self) -> None:
        assert self._process.stdout is not None
        while await self._process.stdout.read(2**16):
            pass

    async def _read_log(self) -> None:
        assert self._process.stderr is not None
        while line := (await self._process.stderr.readline()).decode("utf-8", "replace"):
            try:
                entry = json.loads(line)
                fine = entry["level"] in {"INFO", "WARNING"} and "exception" not in entry
                self.log[entry.get("gqlink_event") or f"{entry['logger']}: {entry['message']}"[:80]] += 1
            except (ValueError, KeyError, TypeError):
                fine = False
            if not fine and len(self.complaints) < 100:
                self.complaints.append(line[:4000])


@asynccontextmanager
async def served_chat(folder: Path, *, limits: Sequence[str] = ()) -> AsyncIterator[Served]:
    """Run `gqlink serve` with two accounts.

    Args:
        folder: An empty directory.
        limits: Each as `name=value`.
    """
    async with open_administration(ChatSettings(data_dir=folder)) as administration:
        for name, password in ACCOUNTS:
            await administration.accounts.create(name, password=password)
    options = [part for limit in limits for part in ("--limit", limit)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gqlink", "serve", "--port", "0", "--data", str(folder), "--log-format", "json", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    served = Served(process)
    try:
        await served.start()
        yield served
    finally:
        if served.lives:
            process.kill()
            await process.wait()
