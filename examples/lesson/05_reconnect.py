"""Lesson 5: lazy and reconnect. Needs `make run` in another terminal."""

import asyncio
import json
import os
import sys
import time
from urllib.parse import urlsplit

from gqlink.client import Client, HttpLink, PasswordLogin, SocketFrame, WebSocketLink, is_subscription, split
from gqlink.errors import RequestFailed
from gqlink.testing import FaultProxy

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
SPEAK = "mutation ($text: String!) { addMessage(input: {text: $text}) { id } }"
subscribed = asyncio.Event()
closed = asyncio.Event()


def show(frame: SocketFrame) -> None:
    """Print a frame in one line; gqlink has described every token in it."""
    arrow = "▶" if frame.direction == "sent" else "◀"
    payload = "" if frame.payload is None else json.dumps(frame.payload)
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time))
    print(f"{clock} #{frame.socket} {arrow} {frame.type} {payload}".rstrip())
    if frame.type == "subscribe":
        subscribed.set()
    if frame.direction == "received" and frame.payload == {"code": 1000, "reason": ""}:
        closed.set()


async def main() -> None:
    account = PasswordLogin(SERVER)
    await account.login("alice", "alice123")
    calls = 0

    async def connection_params() -> dict[str, str | None]:
        nonlocal calls
        calls += 1
        return {"accessToken": await account.token()}

    async with FaultProxy(urlsplit(SERVER).netloc) as proxy:
        # region client
        ws = WebSocketLink(
            f"ws://{proxy.authority}/graphql",
            connection_params=connection_params,
            lazy=True,  # no socket before the first subscription, none after the last; the default
            reconnect=True,  # a new socket when the old one is lost; the default
            on_frame=show,
        )
        # endregion
        async with Client(split(is_subscription, ws, HttpLink(f"{SERVER}/graphql", auth=account))) as client:
            # region story
            print(f"The client is there. Calls of connection_params: {calls}, sockets: {proxy.accepted}")
            async with client.subscribe("subscription { messageAdded { text } }") as events:
                await client.execute(SPEAK, {"text": "Before the cut"})
                print(f"  heard {(await anext(events)).data}")

                subscribed.clear()
                proxy.cut()
                await subscribed.wait()  # the link subscribes again; we only wait
                await client.execute(SPEAK, {"text": "After the cut"})
                print(f"  heard {(await anext(events)).data}")
            await closed.wait()
            print(f"The subscription has ended. Calls of connection_params: {calls}, sockets: {proxy.accepted}")
            # endregion

    print("Learned: each connection calls the function anew, and the subscription goes on over the next one.")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
