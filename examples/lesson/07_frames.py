"""Lesson 7: looking at the frames. Needs `make run` in another terminal."""

import asyncio
import json
import os
import sys
import time

from gqlink.client import Client, HttpLink, PasswordLogin, SocketFrame, WebSocketLink, is_subscription, split
from gqlink.errors import ConnectionRefused, RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
SOCKET = f"{SERVER.replace('http', 'ws', 1)}/graphql"
MESSAGE_ADDED = "subscription { messageAdded { from text } }"
MEANINGS = {
    "open": "the handshake is done, and this is what is spoken",
    "connection_init": "the client says who it is: once for each socket",
    "connection_ack": "the server lets it in, and says as whom",
    "subscribe": "run this; the id tells operations apart",
    "start": "the same, in the older subprotocol",
    "next": "a result",
    "data": "the same, in the older subprotocol",
    "complete": "the operation is over",
    "stop": "the client wants no more, in the older subprotocol",
    "connection_terminate": "and says goodbye",
    "close": "the end of the socket; the code says why",
}


# region show
def show(frame: SocketFrame) -> None:
    """Print a frame, and below it what it means."""
    arrow = "▶" if frame.direction == "sent" else "◀"
    identifier = "" if frame.id is None else f" [{frame.id}]"
    payload = "" if frame.payload is None else json.dumps(frame.payload)
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time))
    print(f"{clock} #{frame.socket} {arrow} {frame.type}{identifier} {payload}".rstrip())
    print(f"               {MEANINGS.get(frame.type, 'see docs/reference/wire.md')}")


# endregion


async def main() -> None:
    account = PasswordLogin(SERVER)
    await account.login("alice", "alice123")

    # region story
    for subprotocol in ("graphql-transport-ws", "graphql-ws"):
        print(f"The subprotocol {subprotocol}:")
        ws = WebSocketLink(SOCKET, auth=account, subprotocols=[subprotocol], on_frame=show)
        async with (
            Client(split(is_subscription, ws, HttpLink(f"{SERVER}/graphql", auth=account))) as client,
            client.subscribe(MESSAGE_ADDED) as events,
        ):
            await client.execute('mutation { addMessage(input: {text: "Look"}) { id } }')
            await anext(events)

    print("A token that somebody has changed:")
    forged = WebSocketLink(SOCKET, connection_params={"accessToken": f"{await account.token()}x"}, on_frame=show)
    async with Client(forged) as client:
        try:
            await anext(client.subscribe(MESSAGE_ADDED))
        except ConnectionRefused as refused:
            print(f"  {refused}")
    # endregion

    print("Learned: the token travels once, in connection_init; everything after it lives by that answer.")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
