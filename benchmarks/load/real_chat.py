"""The chat as `gqlink serve` starts it, with its database and accounts that log in."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.request import Request, urlopen

from gqlink.chat import ChatSettings, open_administration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ACCOUNTS: Final = 10
_PASSWORD: Final = "correct horse"
_ANSWER_SECONDS: Final = 20.0


@dataclass(slots=True)
class RealChat:
    """A data directory, and who may log in there.

    Args:
        folder: Where the directories are made, a fresh one for each server.
    """

    folder: Path
    _port: int = 0
    _started: int = 0

    def command(self, port: int, *, limits: Mapping[str, int]) -> Sequence[str]:
        """Make a directory, and return what starts the server on it."""
        self._port, self._started = port, self._started + 1
        data = self.folder / f"chat-{self._started}"
        shutil.copytree(self._accounts(), data)
        chosen = [word for name, value in limits.items() for word in ("--limit", f"{name}={value}")]
        return [sys.executable, "-m", "gqlink", "serve", "--port", str(port), "--data", str(data), *chosen]

    def _accounts(self) -> Path:
        data = self.folder / "chat"
        if not data.exists():
            asyncio.run(_make_accounts(ChatSettings(data_dir=data)))
        return data

    def tokens(self) -> list[str]:
        """Log everybody in; the server runs."""
        return [self._log_in(f"user{number}") for number in range(ACCOUNTS)]

    def _log_in(self, name: str) -> str:
        body = json.dumps({"username": name, "password": _PASSWORD}).encode()
        request = Request(f"http://127.0.0.1:{self._port}/login", body, {"content-type": "application/json"})
        with urlopen(request, timeout=_ANSWER_SECONDS) as answer:
            return str(json.load(answer)["token"])


async def _make_accounts(settings: ChatSettings) -> None:
    async with open_administration(settings) as administration:
        for number in range(ACCOUNTS):
            await administration.accounts.create(f"user{number}", password=_PASSWORD)
