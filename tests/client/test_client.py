"""The client: from a URL to the two links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from gqlink.client import Client, HttpLink, WebSocketLink
from gqlink.errors import BadUserInput, RequestFailed

if TYPE_CHECKING:
    from client.peer import Peer


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_a_url_makes_both_links(peer: Peer, scheme: str) -> None:
    """Subscriptions take a socket that carries the token, null while there is none; the rest takes HTTP."""
    tokens: list[str | None] = [None]
    async with Client(f"{scheme}://{peer.authority}/graphql", auth=lambda: tokens[0]) as client:
        async with client.subscribe("subscription { open }"):
            await subscribed(peer)
            tokens[0] = "alice-1"
            await client.credentials_changed()
        with pytest.raises(RequestFailed) as failed:  # the peer speaks WebSocket only
            await client.execute("{ a }")
        assert failed.value.status in {None, 400}
    assert peer.inits == [{"accessToken": None}, {"accessToken": "alice-1"}]


def test_what_cannot_be_a_target_is_refused() -> None:
    """A path, another scheme, or `auth` beside a link that is told itself."""
    for target in ("/graphql", "ftp://localhost/graphql"):
        with pytest.raises(BadUserInput, match="URL"):
            Client(target)
    with pytest.raises(BadUserInput, match="auth"):
        Client(HttpLink("http://localhost"), auth=lambda: None)
    for url in ("http://localhost", "ws://", "ws://localhost/#part"):
        with pytest.raises(BadUserInput, match="WebSocket link"):
            WebSocketLink(url)
    with pytest.raises(BadUserInput, match="subprotocols"):
        WebSocketLink("ws://localhost", subprotocols=["soap"])


def test_each_kind_of_operation_has_its_method() -> None:
    """A query is not subscribed to."""
    with pytest.raises(BadUserInput, match=r"execute\(\)"):
        Client("http://localhost").subscribe("{ a }")


async def test_a_subscription_is_not_executed() -> None:
    """It has no single answer."""
    with pytest.raises(BadUserInput, match=r"subscribe\(\)"):
        await Client("http://localhost").execute(SUBSCRIPTION)
