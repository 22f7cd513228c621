"""Our client and a server of others."""

from gqlink.client import Auth, Client, WebSocketLink, presets
from gqlink.errors import ConnectionLost, ConnectionRefused


# region preset
def link_to_hasura(url: str, account: Auth) -> WebSocketLink:
    return WebSocketLink(url, auth=account, connection_params=presets.hasura(headers={"x-hasura-role": "editor"}))


# endregion


# region own
def link_to_our_own(url: str, account: Auth) -> WebSocketLink:
    return WebSocketLink(url, auth=account, connection_params=presets.bearer("sessionToken"))


# endregion


# region errors
async def try_once(client: Client) -> str:
    """Ask something, and say in a sentence what came of it."""
    try:
        data = await client.execute("{ hello }")
    except ConnectionRefused as refused:  # with this credential it stays so
        return f"log in again: {refused.code} {refused.reason}"
    except ConnectionLost as lost:  # temporary; a link with reconnect=True tries again by itself
        return f"come back later: {lost.code} {lost.reason}"
    return str(data)


# endregion
