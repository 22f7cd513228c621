"""Lesson 3: connection_params as a plain object, and why it stays null. Needs `make run` in another terminal."""

import asyncio
import json
import os
import sys
import time

from gqlink.client import Client, HttpLink, PasswordLogin, SocketFrame, WebSocketLink, is_subscription, split
from gqlink.errors import OperationFailed, RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]


def show(frame: SocketFrame) -> None:
    """Print a frame in one line; gqlink has described every token in it."""
    arrow = "▶" if frame.direction == "sent" else "◀"
    payload = "" if frame.payload is None else json.dumps(frame.payload)
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time))
    print(f"{clock} #{frame.socket} {arrow} {frame.type} {payload}".rstrip())


async def main() -> None:
    account = PasswordLogin(SERVER)
    http = HttpLink(f"{SERVER}/graphql", auth=account)
    # region client
    ws = WebSocketLink(
        f"{SERVER.replace('http', 'ws', 1)}/graphql",
        connection_params={"accessToken": await account.token()},  # read here, once: nobody is logged in
        on_frame=show,
    )
    # endregion

    async with Client(split(is_subscription, ws, http)) as client:
        # region story
        print(f"Nobody is logged in. Over HTTP: {await client.execute('{ viewer { name } }')}")
        await listen(client)

        await account.login("alice", "alice123")
        print(f"Alice has logged in. Over HTTP: {await client.execute('{ viewer { name } }')}")
        await listen(client)  # on a new connection
        # endregion

    print("Learned: the object was read once, before the login. It is null on every connection, for ever.")


async def listen(client: Client) -> None:
    """Subscribe, and say how it went."""
    try:
        async for event in client.subscribe("subscription { messageAdded { from text } }"):
            print(f"  heard {event.data}")
    except OperationFailed as refused:
        print(f"  {refused.codes[0]}: {refused}")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
