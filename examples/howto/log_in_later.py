"""Logging in after the start, from within a program. Needs `make run` in another terminal."""

import asyncio
import os
import sys

import httpx2

from gqlink.client import Client, PasswordLogin
from gqlink.errors import RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
MESSAGE_ADDED = "subscription { messageAdded { from text } }"
SPEAK = "mutation ($text: String!) { addMessage(input: {text: $text}) { id } }"


async def with_an_account() -> None:
    """Let the token source tell the links."""
    # region account
    account = PasswordLogin(SERVER)  # nobody is logged in
    async with (
        Client(f"{SERVER}/graphql", auth=account) as client,
        client.subscribe(MESSAGE_ADDED, when_anonymous="hold") as events,  # waits for a login
    ):
        print(await client.execute("{ viewer { name } }"))

        await account.login("alice", "alice123")  # when it returns, the subscription has been sent
        await client.execute(SPEAK, {"text": "Good morning"})
        print((await anext(events)).data)
    # endregion


async def log_in(name: str, password: str) -> str:
    """Get a token in whatever way the server has."""
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{SERVER}/login", json={"name": name, "password": password})
    return str(answer.raise_for_status().json()["token"])


async def with_a_function() -> None:
    """Tell the links by hand."""
    # region function
    token: str | None = None

    def present_token() -> str | None:
        return token

    async with (
        Client(f"{SERVER}/graphql", auth=present_token) as client,
        client.subscribe(MESSAGE_ADDED, when_anonymous="hold") as events,
    ):
        token = await log_in("bob", "bob123")  # your own way to a token
        await client.credentials_changed()  # when it returns, the subscription has been sent
        await client.execute(SPEAK, {"text": "Good morning to you"})
        print((await anext(events)).data)
    # endregion


async def main() -> None:
    await with_an_account()
    await with_a_function()


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
