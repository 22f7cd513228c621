"""A subscription that lives longer than its token, for a service that gets its tokens from an OAuth server.

Set `GQLINK_SERVER`, `TOKENS`, `CLIENT_ID` and `CLIENT_SECRET`, and run it.
"""

import asyncio
import os
from collections.abc import Callable, Hashable
from time import monotonic

import httpx2

from gqlink.client import AccessToken, Client, Event, LinkState, WebSocketLink
from gqlink.errors import AuthUnavailable

SERVER = os.environ.get("GQLINK_SERVER", "http://localhost:9000")
TOKENS = os.environ.get("TOKENS", "http://localhost:8080/token")
CLIENT = (os.environ.get("CLIENT_ID", "service"), os.environ.get("CLIENT_SECRET", ""))


# region token
class ServiceToken:
    """A token from an OAuth server, kept for half of its life."""

    def __init__(self) -> None:
        self._kept: AccessToken | None = None
        self._keep_until = 0.0

    async def __call__(self) -> AccessToken:
        """Return the present one."""
        if self._kept is None or monotonic() >= self._keep_until:
            self._kept, self._keep_until = await self._ask()
        return self._kept

    async def _ask(self) -> tuple[AccessToken, float]:
        asked_at = monotonic()
        try:
            async with httpx2.AsyncClient() as http:
                answer = await http.post(TOKENS, data={"grant_type": "client_credentials"}, auth=CLIENT)
            grant = answer.raise_for_status().json()
        except httpx2.HTTPError as failed:
            raise AuthUnavailable(f"the OAuth server: {type(failed).__name__}") from failed
        seconds = float(grant["expires_in"])
        return AccessToken(grant["access_token"], expires_in=seconds), asked_at + seconds / 2


# endregion


# region key
def message_id(event: Event) -> Hashable:
    match event.data:
        case {"messageAdded": {"id": identifier}}:
            return str(identifier)
    return None  # nothing to tell it by


# endregion


async def listen(take: Callable[[Event], object], *, on_state: Callable[[LinkState], object] = print) -> None:
    """Hand on every message, once."""
    # region link
    url = SERVER.replace("http", "ws", 1) + "/graphql"
    link = WebSocketLink(url, auth=ServiceToken(), overlap_seconds=2.0, on_state=on_state)
    async with (
        Client(link) as client,
        client.subscribe("subscription { messageAdded { id text } }", key=message_id) as events,
    ):
        async for event in events:
            take(event)
    # endregion


if __name__ == "__main__":
    asyncio.run(listen(print))
