"""Subscribe without a WebSocket; while the chat runs: `.venv/bin/python examples/howto/events_instead.py`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2

from gqlink.client import PasswordLogin

SERVER = os.environ.get("GQLINK_SERVER", "http://localhost:9000")


# region ask
async def ask(
    http: httpx2.AsyncClient, url: str, request: dict[str, Any], token: str | None
) -> AsyncIterator[tuple[str, Any]]:
    """Yield the events of one answer: ("next", a result), and if the server has said all ("complete", None)."""
    headers = {"accept": "text/event-stream"} | ({"authorization": f"Bearer {token}"} if token else {})
    async with http.stream("POST", url, json=request, headers=headers) as answer:
        answer.raise_for_status()
        event = ""
        async for line in answer.aiter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                text = line.removeprefix("data:").strip()
                yield event, json.loads(text) if text else None


# endregion


# region follow
async def follow(
    http: httpx2.AsyncClient,
    url: str,
    query: str,
    *,
    token: Callable[[], Awaitable[str | None]],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[dict[str, Any]]:
    """Yield each result of a subscription; come back to where it was, until the server says that it is over."""
    wish: dict[str, object] = {"cursor": True}
    while True:
        request = {"query": query, "extensions": {"gqlink": wish}}
        try:
            async for event, result in ask(http, url, request, await token()):
                if event == "complete":
                    return
                if expired(result):
                    break  # the next request brings the next token
                ours = result.get("extensions", {}).get("gqlink", {})
                wish = {"after": ours["cursor"]} if "cursor" in ours else wish
                if "recovered" not in ours:  # that is the start, which is no event
                    yield result
        except httpx2.TransportError:
            pass
        except httpx2.HTTPStatusError as failed:
            if failed.response.status_code not in {429, 503}:
                raise  # 401: this token is refused
        await pause(1.0)


def expired(result: dict[str, Any]) -> bool:
    """Say whether it is the news that the token has ended."""
    errors = result.get("errors", ())
    return any(error.get("extensions", {}).get("code") == "TOKEN_EXPIRED" for error in errors)


# endregion


async def main() -> None:
    """Print what is said in the chat."""
    account = PasswordLogin(SERVER)
    await account.login("alice", "alice123")
    timeout = httpx2.Timeout(10, read=30)  # a comment comes every 12 seconds: silence for longer is a dead line
    async with httpx2.AsyncClient(timeout=timeout) as http:
        query = "subscription { messageAdded { from text } }"
        async for result in follow(http, f"{SERVER}/graphql", query, token=account.token):
            print(result)


if __name__ == "__main__":
    asyncio.run(main())
