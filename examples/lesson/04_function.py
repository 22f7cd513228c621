"""Lesson 4: connection_params as a function. Needs `make run` in another terminal."""

import asyncio
import json
import os
import sys
import time

from gqlink.client import Client, HttpLink, PasswordLogin, SocketFrame, WebSocketLink, is_subscription, split
from gqlink.errors import OperationFailed, RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
MESSAGE_ADDED = "subscription { messageAdded { from text } }"


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
    async def connection_params() -> dict[str, str | None]:
        return {"accessToken": await account.token()}  # read here, at every connection

    ws = WebSocketLink(
        f"{SERVER.replace('http', 'ws', 1)}/graphql",
        connection_params=connection_params,
        on_frame=show,
    )
    # endregion

    async with Client(split(is_subscription, ws, http)) as client:
        print(f"Nobody is logged in. Over HTTP: {await client.execute('{ viewer { name } }')}")
        try:
            await anext(client.subscribe(MESSAGE_ADDED))
        except OperationFailed as refused:
            print(f"  {refused.codes[0]}: {refused}")

        # region story
        await account.login("alice", "alice123")
        print(f"Alice has logged in. Over HTTP: {await client.execute('{ viewer { name } }')}")
        async with client.subscribe(MESSAGE_ADDED) as events:  # entered when the server has been asked
            await client.execute('mutation { addMessage(input: {text: "Hello, socket"}) { id } }')
            async for event in events:
                print(f"  heard {event.data}")
                break
        # endregion

    print("Learned: the function was called for each connection, and the second one carried the token.")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
