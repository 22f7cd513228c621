"""Logging out, and in as somebody else. Needs `make run` in another terminal."""

import asyncio
import os
import sys

from gqlink.client import Client, PasswordLogin
from gqlink.errors import OutcomeUnknown, RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
MESSAGE_ADDED = "subscription { messageAdded { from text } }"
SPEAK = "mutation ($text: String!) { addMessage(input: {text: $text}) { id } }"


# region speak
async def speak(client: Client, text: str) -> str:
    try:
        await client.execute(SPEAK, {"text": text})
    except OutcomeUnknown:
        return "perhaps sent"  # look before you send it again, and never as somebody else
    return "sent"


# endregion


# region leave
async def leave(account: PasswordLogin) -> None:
    try:
        await account.logout()
    except RequestFailed as failed:  # here nobody is logged in all the same
        print(f"The server could not be told; the session may live on there: {failed}")


# endregion


async def main() -> None:
    # region switch
    account = PasswordLogin(SERVER)
    async with (
        Client(f"{SERVER}/graphql", auth=account) as client,
        client.subscribe(MESSAGE_ADDED, when_anonymous="hold") as events,
    ):
        await account.login("alice", "alice123")
        print(await speak(client, "Alice was here"))
        print((await anext(events)).data)

        await leave(account)  # the subscription rests
        await account.login("bob", "bob123")  # and goes on, for bob
        await account.login("charlie", "charlie123")  # no logout needed: the session of bob is ended as well

        print(await speak(client, "Charlie was here"))
        print((await anext(events)).data)
    # endregion


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
