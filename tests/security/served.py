"""The servers that the questions are put to: the real chat as `gqlink serve` starts it, and a bare application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from cli.running import Home
from security.roads import HttpRoad, SocketRoad
from server.peer import BOTH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from security.roads import Road

PASSWORD = "correct horse battery"
EVENT_STREAM = "text/event-stream"
ROADS = ("http", "event stream", *(dialect.subprotocol for dialect in BOTH))


def road_to(authority: str, name: str, *, token: str | None = None) -> Road:
    """Return one of `ROADS`."""
    if name == "http":
        return HttpRoad(authority, token)
    if name == "event stream":
        return HttpRoad(authority, token, accept=EVENT_STREAM)
    [dialect] = [dialect for dialect in BOTH if dialect.subprotocol == name]
    return SocketRoad(authority, dialect, token)


@dataclass(frozen=True)
class Production:
    """The chat, started by the command that an operator types, without an option that loosens anything.

    Args:
        authority: Where it is.
        token: Of somebody who is logged in.
    """

    authority: str
    token: str

    def road(self, name: str, *, logged_in: bool = False) -> Road:
        """Return one of `ROADS`."""
        return road_to(self.authority, name, token=self.token if logged_in else None)


@asynccontextmanager
async def production_chat(folder: Path) -> AsyncIterator[Production]:
    """Run `gqlink serve` with one account."""
    home = Home(folder)
    made = await home.run("users", "add", "alice", given=f"{PASSWORD}\n")
    assert made.code == 0, made.err
    async with home.serving() as (url, _), httpx2.AsyncClient(trust_env=False) as http:
        login = await http.post(f"{url}/login", json={"name": "alice", "password": PASSWORD})
        yield Production(url.removeprefix("http://"), login.json()["token"])
