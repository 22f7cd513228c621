"""Where servers look for the token in the payload of `connection_init`."""

from gqlink.client import Attempt, TokenSource, WebSocketLink


# region places
def plain(attempt: Attempt) -> dict[str, object]:  # gqlink; many tutorials
    return {"accessToken": attempt.token}


def bearer(attempt: Attempt) -> dict[str, object]:  # Apollo Server, as its documentation shows it
    return {"authorization": f"Bearer {attempt.token}"} if attempt.token else {}


def hasura(attempt: Attempt) -> dict[str, object]:
    return {"headers": {"Authorization": f"Bearer {attempt.token}"}} if attempt.token else {}


def directus(attempt: Attempt) -> dict[str, object]:
    return {"access_token": attempt.token} if attempt.token else {}


# endregion


# region link
def link_to_hasura(url: str, account: TokenSource) -> WebSocketLink:
    return WebSocketLink(url, auth=account, connection_params=hasura)


# endregion
