"""The server of `soak.py`: the real chat over its database, killed and started again on the same port and data.

Started with a JSON object: {"data": directory, "port": int, "token_seconds": float}. With "accounts" and "rooms" it
makes those instead, and ends.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import uvloop
from loopback import listen, make_socket, serve

from gqlink.chat import ChatSettings, create_app, open_administration

PASSWORD = "correct horse"


async def prepare(settings: ChatSettings, *, accounts: int, rooms: int) -> None:
    """Make accounts user0, user1, ... and rooms room-0, room-1, ..., for which the chat has no command yet."""
    async with open_administration(settings) as administration:
        for number in range(accounts):
            await administration.accounts.create(f"user{number}", password=PASSWORD)
    (database,) = settings.data_dir.glob("*.sqlite*")
    with closing(sqlite3.connect(database)) as connection, connection:
        named = [(f"room-{number}", f"Room {number}") for number in range(rooms)]
        connection.executemany("INSERT INTO rooms (id, title) VALUES (?, ?)", named)


def main(options: dict[str, Any]) -> None:
    settings = ChatSettings(data_dir=Path(options["data"]), token_lifetime=options["token_seconds"])
    if "accounts" in options:
        asyncio.run(prepare(settings, accounts=options["accounts"], rooms=options["rooms"]))
    else:
        listening = make_socket()
        listen(listening, port=options["port"])
        uvloop.run(serve(create_app(settings), listening))  # as `gqlink serve`, with tokens of another length


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
