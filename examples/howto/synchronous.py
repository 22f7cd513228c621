"""The client without `async`: in a script, in threads, in a notebook. Needs `make run` in another terminal."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from gqlink.client import PasswordLogin, SyncClient
from gqlink.errors import RequestFailed

SERVER = (sys.argv[1:] or [os.environ.get("GQLINK_SERVER", "http://localhost:9000")])[0]
MESSAGE_ADDED = "subscription { messageAdded { from text } }"
SPEAK = "mutation ($text: String!) { addMessage(input: {text: $text}) { id } }"


def in_a_script() -> None:
    """Wait where the next line needs the answer."""
    # region script
    account = PasswordLogin(SERVER)
    with SyncClient(f"{SERVER}/graphql", auth=account) as client:
        client.run(account.login("alice", "alice123"))
        with client.subscribe(MESSAGE_ADDED) as events:
            client.execute(SPEAK, {"text": "Good morning"}, timeout=10.0)
            for event in events:
                print(event.data)
                break
    # endregion


def in_threads() -> None:
    """Share one client."""
    account = PasswordLogin(SERVER)
    # region threads
    with SyncClient(f"{SERVER}/graphql", auth=account) as client, ThreadPoolExecutor(4) as pool:
        client.run(account.login("bob", "bob123"))
        with client.subscribe(MESSAGE_ADDED) as events:
            list(pool.map(lambda number: client.execute(SPEAK, {"text": f"Letter {number}"}), range(10)))
            heard = [events.next(timeout=10.0).data for _ in range(10)]
            try:
                events.next(timeout=0.1)
            except TimeoutError:
                print(f"heard {len(heard)}, and nothing more for now")
    # endregion


async def in_a_notebook() -> None:
    """A cell runs in a loop that cannot be run again; this is such a loop."""
    # region notebook
    client = SyncClient(f"{SERVER}/graphql")  # in one cell
    print(client.execute("{ viewer { name } }"))  # in another
    client.close()  # in the last
    # endregion


if __name__ == "__main__":
    try:
        in_a_script()
        in_threads()
        asyncio.run(in_a_notebook())
    except RequestFailed as failed:
        sys.exit(f"Start the chat first: make run ({failed})")
