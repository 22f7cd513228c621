"""Lesson 6: logging in while a socket is open. Needs `make run` in another terminal."""

import asyncio
import json
import os
import sys
import time

from gqlink.client import Client, HttpLink, PasswordLogin, SocketFrame, WebSocketLink, is_subscription, split
from gqlink.errors import OperationFailed, RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
SOCKET = f"{SERVER.replace('http', 'ws', 1)}/graphql"
acknowledged = asyncio.Event()


def show(frame: SocketFrame) -> None:
    """Print a frame in one line; gqlink has described every token in it."""
    arrow = "▶" if frame.direction == "sent" else "◀"
    payload = "" if frame.payload is None else json.dumps(frame.payload)
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time))
    print(f"{clock} #{frame.socket} {arrow} {frame.type} {payload}".rstrip())
    if frame.type == "connection_ack":
        acknowledged.set()


async def main() -> None:
    await with_a_function()
    acknowledged.clear()
    await with_a_token_source()
    print("Learned: an open socket keeps its old answer until somebody tells the link; a token source does.")


async def with_a_function() -> None:
    """Tell the link by hand."""
    account = PasswordLogin(SERVER)

    # region function
    async def connection_params() -> dict[str, str | None]:
        return {"accessToken": await account.token()}

    ws = WebSocketLink(SOCKET, connection_params=connection_params, lazy=False, on_frame=show)
    client = Client(split(is_subscription, ws, HttpLink(f"{SERVER}/graphql", auth=account)))
    print(f"Nobody is logged in. Over HTTP: {await client.execute('{ viewer { name } }')}")
    async with client:
        await acknowledged.wait()  # the app has started, the socket is open
        await account.login("alice", "alice123")
        print(f"Alice has logged in. Over HTTP: {await client.execute('{ viewer { name } }')}")
        await listen_and_speak(client)  # over socket 1, which knows nothing of it

        await client.credentials_changed()  # the function would give another answer now
        await listen_and_speak(client)
    # endregion


async def with_a_token_source() -> None:
    """Let the token source tell the link."""
    # region source
    account = PasswordLogin(SERVER)
    ws = WebSocketLink(SOCKET, auth=account, lazy=False, on_frame=show)
    print("Once more, with a token source; nobody is logged in.")
    async with Client(split(is_subscription, ws, HttpLink(f"{SERVER}/graphql", auth=account))) as client:
        await acknowledged.wait()
        await account.login("alice", "alice123")  # returns when the socket has followed
        await listen_and_speak(client)
    # endregion


async def listen_and_speak(client: Client) -> None:
    """Subscribe, say something, and print the first message that is heard."""
    try:
        async with client.subscribe("subscription { messageAdded { from text } }") as events:
            await client.execute('mutation { addMessage(input: {text: "Still here?"}) { id } }')
            print(f"  heard {(await anext(events)).data}")
    except OperationFailed as refused:
        print(f"  {refused.codes[0]}: {refused}")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
