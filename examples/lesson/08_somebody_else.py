"""Lesson 8: logging out, and in as somebody else. Needs `make run` in another terminal."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable

from gqlink.client import Client, HttpLink, PasswordLogin, SocketFrame, WebSocketLink, is_subscription, split
from gqlink.errors import OperationFailed, RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
MESSAGE_ADDED = "subscription { messageAdded { from text } }"
SPEAK = "mutation ($text: String!) { addMessage(input: {text: $text}) { id } }"
closed = asyncio.Event()


def show(frame: SocketFrame) -> None:
    """Print a frame in one line; gqlink has described every token in it."""
    arrow = "▶" if frame.direction == "sent" else "◀"
    payload = "" if frame.payload is None else json.dumps(frame.payload)
    clock = time.strftime("%H:%M:%S", time.localtime(frame.time))
    print(f"{clock} #{frame.socket} {arrow} {frame.type} {payload}".rstrip())
    if frame.direction == "received" and frame.payload == {"code": 1000, "reason": ""}:
        closed.set()


def connect(account: PasswordLogin, on_frame: Callable[[SocketFrame], None] | None = None) -> Client:
    """Make a client that speaks for whoever is logged in."""
    ws = WebSocketLink(f"{SERVER.replace('http', 'ws', 1)}/graphql", auth=account, on_frame=on_frame)
    return Client(split(is_subscription, ws, HttpLink(f"{SERVER}/graphql", auth=account)))


async def main() -> None:
    charlie = PasswordLogin(SERVER)
    await charlie.login("charlie", "charlie123")
    async with (
        connect(charlie) as client,
        client.subscribe(MESSAGE_ADDED) as events,
    ):
        await alice_and_then_bob()
        async for event in events:
            print(f"Charlie heard {event.data}")
            if "Bob" in str(event.data):
                break

    print("Learned: the socket follows the account; after logout() nothing arrives for the one who has left.")


async def alice_and_then_bob() -> None:
    """Let two people use one client, one after the other."""
    # region story
    account = PasswordLogin(SERVER)
    async with connect(account, show) as client:
        await account.login("alice", "alice123")
        async with client.subscribe(MESSAGE_ADDED) as events:
            await client.execute(SPEAK, {"text": "Alice was here"})
            print(f"  heard {(await anext(events)).data}")

            copied = await account.token()
            print("Alice logs out.")
            await account.logout()  # returns when the socket has followed and the server knows
            await closed.wait()  # nothing is left to do for a stranger's socket
            try:
                await anext(events)
            except OperationFailed as refused:
                print(f"  {refused.codes[0]}: {refused}")
        await try_out(copied)

        print("Bob logs in.")
        await account.login("bob", "bob123")
        async with client.subscribe(MESSAGE_ADDED) as events:
            await client.execute(SPEAK, {"text": "Bob was here"})
            print(f"  heard {(await anext(events)).data}")
    # endregion


async def try_out(token: str | None) -> None:
    """Present a token that somebody has kept."""
    async with Client(HttpLink(f"{SERVER}/graphql", auth=lambda: token)) as client:
        try:
            print(f"  with the old token: {await client.execute('{ viewer { name } }')}")
        except OperationFailed as refused:
            print(f"  with the old token: {refused}")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
