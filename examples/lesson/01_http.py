"""Lesson 1: a chat over HTTP, with the token in a header. Needs `make run` in another terminal."""

import asyncio
import os
import sys

from gqlink.client import Client, HttpLink, PasswordLogin
from gqlink.errors import InvalidCredentials, OperationFailed, RequestFailed
from gqlink.protocol import describe_token

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
MESSAGES = "{ messages(last: 3) { from text } }"
SPEAK = 'mutation { addMessage(input: {text: "Hello over HTTP"}) { from text } }'


async def main() -> None:
    # region client
    account = PasswordLogin(SERVER)  # nobody is logged in yet

    async def headers() -> dict[str, str]:  # called for every request
        token = await account.token()
        print(f"  POST /graphql  authorization: {describe_token(f'Bearer {token}') if token else '(none)'}")
        return {"authorization": f"Bearer {token}"} if token else {}

    client = Client(HttpLink(f"{SERVER}/graphql", headers=headers))
    # endregion

    async with client:
        print("A stranger reads:")
        try:
            await client.execute(MESSAGES)
        except OperationFailed as refused:
            print(f"  {refused.codes[0]}: {refused}")

        print("Somebody guesses a password:")
        try:
            await account.login("alice", "letmein")
        except InvalidCredentials as refused:
            print(f"  {refused}")

        # region story
        print("Alice logs in, writes and reads; the client is the same as before:")
        await account.login("alice", "alice123")
        print(f"  {await client.execute(SPEAK)}")
        print(f"  {await client.execute(MESSAGES)}")
        # endregion

    print("Learned: over HTTP the token travels with every request, so a login counts from the next one on.")


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=20))
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
