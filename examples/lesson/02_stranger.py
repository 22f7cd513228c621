"""Lesson 2: a subscription, and nobody is logged in. Needs `make run` in another terminal."""

import asyncio
import json
import os
import sys
import time

from gqlink.client import Client, HttpLink, SocketFrame, WebSocketLink, is_subscription, split
from gqlink.errors import OperationFailed, RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]


def show(frame: SocketFrame) -> None:
    """Print a frame in one line; gqlink has described every token in it."""
    arrow = "▶" if frame.direction == "sent" else "◀"
    payload = "" if frame.payload is None else json.dumps(frame.payload)
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time))
    print(f"{clock} #{frame.socket} {arrow} {frame.type} {payload}".rstrip())


async def main() -> None:
    # region client
    http = HttpLink(f"{SERVER}/graphql")
    ws = WebSocketLink(f"{SERVER.replace('http', 'ws', 1)}/graphql", on_frame=show)
    client = Client(split(is_subscription, ws, http))
    # endregion

    async with client:
        print("Over HTTP, without a token:")
        for document in (
            "{ viewer { name } }",
            "{ messages { from text } }",
            'mutation { addMessage(input: {text: "Is anybody there?"}) { id } }',
        ):
            print(f"  {document}")
            try:
                print(f"    {await client.execute(document)}")
            except OperationFailed as refused:
                print(f"    {refused.codes[0]}: {refused}")

        # region story
        print("Over WebSocket, without a token:")
        try:
            async for event in client.subscribe("subscription { messageAdded { from text } }"):
                print(f"A stranger must never see this: {event.data}")
        except OperationFailed as refused:
            print(f"  {refused.codes[0]}: {refused}")
        # endregion

    print("Learned: a stranger may connect, but can neither read nor write nor listen.")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
